//! Rows as callers see them.

use jiff::Timestamp;
use longshore_fleet::{
    AgentFacts, Bytes, Cpu, DeploymentId, DeploymentSpec, Image, JobId, JobSpec, NodeName, OwnerReference, Template,
    WorkloadKind,
    api::{DeploymentView, EventKind, FreeAndAll, JobView, NodeView, PodView, WorkloadState, WorkloadStatus},
};
use serde_json::Value;

use crate::state::{Micros, NodeRow, PodRow, RevisionRow, WorkloadRow};

/// A moment as callers see it.
pub(crate) fn timestamp(micros: Micros) -> Timestamp {
    Timestamp::from_microsecond(micros).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// What is wanted of a deployment, as it was written.
pub(crate) fn deployment_spec(row: &WorkloadRow, revision: &RevisionRow) -> Result<DeploymentSpec, serde_json::Error> {
    Ok(DeploymentSpec { upkeep: serde_json::from_value(row.spec.clone())?, template: as_written(revision) })
}

/// What is wanted of a job, as it was written.
pub(crate) fn job_spec(row: &WorkloadRow, revision: &RevisionRow) -> Result<JobSpec, serde_json::Error> {
    Ok(JobSpec { work: serde_json::from_value(row.spec.clone())?, template: as_written(revision) })
}

fn as_written(revision: &RevisionRow) -> Template {
    Template { image: revision.image.clone(), ..revision.template.clone() }
}

/// A deployment as callers see it.
pub(crate) fn deployment(row: &WorkloadRow, revision: &RevisionRow) -> Result<DeploymentView, serde_json::Error> {
    Ok(DeploymentView {
        deployment_id: DeploymentId(row.id.uuid),
        revision: row.revision,
        template_revision: row.template_revision,
        created_at: timestamp(row.created),
        updated_at: timestamp(row.updated),
        image: revision.template.image.clone(),
        status: status(row),
        spec: deployment_spec(row, revision)?,
    })
}

/// How a workload is: what is to go is going, also where the leader has not said so yet.
fn status(row: &WorkloadRow) -> WorkloadStatus {
    let state = if row.deleted.is_some() { WorkloadState::Deleting } else { row.status.state };
    WorkloadStatus { state, ..row.status.clone() }
}

/// A job as callers see it.
pub(crate) fn job(row: &WorkloadRow, revision: &RevisionRow) -> Result<JobView, serde_json::Error> {
    Ok(JobView {
        job_id: JobId(row.id.uuid),
        revision: row.revision,
        created_at: timestamp(row.created),
        updated_at: timestamp(row.updated),
        image: revision.template.image.clone(),
        status: status(row),
        spec: job_spec(row, revision)?,
    })
}

/// A workload as callers see it, as JSON.
pub(crate) fn workload(row: &WorkloadRow, revision: &RevisionRow) -> Result<Value, serde_json::Error> {
    match row.id.kind {
        WorkloadKind::Deployment => serde_json::to_value(deployment(row, revision)?),
        WorkloadKind::Job => serde_json::to_value(job(row, revision)?),
    }
}

/// A pod as callers see it.
pub(crate) fn pod(row: &PodRow, owner: OwnerReference, image: Image, node: Option<NodeName>) -> PodView {
    PodView {
        pod_id: row.id,
        name: row.name.clone(),
        namespace: row.namespace.clone(),
        owner,
        workload_id: row.workload,
        image,
        node,
        state: row.state.clone(),
        ending: row.end_within_seconds.is_some(),
        missing_bytes: row.missing_bytes,
        created_at: timestamp(row.created),
        bound_at: row.bound.map(timestamp),
    }
}

/// A node as callers see it, as far as the database knows: what only the leader does is as if nothing of it were free.
pub(crate) fn node(row: &NodeRow) -> NodeView {
    let facts: Option<AgentFacts> = row.facts.clone().and_then(|facts| serde_json::from_value(facts).ok());
    let nothing = AgentFacts {
        labels: longshore_fleet::Labels::new(),
        taints: Vec::new(),
        platform: longshore_oci::Platform::default(),
        cpu: Cpu::millis(0),
        memory: Bytes::new(0),
        pods: 0,
        not_ready: None,
        runtime: String::new(),
        version: String::new(),
        address: None,
        neighbours_bytes_per_second: 0,
        outside_bytes_per_second: 0,
    };
    let facts = facts.unwrap_or(nothing);
    NodeView {
        node_id: row.id,
        name: row.name.clone(),
        revision: row.revision,
        zone: facts.labels.get(crate::schedule::ZONE).map(ToString::to_string),
        labels: facts.labels,
        taints: facts.taints,
        platform: facts.platform,
        ready: false,
        reason: None,
        cordoned: row.is_cordoned,
        draining: row.is_draining,
        cpu: FreeAndAll { free: Cpu::millis(0), all: facts.cpu },
        memory: FreeAndAll { free: Bytes::new(0), all: facts.memory },
        pods: FreeAndAll { free: 0, all: facts.pods },
        disk_free_bytes: 0,
        layers: 0,
        runtime: facts.runtime,
        version: facts.version,
        address: facts.address,
        heard_at: None,
        joined_at: timestamp(row.joined),
    }
}

/// What events call workloads of a kind.
pub const fn event_kind(kind: WorkloadKind) -> EventKind {
    match kind {
        WorkloadKind::Deployment => EventKind::Deployment,
        WorkloadKind::Job => EventKind::Job,
    }
}
