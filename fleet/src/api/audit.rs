//! Who did what.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A line of the audit log: a change, or a refusal.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditView {
    /// Its number; later lines have greater ones.
    pub number: u64,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub account: String,
    /// From where.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// What was asked: `POST /api/v1/workloads/deployments`.
    pub request: String,
    /// What it was about: `deployment team/web`.
    pub subject: String,
    /// What became of it: the answer's status, or a problem's code.
    pub outcome: String,
    /// What names the request in logs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}
