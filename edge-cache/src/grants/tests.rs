//! Clients, and a registry of ours that changes its mind about them.

mod peers;
mod sharing;

use std::sync::{
    Mutex,
    atomic::{AtomicBool, AtomicU16, Ordering},
};

use futures_util::future::join_all;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use jiff::Timestamp;
use longshore_oci::{AccessToken, Algorithm, Scope, VerdictLifetime};
use longshore_service::{
    metrics::Metrics,
    signing::{KeySet, SigningKey},
};

use super::*;
use crate::upstream::{
    UpstreamError, UpstreamMetrics, UpstreamSettings,
    tests::{
        server::{Reply, Server},
        settings,
    },
};

const LONG: Duration = Duration::from_hours(1);
const FOUND: &str = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 3\r\n\
    Content-Type: application/vnd.oci.image.manifest.v1+json\r\n";

/// What the registry says to whom.
struct Mind {
    /// To who shows something.
    status: AtomicU16,
    /// To who shows this it says that they ask too often.
    limited: Mutex<Option<String>>,
    /// For how long it says that its verdict holds.
    verdict: Mutex<Option<&'static str>>,
    /// Whether it answers who shows nothing.
    is_public: AtomicBool,
    /// Whether it fails who shows nothing.
    fails_nobody: AtomicBool,
    /// What happens, once, while it is asked.
    meanwhile: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

struct Bed {
    server: Server,
    upstream: Arc<Upstream>,
    grants: Grants,
    mind: Arc<Mind>,
    key: SigningKey,
}

impl Bed {
    async fn start(ttl: Duration) -> Self {
        let key = SigningKey::generate().0;
        let (is_public, fails_nobody) = (AtomicBool::new(false), AtomicBool::new(false));
        let (limited, verdict, meanwhile) = (Mutex::default(), Mutex::default(), Mutex::default());
        let mind = Mind { status: AtomicU16::new(200), limited, verdict, is_public, fails_nobody, meanwhile };
        let (mind, keys) = (Arc::new(mind), KeySet::from_iter([key.public()]));
        let said = mind.clone();
        let server = Server::start(move |head, _| said.answer(head, &keys)).await;
        let settings = UpstreamSettings { attempts: 1, ..settings(server.address) };
        let upstream = Arc::new(Upstream::new(settings, &UpstreamMetrics::new(&Metrics::new())).unwrap());
        let settings = GrantSettings { ttl, stale: LONG, public_stale: LONG, most: 1_000, most_asked: 100 };
        let grants = Grants::with(None, settings, LoginLimits { per_account: 2, ..LoginLimits::default() }).unwrap();
        let bed = Self { server, upstream, grants, mind, key };
        // By which it is known what its tokens are for.
        assert_eq!(bed.allowed(&Client::default(), &blob("0")).await.unwrap_err().status(), Some(StatusCode::UNAUTHORIZED));
        bed
    }

    fn says(&self, status: u16) {
        self.mind.status.store(status, Ordering::SeqCst);
    }

    async fn allowed(&self, client: &Client, what: &What) -> Result<Granted, Denied> {
        self.grants.allowed(&self.upstream, &"team/app".parse().unwrap(), client, what).await
    }

    /// A client with a token that covers the repository.
    fn bearer(&self, name: &str) -> Client {
        let now = Timestamp::now().as_second();
        let token = AccessToken {
            issuer: "http://registry".into(),
            subject: name.into(),
            audience: "registry".into(),
            issued_at: now,
            not_before: now,
            expires_at: now + 300,
            id: name.into(),
            access: vec![Scope::new(Scope::REPOSITORY, "team/app", &["pull"])],
            credential: None,
            federated: None,
            peer_id: None,
        };
        client(&format!("Bearer {}", self.key.sign(AccessToken::KIND, &token)))
    }

    /// How often a client was asked about.
    fn asked(&self, client: &Client) -> usize {
        self.server.heads().iter().filter(|head| head.contains(shown(client))).count()
    }
}

impl Mind {
    fn found(&self) -> Reply {
        let verdict = *self.verdict.lock().unwrap();
        let told = verdict.map(|verdict| format!("{}: {verdict}\r\n", VerdictLifetime::HEADER)).unwrap_or_default();
        Reply::raw(&format!("{FOUND}{told}\r\n"))
    }

    fn answer(&self, head: &str, keys: &KeySet) -> Reply {
        if head.starts_with("GET /v2/_longshore/keys ") {
            return Reply::json(keys);
        }
        if head.starts_with("GET /token") {
            return Reply::json(&serde_json::json!({ "token": "nobody" }));
        }
        if let Some(meanwhile) = self.meanwhile.lock().unwrap().take() {
            meanwhile();
        }
        let limited = self.limited.lock().unwrap().clone();
        if limited.is_some_and(|limited| head.contains(&limited)) {
            return Reply::new("429 Too Many Requests", "", "");
        }
        let line = |name: &str| head.lines().find(|line| line.to_ascii_lowercase().starts_with(name));
        let is_shown = line("authorization: ").is_some_and(|line| !line.ends_with("nobody"));
        match self.status.load(Ordering::SeqCst) {
            200 if is_shown => self.found(),
            _ if !is_shown && self.is_public.load(Ordering::SeqCst) => self.found(),
            status if is_shown => Reply::new(&format!("{status} So"), "", ""),
            _ if self.fails_nobody.load(Ordering::SeqCst) => Reply::new("500 So", "", ""),
            _ => {
                let host = line("host: ").unwrap().split_once(' ').unwrap().1;
                let asks = format!("WWW-Authenticate: Bearer realm=\"http://{host}/token\",service=\"registry\"\r\n");
                Reply::new("401 Unauthorized", &asks, "")
            }
        }
    }
}

#[tokio::test]
async fn who_shows_something_is_asked_about_though_the_upstream_fails_others() {
    let (bed, client, what) = (Bed::start(Duration::ZERO).await, client("Basic YTpi"), manifest("1"));
    let (grants, repository) = (&bed.grants, "team/other".parse().unwrap());
    bed.mind.fails_nobody.store(true, Ordering::SeqCst);
    grants.allowed(&bed.upstream, &repository, &client, &what).await.unwrap();
    bed.says(401);
    let denied = grants.allowed(&bed.upstream, &repository, &client, &what).await.unwrap_err();
    assert_eq!(denied.status(), Some(StatusCode::UNAUTHORIZED));
}

fn client(authorization: &str) -> Client {
    let headers: HeaderMap = [(header::AUTHORIZATION, HeaderValue::from_str(authorization).unwrap())].into_iter().collect();
    Client::of(&headers).unwrap()
}

fn shown(client: &Client) -> &str {
    client.shown.as_ref().unwrap().header.to_str().unwrap()
}

fn blob(text: &str) -> What {
    What::Blob(Digest::of(Algorithm::Sha256, text.as_bytes()))
}

fn manifest(text: &str) -> What {
    What::Manifest(Digest::of(Algorithm::Sha256, text.as_bytes()))
}

#[tokio::test]
async fn a_limit_is_no_upstream_that_is_down() {
    let client = client("Basic YTpi");
    for what in [blob("1"), manifest("1")] {
        let bed = Bed::start(Duration::ZERO).await;
        bed.allowed(&client, &what).await.unwrap();
        for (status, holds) in [(429, false), (503, true), (429, false), (500, true), (403, false), (500, false)] {
            bed.says(status);
            match bed.allowed(&client, &what).await {
                Ok(_) => assert!(holds, "{what:?}: {status}"),
                Err(denied) => assert!(!holds && denied.status().unwrap().as_u16() == status, "{what:?}: {status}: {denied}"),
            }
        }
    }
}

#[tokio::test]
async fn an_upstream_that_is_asked_enough_keeps_nobody_from_another() {
    let (client, what) = (client("Basic YTpi"), blob("1"));
    let (bed, other) = (Bed::start(LONG).await, Bed::start(LONG).await);
    let held: Vec<_> = std::iter::from_fn(|| bed.grants.turns.take(bed.upstream.key())).collect();
    assert_eq!(held.len(), 100);
    assert!(matches!(bed.allowed(&client, &what).await, Err(Denied::Overloaded)));
    bed.grants.allowed(&other.upstream, &"team/app".parse().unwrap(), &client, &what).await.unwrap();
    drop(held);
    bed.allowed(&client, &what).await.unwrap();
}

#[tokio::test]
async fn a_right_that_is_fresh_holds_against_a_limit_and_no_refusal() {
    let (client, what) = (client("Basic YTpi"), manifest("1"));
    let refused = |status| {
        let (errors, retry_after, challenge) = (Vec::new(), None, None);
        Denied::Upstream(UpstreamError::Refused { upstream: "up".into(), status, errors, retry_after, challenge })
    };
    for (ttl, is_fresh) in [(LONG, true), (Duration::ZERO, false)] {
        let bed = Bed::start(ttl).await;
        bed.allowed(&client, &what).await.unwrap();
        let place = Place::new(&bed.upstream, "team/app".parse().unwrap());
        let attempts = bed.grants.attempts(&bed.upstream, &place, &client).await;
        let holds = |status| bed.grants.remembered_despite(&refused(status), attempts.last().unwrap(), &place, &what).is_some();
        assert_eq!(holds(StatusCode::TOO_MANY_REQUESTS), is_fresh);
        assert!(holds(StatusCode::BAD_GATEWAY) && !holds(StatusCode::FORBIDDEN));
    }
}

#[tokio::test]
async fn who_brings_it_about_that_they_are_put_off_has_nothing_for_longer() {
    let put_off = |retry_after| {
        let (status, errors, challenge) = (StatusCode::SERVICE_UNAVAILABLE, Vec::new(), None);
        Denied::Upstream(UpstreamError::Refused { upstream: "up".into(), status, errors, retry_after, challenge })
    };
    let (wait, what) = (Some(Duration::from_secs(1)), manifest("1"));
    for (ttl, is_fresh) in [(LONG, true), (Duration::ZERO, false)] {
        let bed = Bed::start(ttl).await;
        let place = Place::new(&bed.upstream, "team/app".parse().unwrap());
        bed.grants.memory.closed.invalidate(&place);
        bed.mind.is_public.store(true, Ordering::SeqCst);
        for client in [Client::default(), client("Basic YTpi"), bed.bearer("alice")] {
            let attempts = bed.grants.attempts(&bed.upstream, &place, &client).await;
            let attempt = attempts.last().unwrap();
            bed.grants.ask(&bed.upstream, &place, attempt, &what).await.unwrap();
            let holds = |denied: &Denied| bed.grants.remembered_despite(denied, attempt, &place, &what).is_some();
            assert_eq!(holds(&put_off(wait)), is_fresh || attempt.who == Who::Anybody, "{attempt:?}");
            let reason = crate::upstream::Pause::Failing;
            let paused = UpstreamError::Paused { upstream: "up".into(), reason, retry_after: Duration::from_secs(1) };
            assert!(holds(&put_off(None)) && holds(&Denied::Upstream(paused)), "it is down");
        }
    }
}

#[tokio::test]
async fn a_tag_that_is_refused_closes_no_repository() {
    let bed = Bed::start(LONG).await;
    let place = Place::new(&bed.upstream, "team/app".parse().unwrap());
    bed.grants.memory.closed.invalidate(&place);
    bed.mind.is_public.store(true, Ordering::SeqCst);
    let (tagged, other) = (manifest("1"), manifest("2"));
    for what in [&tagged, &other] {
        bed.allowed(&Client::default(), what).await.unwrap();
    }
    let attempts = bed.grants.attempts(&bed.upstream, &place, &Client::default()).await;
    let refused = |status| {
        let (errors, retry_after, challenge) = (Vec::new(), None, None);
        Denied::Upstream(UpstreamError::Refused { upstream: "up".into(), status, errors, retry_after, challenge })
    };
    let says = |status| bed.grants.note_tag(&attempts[0], &place, Now::read(), Some(tagged.digest()), Err(&refused(status)));
    let holds = |what| bed.grants.remembered_despite(&refused(StatusCode::BAD_GATEWAY), &attempts[0], &place, what).is_some();
    assert!(holds(&tagged) && holds(&other));
    says(StatusCode::FORBIDDEN);
    assert!(!holds(&tagged) && holds(&other));
    says(StatusCode::UNAUTHORIZED);
    assert!(!holds(&other));
}

#[tokio::test]
async fn who_is_let_in_is_told_from_who_fails() {
    let bed = Bed::start(LONG).await;
    let (right, other) = (client("Basic YTpi"), client("Basic YTpj"));
    let (from, name): (IpAddr, RepositoryName) = ([10, 0, 0, 1].into(), "team/app".parse().unwrap());
    assert!(bed.grants.log_in(&bed.upstream, &Client::default(), from).await.unwrap().is_none());
    assert!(bed.grants.log_in(&bed.upstream, &bed.bearer("alice"), from).await.unwrap().is_none());
    bed.allowed(&right, &blob("1")).await.unwrap();
    let is_let_in = |client| bed.grants.has_let_in(&bed.upstream, &name, client);
    assert!(is_let_in(&right) && !is_let_in(&other) && !is_let_in(&Client::default()));
    for _ in 0..2 {
        bed.grants.log_in(&bed.upstream, &other, from).await.unwrap().unwrap().end(Verdict::Wrong);
    }
    // The same name.
    let denied = bed.grants.log_in(&bed.upstream, &right, from).await.err().unwrap();
    assert!(matches!(denied, Denied::FailedLogins { .. }), "{denied}");
}

#[tokio::test]
async fn a_token_that_was_revoked_opens_nothing_for_longer_than_is_remembered() {
    for (ttl, holds) in [(Duration::ZERO, false), (LONG, true)] {
        let bed = Bed::start(ttl).await;
        let (alice, bob) = (bed.bearer("alice"), bed.bearer("bob"));
        bed.allowed(&alice, &blob("1")).await.unwrap();
        bed.says(403);
        assert_eq!(bed.allowed(&alice, &blob("1")).await.is_ok(), holds);
        // It covers the repository, which has the blob, and was never asked about.
        assert_eq!(bed.allowed(&bob, &blob("1")).await.unwrap_err().status(), Some(StatusCode::FORBIDDEN));
        bed.says(200);
        bed.allowed(&bob, &blob("1")).await.unwrap();
    }
}

#[tokio::test]
async fn a_token_is_asked_about_once_for_a_repository() {
    let bed = Bed::start(LONG).await;
    let (alice, bob) = (bed.bearer("alice"), bed.bearer("bob"));
    let blobs = ["1", "2", "3", "4", "5"].map(blob);
    for what in &blobs {
        bed.allowed(&alice, what).await.unwrap();
    }
    assert_eq!(bed.asked(&alice), 5, "nobody knew that the repository has them");
    let all = blobs.iter().cycle().take(50).map(|what| bed.allowed(&bob, what));
    assert!(join_all(all).await.iter().all(Result::is_ok));
    assert_eq!(bed.asked(&bob), 1);
}

#[tokio::test]
async fn what_limits_one_limits_no_other() {
    let bed = Bed::start(LONG).await;
    let (alice, bob) = (bed.bearer("alice"), bed.bearer("bob"));
    for client in [&alice, &bob] {
        bed.allowed(client, &blob("1")).await.unwrap();
    }
    *bed.mind.limited.lock().unwrap() = Some(shown(&alice).to_owned());
    let what = blob("2");
    let (first, other) = tokio::join!(bed.allowed(&alice, &what), bed.allowed(&bob, &what));
    assert_eq!(first.unwrap_err().status(), Some(StatusCode::TOO_MANY_REQUESTS));
    other.unwrap();
    bed.allowed(&alice, &what).await.expect("it may pull, and the repository has it");
}

#[tokio::test]
async fn what_anybody_may_have_is_told_from_what_some_may() {
    let bed = Bed::start(LONG).await;
    let (alice, what) = (bed.bearer("alice"), blob("1"));
    assert!(!bed.allowed(&alice, &what).await.unwrap().is_open);
    let place = Place::new(&bed.upstream, "team/app".parse().unwrap());
    bed.grants.memory.closed.invalidate(&place);
    bed.mind.is_public.store(true, Ordering::SeqCst);
    let granted = bed.allowed(&Client::default(), &what).await.unwrap();
    assert!(granted.is_open && granted.identity == Identity::Edge);
    assert!(bed.allowed(&alice, &what).await.unwrap().is_open);
}

#[tokio::test]
async fn what_anybody_may_have_is_known_though_all_show_tokens() {
    let bed = Bed::start(LONG).await;
    let (alice, bob, place) = (bed.bearer("alice"), bed.bearer("bob"), Place::new(&bed.upstream, "team/app".parse().unwrap()));
    bed.grants.memory.closed.invalidate(&place);
    bed.mind.is_public.store(true, Ordering::SeqCst);
    let all = [blob("1"), manifest("1")];
    for what in &all {
        let granted = bed.allowed(&alice, what).await.unwrap();
        assert!(granted.is_open && granted.identity == Identity::Edge);
    }
    assert_eq!(bed.asked(&alice), 0, "that anybody may have it is enough");
    bed.mind.is_public.store(false, Ordering::SeqCst);
    bed.says(503);
    for what in &all {
        for client in [&Client::default(), &bob] {
            assert!(bed.allowed(client, what).await.is_ok_and(|granted| granted.is_open));
        }
    }
}

#[tokio::test]
async fn a_verdict_holds_for_as_long_as_the_registry_says() {
    let (client, what) = (client("Basic YTpi"), manifest("1"));
    // What the registry says, what it answers later, and whether that is heard.
    for (verdict, status, holds) in [
        (None, 403, true),
        (Some("for good"), 403, true),
        (Some("max-age=3600"), 403, true),
        (Some("max-age=0"), 403, false),
        (Some("max-age=0, stale-if-error=600"), 403, false),
        (Some("max-age=0, stale-if-error=600"), 500, true),
        (Some("max-age=0, stale-if-error=0"), 500, false),
        (Some("max-age=60, stale-if-error=0"), 500, true),
    ] {
        let bed = Bed::start(LONG).await;
        *bed.mind.verdict.lock().unwrap() = verdict;
        bed.allowed(&client, &what).await.unwrap();
        bed.says(status);
        match bed.allowed(&client, &what).await {
            Ok(_) => assert!(holds, "{verdict:?}, {status}"),
            Err(denied) => assert!(!holds && denied.status().unwrap().as_u16() == status, "{verdict:?}: {denied}"),
        }
    }
}

#[tokio::test]
async fn what_is_left_of_a_verdict_is_told_on() {
    let (client, bed) = (client("Basic YTpi"), Bed::start(LONG).await);
    let left = async |what: &What| bed.allowed(&client, what).await.unwrap().lifetime;
    let seconds =
        |lifetime: Option<VerdictLifetime>| lifetime.map(|left| (left.max_age.as_secs(), left.stale_if_error.as_secs()));
    assert_eq!(left(&manifest("1")).await, None);
    *bed.mind.verdict.lock().unwrap() = Some("max-age=600, stale-if-error=6000");
    assert_eq!(left(&blob("1")).await, None);
    for what in [manifest("2"), manifest("2")] {
        let (max_age, stale_if_error) = seconds(left(&what).await).unwrap();
        assert!((500..=600).contains(&max_age) && (5900..=6000).contains(&stale_if_error), "{max_age}, {stale_if_error}");
    }
    *bed.mind.verdict.lock().unwrap() = Some("max-age=0, stale-if-error=6000");
    left(&manifest("3")).await;
    bed.says(500);
    let (max_age, stale_if_error) = seconds(left(&manifest("3")).await).unwrap();
    assert!(max_age == 0 && (5900..=6000).contains(&stale_if_error), "{max_age}, {stale_if_error}");
    // By a tag it is told of what the tag names.
    let place = Place::new(&bed.upstream, "team/app".parse().unwrap());
    let attempts = bed.grants.attempts(&bed.upstream, &place, &client).await;
    let (tagged, told) = (manifest("4"), "max-age=0, stale-if-error=60".parse().ok());
    bed.grants.note_tag(attempts.last().unwrap(), &place, Now::read(), None, Ok((tagged.digest(), told)));
    let (max_age, stale_if_error) = seconds(left(&tagged).await).unwrap();
    assert!(max_age == 0 && (1..=60).contains(&stale_if_error), "{max_age}, {stale_if_error}");
}
