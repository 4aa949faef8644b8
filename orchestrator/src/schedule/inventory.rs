//! What is where, for those who ask: layers on nodes, room that is left, pods taken off for a moment.

use longshore_fleet::PodId;
use longshore_oci::Digest;

use super::{Cluster, DemandIndex, NodeIndex, cluster::Bound};

/// Pods that were taken off their nodes for a moment.
#[derive(Debug)]
pub struct TakenOff(Vec<(PodId, Bound)>);

impl Cluster {
    /// How many kinds of pods were ever asked about.
    pub fn known_demands(&self) -> usize {
        self.demand_count()
    }

    /// The layers that a node says it has, and their lengths in bytes.
    pub fn layers_here(&self, node: NodeIndex) -> impl Iterator<Item = (&Digest, u64)> {
        let here = self.layers.layers_of(node).filter(|(_, held)| held.is_here);
        here.map(|(layer, _)| self.layers.described(layer))
    }

    /// Whether a node says that it has a layer.
    pub fn has_layer(&self, node: NodeIndex, digest: &Digest) -> bool {
        self.layers.find(digest).is_some_and(|layer| self.layers.held(layer, node).is_here)
    }

    /// A node says that it has a layer no more.
    pub fn lose_layer(&mut self, node: NodeIndex, digest: &Digest) {
        if let Some(layer) = self.layers.find(digest) {
            self.change_layer(node, layer, |held| held.is_here = false);
        }
    }

    /// Whether a node has, or is getting, all bytes of such pods' image.
    pub fn has_all(&self, demand: DemandIndex, node: NodeIndex) -> bool {
        self.image_for(demand, node).is_some_and(|image| self.layers.missing_kib(image)[node.position()] == 0)
    }

    /// Bytes of such pods' image that a node lacks, and that are not on their way.
    pub fn missing_bytes(&self, demand: DemandIndex, node: NodeIndex) -> u64 {
        self.image_for(demand, node).map_or(0, |image| self.layers.missing_bytes(image, node))
    }

    /// What no pod has asked for on a node: thousandths of a core, bytes of memory, pods. Nothing where more was asked for than there is.
    pub fn free(&self, node: NodeIndex) -> (u64, u64, u32) {
        let at = node.position();
        let free = |column: &[i64]| u64::try_from(column[at]).unwrap_or(0);
        let pods = u32::try_from(free(&self.nodes.pods_free)).unwrap_or(u32::MAX);
        (free(&self.nodes.cpu_free), free(&self.nodes.memory_free), pods)
    }

    /// Takes pods off their nodes, to be put back.
    pub fn taken_off(&mut self, pods: &[PodId]) -> TakenOff {
        let bounds: Vec<(PodId, Bound)> = pods.iter().filter_map(|pod| Some((*pod, self.bound(*pod)?))).collect();
        for (pod, _) in &bounds {
            self.unbind(*pod);
        }
        TakenOff(bounds)
    }

    /// Puts pods back where they were.
    pub fn put_back(&mut self, taken: TakenOff) {
        for (pod, bound) in taken.0 {
            self.restore(pod, bound);
        }
    }
}
