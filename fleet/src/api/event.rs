//! What has happened, in order.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Name;

/// Something has happened.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// Where it stands among all: each is one more than the one before.
    pub position: u64,
    /// When.
    pub at: Timestamp,
    /// To what kind of thing.
    pub kind: EventKind,
    /// What became of it.
    pub change: Change,
    /// What names it.
    pub id: String,
    /// Where it is, if it is in a namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<Name>,
    /// What it is called.
    pub name: String,
    /// What has happened, in one word: `Created`, `Scaled`, `Placed`, `FitsNowhere`, `CrashLoopBackOff`.
    pub reason: String,
    /// What has happened, in words.
    #[serde(default)]
    pub message: String,
    /// Who did it, where it was somebody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// It as it was then: what a GET of it had answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<Value>,
}

/// What something has happened to.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, JsonSchema, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum EventKind {
    /// A namespace.
    Namespace,
    /// A deployment.
    Deployment,
    /// A job.
    Job,
    /// A pod.
    Pod,
    /// A node.
    Node,
    /// An operation.
    Operation,
}

/// What became of a thing.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Change {
    /// It is new.
    Added,
    /// It is other than before.
    Changed,
    /// It is gone.
    Deleted,
    /// It is as before: something is told about it.
    Noted,
}
