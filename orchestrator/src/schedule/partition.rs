//! Nodes by the values that they have of the labels that matter to a demand: of those alike, what is shared costs every one the same.

use std::{ops::Range, sync::Arc};

use rustc_hash::FxHashMap as HashMap;

use super::{
    Cluster, NodeIndex,
    index::{DomainIndex, TopologyIndex},
};

/// How many places are looked at together.
pub(crate) const BLOCK: usize = 64;

/// Nodes by their values of some labels, each with a place: those of a part stand together, in their own order, and begin a block.
/// The same until a node has other labels.
#[derive(Debug, Default)]
pub(crate) struct Partition {
    pub(crate) parts: Vec<Part>,
    /// By node.
    places: Vec<usize>,
    /// By place; none where a block is not full.
    nodes: Vec<Option<NodeIndex>>,
}

/// Nodes that are alike in some labels.
#[derive(Debug)]
pub(crate) struct Part {
    /// Their values, by the order of the labels.
    pub(crate) domains: Vec<Option<DomainIndex>>,
    /// Their blocks.
    pub(crate) blocks: Range<usize>,
}

impl Partition {
    fn new(domains_of: impl Iterator<Item = Vec<Option<DomainIndex>>>) -> Self {
        let mut by_domains: HashMap<Vec<Option<DomainIndex>>, usize> = HashMap::default();
        let mut members: Vec<Vec<NodeIndex>> = Vec::new();
        let mut partition = Self::default();
        for (at, domains) in domains_of.enumerate() {
            let part = *by_domains.entry(domains).or_insert_with_key(|domains| {
                partition.parts.push(Part { domains: domains.clone(), blocks: 0..0 });
                members.push(Vec::new());
                members.len() - 1
            });
            members[part].push(NodeIndex::at(at));
            partition.places.push(usize::MAX);
        }
        for (part, members) in partition.parts.iter_mut().zip(members) {
            let first = partition.nodes.len();
            for (at, node) in members.iter().enumerate() {
                partition.places[node.position()] = first + at;
                partition.nodes.push(Some(*node));
            }
            partition.nodes.resize(partition.nodes.len().next_multiple_of(BLOCK), None);
            part.blocks = first / BLOCK..partition.nodes.len() / BLOCK;
        }
        partition
    }

    /// Where a node stands.
    pub(crate) fn place(&self, node: NodeIndex) -> usize {
        self.places[node.position()]
    }

    /// Who stands there.
    pub(crate) fn node(&self, place: usize) -> Option<NodeIndex> {
        self.nodes[place]
    }

    /// How many places there are.
    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }
}

impl Cluster {
    /// The nodes by their values of these labels.
    pub(crate) fn partition(&mut self, topologies: Vec<TopologyIndex>) -> Arc<Partition> {
        if let Some(partition) = self.partitions.get(&topologies) {
            return Arc::clone(partition);
        }
        let domains_of = |at| {
            let domain = |topology: &TopologyIndex| self.topologies.domain(*topology, NodeIndex::at(at));
            topologies.iter().map(domain).collect()
        };
        let partition = Arc::new(Partition::new((0..self.nodes.len()).map(domains_of)));
        self.partitions.insert(topologies, Arc::clone(&partition));
        partition
    }
}
