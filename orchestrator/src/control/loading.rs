//! Taking in what the database says: all of it at the beginning of a term, and afterwards what callers have changed.

use longshore_fleet::{Instruction, Name, NodeId, PodId, WorkloadId, api::Change};

use super::{
    Controller, is_running,
    node::Node,
    pod::Pod,
    prewarming::Prewarming,
    timers::Timer,
    workload::{Asked, Revision, Workload},
};
use crate::{
    schedule::{Hopes, Millis},
    state::{LayerRow, NamespaceRow, NodeRow, OperationRow, PodRow, RevisionRow, RolloutRow, WorkloadRow, Write},
};

impl Controller {
    /// Takes in a namespace.
    pub fn put_namespace(&mut self, row: NamespaceRow) {
        self.namespaces.insert(row.spec.name.clone(), row.spec);
    }

    /// Forgets a namespace.
    pub fn remove_namespace(&mut self, name: &Name) {
        self.namespaces.remove(name);
    }

    /// Takes in a workload, its revisions before: as it is wanted now. What it was is known here better than the row says.
    pub fn put_workload(&mut self, row: WorkloadRow, revisions: Vec<RevisionRow>) -> Result<(), serde_json::Error> {
        let id = row.id;
        let asked = Asked::read(id.kind, &row.spec)?;
        let now = self.now;
        let workload = self.workloads.entry(id).or_insert_with(|| Workload::new(row.clone(), asked.clone(), now));
        let is_other = workload.row.template_revision != row.template_revision;
        let was_bound = (workload.asked.class(), workload.asked.priority());
        workload.row = row;
        workload.asked = asked;
        for revision in revisions {
            workload.revisions.entry(revision.number).or_insert_with(|| Revision::new(revision, &workload.row));
        }
        if workload.revisions.len() > 1 {
            self.with_history.insert(id);
        }
        if (workload.asked.class(), workload.asked.priority()) != was_bound {
            // What its pods want of a node is another thing now.
            workload.revisions.values_mut().for_each(|revision| revision.demand = None);
            self.requeue(id);
        }
        if is_other {
            self.keep_images(id);
        }
        self.touch(id);
        Ok(())
    }

    /// Takes in the rollout of a workload that goes on.
    pub fn put_rollout(&mut self, row: RolloutRow) {
        if let Some(workload) = self.workloads.get_mut(&row.workload) {
            workload.rollout = Some(row);
        }
    }

    /// Takes in a pod, its workload and its node before. Of a term's beginning alone: afterwards all pods are this leader's own.
    pub fn put_pod(&mut self, row: PodRow) {
        let id = row.id;
        if let Some(workload) = self.workloads.get_mut(&row.workload) {
            workload.pods.insert(id);
        }
        self.touch(row.workload);
        let pod = Pod::new(row);
        if let Some(node) = pod.row.node.and_then(|node| self.nodes.get_mut(&node)) {
            node.pods.insert(id);
        }
        let (takes_room, is_unplaced) = (pod.takes_room(), pod.is_unplaced());
        self.pods.insert(id, pod);
        if takes_room {
            self.occupy(id);
        } else if is_unplaced {
            self.enqueue(id);
        }
    }

    /// Takes the room that a pod has on its node.
    pub(crate) fn occupy(&mut self, id: PodId) {
        let Some(pod) = self.pods.get(&id) else { return };
        let (workload, revision, node) = (pod.row.workload, pod.row.revision, pod.row.node);
        let has_started = pod.row.state.started_at.is_some();
        let Some(index) = node.and_then(|node| self.nodes.get(&node)?.index) else { return };
        let Some(demand) = self.demand_of(workload, revision) else { return };
        self.cluster.bind(id, demand, index);
        if has_started {
            self.cluster.started(id);
        }
    }

    /// Takes in a node, and what it said of itself before.
    pub fn put_node(&mut self, row: NodeRow) {
        let id = row.id;
        let now = self.now;
        let is_new = !self.nodes.contains_key(&id);
        let name = row.name.clone();
        let is_draining = row.is_draining;
        let node = self.nodes.entry(id).or_insert_with(|| Node::new(row.clone(), now));
        node.row = row;
        self.nodes_by_name.insert(name, id);
        if is_new {
            self.timers.set(Timer::Node(id), now + self.settings.lost_after_ms);
        }
        if is_draining {
            self.timers.set(Timer::Drains, now);
        }
        self.reschedule(id);
    }

    /// A node is as the scheduler is to know it now.
    pub(crate) fn reschedule(&mut self, id: NodeId) {
        let Some(node) = self.nodes.get_mut(&id) else { return };
        let Some(facts) = node.schedulable() else { return };
        let index = self.cluster.put_node(facts);
        node.index = Some(index);
        self.queue.happened(Hopes::NODES | Hopes::ROOM);
    }

    /// Takes in the layers of a node, as they were written last.
    pub fn put_layers(&mut self, id: NodeId, layers: &[LayerRow]) {
        let Some(index) = self.nodes.get(&id).and_then(|node| node.index) else { return };
        for layer in layers {
            self.cluster.set_layer(index, &layer.digest, layer.size_bytes, true);
        }
    }

    /// The layers of a node, as they are to be written.
    pub(crate) fn layers_of(&self, id: NodeId) -> Option<Vec<LayerRow>> {
        let index = self.nodes.get(&id)?.index?;
        let row = |(digest, size_bytes): (&longshore_oci::Digest, u64)| LayerRow { digest: digest.clone(), size_bytes };
        let mut layers: Vec<LayerRow> = self.cluster.layers_here(index).map(row).collect();
        layers.sort_unstable();
        Some(layers)
    }

    /// A node was removed: nothing of it is known any more, nor of its pods.
    pub fn remove_node(&mut self, id: NodeId) {
        let Some(node) = self.nodes.remove(&id) else { return };
        self.nodes_by_name.remove(&node.row.name);
        for pod in node.pods {
            if self.has_ended(pod) {
                // What it came to counts on.
                continue;
            }
            self.tell_of_pod(pod, Change::Deleted, "NodeRemoved", format!("its node {} was removed", node.row.name));
            self.remove_pod(pod);
        }
        self.cluster.remove_node(&node.row.name);
        self.queue.happened(Hopes::NODES);
    }

    /// Whether a pod has ended, and is not to go.
    fn has_ended(&self, id: PodId) -> bool {
        self.pods.get(&id).is_some_and(|pod| pod.row.state.phase.has_ended() && !pod.is_ending())
    }

    /// Takes in long work.
    pub fn put_operation(&mut self, row: OperationRow) {
        let id = row.id;
        let is_over = !is_running(&row);
        if is_over {
            self.stop_prewarming(id);
            return;
        }
        if self.prewarmings.contains_key(&id) {
            return;
        }
        if let Some(deadline) = row.view.request.deadline_seconds {
            let at = (row.created / 1_000).saturating_add(i64::try_from(deadline).unwrap_or(i64::MAX).saturating_mul(1_000));
            self.timers.set(Timer::Operation(id), at.max(self.now));
        }
        self.prewarmings.insert(id, Prewarming::new(row));
        self.timers.set(Timer::Operation(id), self.now);
    }

    /// All that there is was taken in.
    pub fn begin(&mut self, now: Millis) {
        self.now = self.now.max(now);
        // Pods of a node that was removed while nobody led.
        let stray = |pod: &&Pod| {
            let has_ended = pod.row.state.phase.has_ended() && !pod.is_ending();
            !has_ended && pod.row.node.is_some_and(|node| !self.nodes.contains_key(&node))
        };
        let stray: Vec<PodId> = self.pods.values().filter(stray).map(|pod| pod.row.id).collect();
        for id in stray {
            self.tell_of_pod(id, Change::Deleted, "NodeRemoved", "its node was removed");
            self.remove_pod(id);
        }
        let all: Vec<WorkloadId> = self.workloads.keys().copied().collect();
        for id in all {
            self.recount(id);
            self.touch(id);
        }
        self.timers.set(Timer::Losses, self.now);
        self.timers.set(Timer::Drains, self.now);
        self.timers.set(Timer::Failures, self.now + self.settings.failure_half_life_ms);
    }

    /// Forgets a workload of which nothing is left.
    pub(crate) fn forget_workload(&mut self, id: WorkloadId) {
        self.tell_of_workload(id, Change::Deleted, "Deleted", "nothing of it is left");
        self.unwritten.writes.push(Write::RemoveWorkload(id));
        self.unwritten.statuses.remove(&id);
        self.workloads.remove(&id);
        self.keep_images(id);
        self.with_history.remove(&id);
    }

    /// A workload is no more in the database: somebody else has removed it.
    pub fn remove_workload(&mut self, id: WorkloadId) {
        let Some(workload) = self.workloads.get(&id) else { return };
        for pod in workload.pods.clone() {
            self.end_pod(pod, "Deleted", "its workload is gone");
        }
        if self.workloads.get(&id).is_some_and(|workload| workload.pods.is_empty()) {
            self.workloads.remove(&id);
            self.with_history.remove(&id);
        }
    }

    /// What a node is told first on a stream: how things are to be there.
    pub(crate) fn everything_for(&self, id: NodeId, stream: longshore_fleet::StreamId) -> Option<Instruction> {
        let node = self.nodes.get(&id)?;
        Some(Instruction::All {
            stream,
            term: self.term,
            heartbeat_seconds: self.settings.heartbeat_seconds,
            pods: node.pods.iter().filter_map(|pod| self.assignment(*pod)).collect(),
            keep: self.images_kept(id),
            fetch: self.fetches_of(id),
        })
    }
}
