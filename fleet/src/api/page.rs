//! Lists in parts.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A part of a list.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "{T}Page")]
pub struct Page<T> {
    /// What is in this part.
    pub items: Vec<T>,
    /// What to ask for the next part with, as `?after=`; nothing after the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// From where on a watch misses nothing that came after this list: for `GET /api/v1/watch?since=`.
    #[serde(default)]
    pub position: u64,
}
