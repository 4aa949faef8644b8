//! Labels of nodes by which pods are counted and spread, and the values that nodes have of them.

use longshore_fleet::{LabelKey, LabelValue};
use rustc_hash::FxHashMap as HashMap;

use super::{
    index::{DomainIndex, NodeIndex, TopologyIndex},
    interner::Interner,
    nodes::{NodeFacts, Nodes},
};

/// The label that is the node itself.
pub(crate) const HOSTNAME: &str = "kubernetes.io/hostname";
/// The label of the part of a fleet within which bytes are cheap.
pub(crate) const ZONE: &str = "topology.kubernetes.io/zone";

/// The labels that somebody counts by, and each node's value of each.
#[derive(Debug, Default)]
pub(crate) struct Topologies {
    keys: Interner<LabelKey>,
    topologies: Vec<Topology>,
}

#[derive(Debug)]
struct Topology {
    /// Whether each node is a value of its own.
    is_host: bool,
    values: HashMap<LabelValue, DomainIndex>,
    /// By node.
    domains: Vec<Option<DomainIndex>>,
}

impl Topologies {
    /// A label, and its values on these nodes.
    pub(crate) fn topology(&mut self, key: &LabelKey, nodes: &Nodes) -> TopologyIndex {
        let (at, is_new) = self.keys.intern(key);
        if is_new {
            let is_host = key.as_str() == HOSTNAME;
            let host = |at| is_host.then(|| DomainIndex::at(at));
            let domains = (0..nodes.len()).map(host).collect();
            let mut topology = Topology { is_host, values: HashMap::default(), domains };
            for (node, facts) in nodes.iter() {
                topology.domains[node.position()] = topology.domain_of(key, node, facts);
            }
            self.topologies.push(topology);
        }
        TopologyIndex::at(at)
    }

    /// Makes room for a node of which nothing is known.
    pub(crate) fn grow(&mut self, nodes: usize) {
        for topology in &mut self.topologies {
            while topology.domains.len() < nodes {
                topology.domains.push(topology.is_host.then(|| DomainIndex::at(topology.domains.len())));
            }
        }
    }

    /// What is known of a node now.
    pub(crate) fn put(&mut self, node: NodeIndex, facts: &NodeFacts) {
        for (key, topology) in self.keys.iter().zip(&mut self.topologies) {
            topology.domains[node.position()] = topology.domain_of(key, node, facts);
        }
    }

    /// A node is gone, and has no labels.
    pub(crate) fn remove(&mut self, node: NodeIndex) {
        for topology in self.topologies.iter_mut().filter(|topology| !topology.is_host) {
            if let Some(domain) = topology.domains.get_mut(node.position()) {
                *domain = None;
            }
        }
    }

    /// Whether each node is a value of this label.
    pub(crate) fn is_host(&self, topology: TopologyIndex) -> bool {
        self.topologies[topology.position()].is_host
    }

    /// The value that a node has, by position.
    pub(crate) fn domain(&self, topology: TopologyIndex, node: NodeIndex) -> Option<DomainIndex> {
        self.topologies[topology.position()].domains.get(node.position()).copied().flatten()
    }

    /// The values of all nodes.
    pub(crate) fn domains(&self, topology: TopologyIndex) -> &[Option<DomainIndex>] {
        &self.topologies[topology.position()].domains
    }

    /// How many values there are.
    pub(crate) fn len(&self, topology: TopologyIndex) -> usize {
        self.topologies[topology.position()].values.len()
    }

    /// What the label is called.
    pub(crate) fn key(&self, topology: TopologyIndex) -> &LabelKey {
        self.keys.get(topology.position())
    }
}

impl Topology {
    fn domain_of(&mut self, key: &LabelKey, node: NodeIndex, facts: &NodeFacts) -> Option<DomainIndex> {
        if self.is_host {
            return Some(DomainIndex(node.0));
        }
        let value = facts.labels.get(key)?;
        if let Some(&domain) = self.values.get(value) {
            return Some(domain);
        }
        let domain = DomainIndex::at(self.values.len());
        self.values.insert(value.clone(), domain);
        Some(domain)
    }
}
