//! What a change would come to.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Image, NodeName};

/// What a change would come to, as things are now.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// The workload's name.
    pub name: String,
    /// Whether there is none of this name.
    pub is_new: bool,
    /// Which revision was looked at, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<u64>,
    /// What would be other than it is.
    pub changes: Vec<FieldChange>,
    /// The image by digest.
    pub image: Image,
    /// Where pods would be made.
    pub placements: Vec<PlacementView>,
    /// How many pods would fit nowhere.
    pub unplaced: u32,
    /// What would make them fit.
    pub remedies: Vec<String>,
    /// How many pods would be made, in all.
    pub makes: u32,
    /// How many pods would end, in all.
    pub ends: u32,
}

/// A field that would be other than it is.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FieldChange {
    /// Which: `env[2].value`.
    pub field: String,
    /// What it is; none where there is no such field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Value>,
    /// What it would be; none where there would be no such field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Value>,
}

/// Pods that would be made on a node.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PlacementView {
    /// Where.
    pub node: NodeName,
    /// How many.
    pub pods: u32,
    /// Bytes that the node lacks for the first of them.
    pub missing_bytes: u64,
    /// How long the first would wait for them, in seconds.
    pub wait_seconds: f32,
}
