//! Getting rid of what nothing wants any more: demands of revisions that are gone, their images, what was counted for them.
//!
//! Whatever a cluster has once been asked about keeps its position, so that positions stay true; a cluster that lives long is made anew
//! from what still matters, which leaves every decision as it was.

use rustc_hash::{FxHashMap as HashMap, FxHashSet as HashSet};

use super::{Cluster, DemandIndex, cluster::Bound};

impl Cluster {
    /// Of the demands that are known, how many no pod on a node has.
    pub fn idle_demands(&self) -> usize {
        let live: HashSet<DemandIndex> = self.bounds().map(|(_, bound)| bound.demand).collect();
        self.demand_count() - live.len()
    }

    /// The same cluster with those demands alone that pods on nodes have, and these; and by their positions here, where they are there,
    /// which a queue is to be told ([`super::Queue::renamed`]).
    #[must_use]
    pub fn compacted(&self, wanted: impl IntoIterator<Item = DemandIndex>) -> (Self, HashMap<DemandIndex, DemandIndex>) {
        let mut made = Self::new(self.weights);
        let mut nodes = HashMap::default();
        for (node, facts) in self.nodes.iter() {
            nodes.insert(node, made.put_node(facts.clone()));
        }
        // Pods may still be on a node that is gone. It stands behind the others, and is gone there as well.
        let mut bounds: Vec<_> = self.bounds().collect();
        bounds.sort_unstable_by_key(|(pod, _)| *pod);
        for (_, bound) in &bounds {
            nodes.entry(bound.node).or_insert_with(|| made.absent_node(self.nodes.name(bound.node)));
        }
        for (node, there) in &nodes {
            for (layer, held) in self.layers.layers_of(*node) {
                let (digest, size_bytes) = self.layers.described(layer);
                if held.is_here {
                    made.set_layer(*there, digest, size_bytes, true);
                } else if held.is_coming {
                    made.set_arriving(*there, digest, size_bytes, true);
                }
            }
        }
        let mut demands = HashMap::default();
        let mut live: Vec<DemandIndex> = wanted.into_iter().chain(bounds.iter().map(|(_, bound)| bound.demand)).collect();
        live.sort_unstable();
        live.dedup();
        for demand in live {
            demands.insert(demand, made.demand(&self.compiled(demand).demand));
        }
        for (pod, bound) in bounds {
            let demand = demands[&bound.demand];
            let images = &self.compiled(bound.demand).images;
            let position = bound.image.and_then(|image| images.iter().position(|other| *other == image));
            let image = position.map(|position| made.compiled(demand).images[position]);
            made.restore(pod, Bound { demand, node: nodes[&bound.node], image, ..bound });
        }
        (made, demands)
    }
}
