//! Pods come to an end.

use longshore_fleet::{
    Instruction, Phase, PodId, WorkloadId,
    api::{Change, WorkloadState},
};

use super::{Controller, workload::Workload};
use crate::schedule::Hopes;

impl Controller {
    /// Has a pod end, with the time that its template gives it. One that is on no node that there is, is gone at once; another once its
    /// node says so.
    pub(crate) fn end_pod(&mut self, id: PodId, reason: &str, message: &str) {
        let Some(pod) = self.pods.get(&id) else { return };
        if pod.is_ending() {
            return;
        }
        if pod.row.node.is_none_or(|node| !self.nodes.contains_key(&node)) {
            self.tell_of_pod(id, Change::Deleted, reason, message);
            self.remove_pod(id);
            return;
        }
        let template = self.workloads.get(&pod.row.workload).and_then(|workload| workload.revisions.get(&pod.row.revision));
        let seconds = template.map_or(30, |revision| revision.row.template.termination_grace_period_seconds);
        let Some(pod) = self.pods.get_mut(&id) else { return };
        let (did, workload, node) = (pod.serves(), pod.row.workload, pod.row.node);
        pod.row.end_within_seconds = Some(seconds);
        pod.row.state.ready = false;
        self.count_ready(workload, did, false);
        self.save(id);
        self.tell_of_pod(id, Change::Changed, reason, message);
        self.touch(workload);
        if let (Some(node), Some(assignment)) = (node, self.assignment(id)) {
            self.tell(node, Instruction::Put { pod: Box::new(assignment) });
        }
    }

    /// Whether what a pod came to counts though nothing of it is left: it has ended, and is not to go. So does one of a job that has ended
    /// well while it was taken off its node, or no other would have to do its work again.
    pub(crate) fn counts_on(&self, id: PodId) -> bool {
        let Some(pod) = self.pods.get(&id) else { return false };
        if !pod.is_ending() {
            return pod.row.state.phase.has_ended();
        }
        let goes_on = |workload: &Workload| {
            let has_ended = matches!(workload.status.state, WorkloadState::Succeeded | WorkloadState::Failed);
            !workload.is_deployment() && workload.row.deleted.is_none() && !has_ended
        };
        pod.row.state.phase == Phase::Succeeded && self.workloads.get(&pod.row.workload).is_some_and(goes_on)
    }

    /// Nothing of a pod is left but what it came to: there is nothing to end any more.
    pub(crate) fn keep_ended(&mut self, id: PodId) {
        let Some(pod) = self.pods.get_mut(&id) else { return };
        if pod.row.end_within_seconds.take().is_some() {
            self.save(id);
        }
    }

    /// Nothing of a pod is left.
    pub(crate) fn remove_pod(&mut self, id: PodId) {
        let Some(pod) = self.pods.remove(&id) else { return };
        self.count_ready(pod.row.workload, pod.serves(), false);
        self.unqueue(id);
        self.unwritten.pods.remove(&id);
        self.unwritten.removed_pods.push(id);
        if pod.takes_room() {
            self.cluster.unbind(id);
            self.queue.happened(Hopes::ROOM | Hopes::COMPANY);
        }
        if let Some(node) = pod.row.node.and_then(|node| self.nodes.get_mut(&node)) {
            node.pods.remove(&id);
        }
        if let Some(workload) = self.workloads.get_mut(&pod.row.workload) {
            workload.pods.remove(&id);
            if let Some(revision) = workload.revisions.get_mut(&pod.row.revision) {
                revision.waiting.remove(&id);
            }
        }
        self.forget_victim(id);
        self.touch(pod.row.workload);
    }

    /// A workload is to go: its pods end, and it goes with the last.
    pub(crate) fn clear_away(&mut self, id: WorkloadId) {
        let Some(workload) = self.workloads.get(&id) else { return };
        for pod in workload.pods.clone() {
            self.end_pod(pod, "Deleted", "its workload is being deleted");
        }
        if self.workloads.get(&id).is_some_and(|workload| workload.pods.is_empty()) {
            self.forget_workload(id);
        }
    }
}
