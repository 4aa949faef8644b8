//! Why a pod is where it is, or nowhere: every node's verdict, put together for a person to read, and what would make it fit.

use std::{collections::BTreeMap, fmt};

use longshore_fleet::NodeName;

use super::{Cluster, Cost, DemandIndex, Refusal, Verdict};

/// Every node's verdict on a pod.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Explanation {
    /// Where it fits, the best first.
    pub fits: Vec<(NodeName, Cost)>,
    /// Where it does not: nodes that refuse it for the same reasons together, the greatest group first.
    pub refused: Vec<Group>,
    /// What would make it fit, what would do so on most nodes first.
    pub remedies: Vec<Remedy>,
}

/// Nodes that refuse a pod for the same reasons.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Group {
    /// The reasons; where they are amounts that are short, those of the node that is short of least.
    pub refusals: Vec<Refusal>,
    /// The nodes, by name.
    pub nodes: Vec<NodeName>,
}

/// One change that would make a pod fit.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Remedy {
    /// What it takes away; the least amount that is enough on one node.
    pub refusal: Refusal,
    /// On how many nodes it is all that is in the way.
    pub nodes: usize,
}

impl Cluster {
    /// Every node's verdict on such a pod.
    pub fn explain(&self, demand: DemandIndex) -> Explanation {
        let mut explanation = Explanation::default();
        let mut groups: BTreeMap<Vec<String>, Group> = BTreeMap::new();
        let mut remedies: BTreeMap<String, Remedy> = BTreeMap::new();
        for (node, verdict) in self.verdicts(demand) {
            let Some(facts) = self.facts(node) else { continue };
            let refusals = match verdict {
                Verdict::Fits(cost) => {
                    explanation.fits.push((facts.name.clone(), cost));
                    continue;
                }
                Verdict::Refused(refusals) => refusals,
            };
            if let [refusal] = refusals.as_slice() {
                let first = || Remedy { refusal: refusal.clone(), nodes: 0 };
                let remedy = remedies.entry(refusal.kind()).or_insert_with(first);
                remedy.nodes += 1;
                remedy.refusal = remedy.refusal.clone().least(refusal);
            }
            let kinds = refusals.iter().map(Refusal::kind).collect();
            let first = || Group { refusals: refusals.clone(), nodes: Vec::new() };
            let group = groups.entry(kinds).or_insert_with(first);
            let least = group.refusals.iter().zip(&refusals).map(|(one, other)| one.clone().least(other));
            group.refusals = least.collect();
            group.nodes.push(facts.name.clone());
        }
        explanation.fits.sort_by_key(|(_, cost)| cost.total());
        explanation.refused = groups.into_values().collect();
        explanation.refused.sort_by_key(|group| std::cmp::Reverse(group.nodes.len()));
        explanation.remedies = remedies.into_values().collect();
        explanation.remedies.sort_by_key(|remedy| std::cmp::Reverse(remedy.nodes));
        explanation
    }
}

impl Refusal {
    /// What it is, but for amounts: refusals of one kind are put together.
    fn kind(&self) -> String {
        match self {
            Self::Cpu(_) => "cpu".to_owned(),
            Self::Memory(_) => "memory".to_owned(),
            Self::Disk(_) => "disk".to_owned(),
            Self::Skew(key, _) => format!("skew {key}"),
            other => other.to_string(),
        }
    }

    /// Of two of a kind the one that is short of less.
    fn least(self, other: &Self) -> Self {
        match (self, other) {
            (Self::Cpu(one), Self::Cpu(other)) => Self::Cpu(one.min(*other)),
            (Self::Memory(one), Self::Memory(other)) => Self::Memory(one.min(*other)),
            (Self::Disk(one), Self::Disk(other)) => Self::Disk(one.min(*other)),
            (Self::Skew(key, one), Self::Skew(_, other)) => Self::Skew(key, one.min(*other)),
            (one, _) => one,
        }
    }
}

impl fmt::Display for Remedy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.refusal {
            Refusal::NotReady => write!(formatter, "bring one back")?,
            Refusal::Cordoned => write!(formatter, "uncordon one")?,
            Refusal::Platform(platform) => write!(formatter, "push the image for {platform} too")?,
            Refusal::Labels => write!(formatter, "give one the labels that the pod wants")?,
            Refusal::Tainted(taint) => write!(formatter, "remove the taint {taint}, or tolerate it")?,
            Refusal::Cpu(short) => write!(formatter, "free {short} of CPU on one")?,
            Refusal::Memory(short) => write!(formatter, "free {short} of memory on one")?,
            Refusal::Pods => write!(formatter, "let one have more pods")?,
            Refusal::Port(port, protocol) => write!(formatter, "free port {port}/{protocol}")?,
            Refusal::Disk(short) => write!(formatter, "free {short} of disk on one")?,
            Refusal::Pulls => write!(formatter, "wait until one has pulled an image")?,
            Refusal::NoLabel(key) => write!(formatter, "give one the label {key}")?,
            Refusal::NotNear(selector, _) => write!(formatter, "run a pod with {selector} there")?,
            Refusal::Near(selector, _) => write!(formatter, "move the pods that {selector} keeps apart")?,
            Refusal::Skew(key, _) => write!(formatter, "allow more skew over {key}, or make room at its other values")?,
        }
        write!(formatter, " ({} {})", self.nodes, if self.nodes == 1 { "node" } else { "nodes" })
    }
}
