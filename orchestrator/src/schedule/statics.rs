//! What suits a pod of nodes by what they are, whoever is on them: selectors, affinity to nodes, taints, the platform. Found out once for
//! all pods of a kind, and again for a node that changes.

use longshore_fleet::{Effect, Labels, NodeAffinity, Toleration};

use super::{
    cost::{NEVER, Weights, ticks},
    index::{NodeIndex, StaticsIndex},
    interner::Interner,
    nodes::{NodeFacts, Nodes},
};

/// What suits a pod by what nodes are.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Static {
    pub(crate) node_selector: Labels,
    pub(crate) affinity: NodeAffinity,
    pub(crate) tolerations: Vec<Toleration>,
    /// Operating system and architecture.
    pub(crate) platforms: Vec<(String, String)>,
}

/// All of them, and by node what each comes to.
#[derive(Debug, Default)]
pub(crate) struct Statics {
    statics: Interner<Static>,
    /// By node: ticks, or [`NEVER`].
    costs: Vec<Vec<i32>>,
}

impl Static {
    /// What a node comes to: ticks, or [`NEVER`].
    pub(crate) fn cost(&self, facts: &NodeFacts, weights: &Weights) -> i32 {
        if !self.has_platform(facts) || !self.has_labels(facts) || self.forbidding(facts).next().is_some() {
            return NEVER;
        }
        self.preference(facts, weights)
    }

    /// Whether the image is made for it.
    pub(crate) fn has_platform(&self, facts: &NodeFacts) -> bool {
        self.platforms.is_empty()
            || self
                .platforms
                .iter()
                .any(|(os, architecture)| *os == facts.platform.os && *architecture == facts.platform.architecture)
    }

    /// Whether it has the labels.
    pub(crate) fn has_labels(&self, facts: &NodeFacts) -> bool {
        let required = &self.affinity.required;
        let meets =
            |term: &longshore_fleet::NodeTerm| term.match_expressions.iter().all(|demand| demand.is_met_by(&facts.labels));
        self.node_selector.iter().all(|(key, value)| facts.labels.get(key) == Some(value))
            && (required.is_empty() || required.iter().any(meets))
    }

    /// Taints that keep its pods off.
    pub(crate) fn forbidding<'a>(&'a self, facts: &'a NodeFacts) -> impl Iterator<Item = &'a longshore_fleet::Taint> {
        self.intolerable(facts).filter(|taint| taint.effect != Effect::PreferNoSchedule)
    }

    fn intolerable<'a>(&'a self, facts: &'a NodeFacts) -> impl Iterator<Item = &'a longshore_fleet::Taint> {
        facts.taints.iter().filter(|taint| !self.tolerations.iter().any(|toleration| toleration.tolerates(taint)))
    }

    /// What preferences and taints that are not liked come to.
    pub(crate) fn preference(&self, facts: &NodeFacts, weights: &Weights) -> i32 {
        let disliked = self.intolerable(facts).filter(|taint| taint.effect == Effect::PreferNoSchedule).count();
        let liked = self
            .affinity
            .preferred
            .iter()
            .filter(|term| term.match_expressions.iter().all(|demand| demand.is_met_by(&facts.labels)));
        let liked: u32 = liked.map(|term| term.weight).sum();
        let disliked = u32::try_from(disliked).unwrap_or(u32::MAX);
        times(weights.taint_seconds, disliked, 1) - times(weights.affinity_seconds, liked, 100)
    }
}

/// So many parts of so many seconds, in ticks.
#[expect(clippy::cast_precision_loss, reason = "they are few")]
fn times(seconds: f32, count: u32, parts: u32) -> i32 {
    ticks(seconds * count as f32 / parts as f32)
}

impl Statics {
    /// What suits so, found out for these nodes if it is new.
    pub(crate) fn index(&mut self, suits: &Static, nodes: &Nodes, weights: &Weights) -> StaticsIndex {
        let (at, is_new) = self.statics.intern(suits);
        if is_new {
            let mut costs = vec![NEVER; nodes.len()];
            for (node, facts) in nodes.iter() {
                costs[node.position()] = suits.cost(facts, weights);
            }
            self.costs.push(costs);
        }
        StaticsIndex::at(at)
    }

    /// Makes room for a node of which nothing is known.
    pub(crate) fn grow(&mut self, nodes: usize) {
        self.costs.iter_mut().for_each(|costs| costs.resize(nodes, NEVER));
    }

    /// What is known of a node now; `None` where it is gone.
    pub(crate) fn put(&mut self, node: NodeIndex, facts: Option<&NodeFacts>, weights: &Weights) {
        for (suits, costs) in self.statics.iter().zip(&mut self.costs) {
            costs[node.position()] = facts.map_or(NEVER, |facts| suits.cost(facts, weights));
        }
    }

    /// By node: ticks, or [`NEVER`].
    pub(crate) fn costs(&self, index: StaticsIndex) -> &[i32] {
        &self.costs[index.position()]
    }

    /// What suits.
    pub(crate) fn get(&self, index: StaticsIndex) -> &Static {
        self.statics.get(index.position())
    }
}
