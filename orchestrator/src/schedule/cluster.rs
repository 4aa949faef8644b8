//! Everything that decisions go by, kept current.

use std::sync::Arc;

use longshore_fleet::{LabelKey, NodeName, PodId};
use longshore_oci::Digest;
use rustc_hash::{FxHashMap as HashMap, FxHashSet as HashSet};

use super::{
    cost::{Cost, Weights},
    counters::Counters,
    demand::{Compiled, Demand},
    index::{DemandIndex, ImageIndex, LayerIndex, NodeIndex, TopologyIndex},
    interner::Interner,
    layers::{Held, Layers, zone_position},
    nodes::{NodeFacts, Nodes},
    partition::Partition,
    statics::Statics,
    survey::{Changes, Surveys},
    topology::{HOSTNAME, Topologies, ZONE},
};

/// Nodes, what is on them, and what pods want.
#[derive(Debug)]
pub struct Cluster {
    pub(crate) weights: Weights,
    pub(crate) nodes: Nodes,
    pub(crate) topologies: Topologies,
    pub(crate) zone: TopologyIndex,
    pub(crate) layers: Layers,
    pub(crate) statics: Statics,
    pub(crate) counters: Counters,
    pub(crate) demands: Interner<Demand>,
    pub(crate) compiled: Vec<Compiled>,
    pub(crate) pods: HashMap<PodId, Bound>,
    pub(crate) by_node: Vec<HashSet<PodId>>,
    /// Pods that wait for an image on a node.
    pub(crate) waiting: HashMap<(NodeIndex, ImageIndex), u32>,
    /// Nodes by their labels, for as long as no node changes.
    pub(crate) partitions: HashMap<Vec<TopologyIndex>, Arc<Partition>>,
    /// Which nodes have changed, for what is kept of decisions.
    pub(crate) changes: Changes,
    pub(crate) surveys: Surveys,
}

/// A pod on a node.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bound {
    pub(crate) demand: DemandIndex,
    pub(crate) node: NodeIndex,
    /// The image that it has there.
    pub(crate) image: Option<ImageIndex>,
    /// Whether bytes had to be fetched for it.
    pub(crate) is_pulling: bool,
    /// Whether all its bytes are there.
    pub(crate) is_running: bool,
}

/// A pod that was placed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Placed {
    /// Where.
    pub node: NodeIndex,
    /// What that cost it.
    pub cost: Cost,
    /// Bytes that the node lacked for it, and that were not on their way.
    pub missing_bytes: u64,
}

impl Cluster {
    /// One without nodes.
    pub fn new(weights: Weights) -> Self {
        let nodes = Nodes::default();
        let mut topologies = Topologies::default();
        let zone = topologies.topology(&key(ZONE), &nodes);
        Self {
            weights,
            nodes,
            topologies,
            zone,
            layers: Layers::default(),
            statics: Statics::default(),
            counters: Counters::default(),
            demands: Interner::default(),
            compiled: Vec::new(),
            pods: HashMap::default(),
            by_node: Vec::new(),
            waiting: HashMap::default(),
            partitions: HashMap::default(),
            changes: Changes::default(),
            surveys: Surveys::default(),
        }
    }

    /// Takes in what is known of a node now: a new one, or one that has changed.
    pub fn put_node(&mut self, mut facts: NodeFacts) -> NodeIndex {
        match facts.name.as_str().parse() {
            Ok(name) => facts.labels.insert(key(HOSTNAME), name),
            // It is too long for a label.
            Err(_) => facts.labels.remove(HOSTNAME),
        };
        if let Some(node) = self.node(&facts.name)
            && self.facts(node) == Some(&facts)
        {
            return node;
        }
        let (node, before) = self.nodes.put(facts, &self.weights);
        self.grow();
        self.touch(node);
        let Some(facts) = self.nodes.facts(node) else { return node };
        let is_same = before.as_ref().is_some_and(|before| {
            before.labels == facts.labels && before.taints == facts.taints && before.platform == facts.platform
        });
        if !is_same {
            let facts = facts.clone();
            self.relabel(node, |topologies| topologies.put(node, &facts));
            self.statics.put(node, Some(&facts), &self.weights);
        }
        node
    }

    /// Forgets a node. Pods on it stay known until they are removed, and are near nothing.
    pub fn remove_node(&mut self, name: &NodeName) {
        let Some(node) = self.nodes.find(name) else { return };
        let gone: Vec<LayerIndex> = self.layers.layers_of(node).map(|(layer, _)| layer).collect();
        for layer in gone {
            self.change_layer(node, layer, |held| {
                held.is_here = false;
                held.is_coming = false;
            });
        }
        self.relabel(node, |topologies| topologies.remove(node));
        self.nodes.remove(node);
        self.statics.put(node, None, &self.weights);
        self.touch(node);
    }

    /// An entry for a node that is gone, and that pods are still on.
    pub(crate) fn absent_node(&mut self, name: &NodeName) -> NodeIndex {
        let node = self.nodes.find(name).unwrap_or_else(|| self.nodes.grow(name));
        self.grow();
        node
    }

    /// Makes room everywhere for all nodes.
    fn grow(&mut self) {
        let count = self.nodes.len();
        if self.by_node.len() < count {
            self.by_node.resize_with(count, HashSet::default);
            self.layers.grow(count);
            self.topologies.grow(count);
            self.statics.grow(count);
            self.forget_partitions();
        }
    }

    /// The node of this name.
    pub fn node(&self, name: &NodeName) -> Option<NodeIndex> {
        self.nodes.find(name)
    }

    /// All nodes that there are.
    pub fn nodes(&self) -> impl Iterator<Item = NodeIndex> {
        self.nodes.iter().map(|(node, _)| node)
    }

    /// What is known of a node; `None` of one that is gone.
    pub fn facts(&self, node: NodeIndex) -> Option<&NodeFacts> {
        self.nodes.facts(node)
    }

    /// A node's labels change: everything that follows from them is found out again.
    fn relabel(&mut self, node: NodeIndex, change: impl FnOnce(&mut Topologies)) {
        let pods: Vec<PodId> = self.by_node[node.position()].iter().copied().collect();
        let zone = self.topologies.domain(self.zone, node);
        for pod in &pods {
            self.count(*pod, false);
        }
        change(&mut self.topologies);
        for pod in &pods {
            self.count(*pod, true);
        }
        let moved = self.topologies.domain(self.zone, node);
        if zone != moved {
            self.layers.move_node(node, zone, moved);
            self.nodes.zones[node.position()] = zone_position(moved);
        }
        self.forget_partitions();
        self.touch(node);
    }

    /// Nodes have other labels than before, or there are others.
    fn forget_partitions(&mut self) {
        self.partitions.clear();
        self.surveys.clear();
    }

    /// Something of a node has changed that decisions go by.
    pub(crate) fn touch(&mut self, node: NodeIndex) {
        self.changes.note(node, self.nodes.len());
    }

    /// A node says whether it has a layer.
    pub fn set_layer(&mut self, node: NodeIndex, digest: &Digest, size_bytes: u64, is_here: bool) {
        let layer = self.layers.layer(digest, size_bytes);
        self.change_layer(node, layer, |held| {
            held.is_here = is_here;
            held.is_coming &= !is_here;
        });
    }

    /// A node says whether it is fetching a layer.
    pub fn set_arriving(&mut self, node: NodeIndex, digest: &Digest, size_bytes: u64, is_coming: bool) {
        let layer = self.layers.layer(digest, size_bytes);
        self.change_layer(node, layer, |held| held.is_coming = is_coming && !held.is_here);
    }

    pub(crate) fn change_layer(&mut self, node: NodeIndex, layer: LayerIndex, change: impl FnOnce(&mut Held)) {
        let zone = self.topologies.domain(self.zone, node);
        let Some(arriving_kib) = self.layers.change(node, zone, layer, change) else { return };
        self.touch(node);
        self.nodes.add_arriving(node, arriving_kib);
        self.nodes.disk_free_kib[node.position()] -= arriving_kib;
        self.nodes.note_fetchable(node, &self.weights);
    }
}

/// A label's key that is known to be one.
pub(crate) fn key(text: &str) -> LabelKey {
    text.parse().unwrap_or_else(|_| unreachable!("it is a key"))
}
