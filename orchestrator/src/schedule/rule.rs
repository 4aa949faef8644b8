//! What pods that are there mean for one that is to come: affinity, anti-affinity and spreading, as they stand at one moment.

use super::{
    Cluster, DemandIndex, NodeIndex,
    choice::sum,
    cost::NEVER,
    demand::Compiled,
    index::{CounterIndex, DomainIndex, TopologyIndex},
};

/// What so many pods at a value of a label mean.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Rule {
    /// There must be one; where there is none anywhere, and the pod itself would be one, any value will do.
    Near { may_be_first: bool },
    /// There must be none.
    Far,
    /// There must not be so many more than at the value with the fewest.
    Spread { fewest: u32, max_skew: u32, own: u32 },
    /// Each costs so much; without the label it is as at the value with the most.
    Each { cost: i32, most: u32 },
    /// One or more cost so much.
    Any { cost: i32 },
}

impl Rule {
    /// What a node costs by it, with so many pods at its value; `None` where it does not have the label.
    pub(crate) fn cost(self, count: Option<u32>) -> i32 {
        let never_if = |is_refused| if is_refused { NEVER } else { 0 };
        match self {
            Self::Near { may_be_first } => never_if(count.is_none_or(|count| count == 0 && !may_be_first)),
            Self::Far => never_if(count.is_some_and(|count| count > 0)),
            Self::Spread { fewest, max_skew, own } => {
                never_if(count.is_none_or(|count| count.saturating_add(own) > fewest.saturating_add(max_skew)))
            }
            Self::Each { cost, most } => times(cost, count.unwrap_or(most)),
            Self::Any { cost } => times(cost, u32::from(count.is_some_and(|count| count > 0))),
        }
    }

    /// Whether it only makes nodes better or worse.
    const fn is_leaning(self) -> bool {
        matches!(self, Self::Each { .. } | Self::Any { .. })
    }
}

/// So many times so much, within bounds.
fn times(cost: i32, count: u32) -> i32 {
    const MOST: i64 = 50_000_000;
    i32::try_from((i64::from(cost) * i64::from(count)).clamp(-MOST, MOST)).unwrap_or(i32::MAX)
}

/// All that holds for a demand now.
#[derive(Debug)]
pub(crate) struct Rules {
    /// By nodes themselves.
    pub(crate) hosts: Vec<(CounterIndex, Rule)>,
    /// By labels that several nodes have.
    shared: Vec<(CounterIndex, TopologyIndex, Rule)>,
    /// Of those, what each value costs.
    pub(crate) tables: Vec<Table>,
}

/// What each value of a label costs.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) topology: TopologyIndex,
    costs: Vec<i32>,
    without: i32,
}

impl Table {
    /// What a node costs that has this value, or none.
    pub(crate) fn cost(&self, domain: Option<DomainIndex>) -> i32 {
        domain.map_or(self.without, |domain| self.costs[domain.position()])
    }
}

impl Rules {
    /// What holds for a demand now.
    pub(crate) fn of(cluster: &Cluster, demand: DemandIndex) -> Self {
        let compiled = cluster.compiled(demand);
        let mut rules = Self { hosts: Vec::new(), shared: Vec::new(), tables: Vec::new() };
        for (counter, rule) in found(cluster, compiled) {
            let topology = cluster.counters.counted(counter).topology;
            if cluster.topologies.is_host(topology) {
                rules.hosts.push((counter, rule));
            } else {
                rules.shared.push((counter, topology, rule));
            }
        }
        for at in 0..rules.shared.len() {
            let topology = rules.shared[at].1;
            if !rules.tables.iter().any(|table| table.topology == topology) {
                let table = rules.table(cluster, topology);
                rules.tables.push(table);
            }
        }
        rules
    }

    fn table(&self, cluster: &Cluster, topology: TopologyIndex) -> Table {
        let mut table = Table { topology, costs: vec![0; cluster.topologies.len(topology)], without: 0 };
        for (counter, _, rule) in self.shared.iter().filter(|(_, of, _)| *of == topology) {
            let counts = cluster.counters.counts(*counter);
            for (at, cost) in table.costs.iter_mut().enumerate() {
                *cost = sum(*cost, rule.cost(Some(counts.at(DomainIndex::at(at)))));
            }
            table.without = sum(table.without, rule.cost(None));
        }
        table
    }

    /// Every rule, with how many pods a node has by it.
    pub(crate) fn at<'a>(
        &'a self,
        cluster: &'a Cluster,
        node: NodeIndex,
    ) -> impl Iterator<Item = (CounterIndex, Rule, Option<u32>)> + 'a {
        let hosts = self
            .hosts
            .iter()
            .map(move |(counter, rule)| (*counter, *rule, Some(cluster.counters.counts(*counter).at(DomainIndex(node.0)))));
        let shared = self.shared.iter().map(move |(counter, topology, rule)| {
            let domain = cluster.topologies.domain(*topology, node);
            (*counter, *rule, domain.map(|domain| cluster.counters.counts(*counter).at(domain)))
        });
        hosts.chain(shared)
    }

    /// What a node costs by leanings alone.
    pub(crate) fn leaning(&self, cluster: &Cluster, node: NodeIndex) -> i32 {
        let leanings = self.at(cluster, node).filter(|(_, rule, _)| rule.is_leaning());
        leanings.fold(0, |total, (_, rule, count)| sum(total, rule.cost(count)))
    }
}

/// A demand's rules, as its counters stand.
fn found(cluster: &Cluster, compiled: &Compiled) -> Vec<(CounterIndex, Rule)> {
    let mut found = Vec::new();
    for (counter, is_own) in &compiled.near {
        let may_be_first = *is_own && cluster.counters.counts(*counter).total() == 0;
        found.push((*counter, Rule::Near { may_be_first }));
    }
    found.extend(compiled.far.iter().chain(&compiled.repelled_by).map(|counter| (*counter, Rule::Far)));
    for (counter, max_skew, is_own) in &compiled.spread {
        let fewest = fewest(cluster, compiled, *counter);
        found.push((*counter, Rule::Spread { fewest, max_skew: *max_skew, own: u32::from(*is_own) }));
    }
    for leaning in &compiled.leanings {
        let rule = if leaning.is_each {
            // Every node has a name, so nobody asks for the most there.
            let is_host = cluster.topologies.is_host(cluster.counters.counted(leaning.counter).topology);
            let counts = cluster.counters.counts(leaning.counter).iter().map(|(_, count)| count);
            let most = if is_host { None } else { counts.max() };
            Rule::Each { cost: leaning.cost, most: most.unwrap_or(0) }
        } else {
            Rule::Any { cost: leaning.cost }
        };
        found.push((leaning.counter, rule));
    }
    found
}

/// The fewest pods at a value that a node has which could take such a pod but for what is on it: open, and suiting by what it is.
fn fewest(cluster: &Cluster, compiled: &Compiled, counter: CounterIndex) -> u32 {
    let counts = cluster.counters.counts(counter);
    let domains = cluster.topologies.domains(cluster.counters.counted(counter).topology);
    let costs = cluster.statics.costs(compiled.statics);
    let suiting = domains.iter().enumerate().filter(|(at, _)| cluster.nodes.is_open[*at] && costs[*at] != NEVER);
    let mut fewest = None;
    for count in suiting.filter_map(|(_, domain)| domain.map(|domain| counts.at(domain))) {
        if count == 0 {
            // There can't be fewer, and by nodes themselves the first ones tell, most often.
            return 0;
        }
        fewest = Some(fewest.map_or(count, |fewest: u32| fewest.min(count)));
    }
    fewest.unwrap_or(0)
}
