//! A database that forgets nothing: what the real ones must do, on one page.

use std::collections::BTreeMap;

use longshore_fleet::{NodeId, OperationId, PodId, WorkloadId};

use crate::state::{Batch, LayerRow, NodeRow, OperationRow, PodRow, RevisionRow, RolloutRow, WorkloadRow, Write};

/// What a caller has changed, for a leader that follows.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Changed {
    Workload(WorkloadId),
    Node(NodeId),
}

#[derive(Debug, Default)]
pub(super) struct Database {
    pub(super) term: u64,
    pub(super) committed: (u64, u64),
    pub(super) workloads: BTreeMap<WorkloadId, WorkloadRow>,
    pub(super) revisions: BTreeMap<(WorkloadId, u64), RevisionRow>,
    pub(super) rollouts: BTreeMap<(WorkloadId, u64), RolloutRow>,
    pub(super) pods: BTreeMap<PodId, PodRow>,
    pub(super) nodes: BTreeMap<NodeId, NodeRow>,
    pub(super) layers: BTreeMap<NodeId, Vec<LayerRow>>,
    pub(super) operations: BTreeMap<OperationId, OperationRow>,
    pub(super) changes: Vec<Changed>,
    /// Where each pod was ever placed.
    pub(super) bound: BTreeMap<PodId, NodeId>,
}

impl Database {
    /// A leader's changes; false where another leads by now.
    pub(super) fn commit(&mut self, term: u64, batch: &Batch) -> bool {
        if term != self.term {
            return false;
        }
        if self.committed == (term, batch.number) {
            return true;
        }
        self.committed = (term, batch.number);
        for write in &batch.writes {
            self.write(write);
        }
        true
    }

    fn write(&mut self, write: &Write) {
        match write.clone() {
            Write::PutPod(row) => {
                if let Some(node) = row.node {
                    let before = *self.bound.entry(row.id).or_insert(node);
                    assert_eq!(before, node, "{} was bound twice", row.name);
                }
                self.pods.insert(row.id, *row);
            }
            Write::RemovePod(id) => {
                self.pods.remove(&id);
            }
            Write::PutStatus(id, status) => {
                if let Some(row) = self.workloads.get_mut(&id) {
                    row.status = status;
                }
            }
            Write::RemoveWorkload(id) => {
                let left = self.pods.values().filter(|pod| pod.workload == id).count();
                assert_eq!(left, 0, "a workload goes after its pods");
                self.workloads.remove(&id);
                self.revisions.retain(|(workload, _), _| *workload != id);
            }
            Write::RemoveRevision(id, number) => {
                if self.workloads.get(&id).is_none_or(|row| row.template_revision != number) {
                    self.revisions.remove(&(id, number));
                }
            }
            Write::PutRevision(row) => {
                self.revisions.insert((row.workload, row.number), *row);
            }
            Write::PutRefusal(id, number, why) => {
                if let Some(row) = self.revisions.get_mut(&(id, number)) {
                    row.refused = why;
                }
            }
            Write::PutRollout(row) => {
                self.rollouts.insert((row.workload, row.revision), row);
            }
            Write::PutFacts(id, facts) => {
                if let Some(row) = self.nodes.get_mut(&id) {
                    row.facts = Some(facts);
                }
            }
            Write::PutLayers(id, layers) => {
                self.layers.insert(id, layers);
            }
            Write::PutOperation(row) => {
                self.operations.insert(row.id, *row);
            }
            other => unreachable!("a leader does not write {other:?}"),
        }
    }

    /// A caller's change of a workload.
    pub(super) fn put_workload(&mut self, row: WorkloadRow, revision: Option<RevisionRow>) {
        if let Some(revision) = revision {
            self.revisions.insert((row.id, revision.number), revision);
        }
        self.changes.push(Changed::Workload(row.id));
        self.workloads.insert(row.id, row);
    }

    /// A caller's change of a node.
    pub(super) fn put_node(&mut self, row: NodeRow) {
        self.changes.push(Changed::Node(row.id));
        self.nodes.insert(row.id, row);
    }

    pub(super) fn remove_node(&mut self, id: NodeId) {
        self.changes.push(Changed::Node(id));
        self.nodes.remove(&id);
        self.layers.remove(&id);
    }

    pub(super) fn revisions_of(&self, id: WorkloadId) -> Vec<RevisionRow> {
        self.revisions.range((id, 0)..=(id, u64::MAX)).map(|(_, row)| row.clone()).collect()
    }
}
