//! What is shared with who is on the cache's machine, and not with a page of the web in a browser there.

use super::*;

/// That of the cache's own account.
const ACCOUNT: &str =
    "kind = 'other'\nusername = 'nodes'\npassword = 'right'\nshares_access = true\nhosts = ['mirror.example']\n";

async fn bed(listen: &str) -> Bed {
    let right = basic("nodes:right");
    Bed::with(listen, ACCOUNT, move |head| match head {
        _ if !head.contains(&right) => unauthorized(),
        _ if head.contains("/_catalog") => Reply::json(&serde_json::json!({ "repositories": ["team/app"] })),
        _ => blob(head),
    })
    .await
}

async fn status(bed: &Bed, uri: &str, sent: &[(header::HeaderName, &str)]) -> u16 {
    let request = sent.iter().fold(Request::get(uri), |request, (name, value)| request.header(name, *value));
    let answer = handle(&bed.edge, request.body(()).unwrap(), IpAddr::from([127, 0, 0, 1])).await;
    told(answer).await.0
}

fn paths() -> [String; 3] {
    ["/v2/_catalog".to_owned(), "/v2/".to_owned(), format!("/v2/team/app/blobs/{}", digest())]
}

#[tokio::test]
async fn on_loopback_the_account_is_shared_with_who_calls_this_machine_by_its_name() {
    let bed = bed("127.0.0.1:0").await;
    for path in paths() {
        for host in ["127.0.0.1:5200", "localhost:5200", "[::1]:5200", "localhost", "localhost:43117"] {
            assert_eq!(status(&bed, &path, &[(header::HOST, host)]).await, 200, "{host}{path}");
            assert_eq!(status(&bed, &format!("http://{host}{path}"), &[]).await, 200, "{host}{path}, by HTTP/2");
        }
        assert_eq!(status(&bed, &path, &[(header::HOST, "mirror.example:5200")]).await, 200, "who set it up calls it so");
    }
}

#[tokio::test]
async fn on_loopback_the_account_is_not_shared_with_a_page() {
    let bed = bed("127.0.0.1:0").await;
    let here = (header::HOST, "127.0.0.1:5200");
    let (origin, own) = ((header::ORIGIN, "http://evil.example"), basic("nodes:right"));
    // What is here already is shown to it no more than what is not.
    assert_eq!(status(&bed, &paths()[2], std::slice::from_ref(&here)).await, 200);
    for path in paths() {
        for host in ["evil.example", "evil.example:5200", "192.168.1.7:5200", "mirror.example.evil.example"] {
            assert_eq!(status(&bed, &path, &[(header::HOST, host)]).await, 401, "{host}{path}");
            assert_eq!(status(&bed, &format!("http://{host}{path}"), &[]).await, 401, "{host}{path}, by HTTP/2");
        }
        for host in [here.clone(), (header::HOST, "mirror.example")] {
            assert_eq!(status(&bed, &path, &[host, origin.clone()]).await, 401, "{path}");
        }
        let shown = [(header::HOST, "evil.example"), (header::AUTHORIZATION, own.as_str())];
        assert_eq!(status(&bed, &path, &shown).await, 200, "who shows what may is let in by that");
    }
}

#[tokio::test]
async fn elsewhere_whoever_reaches_it_is_shared_with_as_it_was_set() {
    let bed = bed("0.0.0.0:0").await;
    for path in paths() {
        assert_eq!(status(&bed, &path, &[(header::HOST, "edge.example:5100")]).await, 200, "{path}");
    }
}
