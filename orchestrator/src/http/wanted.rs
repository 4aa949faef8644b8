//! What is wanted of a workload, of either kind.

use longshore_fleet::{DeploymentSpec, Faults, JobSpec, Name, Place, Template, WorkloadId, WorkloadKind};
use serde_json::Value;

use crate::{
    charge,
    error::Error,
    orchestrator::Orchestrator,
    schedule::Owner,
    state::{Charge, RevisionRow, WorkloadRow},
    view,
};

pub use crate::view::event_kind;

/// What is wanted of a workload.
#[derive(Clone, Debug, PartialEq)]
pub enum Wanted {
    /// Of a deployment.
    Deployment(Box<DeploymentSpec>),
    /// Of a job.
    Job(Box<JobSpec>),
}

impl Wanted {
    /// Reads what somebody has written.
    pub fn read(kind: WorkloadKind, value: Value) -> Result<Self, Faults> {
        match kind {
            WorkloadKind::Deployment => DeploymentSpec::read(value).map(|spec| Self::Deployment(Box::new(spec))),
            WorkloadKind::Job => JobSpec::read(value).map(|spec| Self::Job(Box::new(spec))),
        }
    }

    /// Where it is.
    pub fn namespace(&self) -> &Name {
        match self {
            Self::Deployment(spec) => &spec.upkeep.namespace,
            Self::Job(spec) => &spec.work.namespace,
        }
    }

    /// What it is called there.
    pub fn name(&self) -> &Name {
        match self {
            Self::Deployment(spec) => &spec.upkeep.name,
            Self::Job(spec) => &spec.work.name,
        }
    }

    /// What its pods are made from; the image as it was written.
    pub fn template(&self) -> &Template {
        match self {
            Self::Deployment(spec) => &spec.template,
            Self::Job(spec) => &spec.template,
        }
    }

    /// How many pods it has at once, where all is as it is wanted.
    pub fn pods(&self) -> u32 {
        match self {
            Self::Deployment(spec) => spec.upkeep.replicas,
            Self::Job(spec) => spec.work.parallelism.min(spec.work.completions),
        }
    }

    /// What its pods are placed by.
    pub fn owner(&self) -> Owner<'_> {
        match self {
            Self::Deployment(spec) => (&spec.upkeep).into(),
            Self::Job(spec) => (&spec.work).into(),
        }
    }

    /// What is asked of its namespace's quota.
    pub fn charge(&self) -> Charge {
        charge::of(self.pods(), self.template())
    }

    /// What of it is not its pods', as it is stored.
    pub fn stored(&self) -> Value {
        let stored = match self {
            Self::Deployment(spec) => serde_json::to_value(&spec.upkeep),
            Self::Job(spec) => serde_json::to_value(&spec.work),
        };
        stored.unwrap_or_else(|_| unreachable!("what was read from JSON is JSON"))
    }

    /// All of it as JSON.
    pub fn value(&self) -> Value {
        let value = match self {
            Self::Deployment(spec) => serde_json::to_value(spec),
            Self::Job(spec) => serde_json::to_value(spec),
        };
        value.unwrap_or_else(|_| unreachable!("what was read from JSON is JSON"))
    }

    /// Finds what can't be other than it was.
    pub fn check_against(&self, before: &Self, faults: &mut Faults) {
        let root = Place::root();
        for (field, was, is) in [("namespace", before.namespace(), self.namespace()), ("name", before.name(), self.name())] {
            if was != is {
                faults.add(&root.field(field), format!("is {was}, and can't be changed"));
            }
        }
        if let (Self::Job(before), Self::Job(after)) = (before, self) {
            for change in super::merge::changes(&value_of(&before.template), &value_of(&after.template)) {
                faults.add(&root.field(&change.field), "can't be changed once a job was made: make another one");
            }
            for (field, is_same) in [
                ("completions", before.work.completions == after.work.completions),
                ("gang", before.work.gang == after.work.gang),
            ] {
                if !is_same {
                    faults.add(&root.field(field), "can't be changed once a job was made: make another one");
                }
            }
        }
    }
}

fn value_of(template: &Template) -> Value {
    serde_json::to_value(template).unwrap_or_else(|_| unreachable!("what was read from JSON is JSON"))
}

/// What people call workloads of a kind.
pub const fn noun(kind: WorkloadKind) -> &'static str {
    match kind {
        WorkloadKind::Deployment => "deployment",
        WorkloadKind::Job => "job",
    }
}

/// A workload that is there, and what its pods are made from.
#[derive(Clone, Debug)]
pub struct Found {
    /// It.
    pub row: WorkloadRow,
    /// What its pods are made from.
    pub revision: RevisionRow,
}

impl Found {
    /// The workload of an id, where there is one.
    pub async fn by_id(orchestrator: &Orchestrator, id: WorkloadId) -> Result<Self, Error> {
        let row = orchestrator.state.workload(id).await?;
        let row = row.ok_or_else(|| Error::not_found(noun(id.kind), id))?;
        Self::of(orchestrator, row).await
    }

    /// The same of a row that was read.
    pub async fn of(orchestrator: &Orchestrator, row: WorkloadRow) -> Result<Self, Error> {
        let revision = orchestrator.state.revision(row.id, row.template_revision).await?;
        // Between both it may have gone.
        let revision = revision.ok_or_else(|| Error::not_found(noun(row.id.kind), row.id))?;
        Ok(Self { row, revision })
    }

    /// What is wanted of it.
    pub fn wanted(&self) -> Result<Wanted, Error> {
        let read = match self.row.id.kind {
            WorkloadKind::Deployment => {
                view::deployment_spec(&self.row, &self.revision).map(|spec| Wanted::Deployment(Box::new(spec)))
            }
            WorkloadKind::Job => view::job_spec(&self.row, &self.revision).map(|spec| Wanted::Job(Box::new(spec))),
        };
        read.map_err(|_| self.unreadable())
    }

    /// It as callers see it.
    pub fn view(&self) -> Result<Value, Error> {
        view::workload(&self.row, &self.revision).map_err(|_| self.unreadable())
    }

    /// What people call it: `deployment team/web`.
    pub fn told(&self) -> String {
        format!("{} {}/{}", noun(self.row.id.kind), self.row.namespace, self.row.name)
    }

    fn unreadable(&self) -> Error {
        Error::State(crate::state::StateError::Unreadable { column: "spec", value: self.row.id.to_string() })
    }
}
