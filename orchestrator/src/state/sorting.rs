//! Puts changes of a kind together, so that many of them are few statements.
//!
//! What a leader writes in masses is put once for each row, as it was said last: pods, statuses, what nodes say, their layers, rollouts,
//! and workloads that go. Each of these waits until something comes that meets its table in another way, or until the end; the rest is
//! done one by one, in its order. What comes of it is what doing everything in its order comes to.
//!
//! What is asked of quotas is added up, waits too, and comes in the order of the namespaces: their rows are what callers meet at, and so
//! are held by each for as short as can be, and by no two in such a way that each waits for the other.

use std::collections::{BTreeMap, BTreeSet};

use longshore_fleet::{Name, NodeId, PodId, WorkloadId, api::WorkloadStatus};
use serde_json::Value;

use super::{Charge, LayerRow, PodRow, RolloutRow, Write};

/// What is done at once.
#[derive(Debug, PartialEq)]
pub enum Step<'w> {
    /// These pods are put.
    PutPods(Vec<&'w PodRow>),
    /// These pods go.
    RemovePods(Vec<PodId>),
    /// These workloads are so.
    PutStatuses(Vec<(WorkloadId, &'w WorkloadStatus)>),
    /// These rollouts are put.
    PutRollouts(Vec<&'w RolloutRow>),
    /// These workloads go.
    RemoveWorkloads(Vec<WorkloadId>),
    /// These nodes said this.
    PutFacts(Vec<(NodeId, &'w Value)>),
    /// These nodes have these layers.
    PutLayers(Vec<(NodeId, &'w [LayerRow])>),
    /// This is asked of these namespaces' quotas.
    Charge(Vec<(&'w Name, Charge)>),
    /// Anything else.
    One(&'w Write),
}

/// The steps that come to the same as these changes in their order.
pub fn sort(writes: &[Write]) -> Vec<Step<'_>> {
    let mut sorting = Sorting::default();
    for write in writes {
        sorting.take(write);
    }
    sorting.finish()
}

/// What waits, by the row that it is about, and the steps before it.
#[derive(Default)]
struct Sorting<'w> {
    steps: Vec<Step<'w>>,
    pods: BTreeMap<PodId, Option<&'w PodRow>>,
    statuses: BTreeMap<WorkloadId, &'w WorkloadStatus>,
    rollouts: BTreeMap<(WorkloadId, u64), &'w RolloutRow>,
    removed: BTreeSet<WorkloadId>,
    facts: BTreeMap<NodeId, &'w Value>,
    layers: BTreeMap<NodeId, &'w [LayerRow]>,
    charges: BTreeMap<&'w Name, Charge>,
}

impl<'w> Sorting<'w> {
    fn take(&mut self, write: &'w Write) {
        match write {
            Write::PutPod(pod) => drop(self.pods.insert(pod.id, Some(pod))),
            Write::RemovePod(id) => drop(self.pods.insert(*id, None)),
            Write::PutStatus(id, status) => drop(self.statuses.insert(*id, status)),
            Write::RemoveWorkload(id) => drop(self.removed.insert(*id)),
            Write::PutFacts(id, facts) => drop(self.facts.insert(*id, facts)),
            Write::PutLayers(id, layers) => drop(self.layers.insert(*id, layers)),
            Write::PutRollout(rollout) => {
                if self.removed.contains(&rollout.workload) {
                    self.finish_workloads();
                }
                self.rollouts.insert((rollout.workload, rollout.revision), rollout);
            }
            Write::PutWorkload(..) | Write::PutRevision(_) | Write::RemoveRevision(..) => {
                self.finish_workloads();
                self.steps.push(Step::One(write));
            }
            Write::Charge(name, more) => {
                let charge = self.charges.entry(name).or_default();
                charge.cpu_millis = charge.cpu_millis.saturating_add(more.cpu_millis);
                charge.memory_bytes = charge.memory_bytes.saturating_add(more.memory_bytes);
                charge.pods = charge.pods.saturating_add(more.pods);
            }
            Write::PutNamespace(..) | Write::RemoveNamespace(..) => {
                self.finish_workloads();
                self.finish_charges();
                self.steps.push(Step::One(write));
            }
            Write::PutNode(..) | Write::RemoveNode(_) => {
                self.finish_nodes();
                self.steps.push(Step::One(write));
            }
            Write::PutRefusal(..)
            | Write::PutOperation(_)
            | Write::CancelOperation(_)
            | Write::PutJoinToken(_)
            | Write::UseJoinToken { .. }
            | Write::RemoveJoinToken { .. } => {
                self.steps.push(Step::One(write));
            }
        }
    }

    fn finish(mut self) -> Vec<Step<'w>> {
        self.finish_workloads();
        self.finish_nodes();
        let (put, removed): (Vec<_>, Vec<_>) = std::mem::take(&mut self.pods).into_iter().partition(|(_, pod)| pod.is_some());
        let removed: Vec<_> = removed.into_iter().map(|(id, _)| id).collect();
        let put: Vec<_> = put.into_iter().filter_map(|(_, pod)| pod).collect();
        self.steps.extend((!removed.is_empty()).then_some(Step::RemovePods(removed)));
        self.steps.extend((!put.is_empty()).then_some(Step::PutPods(put)));
        self.finish_charges();
        self.steps
    }

    fn finish_charges(&mut self) {
        let charges: Vec<_> = std::mem::take(&mut self.charges).into_iter().collect();
        self.steps.extend((!charges.is_empty()).then_some(Step::Charge(charges)));
    }

    /// A workload that goes goes last: what was said of it before goes with it.
    fn finish_workloads(&mut self) {
        let statuses: Vec<_> = std::mem::take(&mut self.statuses).into_iter().collect();
        let rollouts: Vec<_> = std::mem::take(&mut self.rollouts).into_values().collect();
        let removed: Vec<_> = std::mem::take(&mut self.removed).into_iter().collect();
        self.steps.extend((!statuses.is_empty()).then_some(Step::PutStatuses(statuses)));
        self.steps.extend((!rollouts.is_empty()).then_some(Step::PutRollouts(rollouts)));
        self.steps.extend((!removed.is_empty()).then_some(Step::RemoveWorkloads(removed)));
    }

    fn finish_nodes(&mut self) {
        let facts: Vec<_> = std::mem::take(&mut self.facts).into_iter().collect();
        let layers: Vec<_> = std::mem::take(&mut self.layers).into_iter().collect();
        self.steps.extend((!facts.is_empty()).then_some(Step::PutFacts(facts)));
        self.steps.extend((!layers.is_empty()).then_some(Step::PutLayers(layers)));
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn what_is_said_last_is_written_once() {
        let (workload, node, pod) = (job(1), NodeId(Uuid::from_u128(2)), PodId(Uuid::from_u128(3)));
        let later = WorkloadStatus { wanted: 2, ..WorkloadStatus::default() };
        let writes = [
            Write::PutStatus(workload, WorkloadStatus::default()),
            Write::PutFacts(node, Value::Null),
            Write::RemovePod(pod),
            Write::PutStatus(workload, later.clone()),
            Write::PutFacts(node, Value::from(1)),
        ];
        assert_eq!(
            sort(&writes),
            [
                Step::PutStatuses(vec![(workload, &later)]),
                Step::PutFacts(vec![(node, &Value::from(1))]),
                Step::RemovePods(vec![pod]),
            ]
        );
    }

    #[test]
    fn what_meets_a_table_otherwise_keeps_its_place() {
        let (workload, status) = (job(1), WorkloadStatus::default());
        let writes = [
            Write::PutStatus(workload, status.clone()),
            Write::RemoveWorkload(workload),
            Write::UseJoinToken { hash: String::new() },
            Write::RemoveRevision(workload, 1),
            Write::PutStatus(workload, status.clone()),
        ];
        assert_eq!(
            sort(&writes),
            [
                Step::One(&writes[2]),
                Step::PutStatuses(vec![(workload, &status)]),
                Step::RemoveWorkloads(vec![workload]),
                Step::One(&writes[3]),
                Step::PutStatuses(vec![(workload, &status)]),
            ]
        );
    }

    #[test]
    fn what_is_asked_of_quotas_is_added_up_and_comes_last() {
        let [a, b] = ["a", "b"].map(|name| name.parse::<Name>().unwrap());
        let pods = |pods| Charge { pods, ..Charge::default() };
        let token = Write::UseJoinToken { hash: String::new() };
        let writes =
            [Write::Charge(b.clone(), pods(1)), Write::Charge(a.clone(), pods(2)), Write::Charge(b.clone(), pods(3)), token];
        assert_eq!(sort(&writes), [Step::One(&writes[3]), Step::Charge(vec![(&a, pods(2)), (&b, pods(4))])]);
        let removal = [writes[0].clone(), Write::RemoveNamespace(b.clone(), crate::state::Expected::At(1))];
        assert_eq!(sort(&removal), [Step::Charge(vec![(&b, pods(1))]), Step::One(&removal[1])]);
    }

    fn job(number: u128) -> WorkloadId {
        longshore_fleet::JobId(Uuid::from_u128(number)).into()
    }
}
