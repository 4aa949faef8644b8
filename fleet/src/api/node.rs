//! Nodes as they are.

use std::collections::BTreeMap;

use jiff::Timestamp;
use longshore_oci::Platform;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::platform::PlatformForm;
use crate::{Bytes, Cpu, Labels, NodeId, NodeName, PodId, Taint};

/// A node as it is.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeView {
    /// What names it.
    pub node_id: NodeId,
    /// What it is called.
    pub name: NodeName,
    /// Counts what callers change of it: what a change says that it saw.
    #[serde(default)]
    pub revision: u64,
    /// Its labels.
    pub labels: Labels,
    /// What keeps pods off it.
    pub taints: Vec<Taint>,
    /// What it runs.
    #[schemars(with = "PlatformForm")]
    pub platform: Platform,
    /// Whether it can start pods.
    pub ready: bool,
    /// Why it can't.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Whether it gets no more pods.
    pub cordoned: bool,
    /// Whether its pods are taken off it.
    pub draining: bool,
    /// Its zone, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// Processor.
    pub cpu: FreeAndAll<Cpu>,
    /// Memory.
    pub memory: FreeAndAll<Bytes>,
    /// Pods.
    pub pods: FreeAndAll<u32>,
    /// Bytes that are free for images.
    pub disk_free_bytes: u64,
    /// How many layers it has.
    pub layers: u64,
    /// The container runtime and its version.
    pub runtime: String,
    /// Its agent's version.
    pub version: String,
    /// Where its pods are reached, if anywhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// When it was heard of last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heard_at: Option<Timestamp>,
    /// When it joined.
    pub joined_at: Timestamp,
}

/// How much there is, and how much of it is not asked for.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "{T}FreeAndAll")]
pub struct FreeAndAll<T> {
    /// How much no pod has asked for.
    pub free: T,
    /// How much there is.
    pub all: T,
}

/// How the nodes are, all together.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeHealth {
    /// All of those that were asked for.
    pub all: ZoneHealth,
    /// By zone; nodes without one stand at the empty name.
    pub zones: BTreeMap<String, ZoneHealth>,
    /// Nodes that are not ready, and why; the first hundred by name.
    pub not_ready: BTreeMap<NodeName, String>,
}

/// How many nodes are how.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ZoneHealth {
    /// How many there are.
    pub nodes: u32,
    /// How many can start pods.
    pub ready: u32,
    /// How many get no more pods.
    pub cordoned: u32,
    /// Whether so many are gone that it looks like the network's fault, so that their pods are not replaced.
    pub partitioned: bool,
}

/// A node is to be emptied.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DrainRequest {
    /// What makes a retry the same act.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation_id: Option<String>,
}

/// A node that has an image, or a layer.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Holder {
    /// Which.
    pub node: NodeName,
    /// Its zone, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// Bytes of it that are there.
    pub bytes_held: u64,
    /// Bytes of it in all.
    pub bytes_total: u64,
}

/// A token is wanted that lets nodes in.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct JoinTokenRequest {
    /// How long it lets nodes in, in seconds; a day where it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifetime_seconds: Option<u64>,
    /// How many nodes it lets in; one where it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uses: Option<u32>,
}

/// A token that lets nodes in, shown once.
#[derive(Clone, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct IssuedJoinToken {
    /// The token itself, which is nowhere else.
    pub token: String,
    /// What is known of it afterwards.
    #[serde(flatten)]
    pub view: JoinTokenView,
}

impl std::fmt::Debug for IssuedJoinToken {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("IssuedJoinToken").field("view", &self.view).finish_non_exhaustive()
    }
}

/// A token that lets nodes in, as far as it is known.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct JoinTokenView {
    /// The SHA-256 of it, in hex, which names it.
    pub hash: String,
    /// Its first signs, for people to tell it by.
    pub hint: String,
    /// When it runs out.
    pub expires_at: Timestamp,
    /// How many more nodes it lets in.
    pub uses_left: u32,
}

/// A pod that would better be elsewhere. Nothing moves by itself.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AdviceView {
    /// Which.
    pub pod_id: PodId,
    /// Where it is.
    pub from: NodeName,
    /// Where it would be.
    pub to: NodeName,
    /// Bytes that would have to be fetched there.
    pub missing_bytes: u64,
}
