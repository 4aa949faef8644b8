//! Nodes that are drained, or have a taint that pods must leave them for: their pods are taken off them, as fast as budgets let them.

use longshore_fleet::{NodeId, Phase, PodId, WorkloadId, api::Change};

use super::{Controller, Timer};
use crate::schedule::Millis;

/// How often nodes that are drained are looked at, in milliseconds.
const PERIOD_MS: i64 = 500;

impl Controller {
    /// Takes pods off nodes that they are to leave, and comes again while there are any.
    pub(crate) fn drain_nodes(&mut self) {
        let tainted: Vec<NodeId> = self.nodes.iter().filter(|(_, node)| node.expels()).map(|(id, _)| *id).collect();
        for node in tainted {
            self.expel(node);
        }
        let draining: Vec<NodeId> = self.nodes.iter().filter(|(_, node)| node.row.is_draining).map(|(id, _)| *id).collect();
        let mut is_more = false;
        for node in draining {
            for pod in self.pods_to_run(node) {
                is_more |= !self.evict(pod, "Drained", "its node is being drained");
            }
        }
        if is_more {
            self.timers.set(Timer::Drains, self.now + PERIOD_MS);
        }
    }

    /// Pods that don't tolerate a taint of their node go, those that do for a while once that is over, and those that are missed as their
    /// workloads' budgets let them.
    pub(crate) fn expel(&mut self, id: NodeId) {
        if !self.nodes.get(&id).is_some_and(super::node::Node::expels) {
            return;
        }
        let mut is_more = false;
        for pod in self.pods_to_run(id) {
            let until = self.stays_until(id, pod);
            if until <= self.now {
                is_more |= !self.evict(pod, "Tainted", "it does not tolerate a taint of its node");
            } else if until < Millis::MAX {
                self.timers.set(Timer::Taints(id), until);
            }
        }
        if is_more {
            self.timers.set(Timer::Drains, self.now + PERIOD_MS);
        }
    }

    /// Has a pod end if its workload's budget lets it: at once where it is not ready, since nobody misses it then. False where it may not.
    pub(crate) fn evict(&mut self, id: PodId, reason: &str, message: &str) -> bool {
        let Some(pod) = self.pods.get(&id) else { return true };
        // What has ended is on no node's hands any more, and what a job's pod came to counts on.
        if pod.is_ending() || pod.row.state.phase.has_ended() {
            return true;
        }
        let is_missed = pod.row.state.ready && pod.row.state.phase == Phase::Running;
        if is_missed && self.budget_of(id).is_some_and(|budget| budget.allowed == 0) {
            return false;
        }
        self.end_pod(id, reason, message);
        true
    }

    /// Has a pod end because somebody says so, within its workload's budget. `None` where there is no such pod; false where it may not.
    pub fn evict_for(&mut self, id: PodId, author: Option<&str>) -> Option<bool> {
        self.pods.get(&id)?;
        let known = self.unwritten.events.len();
        let is_done = self.evict(id, "Evicted", "somebody wants it away");
        if !is_done {
            self.tell_of_pod(id, Change::Noted, "EvictionRefused", "its workload's disruption budget does not let it go now");
        }
        for event in self.unwritten.events.iter_mut().skip(known) {
            event.author = author.map(ToOwned::to_owned);
        }
        Some(is_done)
    }

    /// How many pods of a workload do their work.
    pub(crate) fn ready_of(&self, id: WorkloadId) -> u32 {
        self.workloads.get(&id).map_or(0, |workload| workload.ready)
    }

    /// A pod of a workload does its work that did not, or the other way round.
    pub(crate) fn count_ready(&mut self, id: WorkloadId, did: bool, does: bool) {
        if let Some(workload) = self.workloads.get_mut(&id) {
            workload.ready = (workload.ready + u32::from(does)).saturating_sub(u32::from(did));
        }
    }
}
