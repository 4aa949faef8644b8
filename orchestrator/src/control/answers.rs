//! What the leader is asked.

use longshore_fleet::{
    NodeId, NodeName, PodId, WorkloadId,
    api::{ExplanationView, FitView, NodeHealth, NodeView, RefusalView},
};
use rustc_hash::FxHashMap as HashMap;

use super::{Controller, views::cost_view};
use crate::{
    lead::AdvisedMove,
    schedule::{Cluster, DemandIndex},
};

/// How many nodes that fit, and that do not, an explanation names in each group.
const MOST_NAMED: usize = 200;
/// How many nodes that are not ready are named.
const MOST_NOT_READY: usize = 100;

impl Controller {
    /// Why a pod is where it is, or nowhere.
    pub fn explain_pod(&mut self, id: PodId) -> Option<ExplanationView> {
        let pod = self.pods.get(&id)?;
        let (workload, revision) = (pod.row.workload, pod.row.revision);
        let demand = self.demand_of(workload, revision)?;
        let mut shown = self.explain(demand);
        let pod = self.pods.get(&id)?;
        shown.pod_id = Some(id);
        shown.node = pod.row.node.and_then(|node| self.nodes.get(&node)).map(|node| node.row.name.clone());
        shown.placed_at = pod.cost.map(|cost| cost_view(&cost, pod.row.missing_bytes.unwrap_or_default()));
        let name = &pod.row.name;
        let revision = self.workloads.get(&workload).and_then(|workload| workload.revisions.get(&revision));
        let refused = revision.and_then(|revision| revision.row.refused.as_ref());
        shown.summary = match (&shown.node, refused) {
            (Some(node), _) => format!("{name} is on {node}"),
            (None, Some(why)) => format!("{name} is not placed: its image may not run: {why}"),
            (None, None) if shown.fits.is_empty() => format!("{name} fits nowhere"),
            (None, None) => format!("{name} waits for its turn"),
        };
        Some(shown)
    }

    /// Where one more pod of a workload would be.
    pub fn explain_workload(&mut self, id: WorkloadId) -> Option<ExplanationView> {
        let revision = self.workloads.get(&id)?.row.template_revision;
        let demand = self.demand_of(id, revision)?;
        let mut shown = self.explain(demand);
        let name = &self.workloads.get(&id)?.row.name;
        shown.summary = match shown.fits.first() {
            Some(fit) => format!("one more pod of {name} would be on {}", fit.node),
            None => format!("one more pod of {name} would fit nowhere"),
        };
        Some(shown)
    }

    fn explain(&self, demand: DemandIndex) -> ExplanationView {
        let explanation = self.cluster.explain(demand);
        let fit = |(node, cost): &(NodeName, crate::schedule::Cost)| {
            let missing = self.cluster.node(node).map_or(0, |node| self.cluster.missing_bytes(demand, node));
            FitView { node: node.clone(), cost: cost_view(cost, missing) }
        };
        let refusal = |group: &crate::schedule::Group| RefusalView {
            reasons: group.refusals.iter().map(ToString::to_string).collect(),
            nodes: group.nodes.iter().take(MOST_NAMED).cloned().collect(),
        };
        ExplanationView {
            fits: explanation.fits.iter().take(MOST_NAMED).map(fit).collect(),
            refused: explanation.refused.iter().map(refusal).collect(),
            remedies: explanation.remedies.iter().map(ToString::to_string).collect(),
            ..ExplanationView::default()
        }
    }

    /// Nodes as they are; those of these that there are.
    pub fn nodes(&self, ids: &[NodeId]) -> Vec<NodeView> {
        ids.iter().filter_map(|id| self.node_view(*id)).collect()
    }

    /// How nodes are, all together, or those of a zone.
    pub fn health(&self, zone: Option<&str>) -> NodeHealth {
        let mut health = NodeHealth::default();
        let mut lost: HashMap<String, (u32, u32)> = HashMap::default();
        for node in self.nodes.values() {
            let name = node.zone().unwrap_or_default();
            if zone.is_some_and(|zone| zone != name) {
                continue;
            }
            let why = node.not_ready();
            if node.facts.is_some() {
                // One that has never said what it is has no zone yet that it could be lost in.
                let (nodes, lost) = lost.entry(name.to_owned()).or_default();
                *nodes += 1;
                *lost += u32::from(node.is_lost);
            }
            let counts = health.zones.entry(name.to_owned()).or_default();
            for counts in [counts, &mut health.all] {
                counts.nodes += 1;
                counts.ready += u32::from(why.is_none());
                counts.cordoned += u32::from(node.row.is_cordoned);
            }
            if let Some(why) = why {
                health.not_ready.insert(node.row.name.clone(), why);
                if health.not_ready.len() > MOST_NOT_READY {
                    health.not_ready.pop_last();
                }
            }
        }
        for (name, counts) in &mut health.zones {
            let (nodes, lost) = lost.get(name).copied().unwrap_or_default();
            counts.partitioned = self.is_partitioned(nodes, lost);
            health.all.partitioned |= counts.partitioned;
        }
        health
    }

    /// Moves that would empty nodes, at most so many nodes.
    pub fn advice(&mut self, most: u32) -> Vec<AdvisedMove> {
        // Budgets are looked up for the few pods that are tried, which must not be while the cluster is at hand.
        let mut cluster = std::mem::replace(&mut self.cluster, Cluster::new(self.settings.weights));
        let advice = cluster.emptied_by_moves(most as usize, |pod| self.budget_of(pod));
        self.cluster = cluster;
        let name = |node| self.cluster.facts(node).map(|facts| facts.name.clone());
        let mut moves = Vec::new();
        for emptied in advice {
            for moved in emptied.moves {
                if let (Some(from), Some(to)) = (name(emptied.node), name(moved.to)) {
                    moves.push(AdvisedMove { pod: moved.pod, from, to, missing_bytes: moved.missing_bytes });
                }
            }
        }
        moves
    }
}

#[cfg(test)]
impl Controller {
    /// What is counted as it changes is what counting it anew comes to.
    pub(crate) fn assert_counts(&self) {
        for workload in self.workloads.values() {
            let ready = workload.pods.iter().filter(|pod| self.pods.get(pod).is_some_and(super::pod::Pod::serves)).count();
            assert_eq!(workload.ready as usize, ready, "{}", workload.row.name);
        }
        self.assert_keeping();
    }

    /// What a pod hopes for that waits.
    pub(crate) fn hopes_of(&self, id: PodId) -> Option<crate::schedule::Hopes> {
        self.queue.hopes(id)
    }

    /// How many kinds of pods are known, and how many are to be known until it is looked which of them are wanted.
    pub(crate) fn demands_known(&self) -> (usize, usize) {
        (self.cluster.known_demands(), self.tidied.max(2 * self.settings.demands_kept))
    }

    /// Whether one more pod of a workload would fit, and none of those that wait is about to be looked at.
    pub(crate) fn fits(&mut self, id: WorkloadId) -> bool {
        let Some(workload) = self.workloads.get(&id) else { return false };
        let revision = workload.row.template_revision;
        if workload.pods.iter().any(|pod| self.queue.waits(*pod) && self.queue.hopes(*pod).is_none()) {
            return false;
        }
        self.demand_of(id, revision).is_some_and(|demand| !self.cluster.explain(demand).fits.is_empty())
    }
}
