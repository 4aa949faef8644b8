//! What the client makes of a server's answers, over a real connection. The server answers each request with the next of a
//! list of texts, so it can say what no good registry would.

mod server;

use std::net::SocketAddr;

use longshore_client::{
    AccountKind, ClientError, ClientOptions, Credentials, Fault, NewAccount, RegistryClient, RegistryUrl, Secret,
};
use longshore_oci::{Algorithm, Digest, Reference, RepositoryName};
use server::{answer, serve, server};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

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
    for credentials in [Credentials::Bearer("token".to_owned()), basic()] {
        let client = client_as(address, credentials);
        client.delete_manifest(&name(), &reference("1")).await.expect("deleted");
    }
    let heads = served.await.expect("the server ends");
    assert!(heads[0].to_ascii_lowercase().contains("authorization: bearer token\r\n"), "{}", heads[0]);
    assert!(heads[1].contains("Basic dTpw\r\n"), "{}", heads[1]);
}

/// A registry that asks for a token of its own, and then answers in turn.
async fn asking_server(realm: Option<&str>, scope: &str, answers: Vec<String>) -> (SocketAddr, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
    let address = listener.local_addr().expect("a bound socket has an address");
    let own = format!("http://{address}/token");
    let asked = challenge(realm.unwrap_or(&own), scope);
    (address, serve(listener, [vec![asked], answers].concat()))
}

fn challenge(realm: &str, scope: &str) -> String {
    let header = format!("WWW-Authenticate: Bearer realm=\"{realm}\",service=\"h\",scope=\"{scope}\"\r\n");
    answer("401 Unauthorized", &header, r#"{"errors":[{"code":"UNAUTHORIZED","message":"who asks?"}]}"#)
}

fn token(text: &str, lifetime_seconds: u64) -> String {
    answer("200 OK", "", &format!(r#"{{"token":"{text}","expires_in":{lifetime_seconds}}}"#))
}

fn deleted() -> String {
    answer("202 Accepted", "", "")
}

fn basic() -> Credentials {
    Credentials::Basic { username: "u".to_owned(), password: "p".to_owned() }
}

fn client_as(address: SocketAddr, credentials: Credentials) -> RegistryClient {
    let options = ClientOptions { credentials: Some(credentials), ..options(address) };
    RegistryClient::new(options).expect("plain HTTP needs no set-up")
}

fn bears(head: &str, token: &str) -> bool {
    head.to_ascii_lowercase().contains(&format!("authorization: bearer {token}\r\n"))
}

#[tokio::test]
async fn gets_a_token_and_keeps_it_for_its_scope() {
    let answers = vec![token("t1", 300), deleted(), deleted()];
    let (address, served) = asking_server(None, "repository:team/app:delete registry:x:*", answers).await;
    let client = client_as(address, basic());
    for tag in ["1", "2"] {
        client.clone().delete_manifest(&name(), &reference(tag)).await.expect("deleted");
    }
    let heads = served.await.expect("the server ends");
    assert!(heads[0].contains("Basic dTpw\r\n"), "{}", heads[0]);
    let asked = "GET /token?service=h&scope=repository%3Ateam%2Fapp%3Adelete&scope=registry%3Ax%3A* HTTP/1.1\r\n";
    assert!(heads[1].starts_with(asked) && heads[1].contains("Basic dTpw\r\n"), "{}", heads[1]);
    assert!(heads[2].starts_with("DELETE /v2/team/app/manifests/1 ") && bears(&heads[2], "t1"), "{}", heads[2]);
    assert!(heads[3].starts_with("DELETE /v2/team/app/manifests/2 ") && bears(&heads[3], "t1"), "{}", heads[3]);
}

#[tokio::test]
async fn uses_one_token_for_all_that_asks_for_its_scope() {
    let tags = || answer("200 OK", "", r#"{"tags":["a"]}"#);
    let asks_again = challenge("/token", "repository:team/app:pull");
    let (address, served) =
        asking_server(None, "repository:team/app:pull", vec![token("t1", 300), deleted(), asks_again, tags()]).await;
    let client = client_as(address, basic());
    client.delete_manifest(&name(), &reference("1")).await.expect("deleted");
    client.tags(&name(), 2).next_page().await.expect("a page");
    let heads = served.await.expect("the server ends");
    assert!(!bears(&heads[3], "t1") && bears(&heads[4], "t1"), "{}", heads[4]);
}

#[tokio::test]
async fn gets_another_token_when_one_ends_or_is_refused() {
    let asks_again = || challenge("/token", "s");
    let answers =
        vec![token("t1", 300), deleted(), asks_again(), token("t2", 5), deleted(), asks_again(), token("t3", 300), deleted()];
    let (address, served) = asking_server(None, "s", answers).await;
    let client = client_as(address, basic());
    for tag in ["1", "2", "3"] {
        client.delete_manifest(&name(), &reference(tag)).await.expect("deleted");
    }
    let heads = served.await.expect("the server ends");
    assert!(bears(&heads[3], "t1") && bears(&heads[5], "t2"), "{heads:?}");
    assert!(heads[6].contains("Basic dTpw\r\n") && bears(&heads[8], "t3"), "one that ends at once is not kept: {heads:?}");
}

#[tokio::test]
async fn asks_once_more_and_no_oftener() {
    let refused = challenge("/token", "s");
    let (address, served) = asking_server(None, "s", vec![token("t1", 300), refused]).await;
    let error = client(address).delete_manifest(&name(), &reference("1")).await.expect_err("a refusal");
    assert!(error.status().is_some_and(|status| status == 401), "{error}");
    assert_eq!(error.to_string(), "who asks? (UNAUTHORIZED)");
    let heads = served.await.expect("the server ends");
    assert!(!heads[1].to_ascii_lowercase().contains("authorization"), "nobody is there to say: {}", heads[1]);
    assert!(bears(&heads[2], "t1"), "{}", heads[2]);
}

#[tokio::test]
async fn sends_a_body_again_with_the_token() {
    let account =
        r#"{"account":{"name":"a","kind":"person","isDisabled":false,"createdAt":"2026-06-01T12:00:00Z"},"secret":"x"}"#;
    let made = answer("201 Created", "", account);
    let (address, served) = asking_server(None, "s", vec![token("t1", 300), made]).await;
    let new = NewAccount {
        name: "a".to_owned(),
        kind: AccountKind::Person,
        password: None,
        certificate: None,
        without_secret: false,
        expires_at: None,
        roles: Vec::new(),
    };
    let issued = client_as(address, basic()).create_account(&new).await.expect("an account");
    assert_eq!((issued.account.name.as_str(), issued.secret.as_ref().map(Secret::reveal)), ("a", Some("x")));
    let heads = served.await.expect("the server ends");
    for head in [&heads[0], &heads[2]] {
        assert!(head.starts_with("POST /v2/_longshore/accounts ") && head.contains("content-length: 28\r\n"), "{head}");
    }
}

#[tokio::test]
async fn exchanges_a_refresh_token_and_shows_it_to_the_token_service_alone() {
    let (address, served) = asking_server(None, "s", vec![token("t1", 300), deleted()]).await;
    let client = client_as(address, Credentials::Identity("refresh".to_owned()));
    client.delete_manifest(&name(), &reference("1")).await.expect("deleted");
    let heads = served.await.expect("the server ends");
    assert!(!heads[0].to_ascii_lowercase().contains("authorization"), "{}", heads[0]);
    assert!(heads[1].starts_with("POST /token HTTP/1.1\r\n") && bears(&heads[2], "t1"), "{heads:?}");
}

#[tokio::test]
async fn says_who_it_is_to_no_other_server() {
    for realm in ["https://127.0.0.1:1/token", "http://elsewhere.example/token", "//elsewhere.example/token", "ftp:token"] {
        let (address, served) = asking_server(Some(realm), "s", Vec::new()).await;
        let error = client_as(address, basic()).delete_manifest(&name(), &reference("1")).await.expect_err("another server");
        assert!(matches!(&error, ClientError::ForeignRealm { realm: named, .. } if named == realm), "{error}");
        assert_eq!(served.await.expect("the server ends").len(), 1, "{realm}");
    }
}

#[tokio::test]
async fn takes_no_token_that_is_none() {
    for body in ["{}", r#"{"token":""}"#, r#"{"token":"a b"}"#, r#"{"access_token":7}"#, "t1"] {
        let (address, _served) = asking_server(None, "s", vec![answer("200 OK", "", body)]).await;
        let error = client_as(address, basic()).delete_manifest(&name(), &reference("1")).await.expect_err("no token");
        assert!(matches!(error, ClientError::Malformed { .. }), "{body}: {error}");
    }
    let refused = answer("401 Unauthorized", "", r#"{"errors":[{"code":"UNAUTHORIZED","message":"wrong password"}]}"#);
    let (address, _served) = asking_server(None, "s", vec![refused]).await;
    let error = client_as(address, basic()).log_in().await.expect_err("a refusal");
    assert_eq!(error.to_string(), "wrong password (UNAUTHORIZED)");
}

#[tokio::test]
async fn has_nothing_to_add_to_a_token_that_the_caller_brought() {
    let (address, served) = asking_server(None, "s", Vec::new()).await;
    let client = client_as(address, Credentials::Bearer("mine".to_owned()));
    let error = client.delete_manifest(&name(), &reference("1")).await.expect_err("a refusal");
    assert!(error.status().is_some_and(|status| status == 401), "{error}");
    assert!(bears(&served.await.expect("the server ends")[0], "mine"));
}

#[tokio::test]
async fn logs_in_in_one_place_and_gets_a_session_where_there_is_one() {
    let welcome = || answer("200 OK", "", "{}");
    let given = |session: &str| answer("200 OK", "", &format!(r#"{{"token":"t1"{session}}}"#));
    for (session, expected) in [("", None), (r#","refresh_token":"""#, None), (r#","refresh_token":"r1""#, Some("r1"))] {
        let (address, served) = asking_server(None, "", vec![given(session), welcome()]).await;
        let kept = client_as(address, basic()).log_in().await.expect("it is let in");
        assert_eq!(kept.as_ref().map(Secret::reveal), expected);
        let heads = served.await.expect("the server ends");
        let asked = "GET /token?offline_token=true&client_id=longshore&service=h HTTP/1.1\r\n";
        assert!(heads[1].starts_with(asked) && heads[1].contains("Basic dTpw\r\n"), "{}", heads[1]);
        assert!(!heads[0].to_ascii_lowercase().contains("authorization") && bears(&heads[2], "t1"), "{heads:?}");
    }
    let broken = given(r#","refresh_token":"r 1""#);
    let (address, _served) = asking_server(None, "", vec![broken]).await;
    let error = client_as(address, basic()).log_in().await.expect_err("no token");
    assert!(matches!(error, ClientError::Malformed { .. }), "{error}");
    // Where there are no tokens the password itself is shown, and where nobody is asked it is as well.
    let basic_alone = || answer("401 Unauthorized", "WWW-Authenticate: Basic realm=\"x\"\r\n", "");
    for answers in [vec![basic_alone(), welcome()], vec![welcome(), welcome()]] {
        let (address, served) = server(answers).await;
        assert_eq!(client_as(address, basic()).log_in().await.expect("it is let in"), None);
        let heads = served.await.expect("the server ends");
        assert!(!heads[0].contains("Basic") && heads[1].contains("Basic dTpw\r\n"), "{heads:?}");
    }
    let (address, _served) = server(vec![basic_alone(), basic_alone()]).await;
    let error = client_as(address, basic()).log_in().await.expect_err("a refusal");
    assert!(error.status().is_some_and(|status| status == 401), "{error}");
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
