//! An orchestrator at work, a registry that it asks, and a leader that answers what it was told to.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use axum::{Router, extract::State as Extracted, response::IntoResponse as _};
use http::{HeaderMap, HeaderName, Method, StatusCode};
use longshore_oci::{AccessToken, Algorithm, Digest, Scope};
use longshore_service::signing::{KeySet, SigningKey};
use serde_json::{Value, json};
use tokio::{
    net::TcpListener,
    sync::{mpsc, watch},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    config::{AuthMode, Config},
    lead::{Leader, PlanOutcome, Question, Standing},
    start,
    state::{LeaseWish, SharedState, SqliteState},
};

/// What lies at a path: its media type, and its bytes.
type Contents = BTreeMap<String, (String, Vec<u8>)>;

/// A registry on the wire: what it answers is told beforehand.
#[derive(Clone, Default)]
pub(super) struct Registry {
    contents: Arc<Mutex<Contents>>,
    pub(super) asked: Arc<AtomicUsize>,
    key: Arc<Mutex<Option<SigningKey>>>,
}

impl Registry {
    pub(super) fn digest(content: &[u8]) -> Digest {
        Digest::of(Algorithm::Sha256, content)
    }

    /// An image with one layer, for linux/amd64. Its digest.
    pub(super) fn push(&self, tag: &str, layer: &str) -> Digest {
        let config = br#"{"os":"linux","architecture":"amd64"}"#.to_vec();
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": Self::digest(&config), "size": config.len()},
            "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": Self::digest(layer.as_bytes()), "size": 1000}],
        });
        let manifest = manifest.to_string().into_bytes();
        let digest = Self::digest(&manifest);
        let mut contents = self.contents.lock().unwrap();
        let kind = "application/vnd.oci.image.manifest.v1+json".to_owned();
        for reference in [tag.to_owned(), digest.to_string()] {
            contents.insert(format!("/v2/hello/manifests/{reference}"), (kind.clone(), manifest.clone()));
        }
        contents.insert(format!("/v2/hello/blobs/{}", Self::digest(&config)), ("application/octet-stream".into(), config));
        digest
    }

    async fn serve(self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().fallback(answer).with_state(self);
        tokio::spawn(async move { axum::serve(listener, router).await });
        address.to_string()
    }
}

async fn answer(Extracted(registry): Extracted<Registry>, uri: http::Uri) -> axum::response::Response {
    if uri.path() == "/v2/_longshore/keys" {
        let keys: KeySet = registry.key.lock().unwrap().iter().map(SigningKey::public).collect();
        return axum::Json(keys).into_response();
    }
    registry.asked.fetch_add(1, Ordering::Relaxed);
    let refused = |status: StatusCode, code: &str, message: &str| {
        let body = json!({"errors": [{"code": code, "message": message}]}).to_string();
        (status, [("content-type", "application/json"), ("retry-after", "7")], body).into_response()
    };
    match uri.path().rsplit('/').next().unwrap() {
        "unsigned" => return refused(StatusCode::FORBIDDEN, "DENIED", "policy 'prod': it is not signed"),
        "busy" => return refused(StatusCode::TOO_MANY_REQUESTS, "TOOMANYREQUESTS", "too many pulls"),
        "broken" => return refused(StatusCode::BAD_GATEWAY, "UNKNOWN", "away"),
        _ => {}
    }
    match registry.contents.lock().unwrap().get(uri.path()) {
        Some((kind, content)) => ([("content-type", kind.clone())], content.clone()).into_response(),
        None => refused(StatusCode::NOT_FOUND, "MANIFEST_UNKNOWN", "there is no such manifest"),
    }
}

/// An orchestrator at work, until this is dropped.
pub(super) struct Served {
    pub(super) url: String,
    pub(super) registry: Registry,
    pub(super) host: String,
    pub(super) state: SharedState,
    pub(super) questions: Option<mpsc::Receiver<Question>>,
    stop: CancellationToken,
    running: JoinHandle<()>,
    client: reqwest::Client,
    _standing: watch::Sender<Standing>,
    _folder: tempfile::TempDir,
}

/// What was answered.
#[derive(Debug)]
pub(super) struct Answered {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Value,
}

impl Answered {
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(super) fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or("")
    }

    pub(super) fn text(&self, member: &str) -> String {
        self.body[member].as_str().unwrap_or_else(|| panic!("there is no {member} in {self:?}")).to_owned()
    }

    pub(super) fn faults(&self) -> Vec<&str> {
        self.body["faults"].as_array().unwrap().iter().map(|fault| fault["field"].as_str().unwrap()).collect()
    }
}

impl Served {
    pub(super) async fn new() -> Self {
        Self::with(|_| {}, true).await
    }

    /// One of such a configuration, that leads or knows of no leader.
    pub(super) async fn with(change: impl FnOnce(&mut Config), leads: bool) -> Self {
        Self::standing(change, leads, None).await
    }

    /// One that takes whoever is at this address for the leader.
    pub(super) async fn following(leader: &str) -> Self {
        Self::following_with(|_| {}, leader).await
    }

    pub(super) async fn following_with(change: impl FnOnce(&mut Config), leader: &str) -> Self {
        Self::standing(change, false, Some(leader.to_owned())).await
    }

    async fn standing(change: impl FnOnce(&mut Config), leads: bool, leader: Option<String>) -> Self {
        let registry = Registry::default();
        let host = registry.clone().serve().await;
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::embedded(folder.path(), "127.0.0.1:0".parse().unwrap());
        config.listen.admin_address = None;
        config.registry.url = format!("http://{host}").parse().unwrap();
        change(&mut config);
        let state = open(&folder.path().join("orchestrator.db")).await;
        let mut app = start::assemble(config, state.clone()).await.unwrap();
        let url = app.doors().url();
        let (sender, receiver) = mpsc::channel(16);
        // Who really leads is somebody else, and what this replica would say of that nobody hears.
        let elsewhere = LeaseWish { holder: Uuid::now_v7(), address: "http://127.0.0.1:1".to_owned(), length_ms: 3_600_000 };
        state.lead(elsewhere).await.unwrap();
        let standing = std::mem::replace(&mut app.lead.standing, watch::channel(Standing::Following(None)).0);
        standing.send_replace(if leads {
            Standing::Leading(Leader { term: 1, questions: sender })
        } else {
            Standing::Following(leader)
        });
        let stop = CancellationToken::new();
        let stopping = stop.clone();
        let running = tokio::spawn(async move {
            app.run(stopping).await;
        });
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        Self {
            url,
            registry,
            host,
            state,
            questions: Some(receiver),
            stop,
            running,
            client,
            _standing: standing,
            _folder: folder,
        }
    }

    /// One that asks its callers for tokens, and the key that signs them.
    pub(super) async fn guarded() -> Self {
        Self::guarded_with(|config| config.auth.mode = AuthMode::Registry).await
    }

    pub(super) async fn guarded_with(change: impl FnOnce(&mut Config)) -> Self {
        let served = Self::with(change, true).await;
        *served.registry.key.lock().unwrap() = Some(SigningKey::generate().0);
        served
    }

    /// A token of the registry, for somebody with such access.
    pub(super) fn token(&self, subject: &str, scope: &str, change: impl FnOnce(&mut AccessToken)) -> String {
        let now = jiff::Timestamp::now().as_second();
        let mut token = AccessToken {
            issuer: "http://registry".into(),
            subject: subject.into(),
            audience: "longshore".into(),
            issued_at: now,
            not_before: now,
            expires_at: now + 300,
            id: "1".into(),
            access: scope.split_whitespace().map(|scope| scope.parse::<Scope>().unwrap()).collect(),
            credential: None,
            federated: None,
            peer_id: None,
        };
        change(&mut token);
        self.registry.key.lock().unwrap().as_ref().unwrap().sign(AccessToken::KIND, &token)
    }

    pub(super) fn image(&self, tag: &str) -> String {
        format!("{}/hello:{tag}", self.host)
    }

    pub(super) fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.client.request(method, format!("{}{path}", self.url))
    }

    pub(super) async fn send(&self, request: reqwest::RequestBuilder) -> Answered {
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let bytes = response.bytes().await.unwrap();
        Answered { status, headers, body: serde_json::from_slice(&bytes).unwrap_or(Value::Null) }
    }

    pub(super) async fn get(&self, path: &str) -> Answered {
        self.send(self.request(Method::GET, path)).await
    }

    pub(super) async fn post(&self, path: &str, body: Value) -> Answered {
        self.send(self.request(Method::POST, path).json(&body)).await
    }

    /// A change of what was seen at a revision.
    pub(super) async fn change(&self, method: Method, path: &str, revision: u64, body: Value) -> Answered {
        let request = self.request(method, path).header(HeaderName::from_static("if-match"), format!("\"{revision}\""));
        self.send(request.json(&body)).await
    }

    /// A deployment of two pods; its path.
    pub(super) async fn deploy(&self, name: &str) -> String {
        self.registry.push("1", "one");
        let body = json!({"name": name, "image": self.image("1"), "replicas": 2});
        let answered = self.post("/api/v1/workloads/deployments", body).await;
        assert_eq!(answered.status, 201, "{answered:?}");
        answered.header("location").to_owned()
    }

    /// Has the leader answer plans with this, and everything else with nothing.
    pub(super) fn plans(&mut self, outcome: PlanOutcome) {
        let mut questions = self.questions.take().unwrap();
        tokio::spawn(async move {
            while let Some(question) = questions.recv().await {
                match question {
                    Question::Plan(_, answer) => drop(answer.send(outcome.clone())),
                    Question::Nodes(_, answer) => drop(answer.send(Vec::new())),
                    _ => {}
                }
            }
        });
    }

    pub(super) async fn stopped(self) {
        self.stop.cancel();
        tokio::time::timeout(std::time::Duration::from_secs(10), self.running).await.unwrap().unwrap();
    }

    pub(super) fn begin_to_stop(&self) {
        self.stop.cancel();
    }
}

async fn open(path: &Path) -> SharedState {
    Arc::new(SqliteState::open(path, 4).await.unwrap())
}
