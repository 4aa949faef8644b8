//! A member that is slow, or of which as much is asked as may be.

use std::future::pending;

use axum::{Router, body::Body, extract::Request};
use futures_util::stream;
use http::{HeaderMap, header::VIA};
use longshore_oci::Algorithm;

use super::*;

const PATIENCE: Duration = Duration::from_secs(20);
const CONNECT_TIMEOUT: Duration = Duration::from_millis(200);
const WAY: &str = "1.1 longshore-0123456789abcdef";

struct Bed {
    peer: Peer,
    own: Member,
    place: SiteRepository,
    digest: Digest,
    way: Way,
}

impl Bed {
    /// A member that answers so, of which one thing is asked at a time.
    async fn start(router: Router, read_timeout: Duration) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self::at(address, read_timeout)
    }

    fn at(address: SocketAddr, read_timeout: Duration) -> Self {
        let own = Member::parse("http://127.0.0.1:1", false).unwrap();
        let settings = SiteSettings {
            membership: Membership::Listed { own: own.clone(), members: vec![own.clone()] },
            secret: SiteSecret::new("a secret that is long").unwrap(),
            homes: 2,
            connect_timeout: CONNECT_TIMEOUT,
            read_timeout,
            max_connections: 1,
            ca_file: None,
            allow_plain_http: false,
        };
        let member = Member::parse(&format!("http://{address}"), false).unwrap();
        let (upstream, address) = ("up".to_owned(), "up http://up.example".into());
        Self {
            peer: Peer::new(member, None, &settings, None).unwrap(),
            own,
            place: SiteRepository { upstream, address, repository: "team/app".parse().unwrap() },
            digest: Digest::of(Algorithm::Sha256, b"x"),
            way: Way::of(&HeaderMap::from_iter([(VIA, HeaderValue::from_static(WAY))])).unwrap(),
        }
    }

    async fn read(&self) -> Result<Sent, Missed> {
        let Self { own, place, digest, way, .. } = self;
        self.peer.read(Question { own, place, digest, identity: &Identity::Edge, way }, None).await
    }

    /// Reads while another does, for longer than a connection may take.
    async fn read_beside(&self) -> (Sent, impl Future<Output = Result<Sent, Missed>>) {
        let held = self.read().await.unwrap();
        let mut waiting = Box::pin(self.read());
        let waited = tokio::time::timeout(2 * CONNECT_TIMEOUT, &mut waiting).await;
        assert!(waited.is_err(), "it waits for its turn");
        (held, waiting)
    }
}

/// Says that a blob is of ten bytes, and sends none of them.
fn endless() -> Router {
    Router::new().fallback(|request: Request| async move {
        assert_eq!(request.headers()[VIA], WAY);
        let mut response = http::Response::new(Body::from_stream(stream::pending::<Result<Bytes, io::Error>>()));
        response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from_static("10"));
        response
    })
}

/// Begins to send what a member asks for, and answers nothing else.
fn freezing() -> Router {
    Router::new().fallback(|request: Request| async move {
        if !request.headers().contains_key(VIA) {
            pending::<()>().await;
        }
        let start = stream::iter([Ok::<_, io::Error>(Bytes::from_static(b"start"))]);
        let mut response = http::Response::new(Body::from_stream(start.chain(stream::pending())));
        response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from_static("10"));
        response
    })
}

/// Waits before it answers what a member asks.
fn waiting<F: Future<Output = ()> + Send + 'static>(wait: impl Fn() -> F + Clone + Send + Sync + 'static) -> Router {
    Router::new().fallback(move |request: Request| {
        let wait = wait.clone();
        async move {
            if request.headers().contains_key(VIA) {
                wait().await;
                return StatusCode::NOT_FOUND;
            }
            StatusCode::UNAUTHORIZED
        }
    })
}

#[tokio::test]
async fn a_place_is_waited_for() {
    let bed = Bed::start(endless(), PATIENCE).await;
    let (held, waiting) = bed.read_beside().await;
    drop(held);
    assert_eq!(tokio::time::timeout(PATIENCE, waiting).await.unwrap().unwrap().size_bytes, 10);
    assert!(bed.peer.is_up());
}

#[tokio::test]
async fn one_that_is_busy_is_passed_by() {
    let bed = Bed::start(endless(), PATIENCE).await;
    let (_held, waiting) = bed.read_beside().await;
    let waited = tokio::time::timeout(PATIENCE / 2, waiting).await.expect("it goes before an answer would be given up");
    assert!(matches!(waited.err(), Some(Missed::Busy)));
    assert!(bed.peer.is_up());
    bed.peer.unwell("its power is cut");
    let waited = tokio::time::timeout(CONNECT_TIMEOUT, bed.read()).await.expect("nobody waits for a place at one that is down");
    assert!(matches!(waited.err(), Some(Missed::Skipped)));
}

#[tokio::test]
async fn one_that_waits_for_its_upstream_is_not_down() {
    let bed = Bed::start(waiting(pending), CONNECT_TIMEOUT).await;
    for _ in 0..2 {
        assert!(matches!(bed.read().await.err(), Some(Missed::Late)));
        assert!(bed.peer.is_up());
    }
    // Another finds it down meanwhile.
    let (late, ()) = tokio::join!(bed.read(), async { bed.peer.unwell("a connection broke") });
    assert!(matches!(late.err(), Some(Missed::Late)));
    assert!(bed.peer.is_up(), "it was there when it was asked");
}

#[tokio::test]
async fn one_that_is_there_is_waited_for() {
    let bed = Bed::start(waiting(|| tokio::time::sleep(2 * PATIENT * CONNECT_TIMEOUT)), PATIENCE).await;
    assert!(matches!(bed.read().await.err(), Some(Missed::Unable(StatusCode::NOT_FOUND))));
    assert!(bed.peer.is_up());
}

#[tokio::test]
async fn one_that_freezes_while_it_sends_is_down() {
    let bed = Bed::start(freezing(), PATIENCE).await;
    let Sent { mut stream, .. } = bed.read().await.unwrap();
    assert_eq!(bed.peer.unless_gone(stream.next()).await.unwrap().unwrap().unwrap(), "start");
    let next = tokio::time::timeout(PATIENCE / 2, bed.peer.unless_gone(stream.next())).await;
    assert!(next.expect("it is not waited for as for an upstream").is_none() && !bed.peer.is_up());
}

#[tokio::test]
async fn one_that_answers_nothing_is_down() {
    // The system takes connections for it.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    for read_timeout in [CONNECT_TIMEOUT, PATIENCE] {
        let bed = Bed::at(listener.local_addr().unwrap(), read_timeout);
        let missed = tokio::time::timeout(PATIENCE / 2, bed.read()).await.expect("it is not waited for as for an upstream");
        assert!(matches!(missed.err(), Some(Missed::Down)));
        assert!(!bed.peer.is_up());
    }
}
