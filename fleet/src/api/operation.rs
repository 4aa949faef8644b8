//! Long work.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{FetchState, Image, Name, NodeName, OperationId, Selector};

/// Images are to be fetched before they are needed.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PrewarmRequest {
    /// The images.
    pub images: Vec<Image>,
    /// On nodes with such labels; of all where none of these is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nodes: Option<Selector>,
    /// On nodes of this zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// On the nodes where pods of this deployment would go: `namespace` and `workload` name it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workload: Option<Name>,
    /// Where the workload is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<Name>,
    /// How long they are to stay, whatever else needs room, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pin_seconds: Option<u64>,
    /// Within how many seconds they must be there, or it has failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline_seconds: Option<u64>,
    /// What makes a retry the same act.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation_id: Option<String>,
}

/// Long work as it is.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OperationView {
    /// What names it.
    pub operation_id: OperationId,
    /// How it is.
    pub state: OperationState,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// What was asked for.
    pub request: PrewarmRequest,
    /// How far each node is.
    pub nodes: BTreeMap<NodeName, Vec<FetchView>>,
    /// How many bytes are there.
    pub bytes_done: u64,
    /// How many there will be, as far as that is known.
    pub bytes_total: u64,
}

/// How far an image is on a node.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FetchView {
    /// The image by digest.
    pub image: Image,
    /// How far it is.
    pub state: FetchState,
    /// Bytes that are there.
    pub bytes_done: u64,
    /// Bytes in all.
    pub bytes_total: u64,
    /// What went wrong, where something did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// How long work is.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum OperationState {
    /// It goes on.
    Running,
    /// All that was asked for is done.
    Succeeded,
    /// Some of it was not.
    Failed,
    /// Somebody has stopped it.
    Cancelled,
}

impl OperationState {
    /// Whether nothing more will come.
    pub const fn has_ended(self) -> bool {
        !matches!(self, Self::Running)
    }
}
