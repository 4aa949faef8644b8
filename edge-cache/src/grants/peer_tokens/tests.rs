//! A registry of ours that gives tokens to peers.

use std::sync::{
    Mutex,
    atomic::{AtomicBool, AtomicU16, Ordering},
};

use futures_util::future::join_all;
use longshore_oci::{AccessToken, Scope};
use longshore_service::{
    metrics::Metrics,
    signing::{KeySet, SigningKey},
};

use super::*;
use crate::{
    grants::{GrantSettings, LoginLimits},
    upstream::{
        CredentialSource, UpstreamMetrics, UpstreamSettings,
        tests::{
            server::{Reply, Server},
            settings,
        },
    },
};

const PEER: &str = "peer-a";

/// What the registry says.
struct Desk {
    keys: KeySet,
    key: Mutex<SigningKey>,
    /// To who asks for a token.
    status: AtomicU16,
    /// Whether it lets everybody in.
    is_open: AtomicBool,
    /// Whether it is none of ours.
    is_other: AtomicBool,
    token: Mutex<AccessToken>,
}

impl Desk {
    fn answer(&self, head: &str) -> Reply {
        let is = |path: &str| head.starts_with(&format!("GET {path}"));
        if is("/v2/_longshore/keys ") {
            return if self.is_other.load(Ordering::SeqCst) { Reply::new("404 No", "", "") } else { Reply::json(&self.keys) };
        }
        if is("/v2/ ") {
            let host = head.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
            let asks = format!("WWW-Authenticate: Bearer realm=\"http://{host}/token\",service=\"registry\"\r\n");
            let is_open = self.is_open.load(Ordering::SeqCst);
            return if is_open { Reply::json(&serde_json::json!({})) } else { Reply::new("401 Unauthorized", &asks, "") };
        }
        assert!(is("/token?"), "{head}");
        match self.status.load(Ordering::SeqCst) {
            200 => {
                let token = self.key.lock().unwrap().sign(AccessToken::KIND, &*self.token.lock().unwrap());
                Reply::json(&serde_json::json!({ "token": token }))
            }
            status => Reply::new(&format!("{status} So"), "", ""),
        }
    }
}

struct Bed {
    server: Server,
    desk: Arc<Desk>,
    upstream: Arc<Upstream>,
    grants: Grants,
}

impl Bed {
    async fn start() -> Self {
        let (key, now) = (SigningKey::generate().0, Timestamp::now().as_second());
        let token = AccessToken {
            issuer: "http://registry".into(),
            subject: "node".into(),
            audience: "registry".into(),
            issued_at: now,
            not_before: now,
            expires_at: now + 3600,
            id: "1".into(),
            access: vec![Scope::new(Scope::REPOSITORY, "team/app", &["pull"])],
            credential: None,
            federated: None,
            peer_id: Some(PEER.into()),
        };
        let desk = Arc::new(Desk {
            keys: KeySet::from_iter([key.public()]),
            key: Mutex::new(key),
            status: AtomicU16::new(200),
            is_open: AtomicBool::new(false),
            is_other: AtomicBool::new(false),
            token: Mutex::new(token),
        });
        let said = desk.clone();
        let server = Server::start(move |head, _| said.answer(head)).await;
        let credentials = CredentialSource::Given { username: "node".into(), password: Secret::new("pw") };
        let settings = UpstreamSettings { attempts: 1, credentials, ..settings(server.address) };
        let upstream = Arc::new(Upstream::new(settings, &UpstreamMetrics::new(&Metrics::new())).unwrap());
        let hour = Duration::from_hours(1);
        let settings = GrantSettings { ttl: hour, stale: hour, public_stale: hour, most: 1_000, most_asked: 100 };
        let grants = Grants::with(None, settings, LoginLimits::default()).unwrap();
        Self { server, desk, upstream, grants }
    }

    async fn token(&self) -> Outcome {
        self.grants.peer_token(&self.upstream, &"team/app".parse().unwrap(), PEER).await
    }

    /// Makes it time to ask again.
    fn age(&self) {
        let all: Vec<_> = self.grants.peer_tokens.held.iter().collect();
        for (key, held) in all {
            self.grants.peer_tokens.held.insert((*key).clone(), Held { renew_at: Instant::now(), ..held });
        }
    }

    /// The requests for tokens.
    fn asked(&self) -> Vec<String> {
        self.server.heads().into_iter().filter(|head| head.starts_with("GET /token?")).collect()
    }
}

#[tokio::test]
async fn is_asked_for_once_by_the_edge_s_own_account() {
    let bed = Bed::start().await;
    let all = join_all((0..20).map(|_| bed.token())).await;
    let tokens: Vec<_> = all.into_iter().map(|token| token.unwrap().unwrap()).collect();
    let end = bed.desk.token.lock().unwrap().expires_at;
    assert!(tokens.iter().all(|token| token.until.as_second() == end && token.text == tokens[0].text));
    let asked = bed.asked();
    assert_eq!(asked.len(), 1, "{asked:?}");
    let (line, rest) = asked[0].split_once("\r\n").unwrap();
    for part in ["service=registry", "scope=repository%3Ateam%2Fapp%3Apull", "peer_id=peer-a"] {
        assert!(line.contains(part), "{line}");
    }
    assert!(rest.to_ascii_lowercase().contains("authorization: basic bm9kztpwdw==\r\n"), "{rest}");
    assert!(!format!("{:?}", tokens[0]).contains(tokens[0].text.reveal()));
    // Another peer's is another.
    bed.desk.token.lock().unwrap().peer_id = Some("peer-b".into());
    bed.grants.peer_token(&bed.upstream, &"team/app".parse().unwrap(), "peer-b").await.unwrap().unwrap();
    assert_eq!(bed.asked().len(), 2);
}

#[tokio::test]
async fn is_used_to_its_end_while_the_registry_is_away() {
    let bed = Bed::start().await;
    let first = bed.token().await.unwrap().unwrap();
    for (status, is_open) in [(500, false), (503, false), (429, false), (200, true)] {
        bed.desk.status.store(status, Ordering::SeqCst);
        bed.desk.is_open.store(is_open, Ordering::SeqCst);
        bed.age();
        let before = bed.server.count();
        for _ in 0..3 {
            assert_eq!(bed.token().await.unwrap().unwrap().text, first.text, "{status}");
        }
        assert!((1..=2).contains(&(bed.server.count() - before)), "{status}");
    }
    bed.desk.is_open.store(false, Ordering::SeqCst);
    bed.desk.token.lock().unwrap().id = "2".into();
    bed.age();
    assert_ne!(bed.token().await.unwrap().unwrap().text, first.text, "it is back");

    let key = (Place::new(&bed.upstream, "team/app".parse().unwrap()), PEER.into());
    let over = PeerToken { until: Timestamp::now(), ..first };
    bed.grants.peer_tokens.held.insert(key, Held { outcome: Ok(Some(over)), renew_at: Instant::now() });
    bed.desk.status.store(500, Ordering::SeqCst);
    assert!(bed.token().await.is_err_and(|error| error.is_away()));
}

#[tokio::test]
async fn is_gone_when_the_registry_gives_none_any_more() {
    let bed = Bed::start().await;
    bed.token().await.unwrap().unwrap();
    bed.desk.status.store(401, Ordering::SeqCst);
    bed.age();
    for _ in 0..2 {
        assert_eq!(bed.token().await.unwrap_err().status(), Some(StatusCode::UNAUTHORIZED));
    }
    assert_eq!(bed.asked().len(), 2, "that is remembered");
}

#[tokio::test]
async fn is_none_where_nobody_gives_any() {
    for is_other in [false, true] {
        let bed = Bed::start().await;
        bed.desk.is_open.store(true, Ordering::SeqCst);
        bed.desk.is_other.store(is_other, Ordering::SeqCst);
        assert!(bed.token().await.unwrap().is_none());
        let count = bed.server.count();
        assert!(bed.token().await.unwrap().is_none());
        assert_eq!((bed.server.count(), bed.asked().len()), (count, 0));
    }
}

#[tokio::test]
async fn is_taken_for_what_its_claims_say() {
    let said = |bed: &Bed, change: &dyn Fn(&mut AccessToken)| change(&mut bed.desk.token.lock().unwrap());
    let forbidden: [&dyn Fn(&mut AccessToken); 4] = [
        &|token| token.access.clear(),
        &|token| token.access = vec![Scope::new(Scope::REPOSITORY, "team/other", &["pull"])],
        &|token| token.peer_id = Some("peer-b".into()),
        &|token| token.expires_at = token.issued_at,
    ];
    for change in forbidden {
        let bed = Bed::start().await;
        said(&bed, change);
        assert_eq!(bed.token().await.unwrap_err().status(), Some(StatusCode::FORBIDDEN));
    }
    let bed = Bed::start().await;
    said(&bed, &|token| token.peer_id = None);
    assert!(matches!(bed.token().await, Err(UpstreamError::Malformed { .. })), "a registry that knows no peers");
    let bed = Bed::start().await;
    *bed.desk.key.lock().unwrap() = SigningKey::generate().0;
    assert!(matches!(bed.token().await, Err(UpstreamError::Malformed { .. })), "its key is nobody's");
}
