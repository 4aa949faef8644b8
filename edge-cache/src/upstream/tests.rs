//! Upstreams that do as they should, and as they should not.

mod addresses;
mod faults;
mod ours;
pub(crate) mod server;
mod waits;

use std::{net::SocketAddr, time::Duration};

use bytes::Bytes;
use futures_util::StreamExt as _;
use http::{HeaderValue, Method, StatusCode, header};
use longshore_client::{RegistryUrl, Secret};
use longshore_oci::{Algorithm, Digest, RepositoryName, Route};
use longshore_service::metrics::Metrics;

use super::*;
use server::{Reply, Server};

const BODY: &str = "the bytes of a blob";

pub(crate) fn settings(address: SocketAddr) -> UpstreamSettings {
    let url = RegistryUrl::parse(&format!("http://{address}"), false).unwrap();
    UpstreamSettings {
        attempts: 3,
        backoff_min: Duration::from_millis(1),
        backoff_max: Duration::from_millis(5),
        breaker_failures: 0,
        read_timeout: Duration::from_millis(300),
        ..UpstreamSettings::new("up", url)
    }
}

/// An upstream, and what is counted of it.
fn upstream_with(settings: UpstreamSettings) -> (Upstream, Metrics) {
    let metrics = Metrics::new();
    (Upstream::new(settings, &UpstreamMetrics::new(&metrics)).unwrap(), metrics)
}

fn upstream(server: &Server) -> Upstream {
    upstream_with(settings(server.address)).0
}

fn name() -> RepositoryName {
    "team/app".parse().unwrap()
}

fn digest() -> Digest {
    Digest::of(Algorithm::Sha256, BODY.as_bytes())
}

fn blob() -> Ask {
    Ask::get(Route::Blob(name(), digest()))
}

fn manifest() -> Ask {
    Ask::get(Route::Manifest(name(), "1".parse().unwrap()))
}

async fn get(upstream: &Upstream, ask: Ask) -> Result<Bytes, UpstreamError> {
    upstream.ask(&Identity::Anonymous, ask).await?.read(1 << 20).await
}

#[tokio::test]
async fn hands_on_what_comes() {
    let server = Server::start(|head, _| match head {
        head if head.starts_with("HEAD ") => Reply::raw("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 19\r\n\r\n"),
        head if head.contains("if-none-match: \"e\"") => {
            Reply::raw("HTTP/1.1 304 Not Modified\r\nConnection: close\r\nETag: \"e\"\r\n\r\n")
        }
        head if head.contains("range: bytes=4-8") => {
            Reply::new("206 Partial Content", "Content-Range: bytes 4-8/19\r\n", &BODY[4..9])
        }
        _ => Reply::ok("ETag: \"e\"\r\nSet-Cookie: a=b\r\n", BODY),
    });
    let server = server.await;
    let upstream = upstream(&server);
    let answer = upstream.ask(&Identity::Anonymous, blob()).await.unwrap();
    assert_eq!((answer.status, answer.headers.get("etag").unwrap().to_str().unwrap()), (StatusCode::OK, "\"e\""));
    assert!(!answer.headers.contains_key("set-cookie"));
    assert_eq!(answer.read(100).await.unwrap(), BODY);
    assert!(matches!(
        upstream.ask(&Identity::Anonymous, blob()).await.unwrap().read(18).await,
        Err(UpstreamError::Malformed { .. })
    ));

    let head = upstream.ask(&Identity::Anonymous, Ask { method: Method::HEAD, ..blob() }).await.unwrap();
    assert_eq!(head.headers["content-length"], "19");
    assert!(head.read(0).await.unwrap().is_empty());

    let mut part = blob();
    part.headers.insert(header::RANGE, HeaderValue::from_static("bytes=4-8"));
    let part = upstream.ask(&Identity::Anonymous, part).await.unwrap();
    assert_eq!((part.status, part.read(100).await.unwrap().as_ref()), (StatusCode::PARTIAL_CONTENT, b"bytes".as_slice()));

    let mut known = manifest();
    known.headers.insert(header::IF_NONE_MATCH, HeaderValue::from_static("\"e\""));
    known.query = Some("ns=x".into());
    let known = upstream.ask(&Identity::Anonymous, known).await.unwrap();
    assert_eq!((known.status, known.read(0).await.unwrap().len()), (StatusCode::NOT_MODIFIED, 0));
    assert!(server.heads()[4].starts_with("GET /v2/team/app/manifests/1?ns=x HTTP/1.1\r\n"));
}

#[tokio::test]
async fn says_who_asks() {
    let asks = "WWW-Authenticate: Basic realm=\"r\"\r\n";
    let server = Server::start(move |head, _| match head.to_ascii_lowercase() {
        head if head.contains("authorization: basic dtpw\r\n") => Reply::ok("", BODY),
        head if head.contains("authorization: bearer mine\r\n") => Reply::ok("", BODY),
        _ => Reply::new("401 Unauthorized", asks, r#"{"errors":[{"code":"UNAUTHORIZED","message":"who?"}]}"#),
    });
    let server = server.await;
    let credentials = CredentialSource::Given { username: "u".into(), password: Secret::new("p") };
    let (upstream, _) = upstream_with(UpstreamSettings { credentials, ..settings(server.address) });
    let caller = |text| Identity::Caller(HeaderValue::from_static(text));
    for (who, is_let_in) in [
        (Identity::Edge, true),
        (Identity::Anonymous, false),
        (caller("Bearer mine"), true),
        (caller("Bearer theirs"), false),
        (Identity::Edge, true),
    ] {
        match upstream.ask(&who, blob()).await {
            Ok(answer) => assert!(is_let_in && answer.read(100).await.unwrap() == BODY, "{who:?}"),
            Err(UpstreamError::Refused { status, errors, challenge, .. }) => {
                assert!(!is_let_in && status == StatusCode::UNAUTHORIZED, "{who:?}");
                assert_eq!((errors[0].message.as_str(), challenge.unwrap()), ("who?", "Basic realm=\"r\"".parse().unwrap()));
            }
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(server.count(), 5, "a refusal is not asked for again");
}

#[tokio::test]
async fn asks_anonymously_where_its_credentials_may_not_go() {
    let realm = Server::start(|_, _| Reply::ok("", r#"{"token":"t1"}"#)).await;
    let asks = format!("WWW-Authenticate: Bearer realm=\"http://{}/token\",scope=\"s\"\r\n", realm.address);
    let server = Server::start(move |head, _| match head.to_ascii_lowercase() {
        head if head.contains("authorization: bearer t1\r\n") => Reply::ok("", BODY),
        _ => Reply::new("401 Unauthorized", &asks, ""),
    });
    let server = server.await;
    for is_named in [false, true] {
        let mut settings = settings(server.address);
        settings.credentials = CredentialSource::Given { username: "u".into(), password: Secret::new("p") };
        settings.token_realms.extend(is_named.then(|| realm.address.to_string()));
        let (upstream, _) = upstream_with(settings);
        let answer = upstream.ask(&Identity::Edge, blob()).await.unwrap();
        assert_eq!(answer.read(100).await.unwrap(), BODY);
        assert_eq!(realm.heads().last().unwrap().contains("Basic dTpw"), is_named);
    }
}

#[tokio::test]
async fn credentials_that_lapsed_close_nothing_that_is_open() {
    for status in ["401 Unauthorized", "403 Forbidden"] {
        let asks = "WWW-Authenticate: Basic realm=\"r\"\r\n";
        let server = Server::start(move |head, _| {
            let is_closed = head.to_ascii_lowercase().contains("authorization: ") || head.contains("/closed ");
            if is_closed { Reply::new(status, asks, "") } else { Reply::ok("", BODY) }
        });
        let server = server.await;
        let credentials = CredentialSource::Given { username: "u".into(), password: Secret::new("p") };
        let (upstream, _) = upstream_with(UpstreamSettings { credentials, ..settings(server.address) });
        for ask in [blob(), manifest()] {
            let answer = upstream.ask(&Identity::Edge, ask).await.unwrap();
            assert_eq!(answer.read(100).await.unwrap(), BODY, "{status}");
        }
        let closed = Ask::get(Route::Manifest(name(), "closed".parse().unwrap()));
        let error = upstream.ask(&Identity::Edge, closed).await.unwrap_err();
        assert_eq!(error.status().unwrap().as_str(), &status[..3]);
        assert_eq!(server.count(), 6, "each is asked for once more");
    }
}

#[tokio::test]
async fn who_shows_nothing_sends_nothing() {
    let asks = "WWW-Authenticate: Bearer realm=\"/token\"\r\n";
    let server = Server::start(move |_, _| Reply::new("401 Unauthorized", asks, "")).await;
    let nobody = Identity::Caller(HeaderValue::from_static(""));
    let error = upstream(&server).ask(&nobody, Ask::get(Route::Base)).await.unwrap_err();
    assert_eq!(error.status(), Some(StatusCode::UNAUTHORIZED));
    assert_eq!(server.count(), 1, "no token is fetched");
    assert!(!server.heads()[0].to_ascii_lowercase().contains("authorization"));
}

#[tokio::test]
async fn counts_what_it_does() {
    let server = Server::start(|_, number| if number == 0 { Reply::new("503 Busy", "", "") } else { Reply::ok("", BODY) }).await;
    let (upstream, metrics) = upstream_with(settings(server.address));
    let answer = upstream.ask(&Identity::Anonymous, blob()).await.unwrap();
    assert!(metrics.render().contains(r#"requests_in_flight{upstream="up"} 1"#));
    let mut body = answer.body;
    assert_eq!(body.next().await.unwrap().unwrap(), BODY);
    assert!(body.next().await.is_none());
    drop(body);
    let rendered = metrics.render();
    for line in [
        r#"requests_total{outcome="2xx",route="blob",upstream="up"} 1"#,
        r#"requests_total{outcome="5xx",route="blob",upstream="up"} 1"#,
        r#"retries_total{upstream="up"} 1"#,
        r#"bytes_total{upstream="up"} 19"#,
        r#"requests_in_flight{upstream="up"} 0"#,
    ] {
        assert!(rendered.contains(&format!("longshore_edge_upstream_{line}")), "{line}\n{rendered}");
    }
}
