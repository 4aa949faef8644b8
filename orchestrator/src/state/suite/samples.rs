//! Rows and changes to test with.

use longshore_fleet::{
    DeploymentId, Name, NamespaceSpec, NodeId, OperationId, Phase, PodId, PodState, Quota, WorkloadId,
    api::{Change, EventKind, OperationState, OperationView, PrewarmRequest, WorkloadStatus},
};
use longshore_oci::{Algorithm, Digest};
use serde_json::json;
use uuid::Uuid;

use super::Shared;
use crate::{
    schedule::ImageLayers,
    state::{
        Act, Acted, Answer, AuditLine, Batch, Charge, Expected, LayerRow, LeaseWish, NamespaceRow, NewEvent, NodeRow,
        OperationKey, OperationRow, PodRow, RevisionRow, RolloutRow, Slice, StateError, Sweep, WorkloadRow, Write,
    },
};

/// A moment that nothing depends on.
pub const NOW: i64 = 1_700_000_000_000_000;

/// From the beginning, all of it.
pub fn all<K>() -> Slice<K> {
    Slice { after: None, most: 1_000_000 }
}

pub fn name(text: &str) -> Name {
    text.parse().unwrap()
}

pub fn digest(text: &str) -> Digest {
    Digest::of(Algorithm::Sha256, text.as_bytes())
}

pub fn deployment(number: u128) -> WorkloadId {
    DeploymentId(Uuid::from_u128(number)).into()
}

pub fn node(number: u128) -> NodeId {
    NodeId(Uuid::from_u128(number))
}

pub fn workload_row(number: u128, revision: u64) -> WorkloadRow {
    WorkloadRow {
        id: deployment(number),
        namespace: name("default"),
        name: name(&format!("web-{number}")),
        revision,
        template_revision: 1,
        spec: json!({"replicas": revision}),
        created: NOW,
        updated: NOW + 1,
        deleted: None,
        status: WorkloadStatus::default(),
    }
}

pub fn revision_row(workload: u128, number: u64) -> RevisionRow {
    let image = format!("registry.local/team/app@{}", digest("image"));
    RevisionRow {
        workload: deployment(workload),
        number,
        wanted: number,
        template: serde_json::from_value(json!({ "image": image })).unwrap(),
        image: "registry.local/team/app:1".parse().unwrap(),
        layers: vec![ImageLayers {
            os: "linux".to_owned(),
            architecture: "amd64".to_owned(),
            layers: vec![(digest("base"), 10), (digest("app"), 20)],
        }],
        created: NOW,
        author: Some("ann".to_owned()),
        refused: None,
    }
}

pub fn rollout_row(workload: u128, revision: u64, state: &str) -> RolloutRow {
    let (state, ended) = (state.to_owned(), (state != "progressing").then_some(NOW + 5));
    RolloutRow { workload: deployment(workload), revision, template_revision: revision, state, began: NOW, ended }
}

pub fn pod_row(number: u128) -> PodRow {
    PodRow {
        id: PodId(Uuid::from_u128(number)),
        name: format!("web-{number}"),
        namespace: name("default"),
        workload: deployment(1),
        revision: 1,
        node: None,
        state: PodState::default(),
        missing_bytes: None,
        created: NOW,
        bound: None,
        end_within_seconds: None,
    }
}

/// A pod on a node, running.
pub fn running(number: u128, on: u128) -> PodRow {
    let state = PodState { phase: Phase::Running, ready: true, restarts: 2, exit_code: Some(-1), ..PodState::default() };
    PodRow {
        node: Some(node(on)),
        state,
        missing_bytes: Some(7),
        bound: Some(NOW),
        end_within_seconds: Some(30),
        ..pod_row(number)
    }
}

pub fn node_row(number: u128, revision: u64) -> NodeRow {
    NodeRow {
        id: node(number),
        name: format!("n{number}.zone").parse().unwrap(),
        public_key: "-----BEGIN PUBLIC KEY-----".to_owned(),
        revision,
        is_cordoned: revision.is_multiple_of(2),
        is_draining: false,
        facts: None,
        joined: NOW,
    }
}

pub fn namespace_row(text: &str, revision: u64, pods: Option<u32>) -> NamespaceRow {
    let quota = Quota { pods, ..Quota::default() };
    let spec = NamespaceSpec { name: name(text), quota, allow: longshore_fleet::Allowances::default() };
    NamespaceRow { spec, revision, asked: Charge::default() }
}

pub fn operation_row(number: u128, state: OperationState) -> OperationRow {
    let id = OperationId(Uuid::from_u128(number));
    let request: PrewarmRequest = serde_json::from_value(json!({"images": ["registry.local/app:1"]})).unwrap();
    let view = OperationView {
        operation_id: id,
        state,
        created_at: jiff::Timestamp::from_microsecond(NOW).unwrap(),
        ended_at: None,
        request,
        nodes: std::collections::BTreeMap::default(),
        bytes_done: 1,
        bytes_total: 2,
    };
    OperationRow { id, view, created: NOW, ended: state.has_ended().then_some(NOW + 9) }
}

pub fn layer(number: u64) -> LayerRow {
    LayerRow { digest: digest(&format!("layer {number}")), size_bytes: number }
}

pub fn event(id: &str) -> NewEvent {
    NewEvent {
        kind: EventKind::Pod,
        change: Change::Added,
        id: id.to_owned(),
        namespace: Some(name("default")),
        name: "web".to_owned(),
        reason: "Created".to_owned(),
        message: String::new(),
        author: None,
        object: Some(json!({"id": id})),
    }
}

pub fn audit_line(subject: &str) -> AuditLine {
    AuditLine {
        at: NOW,
        account: "ann".to_owned(),
        address: Some("10.0.0.1".to_owned()),
        request: "POST /api/v1/workloads/deployments".to_owned(),
        subject: subject.to_owned(),
        outcome: "201".to_owned(),
        request_id: None,
    }
}

/// A caller's change, with an event of its own.
pub fn act(writes: Vec<Write>) -> Act {
    Act {
        operation: None,
        writes,
        events: vec![event("act")],
        audit: audit_line("act"),
        answer: Answer { status: 200, body: json!({"done": true}) },
        now: NOW,
    }
}

pub fn operation_key(id: &str, request: &str) -> OperationKey {
    OperationKey { caller: "ann".to_owned(), id: id.to_owned(), request: request.to_owned() }
}

pub async fn does(state: &Shared, writes: Vec<Write>) -> Result<Acted, StateError> {
    state.act(&act(writes)).await
}

/// Puts what is new.
pub async fn puts(state: &Shared, writes: Vec<Write>) {
    does(state, writes).await.unwrap();
}

pub fn new_workload(number: u128) -> Write {
    Write::PutWorkload(Box::new(workload_row(number, 1)), Expected::None)
}

pub fn new_node(number: u128) -> Write {
    Write::PutNode(Box::new(node_row(number, 1)), Expected::None)
}

pub fn wish(holder: u128, length_ms: i64) -> LeaseWish {
    LeaseWish { holder: Uuid::from_u128(holder), address: format!("replica-{holder}:7000"), length_ms }
}

pub fn batch(number: u64, writes: Vec<Write>) -> Batch {
    Batch { number, writes, events: vec![event("batch")], now: NOW }
}

/// Takes the lead for long; the term.
pub async fn lead(state: &Shared) -> u64 {
    state.lead(wish(1, 600_000)).await.unwrap().term
}

/// A sweep that drops nothing.
pub fn sweep() -> Sweep {
    Sweep {
        events_before: 0,
        events_kept: u64::MAX,
        answers_before: 0,
        operations_before: 0,
        audit_before: 0,
        audit_kept: u64::MAX,
        unnamed_layers: true,
        most: 1000,
    }
}
