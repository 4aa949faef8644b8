//! What a client that goes elsewhere shows there, and what it makes of what it finds.

mod server;

use std::net::SocketAddr;

use longshore_client::{ClientError, ClientOptions, Credentials, PullAnswer, PullClient, PullRequest, RegistryUrl, Shown};
use longshore_oci::{Algorithm, Digest, Route};
use reqwest::header::{HeaderMap, HeaderValue, RANGE};
use reqwest::{Method, StatusCode};
use server::{answer, server};
use tokio::net::TcpListener;

fn client(address: SocketAddr, credentials: Option<Credentials>, token_realms: &[String]) -> PullClient {
    let registry = RegistryUrl::parse(&format!("http://{address}"), false).expect("an address makes a URL");
    let options = ClientOptions { credentials, ..ClientOptions::new(registry) };
    PullClient::new(options, token_realms.to_vec()).expect("plain HTTP needs no set-up")
}

fn basic() -> Credentials {
    Credentials::Basic { username: "u".to_owned(), password: "p".to_owned() }
}

fn request(shown: Shown) -> PullRequest {
    let route = Route::Blob("team/app".parse().expect("a name"), Digest::of(Algorithm::Sha256, b"bytes"));
    let headers = [(RANGE, "bytes=0-4"), (reqwest::header::COOKIE, "hush=1"), (reqwest::header::AUTHORIZATION, "hush")];
    let headers = HeaderMap::from_iter(headers.map(|(name, value)| (name, HeaderValue::from_static(value))));
    PullRequest { method: Method::GET, route, query: Some("ns=x".to_owned()), headers, shown }
}

async fn body(mut answer: PullAnswer) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.expect("bytes") {
        body.extend_from_slice(&chunk);
    }
    body
}

fn to(location: &str) -> String {
    answer("307 Temporary Redirect", &format!("Location: {location}\r\nSet-Cookie: a=b\r\n"), "")
}

fn asks(realm: &str) -> String {
    let header = format!("WWW-Authenticate: Basic realm=\"x\"\r\nWWW-Authenticate: Bearer realm=\"{realm}\",scope=\"s\"\r\n");
    answer("401 Unauthorized", &header, "")
}

fn bytes() -> String {
    answer("206 Partial Content", "Content-Range: bytes 0-4/9\r\nSet-Cookie: a=b\r\n", "bytes")
}

fn secret_in(head: &str) -> bool {
    let head = head.to_ascii_lowercase();
    ["authorization", "cookie", "hush"].iter().any(|word| head.contains(word))
}

#[tokio::test]
async fn shows_nothing_elsewhere_and_nothing_after_it() {
    let shows = [Shown::Own, Shown::This(HeaderValue::from_static("Bearer mine"))];
    for (shown, expected) in shows.into_iter().zip(["authorization: basic dtpw\r\n", "authorization: bearer mine\r\n"]) {
        let (storage, stored) = server(vec![to("/moved"), to("http://HOME/back")]).await;
        let (home, served) = server(vec![to("/v2/team/other"), to(&format!("http://{storage}/x?secret=1"))]).await;
        let client = client(home, Some(basic()), &[]);
        // The way back is to a port where nobody is any more: nothing of it is shown in the error either.
        let error = client.ask(&request(shown)).await.expect_err("no such host");
        assert!(!error.to_string().contains("secret"), "{error}");
        let (heads, stored) = (served.await.expect("served"), stored.await.expect("served"));
        assert!(heads[0].starts_with("GET /v2/team/app/blobs/sha256:") && heads[0].contains("?ns=x HTTP"), "{}", heads[0]);
        for head in &heads {
            assert!(head.to_ascii_lowercase().contains(expected) && !head.contains("hush"), "{head}");
        }
        for head in &stored {
            assert!(!secret_in(head) && head.contains("range: bytes=0-4\r\n"), "{head}");
        }
        assert_eq!((heads.len(), stored.len()), (2, 2));
    }
}

#[tokio::test]
async fn hands_out_what_comes_from_elsewhere() {
    let (storage, _stored) = server(vec![bytes()]).await;
    let (home, _served) = server(vec![to(&format!("http://{storage}/x"))]).await;
    let answer = client(home, Some(basic()), &[]).ask(&request(Shown::Own)).await.expect("an answer");
    assert_eq!((answer.status, answer.headers.get("set-cookie")), (StatusCode::PARTIAL_CONTENT, None));
    assert_eq!(answer.place().to_string(), format!("http://{storage}"));
    assert_eq!(body(answer).await, b"bytes");
}

#[tokio::test]
async fn a_refusal_elsewhere_is_not_the_registry_s() {
    let (storage, _stored) = server(vec![answer("403 Forbidden", "Retry-After: 2\r\n", "<Error/>")]).await;
    let (home, _served) = server(vec![to(&format!("http://{storage}/x?secret=1"))]).await;
    let error = client(home, None, &[]).ask(&request(Shown::Own)).await.expect_err("a refusal");
    assert!(matches!(&error, ClientError::Elsewhere { status, .. } if *status == 403), "{error}");
    assert!(!format!("{error:?}").contains("secret") && error.to_string().contains(&storage.to_string()), "{error:?}");
}

#[tokio::test]
async fn goes_in_no_circle() {
    let path = Route::Blob("team/app".parse().expect("a name"), Digest::of(Algorithm::Sha256, b"bytes")).to_string();
    let (home, served) = server(vec![to("/other"), to(&format!("{path}?ns=x"))]).await;
    let error = client(home, Some(basic()), &[]).ask(&request(Shown::Own)).await.expect_err("a circle");
    assert!(matches!(&error, ClientError::Astray { reason, .. } if reason.contains("already")), "{error}");
    assert_eq!(served.await.expect("served").len(), 2);
}

#[tokio::test]
async fn gets_tokens_elsewhere_and_shows_credentials_where_it_may() {
    for (credentials, is_named, is_shown) in [(None, false, false), (None, true, false), (Some(basic()), true, true)] {
        let (realm, granted) = server(vec![answer("200 OK", "", r#"{"token":"t1"}"#)]).await;
        let (home, served) = server(vec![asks(&format!("http://{realm}/token")), bytes()]).await;
        let realms = if is_named { vec![realm.to_string()] } else { Vec::new() };
        let answer = client(home, credentials, &realms).ask(&request(Shown::Own)).await.expect("an answer");
        assert_eq!(body(answer).await, b"bytes");
        let granted = granted.await.expect("served");
        assert!(granted[0].starts_with("GET /token?scope=s HTTP/1.1\r\n") && !granted[0].contains("range"), "{}", granted[0]);
        assert_eq!(granted[0].contains("Basic dTpw"), is_shown, "{}", granted[0]);
        assert!(served.await.expect("served")[1].to_ascii_lowercase().contains("authorization: bearer t1\r\n"));
    }
    let (home, _served) = server(vec![asks("http://127.0.0.1:1/token")]).await;
    let error = client(home, Some(basic()), &[]).ask(&request(Shown::Own)).await.expect_err("another server");
    assert!(matches!(error, ClientError::ForeignRealm { .. }), "{error}");
}

#[tokio::test]
async fn keeps_what_the_registry_wants_to_be_shown() {
    let denied = answer("403 Forbidden", "", r#"{"errors":[{"code":"DENIED","message":"not yours"}]}"#);
    for shown in [Shown::Own, Shown::Nothing, Shown::This(HeaderValue::from_static("Basic eDp5"))] {
        let is_own = matches!(shown, Shown::Own);
        let (home, served) = server(vec![asks("/token")].into_iter().chain(is_own.then(|| denied.clone())).collect()).await;
        let error = client(home, None, &[]).ask(&request(shown)).await.expect_err("a refusal");
        let ClientError::Refused { status, challenge, errors, .. } = &error else { panic!("{error}") };
        assert_eq!((*status, errors.len()), (StatusCode::UNAUTHORIZED, usize::from(is_own)));
        assert_eq!(challenge.as_deref().expect("a challenge"), "Bearer realm=\"/token\",scope=\"s\"");
        served.await.expect("served");
    }
}

#[tokio::test]
async fn many_who_want_a_token_ask_for_one() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
    let address = listener.local_addr().expect("a bound socket has an address");
    // All are asked who they are before the one token is given.
    let answers = [vec![asks("/token"); 5], vec![answer("200 OK", "", r#"{"token":"t1","expires_in":300}"#)], vec![bytes(); 5]];
    let served = server::serve(listener, answers.concat());
    let client = client(address, None, &[]);
    let asking = (0..5).map(|_| {
        let client = client.clone();
        tokio::spawn(async move { client.ask(&request(Shown::Own)).await.map(|answer| answer.status) })
    });
    for asked in asking.collect::<Vec<_>>() {
        assert_eq!(asked.await.expect("asked").expect("an answer"), StatusCode::PARTIAL_CONTENT);
    }
    let heads = served.await.expect("served");
    assert_eq!(heads.iter().filter(|head| head.starts_with("GET /token")).count(), 1);
}

#[tokio::test]
async fn says_that_a_body_broke_off() {
    let short = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 9\r\n\r\nbytes".to_owned();
    let (home, _served) = server(vec![short]).await;
    let mut answer = client(home, None, &[]).ask(&request(Shown::Own)).await.expect("an answer");
    assert_eq!(answer.chunk().await.expect("bytes").as_deref(), Some(b"bytes".as_slice()));
    assert!(matches!(answer.chunk().await, Err(ClientError::Unreachable { .. })));
}

#[tokio::test]
async fn gets_a_token_for_a_peer_as_the_registry_says() {
    let given = || answer("200 OK", "", r#"{"token":"bound"}"#);
    let identity = Credentials::Identity("refresh".to_owned());
    for (credentials, authorization) in [(None, None), (Some(basic()), Some("authorization: basic dtpw")), (Some(identity), None)]
    {
        let is_form = matches!(credentials, Some(Credentials::Identity(_)));
        let (address, serving) = server(vec![asks("/token"), given()]).await;
        let client = client(address, credentials, &[]);
        let token =
            client.peer_token(&"team/app".parse().expect("a name"), "peer a").await.expect("a token").expect("it gives some");
        assert_eq!(token.reveal(), "bound");
        let heads = serving.await.expect("two requests");
        assert!(heads[0].starts_with("GET /v2/ ") && !secret_in(&heads[0]), "{}", heads[0]);
        let begins = if is_form { "POST /token " } else { "GET /token?scope=repository%3Ateam%2Fapp%3Apull&peer_id=peer+a " };
        assert!(heads[1].starts_with(begins), "{}", heads[1]);
        let head = heads[1].to_ascii_lowercase();
        assert_eq!(head.lines().find(|line| line.starts_with("authorization")), authorization);
    }
}

#[tokio::test]
async fn gets_no_token_for_a_peer_where_none_is_given() {
    let name = "team/app".parse().expect("a name");
    let open = answer("200 OK", "", "{}");
    let basic_alone = answer("401 Unauthorized", "WWW-Authenticate: Basic realm=\"x\"\r\n", "");
    for answers in [vec![open], vec![basic_alone]] {
        let (address, _serving) = server(answers).await;
        assert!(client(address, Some(basic()), &[]).peer_token(&name, "p").await.expect("an answer").is_none());
    }
    let refusals = [vec![answer("503 Service Unavailable", "", "")], vec![asks("/token"), answer("401 Unauthorized", "", "")]];
    for (answers, expected) in refusals.into_iter().zip([StatusCode::SERVICE_UNAVAILABLE, StatusCode::UNAUTHORIZED]) {
        let (address, _serving) = server(answers).await;
        let refused = client(address, Some(basic()), &[]).peer_token(&name, "p").await.expect_err("it is refused");
        assert!(matches!(refused, ClientError::Refused { status, .. } if status == expected), "{refused}");
    }
}
