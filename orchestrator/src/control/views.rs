//! Pods and nodes as callers see them.

use longshore_fleet::{
    Bytes, Cpu, NodeId,
    api::{CostView, FreeAndAll, NodeView, PodView},
};

use super::{Controller, pod::Pod};
use crate::{schedule::Cost, view};

impl Controller {
    pub(crate) fn pod_view(&self, pod: &Pod) -> Option<PodView> {
        let revision = self.workloads.get(&pod.row.workload)?.revisions.get(&pod.row.revision)?;
        let node = pod.row.node.and_then(|node| self.nodes.get(&node)).map(|node| node.row.name.clone());
        Some(view::pod(&pod.row, self.owner_of(pod)?, revision.row.template.image.clone(), node))
    }

    pub(crate) fn node_view(&self, id: NodeId) -> Option<NodeView> {
        let node = self.nodes.get(&id)?;
        let mut shown = view::node(&node.row);
        shown.reason = node.not_ready();
        shown.ready = shown.reason.is_none();
        shown.disk_free_bytes = node.load.disk_free_bytes;
        shown.heard_at = Some(node.heard).filter(|_| node.is_known).and_then(|at| jiff::Timestamp::from_millisecond(at).ok());
        if let (Some(index), Some(facts)) = (node.index, &node.facts) {
            let (cpu, memory, pods) = self.cluster.free(index);
            shown.cpu = FreeAndAll { free: Cpu::millis(cpu), all: facts.cpu };
            shown.memory = FreeAndAll { free: Bytes::new(memory), all: facts.memory };
            shown.pods = FreeAndAll { free: pods, all: facts.pods };
            shown.layers = self.cluster.layers_here(index).count() as u64;
        }
        Some(shown)
    }
}

/// What a node costs, for people to read.
pub(crate) fn cost_view(cost: &Cost, missing_bytes: u64) -> CostView {
    CostView {
        total_seconds: Cost::seconds(cost.total()),
        start_seconds: Cost::seconds(cost.start),
        balance_seconds: Cost::seconds(cost.balance),
        preference_seconds: Cost::seconds(cost.preference),
        health_seconds: Cost::seconds(cost.health),
        neighbours_seconds: Cost::seconds(cost.neighbours),
        missing_bytes,
    }
}
