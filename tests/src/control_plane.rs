//! The other end of a node's agent: an orchestrator that decides nothing, and keeps what it hears.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    convert::Infallible,
    net::Ipv4Addr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::{
    Json, Router,
    body::Body,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use longshore_fleet::{
    AgentFacts, Assignment, FetchReport, Image, Instruction, Join, Joined, LogsId, LogsWanted, NodeId, OperationId, PodId,
    PodState, Report, StreamId,
    api::{Code, Problem},
};
use longshore_oci::Digest;
use ring::signature::{ED25519, UnparsedPublicKey};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::mpsc, task::JoinHandle};

use crate::until;

/// How long anything may take that is waited for.
const LIMIT: Duration = Duration::from_secs(90);

/// An orchestrator for one node. It is gone when dropped.
pub struct ControlPlane {
    url: String,
    state: Arc<Mutex<Heard>>,
    serving: JoinHandle<()>,
}

/// What it wants, and what it has heard.
struct Heard {
    joins: Vec<Join>,
    node: NodeId,
    is_away: bool,
    term: u64,
    wanted: BTreeMap<PodId, Assignment>,
    keep: Vec<Image>,
    fetch: Vec<longshore_fleet::Fetch>,
    stream: Option<(StreamId, mpsc::UnboundedSender<Bytes>)>,
    streams: u32,
    number: u64,
    faults: Vec<String>,
    facts: Option<AgentFacts>,
    pods: BTreeMap<PodId, PodState>,
    gone: BTreeSet<PodId>,
    layers: BTreeMap<Digest, u64>,
    fetches: HashMap<OperationId, FetchReport>,
    readers: HashMap<LogsId, mpsc::UnboundedSender<Bytes>>,
    leader: Option<String>,
}

impl ControlPlane {
    /// The token that lets nodes join.
    pub const TOKEN: &str = "let me in";

    /// One that wants nothing yet.
    pub async fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("loopback has a free port");
        let url = format!("http://{}", listener.local_addr().expect("a bound socket has an address"));
        let state = Arc::new(Mutex::new(Heard::new()));
        let routes = Router::new()
            .route("/agent/v1/join", post(join))
            .route("/agent/v1/instructions", get(instructions))
            .route("/agent/v1/reports", post(report))
            .route("/agent/v1/logs/{request}", post(logs))
            .with_state(state.clone());
        let serving = tokio::spawn(async move { axum::serve(listener, routes).await.expect("it serves") });
        Self { url, state, serving }
    }

    /// Where it is.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What a node is told to find it.
    pub fn values(&self) -> Vec<(&'static str, Value)> {
        vec![("agent.orchestrators", json!([self.url])), ("agent.token", Self::TOKEN.into())]
    }

    /// Wants a pod to be so.
    pub fn put(&self, assignment: Assignment) {
        let mut heard = self.heard();
        heard.wanted.insert(assignment.id, assignment.clone());
        heard.say(&Instruction::Put { pod: Box::new(assignment) });
    }

    /// Wants a pod to end within so many seconds.
    pub fn end(&self, pod: PodId, seconds: u32) {
        let assignment = self.heard().wanted[&pod].clone();
        self.put(Assignment { end_within_seconds: Some(seconds), ..assignment });
    }

    /// Asks after a pod no more, and says so.
    pub fn forget(&self, pod: PodId) {
        let mut heard = self.heard();
        heard.wanted.remove(&pod);
        heard.say(&Instruction::Forget { pod });
    }

    /// Asks after a pod no more, and says nothing.
    pub fn lose(&self, pod: PodId) {
        self.heard().wanted.remove(&pod);
    }

    /// Wants an image to come.
    pub fn fetch(&self, fetch: longshore_fleet::Fetch) {
        let mut heard = self.heard();
        heard.fetch.push(fetch.clone());
        heard.say(&Instruction::Fetch(fetch));
    }

    /// Wants images to stay.
    pub fn keep(&self, images: Vec<Image>) {
        let mut heard = self.heard();
        heard.keep.clone_from(&images);
        heard.say(&Instruction::Keep { images });
    }

    /// Answers nobody, and breaks off its stream.
    pub fn go_away(&self) {
        let mut heard = self.heard();
        heard.is_away = true;
        heard.stream = None;
    }

    /// Answers again.
    pub fn come_back(&self) {
        self.heard().is_away = false;
    }

    /// Breaks off its stream, and begins the next with this term.
    pub fn begin_again(&self, term: u64) {
        let mut heard = self.heard();
        heard.term = term;
        heard.stream = None;
    }

    /// Leads no more: another does.
    pub fn hand_over(&self, leader: &str) {
        let mut heard = self.heard();
        heard.leader = Some(leader.to_owned());
        heard.stream = None;
    }

    /// Knows the node that has joined another.
    pub fn take_over(&self, other: &Self) {
        let (node, joins) = {
            let other = other.heard();
            (other.node, other.joins.clone())
        };
        let mut heard = self.heard();
        (heard.node, heard.joins) = (node, joins);
    }

    /// How often a node has joined.
    pub fn joins(&self) -> usize {
        self.heard().joins.len()
    }

    /// How often a stream was begun.
    pub fn streams(&self) -> u32 {
        self.heard().streams
    }

    /// What the node has done otherwise than it should.
    pub fn faults(&self) -> Vec<String> {
        self.heard().faults.clone()
    }

    /// How a pod is.
    pub fn pod(&self, pod: PodId) -> Option<PodState> {
        self.heard().pods.get(&pod).cloned()
    }

    /// Waits until a pod is so.
    pub async fn until_pod(&self, pod: PodId, what: &str, is_so: impl Fn(&PodState) -> bool) -> PodState {
        let began = std::time::Instant::now();
        loop {
            let state = self.pod(pod);
            match state {
                Some(state) if is_so(&state) => return state,
                state => assert!(began.elapsed() < LIMIT, "waited in vain for a pod {what}; it is {state:?}"),
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits until nothing is left of a pod.
    pub async fn until_gone(&self, pod: PodId) {
        until("a pod to be gone", LIMIT, async || self.heard().gone.contains(&pod).then_some(())).await;
    }

    /// Waits until the node says this of itself.
    pub async fn until_facts(&self, what: &str, is_so: impl Fn(&AgentFacts) -> bool) -> AgentFacts {
        until(what, LIMIT, async || self.heard().facts.clone().filter(&is_so)).await
    }

    /// Waits until the node says that all of these layers are there.
    pub async fn until_layers(&self, layers: &[Digest]) {
        until("layers to be there", LIMIT, async || {
            let heard = self.heard();
            layers.iter().all(|layer| heard.layers.contains_key(layer)).then_some(())
        })
        .await;
    }

    /// Waits until an image has come as far as this.
    pub async fn until_fetch(&self, operation: OperationId, what: &str, is_so: impl Fn(&FetchReport) -> bool) -> FetchReport {
        until(what, LIMIT, async || self.heard().fetches.get(&operation).cloned().filter(&is_so)).await
    }

    /// Asks for what a pod writes: its parts, as they come.
    pub fn logs(&self, wanted: LogsWanted) -> mpsc::UnboundedReceiver<Bytes> {
        let (sender, parts) = mpsc::unbounded_channel();
        let mut heard = self.heard();
        heard.readers.insert(wanted.request, sender);
        heard.say(&Instruction::Logs(wanted));
        parts
    }

    fn heard(&self) -> MutexGuard<'_, Heard> {
        lock(&self.state)
    }
}

impl Drop for ControlPlane {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

fn lock(state: &Mutex<Heard>) -> MutexGuard<'_, Heard> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Heard {
    fn new() -> Self {
        Self {
            joins: Vec::new(),
            node: NodeId(uuid::Uuid::now_v7()),
            is_away: false,
            term: 1,
            wanted: BTreeMap::new(),
            keep: Vec::new(),
            fetch: Vec::new(),
            stream: None,
            streams: 0,
            number: 0,
            faults: Vec::new(),
            facts: None,
            pods: BTreeMap::new(),
            gone: BTreeSet::new(),
            layers: BTreeMap::new(),
            fetches: HashMap::new(),
            readers: HashMap::new(),
            leader: None,
        }
    }

    fn say(&self, instruction: &Instruction) {
        if let Some((_, stream)) = &self.stream {
            // The node may be away just now.
            let _ = stream.send(line(instruction));
        }
    }

    /// What is answered where the node does not sign as it should, or nobody is to be answered.
    fn refusal(&self, headers: &HeaderMap) -> Option<Response> {
        if self.is_away {
            return Some(StatusCode::SERVICE_UNAVAILABLE.into_response());
        }
        if let Some(leader) = &self.leader {
            return Some((StatusCode::MISDIRECTED_REQUEST, [("location", leader.clone())]).into_response());
        }
        let token = headers.get("authorization").and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
        match (token, self.joins.last()) {
            (Some(token), Some(join)) if is_signed(token, &join.public_key, self.node) => None,
            _ => Some(refuse(Code::Unauthorized, "the node is not known")),
        }
    }
}

fn refuse(code: Code, detail: &str) -> Response {
    let status = StatusCode::from_u16(code.status()).expect("codes have statuses");
    (status, Json(Problem::new(code, detail))).into_response()
}

fn line(instruction: &Instruction) -> Bytes {
    let mut text = serde_json::to_vec(instruction).expect("instructions are JSON");
    text.push(b'\n');
    text.into()
}

/// Whether a token is this node's, and of now.
fn is_signed(token: &str, pem: &str, node: NodeId) -> bool {
    let body: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    let Ok(key) = STANDARD.decode(body) else { return false };
    let Some((signed, signature)) = token.rsplit_once('.') else { return false };
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap_or_default();
    let claims = signed.split_once('.').and_then(|(_, claims)| URL_SAFE_NO_PAD.decode(claims).ok());
    let claims: Value = claims.and_then(|claims| serde_json::from_slice(&claims).ok()).unwrap_or_default();
    let now = jiff::Timestamp::now().as_second();
    UnparsedPublicKey::new(&ED25519, &key[key.len() - 32..]).verify(signed.as_bytes(), &signature).is_ok()
        && claims["sub"] == node.to_string()
        && claims["aud"] == "longshore-orchestrator"
        && claims["iat"].as_i64().is_some_and(|at| (at - now).abs() < 60)
        && claims["exp"].as_i64().is_some_and(|at| at > now)
}

type Shared = State<Arc<Mutex<Heard>>>;

async fn join(State(state): Shared, Json(join): Json<Join>) -> Response {
    let mut heard = lock(&state);
    if heard.is_away {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    if join.token != ControlPlane::TOKEN {
        return refuse(Code::Unauthorized, "the token lets nobody in");
    }
    heard.joins.push(join);
    Json(Joined { node_id: heard.node }).into_response()
}

async fn instructions(State(state): Shared, headers: HeaderMap) -> Response {
    let mut heard = lock(&state);
    if let Some(refused) = heard.refusal(&headers) {
        return refused;
    }
    let (sender, parts) = mpsc::unbounded_channel();
    let id = StreamId(uuid::Uuid::now_v7());
    let all = Instruction::All {
        stream: id,
        term: heard.term,
        heartbeat_seconds: 1,
        pods: heard.wanted.values().cloned().collect(),
        keep: heard.keep.clone(),
        fetch: heard.fetch.clone(),
    };
    sender.send(line(&all)).expect("the receiver is here");
    (heard.stream, heard.number) = (Some((id, sender)), 0);
    heard.streams += 1;
    let parts = stream::unfold(parts, async |mut parts| {
        let part = match tokio::time::timeout(Duration::from_secs(5), parts.recv()).await {
            Ok(part) => part?,
            // It is there.
            Err(_) => Bytes::from_static(b"\n"),
        };
        Some((Ok::<_, Infallible>(part), parts))
    });
    Body::from_stream(parts).into_response()
}

async fn report(State(state): Shared, headers: HeaderMap, Json(report): Json<Report>) -> Response {
    let mut heard = lock(&state);
    if let Some(refused) = heard.refusal(&headers) {
        return refused;
    }
    if heard.stream.as_ref().is_none_or(|(id, _)| *id != report.stream) {
        return refuse(Code::StreamUnknown, "begin another");
    }
    if report.number != heard.number + 1 || report.is_whole != (report.number == 1) {
        let fault = format!("report {} after {} (whole: {})", report.number, heard.number, report.is_whole);
        heard.faults.push(fault);
    }
    heard.number = report.number;
    if report.is_whole {
        heard.pods.clear();
        heard.layers.clear();
    }
    heard.facts = report.facts.or(heard.facts.take());
    heard.pods.extend(report.pods.into_iter().map(|pod| (pod.id, pod.state)));
    heard.gone.extend(report.gone);
    heard.layers.extend(report.layers);
    for layer in &report.layers_gone {
        heard.layers.remove(layer);
    }
    heard.fetches.extend(report.fetches.into_iter().map(|fetch| (fetch.operation, fetch)));
    StatusCode::NO_CONTENT.into_response()
}

async fn logs(State(state): Shared, headers: HeaderMap, Path(request): Path<LogsId>, body: Body) -> Response {
    let reader = {
        let mut heard = lock(&state);
        if let Some(refused) = heard.refusal(&headers) {
            return refused;
        }
        heard.readers.remove(&request)
    };
    let Some(reader) = reader else { return refuse(Code::NotFound, "nobody waits for it") };
    let mut parts = body.into_data_stream();
    while let Some(Ok(part)) = parts.next().await {
        if reader.send(part).is_err() {
            return refuse(Code::NotFound, "nobody waits for it any more");
        }
    }
    StatusCode::NO_CONTENT.into_response()
}
