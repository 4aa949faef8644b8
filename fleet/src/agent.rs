//! What a node's agent and the control plane say to each other: instructions down one stream, reports up.
//!
//! What is told is how things are to be, never what has changed: a stream begins with all that the node is to run
//! ([`Instruction::All`]), and a report after a new stream with all that it does run ([`Report::is_whole`]). What follows on the same stream
//! are differences, in order. Whoever has lost the other begins anew; nothing is played again.
//!
//! Each instruction is a JSON object on a line of its own. An empty line says that the other is there.

use std::collections::BTreeMap;

use jiff::Timestamp;
use longshore_oci::{Digest, Platform};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::platform::PlatformForm;
use crate::{
    Bytes, Cpu, Image, Labels, LogsId, Name, NodeId, NodeName, OperationId, OwnerReference, PodId, PodState, StreamId, Taint,
    Template,
};

/// A node wants to belong to the fleet.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Join {
    /// The token that lets it in.
    pub token: String,
    /// What it is called.
    pub name: NodeName,
    /// Its Ed25519 key, as PEM (`-----BEGIN PUBLIC KEY-----`); it signs with it whenever it calls.
    pub public_key: String,
}

/// A node belongs to the fleet.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Joined {
    /// What names it from now on.
    pub node_id: NodeId,
}

/// What a node is to do.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", tag = "type")]
pub enum Instruction {
    /// How things are to be. What the node runs besides is ended.
    #[serde(rename_all = "camelCase")]
    All {
        /// What names this stream; reports say which they answer to.
        stream: StreamId,
        /// Which leader says so: a node that has heard of a later one listens to no earlier one.
        term: u64,
        /// How often the node says that it is there, in seconds.
        heartbeat_seconds: u32,
        /// What it is to run.
        pods: Vec<Assignment>,
        /// Images that are to stay, for revisions that somebody may go back to.
        keep: Vec<Image>,
        /// Images that are to be fetched.
        fetch: Vec<Fetch>,
    },
    /// A pod is to be so: a new one, or one that is there already.
    Put {
        /// The pod.
        pod: Box<Assignment>,
    },
    /// A pod is wanted no more, and was reported gone: nothing of it is kept.
    Forget {
        /// The pod.
        pod: PodId,
    },
    /// These images are to stay, and no others for revisions' sake.
    Keep {
        /// The images.
        images: Vec<Image>,
    },
    /// An image is to be fetched.
    Fetch(Fetch),
    /// An image need not be fetched any more, nor kept for that.
    StopFetch {
        /// What asked for it.
        operation: OperationId,
    },
    /// Somebody wants to read what a pod writes: it is posted to `/agent/v1/logs/{request}` as it comes, as `text/plain`; or, as
    /// `application/json`, why it can't be ([`LogsRefused`]). What breaks off has no end: only a whole body is all of it.
    Logs(LogsWanted),
}

/// A pod that a node is to run.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Assignment {
    /// Which.
    pub id: PodId,
    /// What it is called.
    pub name: String,
    /// Where it is.
    pub namespace: Name,
    /// What it is of.
    pub owner: OwnerReference,
    /// What it is made from; the image names a digest.
    pub template: Template,
    /// Its labels, that of its workload among them.
    pub labels: Labels,
    /// What happens when its container ends.
    pub restart: RestartPolicy,
    /// Whether it may not be root within its container.
    #[serde(default)]
    pub must_not_be_root: bool,
    /// Whether it has ended, as was reported: what is left of it stays, to be read, and it is not run again.
    #[serde(default)]
    pub has_ended: bool,
    /// It is to end, and has so many seconds for it; as it should run where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_within_seconds: Option<u32>,
}

/// What happens when a container ends.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum RestartPolicy {
    /// It is started again, whatever its exit code.
    Always,
    /// Nothing.
    Never,
}

/// An image that a node is to fetch before it is needed.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Fetch {
    /// What asked for it.
    pub operation: OperationId,
    /// The image, by digest.
    pub image: Image,
    /// Until when it is to stay, whatever else needs room; not longer than others where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pinned_until: Option<Timestamp>,
}

/// What names an image that is fetched: one operation may want many.
pub type FetchKey = (OperationId, Image);

impl Fetch {
    /// What names it.
    pub fn key(&self) -> FetchKey {
        (self.operation, self.image.clone())
    }

    /// Whether it is to stay then, whatever else needs room.
    pub fn is_pinned_at(&self, time: Timestamp) -> bool {
        self.pinned_until.is_some_and(|until| until > time)
    }
}

/// Somebody wants to read what a pod writes.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LogsWanted {
    /// What names the wish.
    pub request: LogsId,
    /// Whose.
    pub pod: PodId,
    /// Whether of the container before the one that runs.
    #[serde(default)]
    pub previous: bool,
    /// Whether what is yet to be written is wanted, too.
    #[serde(default)]
    pub follow: bool,
    /// How many of the last lines; all that are kept where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tail: Option<u32>,
    /// Whether each line begins with its time.
    #[serde(default)]
    pub timestamps: bool,
}

/// Why what a pod writes can't be sent: posted in place of it.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LogsRefused {
    /// Why, for programs.
    pub reason: LogsRefusal,
    /// Why, in words.
    pub message: String,
}

/// Why what a pod writes can't be sent, for programs.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum LogsRefusal {
    /// There is none: no such pod on the node, or no container before the one that runs.
    NotThere,
    /// Too many read logs on the node now.
    Busy,
    /// It is there, and can't be read.
    Unreadable,
}

/// How things are on a node.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// The stream that this answers to.
    pub stream: StreamId,
    /// Counts the reports of a stream, from 1.
    pub number: u64,
    /// Whether this tells all there is: what is not in it is not on the node. So is the first report of a stream.
    #[serde(default)]
    pub is_whole: bool,
    /// What the node is; in the first report, and when it has changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub facts: Option<AgentFacts>,
    /// How busy it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load: Option<Load>,
    /// Pods that have changed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pods: Vec<PodReport>,
    /// Pods of which nothing is left.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gone: Vec<PodId>,
    /// Layers that have come, and their lengths in bytes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(with = "BTreeMap<String, u64>")]
    pub layers: BTreeMap<Digest, u64>,
    /// Layers that have gone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<String>")]
    pub layers_gone: Vec<Digest>,
    /// How far images have come that were to be fetched.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fetches: Vec<FetchReport>,
}

/// What a node is.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AgentFacts {
    /// Its labels.
    #[serde(default)]
    pub labels: Labels,
    /// What keeps pods off it.
    #[serde(default)]
    pub taints: Vec<Taint>,
    /// What it runs.
    #[schemars(with = "PlatformForm")]
    pub platform: Platform,
    /// Processor for pods.
    pub cpu: Cpu,
    /// Memory for pods.
    pub memory: Bytes,
    /// How many pods it can have.
    pub pods: u32,
    /// Why it can start nothing now: its container runtime does not answer; nothing where it can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_ready: Option<String>,
    /// The container runtime and its version: `containerd 1.7.24`.
    #[serde(default)]
    pub runtime: String,
    /// The agent's version.
    #[serde(default)]
    pub version: String,
    /// Where its pods are reached, if anywhere: an address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// How fast bytes come from neighbours, in bytes a second, as far as that is known before anything was measured; not known where it is 0.
    #[serde(default)]
    pub neighbours_bytes_per_second: u64,
    /// The same from elsewhere.
    #[serde(default)]
    pub outside_bytes_per_second: u64,
}

/// How busy a node is.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Load {
    /// Bytes that are free for images.
    pub disk_free_bytes: u64,
    /// The part of its upload rate that is in use, from 0 to 1.
    #[serde(default)]
    pub upload_load: f32,
    /// How fast bytes came from neighbours lately, in bytes a second; not measured where it is 0.
    #[serde(default)]
    pub neighbours_bytes_per_second: u64,
    /// How fast bytes came from elsewhere lately, in bytes a second; not measured where it is 0.
    #[serde(default)]
    pub outside_bytes_per_second: u64,
}

/// How a pod is.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PodReport {
    /// Which.
    pub id: PodId,
    /// How it is.
    #[serde(flatten)]
    pub state: PodState,
}

/// How far an image has come.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FetchReport {
    /// What asked for it.
    pub operation: OperationId,
    /// The image.
    pub image: Image,
    /// How far it is.
    pub state: FetchState,
    /// Bytes that are here.
    pub bytes_done: u64,
    /// Bytes in all; 0 where that is not known yet.
    pub bytes_total: u64,
    /// What went wrong, where something did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

impl FetchReport {
    /// What names it.
    pub fn key(&self) -> FetchKey {
        (self.operation, self.image.clone())
    }
}

/// How far an image is that was to be fetched.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum FetchState {
    /// Others are fetched first.
    Waiting,
    /// It is being fetched.
    Fetching,
    /// All of it is here.
    Done,
    /// It did not come.
    Failed,
}
