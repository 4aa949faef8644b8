//! A pod as it is: how far it has come, and what became of it.

use std::fmt;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Name, text::as_text};

/// What a pod is of.
#[derive(Clone, Debug, Deserialize, Eq, Hash, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OwnerReference {
    /// Which kind of workload.
    pub kind: WorkloadKind,
    /// Its name.
    pub name: Name,
    /// The revision that it was made from.
    pub revision: u64,
}

/// A kind of workload.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, JsonSchema, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum WorkloadKind {
    /// A number of equal pods that are kept running.
    Deployment,
    /// A number of pods that must end well.
    Job,
}

impl fmt::Display for WorkloadKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Deployment => "deployment",
            Self::Job => "job",
        })
    }
}

/// What names a workload: `dep_` or `job_` and a UUID.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct WorkloadId {
    /// Which kind it is.
    pub kind: WorkloadKind,
    /// Which of them.
    pub uuid: Uuid,
}

impl From<crate::DeploymentId> for WorkloadId {
    fn from(id: crate::DeploymentId) -> Self {
        Self { kind: WorkloadKind::Deployment, uuid: id.0 }
    }
}

impl From<crate::JobId> for WorkloadId {
    fn from(id: crate::JobId) -> Self {
        Self { kind: WorkloadKind::Job, uuid: id.0 }
    }
}

impl fmt::Display for WorkloadId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            WorkloadKind::Deployment => crate::DeploymentId(self.uuid).fmt(formatter),
            WorkloadKind::Job => crate::JobId(self.uuid).fmt(formatter),
        }
    }
}

impl std::str::FromStr for WorkloadId {
    type Err = crate::InvalidId;

    fn from_str(text: &str) -> Result<Self, crate::InvalidId> {
        match text.parse::<crate::JobId>() {
            Ok(id) => Ok(id.into()),
            Err(_) => text.parse::<crate::DeploymentId>().map(Self::from),
        }
    }
}

as_text!(WorkloadId, "`dep_` or `job_` and a UUID");

/// How a pod is, as its node says.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PodState {
    /// How far it has come.
    pub phase: Phase,
    /// Whether it does its work: it runs, and its readiness probe says so.
    #[serde(default)]
    pub ready: bool,
    /// Since when it is, or is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready_since: Option<Timestamp>,
    /// How often its container was started again.
    #[serde(default)]
    pub restarts: u32,
    /// Why it is so, in one word: `CrashLoopBackOff`, `ImagePullBackOff`, `OOMKilled`, `Error`, `Completed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Why it is so, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The exit code of its container that ended last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// When its container was started last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// From the moment that the node heard of it until its container ran for the first time, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_in_ms: Option<u64>,
    /// Its address, where it has one of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
}

/// How far a pod has come.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, JsonSchema, Ord, PartialEq, PartialOrd, Serialize)]
pub enum Phase {
    /// It has no node, or its node has not heard of it.
    #[default]
    Pending,
    /// Its image is being fetched.
    Pulling,
    /// Its container is being made.
    Starting,
    /// Its container runs.
    Running,
    /// Something failed, and is tried again later: the reason says what.
    Waiting,
    /// It was told to end.
    Ending,
    /// It has ended well.
    Succeeded,
    /// It has ended, and not well.
    Failed,
}

impl Phase {
    /// Whether nothing of it will run again.
    pub const fn has_ended(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed)
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, formatter)
    }
}
