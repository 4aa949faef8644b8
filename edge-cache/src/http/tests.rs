//! Requests, and an upstream that answers them as it is told to.

mod pages;
mod refused;

use std::{
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use futures_util::future::join_all;
use http::header;
use http_body_util::BodyExt as _;
use longshore_oci::{Algorithm, Digest, VerdictLifetime, media_type};

use super::*;
use crate::{
    Origin,
    app::App,
    config::Config,
    neighbours::Neighbours,
    site::SiteRepository,
    source::SharedSource,
    start,
    upstream::{
        Identity,
        tests::server::{Reply, Server},
    },
};

const BODY: &str = "the bytes of a blob";
const MANIFEST: &str = r#"{"schemaVersion":2,"layers":[]}"#;
const PATIENCE: Duration = Duration::from_secs(20);

/// An edge in front of one upstream.
struct Bed {
    edge: Arc<Edge>,
    server: Server,
    _folder: tempfile::TempDir,
}

impl Bed {
    async fn start(kind: &str, reply: impl Fn(&str) -> Reply + Send + Sync + 'static) -> Self {
        Self::with("127.0.0.1:0", &format!("kind = '{kind}'\n"), reply).await
    }

    /// One that listens there, with these settings of its upstream.
    async fn with(listen: &str, upstream: &str, reply: impl Fn(&str) -> Reply + Send + Sync + 'static) -> Self {
        let (server, folder) = (Server::start(move |head, _| reply(head)).await, tempfile::tempdir().unwrap());
        let (address, path) = (server.address, folder.path().display());
        let toml = format!(
            "[listen]\naddress = '{listen}'\nallow_plain_http = true\nadmin_address = 'off'\n\
             [cache]\nfolder = '{path}'\nprefetch = false\n\
             [[upstream]]\nurl = 'http://{address}'\n{upstream}max_attempts = 1\nfollow_events = false\n"
        );
        let App { edge, keeper, .. } = start::build(Config::parse_str(&toml).unwrap()).await.unwrap();
        tokio::spawn(keeper.run(edge.stopping.clone()));
        Self { edge, server, _folder: folder }
    }

    /// Somebody's request; which address it comes from is told by its last number.
    async fn get(&self, path: &str, login: Option<&str>, from: u8) -> Response<Body> {
        let mut request = Request::get(path);
        if let Some(login) = login {
            request = request.header(header::AUTHORIZATION, basic(login));
        }
        handle(&self.edge, request.body(()).unwrap(), IpAddr::from([10, 0, 0, from])).await
    }

    async fn status(&self, path: &str, login: &str, from: u8) -> u16 {
        self.get(path, Some(login), from).await.status().as_u16()
    }

    /// Pulls the blob, and waits until it was found right.
    async fn pull(&self, login: Option<&str>) {
        let answer = self.get(&format!("/v2/team/app/blobs/{}", digest()), login, 1).await;
        assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), BODY);
        let upstream = self.edge.upstreams.iter().next().unwrap().clone();
        let origin = Origin { upstream, repository: "team/app".parse().unwrap(), who: Identity::Anonymous };
        let source = self.edge.source(origin);
        let found = async {
            while self.edge.blobs.checked_whole(&digest(), &source).is_none() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, found).await.expect("it is right");
    }
}

fn basic(login: &str) -> String {
    format!("Basic {}", STANDARD.encode(login))
}

fn digest() -> Digest {
    Digest::of(Algorithm::Sha256, BODY.as_bytes())
}

async fn told(answer: Response<Body>) -> (u16, String) {
    let status = answer.status().as_u16();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

/// Answers for a blob.
fn blob(head: &str) -> Reply {
    if head.starts_with("HEAD ") {
        let length = BODY.len();
        return Reply::raw(&format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n"));
    }
    Reply::ok("Content-Type: application/octet-stream\r\n", BODY)
}

fn unauthorized() -> Reply {
    Reply::new("401 Unauthorized", "", "")
}

#[tokio::test]
async fn who_fails_too_often_is_not_heard_of_upstream() {
    let right = basic("bob:right");
    let token = serde_json::json!({ "token": "t" });
    let reply = move |head: &str| if head.contains(&right) { Reply::json(&token) } else { unauthorized() };
    let bed = Bed::start("longshore", reply).await;
    for _ in 0..4 {
        assert_eq!(bed.status("/token", "alice:a guess", 1).await, 401);
    }
    let asked = bed.server.count();
    let refused = bed.get("/token", Some("alice:another guess"), 1).await;
    assert_eq!(refused.status().as_u16(), 429);
    assert!(refused.headers().contains_key(header::RETRY_AFTER));
    let blob = format!("/v2/team/app/blobs/{}", digest());
    for path in ["/v2/", "/v2/team/app/manifests/v1", "/v2/team/app/tags/list", &blob] {
        assert_eq!(bed.status(path, "alice:another guess", 2).await, 429, "{path}");
    }
    assert_eq!(bed.server.count(), asked);
    // Nor those of one account at once, wherever they come from.
    let guesses: Vec<_> = (10..40).map(|from| (format!("carol:{from}"), from)).collect();
    let statuses = join_all(guesses.iter().map(|(guess, from)| bed.status("/token", guess, *from))).await;
    assert_eq!(statuses.iter().filter(|status| **status == 401).count(), 4, "{statuses:?}");
    assert_eq!(bed.server.count(), asked + 4);
    // Others are let in, as often as they like.
    for _ in 0..20 {
        assert_eq!(bed.status("/token", "bob:right", 1).await, 200);
    }
}

#[tokio::test]
async fn what_only_some_may_have_is_not_told_to_be_here() {
    let path = format!("/v2/team/app/_longshore/metainfo/{}", digest());
    let right = basic("bob:right");
    let closed = Bed::start("other", move |head| if head.contains(&right) { blob(head) } else { unauthorized() }).await;
    let before = told(closed.get(&path, Some("bob:right"), 1).await).await;
    closed.pull(Some("bob:right")).await;
    assert_eq!(before.0, 404);
    assert_eq!(told(closed.get(&path, Some("bob:right"), 1).await).await, before);
    let open = Bed::start("other", blob).await;
    open.pull(None).await;
    let (status, metainfo) = told(open.get(&path, None, 1).await).await;
    assert!(status == 200 && metainfo.contains(digest().as_str()), "{metainfo}");
}

#[tokio::test]
async fn a_manifest_is_served_with_what_is_left_of_its_verdict() {
    let manifest = Digest::of(Algorithm::Sha256, MANIFEST.as_bytes());
    let is_closed = Arc::new(AtomicBool::new(false));
    let (named, closed) = (manifest.clone(), is_closed.clone());
    let reply = move |head: &str| {
        if closed.load(Ordering::SeqCst) {
            return Reply::new("403 Forbidden", "", "");
        }
        let verdict = if head.contains("/brief ") { "max-age=0, stale-if-error=0" } else { "max-age=600, stale-if-error=6000" };
        let kind = media_type::OCI_MANIFEST;
        let headers = format!("Content-Type: {kind}\r\nDocker-Content-Digest: {named}\r\nLongshore-Verdict: {verdict}\r\n");
        if head.starts_with("HEAD ") {
            let length = MANIFEST.len();
            return Reply::raw(&format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n"));
        }
        Reply::ok(&headers, MANIFEST)
    };
    let bed = Bed::start("other", reply).await;
    let by_digest = format!("/v2/team/app/manifests/{manifest}");
    let ask = async |method: Method, path: &str, known: Option<&Digest>| {
        let known = known.map(|digest| format!("\"{digest}\"")).unwrap_or_default();
        let request = Request::builder().method(method).uri(path).header(header::IF_NONE_MATCH, known);
        let answer = handle(&bed.edge, request.body(()).unwrap(), IpAddr::from([10, 0, 0, 1])).await;
        let told = answer
            .headers()
            .get(VerdictLifetime::HEADER)
            .map(|value| value.to_str().unwrap().parse::<VerdictLifetime>().unwrap());
        (answer.status().as_u16(), told)
    };
    let is_left = |told: Option<VerdictLifetime>| {
        let seconds = told.map(|left| (left.max_age.as_secs(), left.stale_if_error.as_secs()));
        seconds.is_some_and(|(max_age, stale)| (500..=600).contains(&max_age) && (5900..=6000).contains(&stale))
    };
    for path in ["/v2/team/app/manifests/v1", &by_digest] {
        for (method, known, expected) in
            [(Method::GET, None, 200), (Method::HEAD, None, 200), (Method::GET, Some(&manifest), 304)]
        {
            let (status, told) = ask(method.clone(), path, known).await;
            assert!(status == expected && is_left(told), "{method} {path}: {status}, {told:?}");
        }
    }
    // What a tag tells counts for what it names, however it is asked for.
    let (status, told) = ask(Method::HEAD, "/v2/team/app/manifests/brief", None).await;
    assert_eq!((status, told), (200, Some(VerdictLifetime::new(Duration::ZERO, Duration::ZERO))));
    is_closed.store(true, Ordering::SeqCst);
    assert_eq!(ask(Method::GET, &by_digest, None).await, (403, None));
}

#[test]
fn no_answer_is_guessed_at() {
    let mut response = Response::new(Body::empty());
    mark(&mut response, "blob");
    assert_eq!(response.headers()["x-content-type-options"], "nosniff");
    assert_eq!(response.extensions().get(), Some(&RouteLabel("blob")));
}

/// Neighbours who have nothing, and note what they are told.
#[derive(Default)]
struct Deaf {
    asked_before: Mutex<Vec<SiteRepository>>,
    shared: Mutex<Vec<(SiteRepository, Digest)>>,
    record: Mutex<Option<serde_json::Value>>,
}

#[async_trait::async_trait]
impl Neighbours for Deaf {
    fn before(&self, behind: SharedSource, place: &SiteRepository) -> SharedSource {
        self.asked_before.lock().unwrap().push(place.clone());
        behind
    }

    fn shares(&self, place: &SiteRepository, digest: &Digest) {
        self.shared.lock().unwrap().push((place.clone(), digest.clone()));
    }

    fn places(&self, _: &Digest) -> Vec<longshore_client::LayerPlace> {
        Vec::new()
    }

    fn came_bytes(&self) -> u64 {
        0
    }

    fn record(&self) -> Option<serde_json::Value> {
        self.record.lock().unwrap().clone()
    }

    async fn status(&self) -> Option<serde_json::Value> {
        self.record()
    }
}

#[tokio::test]
async fn neighbours_are_asked_first_and_told_what_somebody_was_let_at() {
    let right = basic("bob:right");
    let bed = Bed::start("other", move |head| if head.contains(&right) { blob(head) } else { unauthorized() }).await;
    let neighbours = Arc::new(Deaf::default());
    bed.edge.sources.set_neighbours(neighbours.clone());
    let path = format!("/v2/team/app/blobs/{}", digest());
    assert_eq!(bed.status(&path, "bob:wrong", 1).await, 401);
    assert!(neighbours.shared.lock().unwrap().is_empty() && neighbours.asked_before.lock().unwrap().is_empty());
    bed.pull(Some("bob:right")).await;
    let upstream = bed.edge.upstreams.iter().next().unwrap();
    let place = SiteRepository::new(upstream, "team/app".parse().unwrap());
    assert_eq!(*neighbours.shared.lock().unwrap(), [(place.clone(), digest())]);
    assert!(neighbours.asked_before.lock().unwrap().contains(&place));
}

#[tokio::test]
async fn who_the_edge_is_among_its_neighbours_is_told_where_it_has_any() {
    const PATH: &str = "/v2/_longshore/swarm";
    let bed = Bed::start("other", |_| unauthorized()).await;
    let (status, words) = told(bed.get(PATH, None, 1).await).await;
    assert!(status == 404 && words.contains("UNSUPPORTED") && words.contains("no swarm"), "{words}");
    let neighbours = Arc::new(Deaf::default());
    bed.edge.sources.set_neighbours(neighbours.clone());
    assert_eq!(bed.get(PATH, None, 1).await.status(), 404, "it is not known yet");
    let record = serde_json::json!({ "peerId": "peer-a", "addresses": ["10.0.0.1:7"] });
    *neighbours.record.lock().unwrap() = Some(record.clone());
    let answer = bed.get(PATH, None, 1).await;
    assert_eq!(answer.extensions().get::<RouteLabel>(), Some(&RouteLabel("swarm")));
    assert_eq!(answer.headers()[header::CONTENT_TYPE], "application/json");
    let (status, words) = told(answer).await;
    assert_eq!((status, serde_json::from_str::<serde_json::Value>(&words).unwrap()), (200, record.clone()));
    for (method, status) in [(Method::HEAD, 200), (Method::POST, 405)] {
        let request = Request::builder().method(&method).uri(PATH).body(()).unwrap();
        let answer = handle(&bed.edge, request, IpAddr::from([10, 0, 0, 1])).await;
        assert_eq!(answer.status().as_u16(), status);
        assert_eq!(told(answer).await.1.is_empty(), method == Method::HEAD);
    }
    assert_eq!(bed.server.count(), 0, "it is no upstream's");
}
