//! What is said where an upstream refuses the cache's own account, or a client whose credential it does not see.

use jiff::Timestamp;

use super::*;
use crate::prewarm::{State, Wish};

const WORDS: &str = r#"{"errors":[{"code":"DENIED","message":"the policy prod wants a signature"}]}"#;

/// Why an image is not there: of an upstream with these settings, which answers so, to a GET with words.
async fn told(settings: &str, status: &'static str) -> String {
    let bed = Bed::with("127.0.0.1:0", &format!("kind = 'other'\nname = 'up'\n{settings}"), move |head| {
        if head.starts_with("HEAD ") {
            return Reply::raw(&format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"));
        }
        Reply::new(status, "Content-Type: application/json\r\n", if status.starts_with("403") { WORDS } else { "" })
    })
    .await;
    let wish = Wish::parse(br#"{"images":["team/priv:v1"]}"#, 1, Timestamp::now()).unwrap();
    let operation = bed.edge.prewarm.begin(wish).unwrap();
    let over = async {
        while !operation.is_over() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, over).await.expect("it is not waited for");
    let view = operation.view();
    assert_eq!(view.state, State::Failed);
    view.images[0].error.clone().unwrap()
}

#[tokio::test]
async fn a_refusal_says_whom_it_is_of_and_what_to_do() {
    let account = "username = 'others'\npassword = 'x'\n";
    let refused = told("", "401 Unauthorized").await;
    assert!(refused.contains("up answered 401 Unauthorized; the cache has no account there"), "{refused}");
    assert!(refused.contains("upstream.username and upstream.password_file"), "{refused}");
    let refused = told(account, "403 Forbidden").await;
    assert!(refused.contains("the policy prod wants a signature"), "a HEAD has no words: {refused}");
    assert!(refused.contains(r#"the account "others" (upstream.username) may not pull this from team/priv"#), "{refused}");
    let refused = told(account, "404 Not Found").await;
    assert!(refused.contains("up answered 404 Not Found; team/priv has no tag v1 there"), "{refused}");
}

#[tokio::test]
async fn who_shows_a_credential_that_is_not_passed_on_is_told_so() {
    let manifest = "/v2/team/priv/manifests/v1";
    for (settings, path, login, is_told) in [
        ("", format!("{manifest}?ns=up"), Some("alice:right"), true),
        ("", "/v2/up/team/priv/manifests/v1".to_owned(), Some("alice:right"), true),
        ("", format!("{manifest}?ns=up"), None, false),
        ("", "/v2/team/priv/manifests/a%20b?ns=up".to_owned(), Some("alice:right"), false),
        ("takes_credentials = true\n", format!("{manifest}?ns=up"), Some("alice:right"), false),
    ] {
        let other = "[[upstream]]\nurl = 'http://127.0.0.1:1'\nkind = 'other'\ndefault = true\n";
        let settings = format!("kind = 'other'\nname = 'up'\n{settings}{other}");
        let bed = Bed::with("127.0.0.1:0", &settings, |_| unauthorized()).await;
        let (status, body) = super::told(bed.get(&path, login, 1).await).await;
        let words = "the credential that came with this is not shown to up";
        assert_eq!(body.contains(words) && body.contains("takes_credentials"), is_told, "{path}: {status} {body}");
        assert!((400..500).contains(&status), "{path}");
    }
}
