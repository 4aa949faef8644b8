//! Rows as they are stored.

use longshore_fleet::{
    Image, Name, NamespaceSpec, NodeId, NodeName, OperationId, PodId, PodState, Template, WorkloadId,
    api::{OperationView, WorkloadStatus},
};
use longshore_oci::Digest;
use serde_json::Value;

use crate::schedule::ImageLayers;

/// A moment: microseconds since 1970 (UTC).
pub type Micros = i64;

/// A namespace.
#[derive(Clone, Debug, PartialEq)]
pub struct NamespaceRow {
    /// What is wanted.
    pub spec: NamespaceSpec,
    /// Counts its changes, from 1.
    pub revision: u64,
    /// What its workloads ask for, all together; kept by [`super::Write::Charge`] alone.
    pub asked: Charge,
}

/// What is asked of a namespace's quota: more, or less where it is negative.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Charge {
    /// Thousandths of a core.
    pub cpu_millis: i64,
    /// Bytes of memory.
    pub memory_bytes: i64,
    /// Pods.
    pub pods: i64,
}

/// A deployment or a job.
#[derive(Clone, Debug, PartialEq)]
pub struct WorkloadRow {
    /// What names it.
    pub id: WorkloadId,
    /// Where it is.
    pub namespace: Name,
    /// What it is called there.
    pub name: Name,
    /// Counts its changes, from 1: each change of what is wanted is one more.
    pub revision: u64,
    /// The revision that what its pods are to be made from is of.
    pub template_revision: u64,
    /// What of it is not its pods': [`longshore_fleet::Upkeep`] or [`longshore_fleet::Work`] as JSON.
    pub spec: Value,
    /// When it was made.
    pub created: Micros,
    /// When what is wanted was changed last.
    pub updated: Micros,
    /// Since when it is to go.
    pub deleted: Option<Micros>,
    /// How it is, as the leader wrote last.
    pub status: WorkloadStatus,
}

/// What pods of a workload are made from.
#[derive(Clone, Debug, PartialEq)]
pub struct RevisionRow {
    /// Whose.
    pub workload: WorkloadId,
    /// The workload's revision that it came with.
    pub number: u64,
    /// The workload's revision at which it was wanted last: later than its number where somebody went back to it.
    pub wanted: u64,
    /// It; its image names a digest.
    pub template: Template,
    /// The image as it was written.
    pub image: Image,
    /// What a node must have to start it, by platform.
    pub layers: Vec<ImageLayers>,
    /// When it was made.
    pub created: Micros,
    /// By whom, where that is known.
    pub author: Option<String>,
    /// Why its image may not run, where the registry said so last; the leader's, and none where a caller puts it.
    pub refused: Option<String>,
}

/// From one revision to another.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RolloutRow {
    /// Whose.
    pub workload: WorkloadId,
    /// The workload's revision that began it.
    pub revision: u64,
    /// To pods of this one.
    pub template_revision: u64,
    /// `progressing`, `done`, `stuck`, `replaced`.
    pub state: String,
    /// When it began.
    pub began: Micros,
    /// When it was over.
    pub ended: Option<Micros>,
}

/// A pod.
#[derive(Clone, Debug, PartialEq)]
pub struct PodRow {
    /// What names it.
    pub id: PodId,
    /// What it is called.
    pub name: String,
    /// Where it is.
    pub namespace: Name,
    /// What it is of.
    pub workload: WorkloadId,
    /// The revision that it was made from.
    pub revision: u64,
    /// Its node, once it has one.
    pub node: Option<NodeId>,
    /// How it is.
    pub state: PodState,
    /// Bytes that its node lacked when it was placed, and that were not on their way.
    pub missing_bytes: Option<u64>,
    /// When it was made.
    pub created: Micros,
    /// When it was placed.
    pub bound: Option<Micros>,
    /// How long it has to end, in seconds, once it is to.
    pub end_within_seconds: Option<u32>,
}

/// A node.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeRow {
    /// What names it.
    pub id: NodeId,
    /// What it is called.
    pub name: NodeName,
    /// Its Ed25519 key, as PEM.
    pub public_key: String,
    /// Counts what callers change of it: whether it is cordoned, or drained.
    pub revision: u64,
    /// Whether it gets no more pods.
    pub is_cordoned: bool,
    /// Whether its pods are taken off it.
    pub is_draining: bool,
    /// What it said last of itself ([`longshore_fleet::AgentFacts`] as JSON); the leader's.
    pub facts: Option<Value>,
    /// When it joined.
    pub joined: Micros,
}

/// A layer.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct LayerRow {
    /// Its digest.
    pub digest: Digest,
    /// Its length in bytes.
    pub size_bytes: u64,
}

/// Long work.
#[derive(Clone, Debug, PartialEq)]
pub struct OperationRow {
    /// What names it.
    pub id: OperationId,
    /// How it is; the leader's, but that callers cancel it.
    pub view: OperationView,
    /// When it was asked for.
    pub created: Micros,
    /// When it ended.
    pub ended: Option<Micros>,
}

/// A token that lets nodes in.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct JoinTokenRow {
    /// The SHA-256 of it, in hex.
    pub hash: String,
    /// Its first signs, for people to tell it by.
    pub hint: String,
    /// When it runs out.
    pub expires: Micros,
    /// How many more nodes it lets in.
    pub uses_left: u32,
}
