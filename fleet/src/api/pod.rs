//! Pods as they are.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Image, Name, NodeName, OwnerReference, PodId, PodState, WorkloadId};

/// A pod as it is.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PodView {
    /// What names it.
    pub pod_id: PodId,
    /// What it is called.
    pub name: String,
    /// Where it is.
    pub namespace: Name,
    /// What it is of.
    pub owner: OwnerReference,
    /// What names that.
    pub workload_id: WorkloadId,
    /// The image by digest.
    pub image: Image,
    /// The node that it is on, once it is on one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<NodeName>,
    /// How it is.
    #[serde(flatten)]
    pub state: PodState,
    /// Whether it is to end.
    #[serde(default)]
    pub ending: bool,
    /// Bytes that its node lacked when it was placed there, and that were not on their way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missing_bytes: Option<u64>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was placed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bound_at: Option<Timestamp>,
}
