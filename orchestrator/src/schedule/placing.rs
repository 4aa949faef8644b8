//! Pods one after the other, each where it costs least; and gangs, whole or not at all.

use longshore_fleet::PodId;

use super::{Cluster, DemandIndex, Placed, rule::Rules};

impl Cluster {
    /// Puts a pod on the node that costs it least. `None` where it fits on none, or is on one, and nothing is changed.
    pub fn place(&mut self, pod: PodId, demand: DemandIndex) -> Option<Placed> {
        if self.bound(pod).is_some() {
            return None;
        }
        let rules = Rules::of(self, demand);
        let node = self.best(demand, &rules)?;
        Some(self.settle(pod, demand, &rules, node))
    }

    /// Puts pods that are alike where each costs least, one after the other, until one fits nowhere.
    pub fn place_many(&mut self, pods: &[PodId], demand: DemandIndex) -> Vec<Placed> {
        pods.iter().map_while(|pod| self.place(*pod, demand)).collect()
    }

    /// Puts all of these pods where each costs least, or none of them.
    pub fn place_gang(&mut self, pods: &[PodId], demand: DemandIndex) -> Option<Vec<Placed>> {
        let placed = self.place_many(pods, demand);
        if placed.len() == pods.len() {
            return Some(placed);
        }
        for pod in pods.iter().take(placed.len()) {
            self.unbind(*pod);
        }
        None
    }
}
