//! Nodes that are drained: their pods are taken off them, as fast as budgets let them.

use longshore_fleet::{NodeId, Phase, PodId, WorkloadId, api::Change};

use super::{Controller, Timer};

/// How often nodes that are drained are looked at, in milliseconds.
const PERIOD_MS: i64 = 500;

impl Controller {
    /// Takes pods off nodes that are drained, and comes again while there are any.
    pub(crate) fn drain_nodes(&mut self) {
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

    /// Has a pod end if its workload's budget lets it: at once where it is not ready, since nobody misses it then. False where it may not.
    pub(crate) fn evict(&mut self, id: PodId, reason: &str, message: &str) -> bool {
        let Some(pod) = self.pods.get(&id) else { return true };
        if pod.is_ending() {
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
