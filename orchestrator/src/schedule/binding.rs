//! Pods on nodes: what they take there, and give back.

use longshore_fleet::PodId;

use super::{Cluster, DemandIndex, NodeIndex, cluster::Bound, index::ImageIndex, layers::Held, nodes::signed};

impl Cluster {
    /// Notes that a pod is on a node, for which its bytes may still be on their way. Nothing where it is on one.
    pub fn bind(&mut self, pod: PodId, demand: DemandIndex, node: NodeIndex) {
        let image = self.image_for(demand, node);
        let is_pulling = image.is_some_and(|image| {
            self.layers.missing_kib(image)[node.position()] > 0 || self.waiting.contains_key(&(node, image))
        });
        self.attach(pod, Bound { demand, node, image, is_pulling, is_running: false });
    }

    /// Notes that a pod is on a node, and has not started. Nothing where it is on one.
    fn attach(&mut self, pod: PodId, bound: Bound) {
        let Bound { demand, node, image, is_pulling, .. } = bound;
        if self.pods.contains_key(&pod) {
            return;
        }
        self.touch(node);
        let at = node.position();
        let wants = &self.compiled[demand.position()].demand;
        self.nodes.cpu_free[at] -= signed(wants.cpu_millis);
        self.nodes.memory_free[at] -= signed(wants.memory_bytes);
        self.nodes.pods_free[at] -= 1;
        self.nodes.take_ports(node, &wants.ports);
        if let Some(image) = image {
            if is_pulling {
                let pods = self.waiting.entry((node, image)).or_default();
                *pods += 1;
                self.nodes.pulls[at] += u32::from(*pods == 1);
                self.nodes.note_fetchable(node, &self.weights);
            }
            self.change_image(node, image, |held| held.waiting += 1);
        }
        self.pods.insert(pod, Bound { is_running: false, ..bound });
        self.by_node[at].insert(pod);
        self.count(pod, true);
    }

    /// Notes that a pod has all its bytes.
    pub fn started(&mut self, pod: PodId) {
        let Some(bound) = self.pods.get_mut(&pod) else { return };
        if bound.is_running {
            return;
        }
        let was = *bound;
        *bound = Bound { is_running: true, is_pulling: false, ..was };
        self.touch(was.node);
        self.arrived(was);
        if let Some(image) = was.image {
            self.change_image(was.node, image, |held| {
                held.waiting -= 1;
                held.running += 1;
            });
        }
    }

    /// Forgets a pod.
    pub fn unbind(&mut self, pod: PodId) {
        if !self.pods.contains_key(&pod) {
            return;
        }
        self.count(pod, false);
        let Some(was) = self.pods.remove(&pod) else { return };
        self.touch(was.node);
        let at = was.node.position();
        self.by_node[at].remove(&pod);
        let wants = &self.compiled[was.demand.position()].demand;
        self.nodes.cpu_free[at] += signed(wants.cpu_millis);
        self.nodes.memory_free[at] += signed(wants.memory_bytes);
        self.nodes.pods_free[at] += 1;
        self.nodes.free_ports(was.node, &wants.ports);
        self.arrived(was);
        if let Some(image) = was.image {
            self.change_image(was.node, image, |held| if was.is_running { held.running -= 1 } else { held.waiting -= 1 });
        }
    }

    /// What is known of a pod.
    pub(crate) fn bound(&self, pod: PodId) -> Option<Bound> {
        self.pods.get(&pod).copied()
    }

    /// Puts a pod back as it was. Nothing where it is on a node.
    pub(crate) fn restore(&mut self, pod: PodId, was: Bound) {
        if self.pods.contains_key(&pod) {
            return;
        }
        self.attach(pod, was);
        if was.is_running {
            self.started(pod);
        }
    }

    /// All pods on nodes.
    pub(crate) fn bounds(&self) -> impl Iterator<Item = (PodId, Bound)> {
        self.pods.iter().map(|(pod, bound)| (*pod, *bound))
    }

    /// How many demands are known.
    pub(crate) fn demand_count(&self) -> usize {
        self.compiled.len()
    }

    /// Pods on a node, each with what it wants.
    pub(crate) fn pods_on(&self, node: NodeIndex) -> impl Iterator<Item = (PodId, DemandIndex)> {
        let pods = self.by_node.get(node.position()).into_iter().flatten();
        pods.map(|pod| (*pod, self.pods[pod].demand))
    }

    /// Where a pod is.
    pub fn node_of(&self, pod: PodId) -> Option<NodeIndex> {
        self.pods.get(&pod).map(|bound| bound.node)
    }

    fn change_image(&mut self, node: NodeIndex, image: ImageIndex, change: impl Fn(&mut Held)) {
        for at in 0..self.layers.layers_in(image).len() {
            let layer = self.layers.layers_in(image)[at];
            self.change_layer(node, layer, &change);
        }
    }

    /// The image that a demand's pods have on a node: that for its platform.
    pub(crate) fn image_for(&self, demand: DemandIndex, node: NodeIndex) -> Option<ImageIndex> {
        let compiled = &self.compiled[demand.position()];
        match compiled.images.as_slice() {
            [] => None,
            [image] => Some(*image),
            images => {
                let platform = &self.nodes.facts(node)?.platform;
                let at = compiled.demand.images.iter().position(|image| image.suits(platform))?;
                images.get(at).copied()
            }
        }
    }

    /// A pod waits no more for its image.
    fn arrived(&mut self, was: Bound) {
        let Some(image) = was.image.filter(|_| was.is_pulling) else { return };
        if let Some(pods) = self.waiting.get_mut(&(was.node, image)) {
            *pods -= 1;
            if *pods == 0 {
                self.waiting.remove(&(was.node, image));
                self.nodes.pulls[was.node.position()] -= 1;
                self.nodes.note_fetchable(was.node, &self.weights);
            }
        }
    }

    /// Counts a pod, or no more.
    pub(crate) fn count(&mut self, pod: PodId, is_there: bool) {
        let Bound { demand, node, .. } = self.pods[&pod];
        for counter in &self.compiled[demand.position()].counted_by {
            let topology = self.counters.counted(*counter).topology;
            if let Some(domain) = self.topologies.domain(topology, node) {
                if is_there {
                    self.counters.add(*counter, domain);
                } else {
                    self.counters.remove(*counter, domain);
                }
            }
        }
    }
}
