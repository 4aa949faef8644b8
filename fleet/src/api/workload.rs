//! Workloads as they are.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Amounts, DeploymentId, DeploymentSpec, Image, JobId, JobSpec, NamespaceSpec};

/// What a change came to.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Applied {
    /// The deployment that was changed, where it was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployment_id: Option<DeploymentId>,
    /// The job that was changed, where it was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job_id: Option<JobId>,
    /// How it is now.
    pub status: WorkloadStatus,
    /// Its revision now.
    pub revision: u64,
    /// Whether anything is other than before.
    pub changed: bool,
    /// The image by digest.
    pub image: Image,
}

/// A deployment as it is.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DeploymentView {
    /// What names it.
    pub deployment_id: DeploymentId,
    /// Counts its changes: what a change must name to say which it saw.
    pub revision: u64,
    /// The revision that what its pods are made from is of.
    pub template_revision: u64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
    /// The image by digest.
    pub image: Image,
    /// How it is.
    pub status: WorkloadStatus,
    /// What is wanted; its image as it was written.
    pub spec: DeploymentSpec,
}

/// A job as it is.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct JobView {
    /// What names it.
    pub job_id: JobId,
    /// Counts its changes: what a change must name to say which it saw.
    pub revision: u64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
    /// The image by digest.
    pub image: Image,
    /// How it is.
    pub status: WorkloadStatus,
    /// What is wanted; its image as it was written.
    pub spec: JobSpec,
}

/// How a workload is.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkloadStatus {
    /// The revision of the workload that this was found out for: of a later one it tells nothing yet. 0 where nobody has looked.
    #[serde(default)]
    pub observed_revision: u64,
    /// In one word.
    pub state: WorkloadState,
    /// In words, where there is more to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// How many pods are wanted.
    pub wanted: u32,
    /// How many pods there are, those that are ending aside.
    pub pods: u32,
    /// How many of them are of the template that is wanted.
    pub updated: u32,
    /// How many are ready.
    pub ready: u32,
    /// How many have been ready for long enough to count.
    pub available: u32,
    /// How many wait for a node.
    pub unplaced: u32,
    /// How many have ended well; of jobs.
    #[serde(default)]
    pub succeeded: u32,
    /// How many have failed; of jobs.
    #[serde(default)]
    pub failed: u32,
    /// When it got further last: a rollout, or a job by a pod that has ended; of a job that has ended, when that was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progressed_at: Option<Timestamp>,
}

/// How a workload is, in one word.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum WorkloadState {
    /// It is on its way to what is wanted.
    #[default]
    Progressing,
    /// It is as it is wanted.
    Available,
    /// It has stood still for longer than it may.
    Stuck,
    /// It has ended well; of jobs.
    Succeeded,
    /// It has failed; of jobs.
    Failed,
    /// Its pods are ending, and it goes with the last.
    Deleting,
}

impl std::fmt::Display for WorkloadState {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Debug::fmt(self, formatter)
    }
}

/// What pods of a workload were made from at one time.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RevisionView {
    /// Its number.
    pub revision: u64,
    /// The image as it was written.
    pub image: Image,
    /// The image by digest.
    pub resolved: Image,
    /// When it was made.
    pub created_at: Timestamp,
    /// By whom, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// Whether pods are made from it now.
    pub is_current: bool,
    /// How many pods of it there are.
    pub pods: u32,
}

/// Another number of pods.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ScaleRequest {
    /// How many.
    pub replicas: u32,
    /// Why, for those who read what has happened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Which revision the caller saw.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub if_revision: Option<u64>,
    /// What makes a retry the same act.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation_id: Option<String>,
}

/// Back to what pods were made from before.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RollbackRequest {
    /// As of which revision; the one before what is wanted now where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<u64>,
    /// Why, for those who read what has happened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Which revision the caller saw.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub if_revision: Option<u64>,
    /// What makes a retry the same act.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation_id: Option<String>,
}

/// A namespace as it is.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NamespaceView {
    /// Counts its changes.
    pub revision: u64,
    /// What is wanted.
    #[serde(flatten)]
    pub spec: NamespaceSpec,
    /// What its workloads ask for, all together.
    pub asked: Amounts,
    /// How many pods its workloads ask for.
    pub pods: u32,
}
