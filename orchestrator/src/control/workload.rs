//! A workload as the leader knows it.

use std::collections::{BTreeMap, BTreeSet};

use longshore_fleet::{Class, DisruptionBudget, Labels, PodId, Upkeep, Work, WorkloadKind, api::WorkloadStatus};
use rustc_hash::FxHashMap as HashMap;
use serde_json::Value;

use super::verdicts::Known;
use crate::{
    labels,
    schedule::{Demand, DemandIndex, Millis, Owner},
    state::{RevisionRow, RolloutRow, WorkloadRow},
};

/// A workload.
#[derive(Debug)]
pub(crate) struct Workload {
    pub(crate) row: WorkloadRow,
    pub(crate) asked: Asked,
    pub(crate) revisions: BTreeMap<u64, Revision>,
    pub(crate) pods: BTreeSet<PodId>,
    /// The rollout that goes on, or went on last.
    pub(crate) rollout: Option<RolloutRow>,
    /// How far it is, and since when it is no further.
    pub(crate) progress: (Progress, Millis),
    /// How it is.
    pub(crate) status: WorkloadStatus,
    /// When its status was written last.
    pub(crate) status_written: Millis,
    /// Of a job: failures one after the other, and until when no pod is made for that.
    pub(crate) failures: u32,
    pub(crate) retry_at: Millis,
    /// Whether its image may not run, and why.
    pub(crate) refused: Option<String>,
}

/// What is asked for.
#[derive(Clone, Debug)]
pub(crate) enum Asked {
    Deployment(Box<Upkeep>),
    Job(Box<Work>),
}

/// What shows that a workload gets on.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Progress {
    pub(crate) revision: u64,
    pub(crate) updated: u32,
    pub(crate) available: u32,
    pub(crate) old: u32,
}

/// What pods are made from.
#[derive(Debug)]
pub(crate) struct Revision {
    pub(crate) row: RevisionRow,
    /// What selectors see of its pods.
    pub(crate) labels: Labels,
    /// What stands in its pods' names.
    pub(crate) mark: String,
    /// Where the scheduler keeps what its pods want, once it was asked.
    pub(crate) demand: Option<DemandIndex>,
    /// Whether its image may run.
    pub(crate) known: Known,
    /// Pods that wait for that to be known.
    pub(crate) waiting: BTreeSet<PodId>,
}

impl Asked {
    /// From how it is stored.
    pub(crate) fn read(kind: WorkloadKind, spec: &Value) -> Result<Self, serde_json::Error> {
        Ok(match kind {
            WorkloadKind::Deployment => Self::Deployment(Box::new(serde_json::from_value(spec.clone())?)),
            WorkloadKind::Job => Self::Job(Box::new(serde_json::from_value(spec.clone())?)),
        })
    }

    pub(crate) fn owner(&self) -> Owner<'_> {
        match self {
            Self::Deployment(upkeep) => upkeep.as_ref().into(),
            Self::Job(work) => work.as_ref().into(),
        }
    }

    pub(crate) fn class(&self) -> Class {
        self.owner().class
    }

    pub(crate) fn priority(&self) -> i32 {
        self.owner().priority
    }

    /// How many pods are wanted at once.
    pub(crate) fn wanted(&self) -> u32 {
        match self {
            Self::Deployment(upkeep) => upkeep.replicas,
            Self::Job(work) => work.parallelism.min(work.completions),
        }
    }

    /// How many pods those who drain nodes must leave; a job has no such bound.
    pub(crate) fn disruption(&self) -> DisruptionBudget {
        match self {
            Self::Deployment(upkeep) => upkeep.disruption,
            Self::Job(_) => DisruptionBudget::default(),
        }
    }

    pub(crate) const fn min_ready_seconds(&self) -> u32 {
        match self {
            Self::Deployment(upkeep) => upkeep.min_ready_seconds,
            Self::Job(_) => 0,
        }
    }

    pub(crate) const fn is_gang(&self) -> bool {
        match self {
            Self::Deployment(_) => false,
            Self::Job(work) => work.gang,
        }
    }
}

impl Workload {
    pub(crate) fn new(row: WorkloadRow, asked: Asked, now: Millis) -> Self {
        Self {
            status: row.status.clone(),
            row,
            asked,
            revisions: BTreeMap::new(),
            pods: BTreeSet::new(),
            rollout: None,
            progress: (Progress::default(), now),
            status_written: 0,
            failures: 0,
            retry_at: 0,
            refused: None,
        }
    }

    pub(crate) const fn is_deployment(&self) -> bool {
        matches!(self.row.id.kind, WorkloadKind::Deployment)
    }

    /// What its pods are to be made from.
    pub(crate) fn current(&self) -> Option<&Revision> {
        self.revisions.get(&self.row.template_revision)
    }

    /// All that the scheduler was asked about for it.
    pub(crate) fn demands(&self) -> Vec<DemandIndex> {
        self.revisions.values().filter_map(|revision| revision.demand).collect()
    }

    pub(crate) fn rename_demands(&mut self, renamed: &HashMap<DemandIndex, DemandIndex>) {
        for revision in self.revisions.values_mut() {
            revision.demand = revision.demand.and_then(|demand| renamed.get(&demand).copied());
        }
    }

    /// It as callers see it.
    pub(crate) fn view(&self) -> Result<Value, serde_json::Error> {
        let row = WorkloadRow { status: self.status.clone(), ..self.row.clone() };
        let Some(revision) = self.current() else { return Ok(Value::Null) };
        crate::view::workload(&row, &revision.row)
    }
}

impl Revision {
    pub(crate) fn new(row: RevisionRow, workload: &WorkloadRow) -> Self {
        let labels = labels::of_pods(workload.id.kind, &workload.name, &row.template);
        let mark = labels::mark(&row.template);
        Self { row, labels, mark, demand: None, known: Known::default(), waiting: BTreeSet::new() }
    }

    /// What its pods want of a node.
    pub(crate) fn wants(&self, asked: &Asked) -> Demand {
        Demand::of(&asked.owner(), self.labels.clone(), &self.row.template, self.row.layers.clone())
    }
}
