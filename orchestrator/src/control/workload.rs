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
    /// How many of them do their work.
    pub(crate) ready: u32,
    /// The rollout that goes on, or went on last.
    pub(crate) rollout: Option<RolloutRow>,
    /// How far it is, once this leader has seen that.
    pub(crate) progress: Option<Progress>,
    /// Since when it is no further; of a job that has ended, since when.
    pub(crate) progressed: Millis,
    /// How it is.
    pub(crate) status: WorkloadStatus,
    /// When its status was written last.
    pub(crate) status_written: Millis,
    /// Of a job: failures one after the other, and until when no pod is made for that.
    pub(crate) failures: u32,
    pub(crate) retry_at: Millis,
    /// Revisions that this leader has forgotten.
    pub(crate) forgotten: BTreeSet<u64>,
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
        // Leaders before have written it down.
        let progressed = row.status.progressed_at.map_or(now, |at| at.as_millisecond().min(now));
        Self {
            status: row.status.clone(),
            row,
            asked,
            revisions: BTreeMap::new(),
            pods: BTreeSet::new(),
            ready: 0,
            rollout: None,
            progress: None,
            progressed,
            status_written: 0,
            failures: 0,
            retry_at: 0,
            forgotten: BTreeSet::new(),
        }
    }

    pub(crate) const fn is_deployment(&self) -> bool {
        matches!(self.row.id.kind, WorkloadKind::Deployment)
    }

    /// What its pods are to be made from.
    pub(crate) fn current(&self) -> Option<&Revision> {
        self.revisions.get(&self.row.template_revision)
    }

    /// Revisions that its pods are not to be made from now, what was wanted last before the others.
    pub(crate) fn revisions_before(&self) -> Vec<u64> {
        let others = self.revisions.values().map(|revision| &revision.row);
        let mut others: Vec<&RevisionRow> = others.filter(|row| row.number != self.row.template_revision).collect();
        others.sort_unstable_by_key(|row| std::cmp::Reverse((row.wanted, row.number)));
        others.into_iter().map(|row| row.number).collect()
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

#[cfg(test)]
mod tests {
    use longshore_fleet::{WorkloadId, api::WorkloadStatus};
    use serde_json::json;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn what_was_wanted_last_comes_before_what_has_a_greater_number() {
        let id = WorkloadId { kind: WorkloadKind::Deployment, uuid: Uuid::nil() };
        let spec = json!({"namespace": "default", "name": "web"});
        let row = WorkloadRow {
            id,
            namespace: "default".parse().unwrap(),
            name: "web".parse().unwrap(),
            revision: 13,
            template_revision: 13,
            spec: spec.clone(),
            created: 0,
            updated: 0,
            deleted: None,
            status: WorkloadStatus::default(),
        };
        let mut workload = Workload::new(row.clone(), Asked::read(id.kind, &spec).unwrap(), 0);
        // Eleven of them, back to the first, and then another.
        for (number, wanted) in (2..=11).map(|number| (number, number)).chain([(1, 12), (13, 13)]) {
            let template = serde_json::from_value(json!({"image": "hub.test/app:1"})).unwrap();
            let image = "hub.test/app:1".parse().unwrap();
            let revision = RevisionRow {
                workload: id,
                number,
                wanted,
                template,
                image,
                layers: vec![],
                created: 0,
                author: None,
                refused: None,
            };
            workload.revisions.insert(number, Revision::new(revision, &row));
        }
        assert_eq!(workload.revisions_before()[..3], [1, 11, 10]);
    }
}
