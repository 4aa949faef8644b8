//! What memory an orchestrator takes that leads with very many pods: they are written into a database by the product's own statements, then
//! the program is started on it, reads everything and leads. Nodes are not played: what is measured is the state.

use std::time::{Duration, Instant};

use longshore_fleet::{DeploymentId, LabelValue, NodeId, Phase, PodId, PodState, WorkloadId, api::WorkloadStatus};
use longshore_oci::{Algorithm, Digest};
use longshore_orchestrator::{
    schedule::ImageLayers,
    state::{
        Act, Answer, AuditLine, Batch, Expected, LayerRow, LeaseWish, NodeRow, PodRow, RevisionRow, SqliteState, State,
        StateError, WorkloadRow, Write,
    },
};
use longshore_tests::{Process, longshore, temporary_folder, until};
use serde::Serialize;
use serde_json::json;
use uuid::Uuid;

use super::FleetOptions;
use crate::{candidate::usage, error::BenchError, report::write_json};

/// How many rows go into one transaction.
const PART: u32 = 10_000;
/// Pods of one deployment.
const REPLICAS: u32 = 100;
/// How long it may take to load.
const LIMIT: Duration = Duration::from_mins(10);

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Filled {
    nodes: u32,
    pods: u32,
    deployments: u32,
    loaded_seconds: f64,
    resident_bytes: u64,
    anonymous_bytes: u64,
    peak_resident_bytes: u64,
}

/// Fills a database, has an orchestrator lead with it, and says what that took.
pub(super) async fn fill(options: &FleetOptions, pods: u32) -> Result<(), BenchError> {
    let folder = temporary_folder("filled");
    let file = folder.path().join("orchestrator.db");
    let began = Instant::now();
    write_all(&file, options.nodes, pods)
        .await
        .map_err(|source| BenchError::Io { doing: "fill the database".to_owned(), source: std::io::Error::other(source) })?;
    eprintln!("bench: {pods} pods were written in {:.1} s", began.elapsed().as_secs_f64());
    let config = folder.path().join("orchestrator.toml");
    let text = format!(
        "[listen]\naddress = \"127.0.0.1:0\"\nadmin_address = \"127.0.0.1:0\"\n[database]\nfile = \"{}\"\n[registry]\nurl = \"http://127.0.0.1:9\"\n",
        file.display()
    );
    std::fs::write(&config, text).map_err(BenchError::io("write the configuration"))?;
    let began = Instant::now();
    let process = Process::start("orchestrator", longshore(), |command| {
        command.args(["orchestrator", "serve", "--config"]).arg(&config).current_dir(folder.path());
    });
    let watch = usage::MemoryWatch::start(vec![process.pid()]);
    let mut process = process;
    let url = process
        .printed("where it is", LIMIT, |line| {
            let at = line.find("orchestrator on ")? + "orchestrator on ".len();
            line[at..].split_whitespace().next().map(|url| url.trim_end_matches([',', ';']).to_owned())
        })
        .await;
    let client = longshore_tests::Client::new(&url);
    until("it to lead", LIMIT, async || {
        let answer = longshore_tests::Answer::attempt(client.request(http::Method::GET, "/api/v1/nodes/health")).await.ok()?;
        answer.status.is_success().then_some(())
    })
    .await;
    let loaded_seconds = began.elapsed().as_secs_f64();
    // What its first decisions come to is taken in as well.
    tokio::time::sleep(Duration::from_secs(10)).await;
    let held = usage::memory(process.pid());
    let peak = watch.peak(process.pid()).unwrap_or_default();
    let filled = Filled {
        nodes: options.nodes,
        pods,
        deployments: pods.div_ceil(REPLICAS),
        loaded_seconds,
        resident_bytes: held.resident_bytes,
        anonymous_bytes: held.anonymous_bytes,
        peak_resident_bytes: peak.resident_bytes,
    };
    println!(
        "{pods} pods of {} deployments on {} nodes: leads after {loaded_seconds:.1} s, with {} MB resident, {} MB at most",
        filled.deployments,
        filled.nodes,
        filled.resident_bytes / 1_000_000,
        filled.peak_resident_bytes / 1_000_000,
    );
    write_json(&options.results, "fleet-filled", &filled)
}

async fn write_all(file: &std::path::Path, nodes: u32, pods: u32) -> Result<(), StateError> {
    let state = SqliteState::open(file, 2).await?;
    let now = jiff::Timestamp::now().as_microsecond();
    let deployments = pods.div_ceil(REPLICAS);
    act(&state, now, (0..nodes).map(|number| Write::PutNode(Box::new(node(number, now)), Expected::None)).collect()).await?;
    for first in (0..deployments).step_by(PART as usize) {
        let numbers = first..deployments.min(first + PART);
        let writes = numbers.flat_map(|number| {
            let row = WorkloadRow { spec: upkeep(), ..workload(number, now) };
            [Write::PutWorkload(Box::new(row), Expected::None), Write::PutRevision(Box::new(revision(number, now)))]
        });
        act(&state, now, writes.collect()).await?;
    }
    let wish = LeaseWish { holder: Uuid::now_v7(), address: "http://127.0.0.1:9".to_owned(), length_ms: 3_600_000 };
    let holder = wish.holder;
    let term = state.lead(wish).await?.term;
    let mut number = 0;
    let mut commit = async |writes: Vec<Write>| {
        number += 1;
        state.commit(term, &Batch { number, writes, events: Vec::new(), now }).await.map(drop)
    };
    commit((0..nodes).map(|number| Write::PutFacts(node_id(number), facts(number))).collect()).await?;
    commit((0..nodes).map(|number| Write::PutLayers(node_id(number), layers(number))).collect()).await?;
    for first in (0..pods).step_by(PART as usize) {
        let numbers = first..pods.min(first + PART);
        commit(numbers.map(|number| Write::PutPod(Box::new(pod(number, nodes, now)))).collect()).await?;
    }
    state.resign(holder).await
}

async fn act(state: &SqliteState, now: i64, writes: Vec<Write>) -> Result<(), StateError> {
    let audit = AuditLine {
        at: now,
        account: "bench".to_owned(),
        address: None,
        request: "fill".to_owned(),
        subject: "fleet".to_owned(),
        outcome: "200".to_owned(),
        request_id: None,
    };
    let answer = Answer { status: 200, body: json!(null) };
    state.act(&Act { operation: None, writes, events: Vec::new(), audit, answer, now }).await.map(drop)
}

/// A UUID of this kind and number, as it sorts by time.
fn uuid(kind: u128, number: u32) -> Uuid {
    Uuid::from_u128((0x0198_0000_0000_7000_8000_u128 << 48) | (kind << 40) | u128::from(number))
}

fn node_id(number: u32) -> NodeId {
    NodeId(uuid(1, number))
}

fn workload_id(number: u32) -> WorkloadId {
    DeploymentId(uuid(2, number)).into()
}

fn digest(text: &str) -> Digest {
    Digest::of(Algorithm::Sha256, text.as_bytes())
}

fn node(number: u32, now: i64) -> NodeRow {
    NodeRow {
        id: node_id(number),
        name: format!("n{number:05}").parse().unwrap_or_else(|_| unreachable!("it is a node's name")),
        public_key: "-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n".to_owned(),
        revision: 1,
        is_cordoned: false,
        is_draining: false,
        facts: None,
        joined: now,
    }
}

fn facts(number: u32) -> serde_json::Value {
    let zone: LabelValue = format!("z{}", number % 3).parse().unwrap_or_else(|_| unreachable!("it is a label's value"));
    json!({
        "labels": {"topology.kubernetes.io/zone": zone}, "platform": {"os": "linux", "architecture": "amd64"},
        "cpu": "32", "memory": "128Gi", "pods": 250,
    })
}

fn layers(number: u32) -> Vec<LayerRow> {
    let row = |text: String| LayerRow { digest: digest(&text), size_bytes: 30 << 20 };
    (0..40).map(|layer| row(format!("layer {}", (number * 7 + layer * 11) % 400))).collect()
}

fn workload(number: u32, now: i64) -> WorkloadRow {
    let name = format!("app-{number}").parse().unwrap_or_else(|_| unreachable!("it is a name"));
    let namespace = "default".parse().unwrap_or_else(|_| unreachable!("it is a name"));
    WorkloadRow {
        id: workload_id(number),
        namespace,
        name,
        revision: 1,
        template_revision: 1,
        spec: serde_json::Value::Null,
        created: now,
        updated: now,
        deleted: None,
        status: WorkloadStatus::default(),
    }
}

fn upkeep() -> serde_json::Value {
    json!({"replicas": REPLICAS})
}

fn revision(number: u32, now: i64) -> RevisionRow {
    let image = format!("images.bench/app-{}@{}", number % 400, digest(&format!("image {}", number % 400)));
    let template = json!({"image": image, "resources": {"requests": {"cpu": "100m", "memory": "100Mi"}}});
    let layers = (0..4).map(|layer| (digest(&format!("layer {}", (number * 3 + layer * 5) % 400)), 30 << 20)).collect();
    RevisionRow {
        workload: workload_id(number),
        number: 1,
        wanted: 1,
        template: serde_json::from_value(template).unwrap_or_else(|error| unreachable!("it is a template: {error}")),
        image: format!("images.bench/app-{}:v1", number % 400).parse().unwrap_or_else(|_| unreachable!("it is an image")),
        layers: vec![ImageLayers { os: "linux".to_owned(), architecture: "amd64".to_owned(), layers }],
        created: now,
        author: None,
        refused: None,
    }
}

fn pod(number: u32, nodes: u32, now: i64) -> PodRow {
    let at = jiff::Timestamp::from_microsecond(now).unwrap_or_default();
    let state = PodState {
        phase: Phase::Running,
        ready: true,
        ready_since: Some(at),
        started_at: Some(at),
        started_in_ms: Some(300),
        address: Some("10.0.0.1".to_owned()),
        ..PodState::default()
    };
    let workload = workload(number / REPLICAS, now);
    PodRow {
        id: PodId(uuid(3, number)),
        name: format!("{}-abcde-{number:05}", workload.name),
        namespace: workload.namespace,
        workload: workload.id,
        revision: 1,
        node: Some(node_id(number % nodes)),
        state,
        missing_bytes: Some(0),
        created: now,
        bound: Some(now),
        end_within_seconds: None,
    }
}
