//! Why a pod is where it is, or nowhere.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{NodeName, PodId};

/// Why a pod is where it is, or nowhere: every node's verdict, as things are now.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExplanationView {
    /// The pod; none where what is explained is one more pod of a workload.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_id: Option<PodId>,
    /// What is explained, in words: `hello-7f9c-a1 is on n1`, `hello-7f9c-a3 fits nowhere`.
    pub summary: String,
    /// Where the pod is, once it is somewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<NodeName>,
    /// What its node cost when it was placed there, where that is still known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub placed_at: Option<CostView>,
    /// Where one such pod would fit, the best first.
    pub fits: Vec<FitView>,
    /// Where it would not: nodes that refuse it for the same reasons together, the greatest group first.
    pub refused: Vec<RefusalView>,
    /// What would make it fit, what would do so on most nodes first.
    pub remedies: Vec<String>,
}

/// A node where a pod fits.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FitView {
    /// The node.
    pub node: NodeName,
    /// What it costs there.
    #[serde(flatten)]
    pub cost: CostView,
}

/// What a node costs a pod, in seconds, by term.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CostView {
    /// All of it.
    pub total_seconds: f32,
    /// How long it would wait for its bytes.
    pub start_seconds: f32,
    /// How full the node would be, and how evenly.
    pub balance_seconds: f32,
    /// Preferences for nodes, and taints that are not liked.
    pub preference_seconds: f32,
    /// What failed there, and what it uploads.
    pub health_seconds: f32,
    /// Pods that are near.
    pub neighbours_seconds: f32,
    /// Bytes that it lacks.
    pub missing_bytes: u64,
}

/// Nodes that refuse a pod for the same reasons.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RefusalView {
    /// The reasons, and by how much.
    pub reasons: Vec<String>,
    /// The nodes, by name.
    pub nodes: Vec<NodeName>,
}
