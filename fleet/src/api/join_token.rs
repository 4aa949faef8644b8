//! Tokens that let nodes join.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A token is to be made that lets nodes join.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewJoinToken {
    /// How long it is good, in seconds; an hour where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl_seconds: Option<u64>,
    /// How many nodes it lets in; one where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uses: Option<u32>,
    /// What makes a retry the same act.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation_id: Option<String>,
}

/// A token that lets nodes join, without its secret.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct JoinTokenView {
    /// The SHA-256 of it, in hex: what names it.
    pub hash: String,
    /// Its first signs, for people to tell it by.
    pub hint: String,
    /// When it runs out.
    pub expires_at: Timestamp,
    /// How many more nodes it lets in.
    pub uses_left: u32,
}

/// A token that was made, with its secret: this once.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct IssuedJoinToken {
    /// What a node shows.
    pub token: String,
    /// What is kept of it.
    #[serde(flatten)]
    pub view: JoinTokenView,
}
