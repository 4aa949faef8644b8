//! What the client makes of a server's answers, over a real connection. The server answers each request with the next of a
//! list of texts, so it can say what no good registry would.

use std::net::SocketAddr;

use longshore_client::{ClientError, ClientOptions, Credentials, Fault, RegistryClient, RegistryUrl};
use longshore_oci::{Algorithm, Digest, Reference, RepositoryName};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// Serves one connection for each answer, and then gives back the requests' heads.
async fn server(answers: Vec<String>) -> (SocketAddr, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
    let address = listener.local_addr().expect("a bound socket has an address");
    let served = tokio::spawn(async move {
        let mut heads = Vec::new();
        for answer in answers {
            let (mut connection, _) = listener.accept().await.expect("a client comes");
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(connection.read_u8().await.expect("a request has a head"));
            }
            heads.push(String::from_utf8(head).expect("a head is text"));
            connection.write_all(answer.as_bytes()).await.expect("the client reads");
        }
        heads
    });
    (address, served)
}

fn answer(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n{body}", body.len())
}

fn options(address: SocketAddr) -> ClientOptions {
    ClientOptions::new(RegistryUrl::parse(&format!("http://{address}"), false).expect("an address makes a URL"))
}

fn client(address: SocketAddr) -> RegistryClient {
    RegistryClient::new(options(address)).expect("plain HTTP needs no set-up")
}

fn name() -> RepositoryName {
    "team/app".parse().expect("a name")
}

fn reference(text: &str) -> Reference {
    text.parse().expect("a reference")
}

#[tokio::test]
async fn follows_pages_to_the_end() {
    let first = answer("200 OK", "Link: </v2/team/app/tags/list?n=2&last=b>; rel=\"next\"\r\n", r#"{"tags":["a","b"]}"#);
    let (address, served) = server(vec![first, answer("200 OK", "", r#"{"tags":null}"#)]).await;
    let client = client(address);
    let mut tags = client.tags(&name(), 2);
    assert_eq!(tags.next_page().await.expect("a page"), Some(vec!["a".to_owned(), "b".to_owned()]));
    assert_eq!(tags.next_page().await.expect("a page"), Some(Vec::new()));
    assert_eq!(tags.next_page().await.expect("an end"), None);
    let heads = served.await.expect("the server ends");
    assert!(heads[0].starts_with("GET /v2/team/app/tags/list?n=2 HTTP/1.1\r\n"), "{}", heads[0]);
    assert!(heads[1].starts_with("GET /v2/team/app/tags/list?n=2&last=b HTTP/1.1\r\n"), "{}", heads[1]);
}

#[tokio::test]
async fn goes_to_no_other_server() {
    let away = answer("200 OK", "Link: <http://elsewhere.example/v2/>; rel=\"next\"\r\n", r#"{"tags":["a"]}"#);
    let moved = answer("307 Temporary Redirect", "Location: http://elsewhere.example/\r\n", "");
    let (address, _served) = server(vec![away, moved]).await;
    let client = client(address);
    let error = client.tags(&name(), 2).next_page().await.expect_err("another server's page");
    assert!(matches!(error, ClientError::Malformed { .. }), "{error}");
    let error = client.tags(&name(), 2).next_page().await.expect_err("another server");
    assert!(matches!(&error, ClientError::Redirected { location, .. } if location == "http://elsewhere.example/"), "{error}");
}

#[tokio::test]
async fn keeps_the_registry_s_words() {
    let body = r#"{"errors":[{"code":"UNAVAILABLE","message":"the database\ndoes not answer","detail":null}]}"#;
    let busy = answer("503 Service Unavailable", "Retry-After: 3\r\nX-Request-Id: r-1\r\n", body);
    let (address, _served) = server(vec![busy, answer("502 Bad Gateway", "", "<html>")]).await;
    let client = client(address);
    let error = client.image(&name(), &reference("1")).await.expect_err("a refusal");
    assert_eq!(
        error.to_string(),
        "the database does not answer (UNAVAILABLE); try again in 3 s; its logs tell more under request id r-1"
    );
    let error = client.delete_manifest(&name(), &reference("1")).await.expect_err("a refusal");
    assert_eq!(error.to_string(), "the registry answered 502 Bad Gateway");
}

#[tokio::test]
async fn hands_out_no_wrong_bytes() {
    let digest = Digest::of(Algorithm::Sha256, b"{}");
    let headers = format!("Content-Type: application/vnd.oci.image.manifest.v1+json\r\nDocker-Content-Digest: {digest}\r\n");
    let answers = ["{}", "{ ", "{ "].map(|body| answer("200 OK", &headers, body));
    let (address, _served) = server(answers.into()).await;
    let client = client(address);
    let manifest = client.manifest(&name(), &reference("1")).await.expect("the right bytes");
    assert_eq!((manifest.content.as_ref(), manifest.digest), (b"{}".as_slice(), digest.clone()));
    for asked in [reference("1"), Reference::Digest(digest)] {
        let error = client.manifest(&name(), &asked).await.expect_err("wrong bytes");
        assert!(matches!(error, ClientError::Damaged { .. }), "{error}");
    }
}

#[tokio::test]
async fn says_whether_a_manifest_is_there() {
    let there = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: a/b\r\nContent-Length: 7\r\n\r\n".to_owned();
    let (address, _served) = server(vec![there, answer("404 Not Found", "", "")]).await;
    let client = client(address);
    let head = client.manifest_head(&name(), &reference("1")).await.expect("an answer").expect("a manifest");
    assert_eq!((head.media_type.as_str(), head.size_bytes, head.digest), ("a/b", Some(7), None));
    assert_eq!(client.manifest_head(&name(), &reference("1")).await.expect("an answer"), None);
}

#[tokio::test]
async fn tells_who_asks() {
    let (address, served) = server(vec![answer("202 Accepted", "", ""), answer("202 Accepted", "", "")]).await;
    let basic = Credentials::Basic { username: "u".to_owned(), password: "p".to_owned() };
    for credentials in [Credentials::Bearer("token".to_owned()), basic] {
        let options = ClientOptions { credentials: Some(credentials), ..options(address) };
        let client = RegistryClient::new(options).expect("plain HTTP needs no set-up");
        client.delete_manifest(&name(), &reference("1")).await.expect("deleted");
    }
    let heads = served.await.expect("the server ends");
    assert!(heads[0].to_ascii_lowercase().contains("authorization: bearer token\r\n"), "{}", heads[0]);
    assert!(heads[1].contains("Basic dTpw\r\n"), "{}", heads[1]);
}

#[tokio::test]
async fn says_why_nobody_answers() {
    // A port that was just free, and that nobody listens on.
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
    let address = listener.local_addr().expect("a bound socket has an address");
    drop(listener);
    let error = client(address).image(&name(), &reference("1")).await.expect_err("nobody");
    assert_eq!(error.to_string(), format!("no registry answers at http://{address}: connection refused"));

    let (address, _served) = server(vec!["\u{15}\u{3}\u{3}\0\u{2}\u{2}F".to_owned()]).await;
    let error = client(address).image(&name(), &reference("1")).await.expect_err("no HTTP");
    assert!(matches!(error, ClientError::Unreachable { fault: Fault::NotHttp, .. }), "{error:?}");
}

#[tokio::test]
async fn speaks_plain_http_to_other_machines_only_when_told() {
    let far = RegistryUrl::parse("http://192.0.2.1:5000", false).expect("a URL");
    let error = RegistryClient::new(ClientOptions::new(far.clone())).expect_err("refused");
    assert!(matches!(error, ClientError::PlainHttp(_)), "{error}");
    assert!(RegistryClient::new(ClientOptions { allow_plain_http: true, ..ClientOptions::new(far) }).is_ok());
}
