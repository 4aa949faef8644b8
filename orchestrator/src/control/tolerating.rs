//! Taints that pods have to leave their nodes for, and for how long some stay all the same.

use longshore_fleet::{Effect, NodeId, PodId, Taint, Toleration};

use super::{Controller, node::Node};
use crate::schedule::Millis;

impl Node {
    /// Takes in which taints there are now that pods have to go for. How long each was there is known since this leader heard of it.
    pub(crate) fn note_taints(&mut self, now: Millis) {
        let taints = self.facts.iter().flat_map(|facts| &facts.taints).filter(|taint| taint.effect == Effect::NoExecute);
        let tainted = taints.map(|taint| (taint.clone(), self.tainted.get(taint).copied().unwrap_or(now)));
        self.tainted = tainted.collect();
    }
}

impl Controller {
    /// Until when a pod stays in spite of the taints of a node: the last moment there is, where it tolerates all of them for ever.
    pub(crate) fn stays_until(&self, node: NodeId, pod: PodId) -> Millis {
        let Some(node) = self.nodes.get(&node) else { return Millis::MAX };
        let Some(pod) = self.pods.get(&pod) else { return Millis::MAX };
        let revision = self.workloads.get(&pod.row.workload).and_then(|workload| workload.revisions.get(&pod.row.revision));
        let Some(revision) = revision else { return Millis::MAX };
        let tolerations = &revision.row.template.tolerations;
        // One that came after the taint has all of its time.
        let bound = pod.row.bound.map_or(Millis::MIN, |at| at / 1_000);
        let until = node.tainted.iter().map(|(taint, since)| tolerated_until(taint, bound.max(*since), tolerations));
        until.min().unwrap_or(Millis::MAX)
    }
}

/// Until when a taint is tolerated that is there since this moment: the shortest counts of those that tolerate it, as in Kubernetes.
fn tolerated_until(taint: &Taint, since: Millis, tolerations: &[Toleration]) -> Millis {
    let matching = tolerations.iter().filter(|toleration| toleration.tolerates(taint));
    let until = matching.map(|toleration| match toleration.toleration_seconds {
        Some(seconds) => since.saturating_add(i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(1_000)),
        None => Millis::MAX,
    });
    until.min().unwrap_or(Millis::MIN)
}
