//! Which node costs a pod least.

use longshore_fleet::{Class, PodId};

use super::{
    Cluster, Cost, DemandIndex, NodeIndex, Placed, Weights,
    cost::{self, NEVER, Sums},
    demand::Compiled,
    index::{DomainIndex, ImageIndex},
    nodes::signed,
    rule::{Rule, Rules},
};

/// A sum that stays below [`NEVER`] unless a part is.
pub(crate) const fn sum(one: i32, other: i32) -> i32 {
    if one == NEVER || other == NEVER {
        return NEVER;
    }
    let sum = one.saturating_add(other);
    if sum == NEVER { NEVER - 1 } else { sum }
}

impl Cluster {
    /// Binds a pod to a node, and says what that cost.
    pub(crate) fn settle(&mut self, pod: PodId, demand: DemandIndex, rules: &Rules, node: NodeIndex) -> Placed {
        let cost = self.cost_by(demand, rules, node);
        let image = self.image_for(demand, node);
        let missing_bytes = image.map_or(0, |image| self.layers.missing_bytes(image, node));
        self.bind(pod, demand, node);
        Placed { node, cost, missing_bytes }
    }

    /// How long such a pod would wait for its bytes on a node, in ticks.
    pub(crate) fn start(&self, demand: DemandIndex, node: NodeIndex) -> i32 {
        let columns = Columns::of(self, self.compiled(demand), self.image_for(demand, node));
        cost::start(&columns.sums(node.position()))
    }

    /// What a node costs such a pod, term by term, whether it fits or not.
    pub fn cost(&self, demand: DemandIndex, node: NodeIndex) -> Cost {
        self.cost_by(demand, &Rules::of(self, demand), node)
    }

    pub(crate) fn cost_by(&self, demand: DemandIndex, rules: &Rules, node: NodeIndex) -> Cost {
        let compiled = self.compiled(demand);
        let sums = Columns::of(self, compiled, self.image_for(demand, node)).sums(node.position());
        let suits = self.statics.get(compiled.statics);
        Cost {
            start: cost::start(&sums),
            balance: cost::balance(&sums, compiled.demand.class, &self.weights),
            preference: self.nodes.facts(node).map_or(0, |facts| suits.preference(facts, &self.weights)),
            health: self.nodes.health[node.position()],
            neighbours: rules.leaning(self, node),
        }
    }

    /// By node, what it costs without what follows from labels of nodes that several have; [`NEVER`] where it does not fit.
    pub(crate) fn survey(&self, demand: DemandIndex, rules: &Rules) -> Vec<i32> {
        let compiled = self.compiled(demand);
        let mut costs = Vec::with_capacity(self.nodes.len());
        match compiled.images.as_slice() {
            [] => Columns::of(self, compiled, None).extend(&mut costs),
            [image] => Columns::of(self, compiled, Some(*image)).extend(&mut costs),
            _ => costs.extend((0..self.nodes.len()).map(|at| {
                let image = self.image_for(demand, NodeIndex::at(at));
                Columns::of(self, compiled, image).cost(at)
            })),
        }
        for port in &compiled.demand.ports {
            for (at, total) in costs.iter_mut().enumerate() {
                if self.nodes.has_port(NodeIndex::at(at), *port) {
                    *total = NEVER;
                }
            }
        }
        for (counter, rule) in &rules.hosts {
            let counts = self.counters.counts(*counter);
            if rule.cost(Some(0)) == 0 {
                for (domain, count) in counts.iter() {
                    let total = &mut costs[domain.position()];
                    *total = sum(*total, rule.cost(Some(count)));
                }
            } else {
                for (at, total) in costs.iter_mut().enumerate() {
                    *total = sum(*total, rule.cost(Some(counts.at(DomainIndex::at(at)))));
                }
            }
        }
        costs
    }

    /// As [`Self::survey`], for these nodes alone.
    pub(crate) fn survey_again(
        &self,
        demand: DemandIndex,
        rules: &Rules,
        changed: impl Iterator<Item = NodeIndex>,
        mut tell: impl FnMut(NodeIndex, i32),
    ) {
        let compiled = self.compiled(demand);
        let alone = match compiled.images.as_slice() {
            [] => Some(Columns::of(self, compiled, None)),
            [image] => Some(Columns::of(self, compiled, Some(*image))),
            _ => None,
        };
        for node in changed {
            let bare = match &alone {
                Some(columns) => columns.cost(node.position()),
                None => Columns::of(self, compiled, self.image_for(demand, node)).cost(node.position()),
            };
            tell(node, self.with_rules(compiled, rules, node, bare));
        }
    }

    /// What a node costs by its columns, and by the ports and rules that are its own.
    fn with_rules(&self, compiled: &Compiled, rules: &Rules, node: NodeIndex, bare: i32) -> i32 {
        if compiled.demand.ports.iter().any(|port| self.nodes.has_port(node, *port)) {
            return NEVER;
        }
        let at_host = |rule: &Rule, counter| rule.cost(Some(self.counters.counts(counter).at(DomainIndex(node.0))));
        rules.hosts.iter().fold(bare, |total, (counter, rule)| sum(total, at_host(rule, *counter)))
    }
}

/// What the cost of a pod follows from, by node: each of as many entries as there are nodes.
struct Columns<'a> {
    is_open: &'a [bool],
    statics: &'a [i32],
    health: &'a [i32],
    cpu_free: &'a [i64],
    memory_free: &'a [i64],
    pods_free: &'a [i64],
    cpu_share: &'a [f32],
    memory_share: &'a [f32],
    arriving_kib: &'a [u32],
    fetchable_kib: &'a [u32],
    near_pace: &'a [f32],
    far_pace: &'a [f32],
    zones: &'a [usize],
    /// KiB that are missing; `None` where there is no image.
    missing: Option<&'a [u32]>,
    /// By zone, KiB that no node of it has; and those of zones that have no entry.
    absent: &'a [u32],
    absent_else: u32,
    weights: Weights,
    class: Class,
    cpu: i64,
    memory: i64,
}

impl<'a> Columns<'a> {
    /// What a demand's cost follows from, with this image.
    fn of(cluster: &'a Cluster, compiled: &Compiled, image: Option<ImageIndex>) -> Self {
        let nodes = &cluster.nodes;
        let count = nodes.len();
        let (missing, absent, absent_else) = image.map_or((&[][..], &[][..], 0), |image| cluster.layers.row(image));
        Self {
            is_open: &nodes.is_open[..count],
            statics: &cluster.statics.costs(compiled.statics)[..count],
            health: &nodes.health[..count],
            cpu_free: &nodes.cpu_free[..count],
            memory_free: &nodes.memory_free[..count],
            pods_free: &nodes.pods_free[..count],
            cpu_share: &nodes.cpu_share[..count],
            memory_share: &nodes.memory_share[..count],
            arriving_kib: &nodes.arriving_kib[..count],
            fetchable_kib: &nodes.fetchable_kib[..count],
            near_pace: &nodes.near_pace[..count],
            far_pace: &nodes.far_pace[..count],
            zones: &nodes.zones[..count],
            missing: image.map(|_| &missing[..count]),
            absent,
            absent_else,
            weights: cluster.weights,
            class: compiled.demand.class,
            cpu: signed(compiled.demand.cpu_millis),
            memory: signed(compiled.demand.memory_bytes),
        }
    }

    /// What every node costs by its columns alone.
    fn extend(&self, costs: &mut Vec<i32>) {
        costs.extend((0..self.is_open.len()).map(|at| self.cost(at)));
    }

    /// What a node costs by its columns alone.
    #[expect(clippy::inline_always, reason = "it is the body of the loop over all nodes")]
    #[inline(always)]
    fn cost(&self, at: usize) -> i32 {
        let sums = self.sums(at);
        let lacks = !self.is_open[at]
            || self.statics[at] == NEVER
            || (sums.cpu_left < 0 && self.cpu > 0)
            || (sums.memory_left < 0 && self.memory > 0)
            || self.pods_free[at] < 1
            || sums.missing_kib > self.fetchable_kib[at];
        // Each is within bounds by itself, and a sum with `NEVER` in it is not taken.
        let cost = self.statics[at].wrapping_add(self.health[at]).wrapping_add(cost::start(&sums)).wrapping_add(cost::balance(
            &sums,
            self.class,
            &self.weights,
        ));
        if lacks { NEVER } else { cost }
    }

    /// What a node's cost follows from, with the pod on it.
    #[expect(clippy::inline_always, reason = "it is the body of the loop over all nodes")]
    #[inline(always)]
    fn sums(&self, at: usize) -> Sums {
        let missing_kib = self.missing.map_or(0, |missing| missing[at]);
        // What nobody in the zone has, the node has not either: none of it where nothing is missing.
        let absent_kib = self.absent.get(self.zones[at]).copied().unwrap_or(self.absent_else);
        Sums {
            missing_kib,
            absent_kib,
            arriving_kib: self.arriving_kib[at],
            near_pace: self.near_pace[at],
            far_pace: self.far_pace[at],
            cpu_left: self.cpu_free[at].saturating_sub(self.cpu),
            memory_left: self.memory_free[at].saturating_sub(self.memory),
            cpu_share: self.cpu_share[at],
            memory_share: self.memory_share[at],
        }
    }
}
