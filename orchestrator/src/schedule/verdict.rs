//! What is to be said of a node and a pod: everything that refuses it there, or what it would cost.

use longshore_fleet::{Bytes, Cpu};

use super::{
    Cluster, Cost, DemandIndex, NodeIndex, Refusal,
    cost::NEVER,
    nodes::{KIB, NodeFacts},
    rule::{Rule, Rules},
};

/// What is to be said of a node and a pod.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// It fits, and costs so much.
    Fits(Cost),
    /// It does not, for every one of these reasons.
    Refused(Vec<Refusal>),
}

impl Cluster {
    /// What is to be said of every node and such a pod.
    pub fn verdicts(&self, demand: DemandIndex) -> impl Iterator<Item = (NodeIndex, Verdict)> {
        let rules = Rules::of(self, demand);
        self.nodes.iter().map(move |(node, facts)| {
            let refusals = self.refusals(demand, &rules, node, facts);
            let fits = || Verdict::Fits(self.cost_by(demand, &rules, node));
            (node, if refusals.is_empty() { fits() } else { Verdict::Refused(refusals) })
        })
    }

    /// Everything that refuses such a pod on a node.
    pub(crate) fn refusals(&self, demand: DemandIndex, rules: &Rules, node: NodeIndex, facts: &NodeFacts) -> Vec<Refusal> {
        let suits = self.statics.get(self.compiled(demand).statics);
        let mut refusals = Vec::new();
        if !facts.is_ready {
            refusals.push(Refusal::NotReady);
        }
        if facts.is_cordoned {
            refusals.push(Refusal::Cordoned);
        }
        if !suits.has_platform(facts) {
            refusals.push(Refusal::Platform(facts.platform.clone()));
        }
        if !suits.has_labels(facts) {
            refusals.push(Refusal::Labels);
        }
        refusals.extend(suits.forbidding(facts).cloned().map(Refusal::Tainted));
        refusals.extend(self.shortages(demand, node));
        for (counter, rule, count) in rules.at(self, node).filter(|(_, rule, count)| rule.cost(*count) == NEVER) {
            let counted = self.counters.counted(counter);
            let (selector, key) = (counted.selector.clone(), self.topologies.key(counted.topology).clone());
            refusals.push(match (rule, count) {
                (Rule::Near { .. } | Rule::Spread { .. }, None) => Refusal::NoLabel(key),
                (Rule::Near { .. }, _) => Refusal::NotNear(selector, key),
                (Rule::Spread { fewest, max_skew, own }, Some(count)) => {
                    Refusal::Skew(key, count.saturating_add(own).saturating_sub(fewest.saturating_add(max_skew)))
                }
                (Rule::Far | Rule::Each { .. } | Rule::Any { .. }, _) => Refusal::Near(selector, key),
            });
        }
        refusals
    }

    /// What a node has too little of, and by how much.
    fn shortages(&self, demand: DemandIndex, node: NodeIndex) -> Vec<Refusal> {
        let wants = &self.compiled(demand).demand;
        let at = node.position();
        let short = |wanted: u64, free: i64| wanted.saturating_add_signed(free.saturating_neg()).min(i64::MAX.unsigned_abs());
        let mut refusals = Vec::new();
        let cpu = short(wants.cpu_millis, self.nodes.cpu_free[at]);
        if wants.cpu_millis > 0 && cpu > 0 {
            refusals.push(Refusal::Cpu(Cpu::millis(cpu)));
        }
        let memory = short(wants.memory_bytes, self.nodes.memory_free[at]);
        if wants.memory_bytes > 0 && memory > 0 {
            refusals.push(Refusal::Memory(Bytes::new(memory)));
        }
        if self.nodes.pods_free[at] < 1 {
            refusals.push(Refusal::Pods);
        }
        for &(port, protocol) in &wants.ports {
            if self.nodes.has_port(node, (port, protocol)) {
                refusals.push(Refusal::Port(port, protocol));
            }
        }
        let missing_kib = self.image_for(demand, node).map_or(0, |image| self.layers.missing_kib(image)[at]);
        let disk_kib = short(missing_kib.into(), self.nodes.disk_free_kib[at]);
        if missing_kib > 0 && disk_kib > 0 {
            refusals.push(Refusal::Disk(Bytes::new(disk_kib * KIB)));
        }
        if missing_kib > 0 && self.nodes.pulls[at] >= self.weights.pulls_per_node {
            refusals.push(Refusal::Pulls);
        }
        refusals
    }
}
