//! What nodes cost a demand, kept from one decision to the next: the next pod that is alike looks again only at nodes that have changed.
//!
//! Nodes are in parts by the labels that rules go by. Within a part what is shared costs every node the same, so the node that costs
//! least by itself is the part's best. Costs stand in blocks, each with its least, so that few are looked at for the least of all.

use std::sync::Arc;

use rustc_hash::FxHashMap as HashMap;

use super::{
    Cluster, DemandIndex, NodeIndex,
    choice::sum,
    cost::NEVER,
    index::CounterIndex,
    partition::{BLOCK, Partition},
    rule::{Rule, Rules},
};

/// How many costs are kept at most, of all demands: 64 MiB.
const MOST_COSTS: usize = 16 << 20;

/// Which nodes have changed, one after the other.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    log: Vec<NodeIndex>,
    /// How many were dropped before those that are in the log.
    dropped: u64,
    /// By node: where it is last.
    last: Vec<u64>,
}

impl Changes {
    /// One of so many nodes has changed.
    pub(crate) fn note(&mut self, node: NodeIndex, nodes: usize) {
        if self.log.last() == Some(&node) {
            return;
        }
        if self.log.len() >= 2 * nodes.max(64) {
            let half = self.log.len() / 2;
            self.log.drain(..half);
            self.dropped += half as u64;
        }
        self.last.resize(nodes, 0);
        self.last[node.position()] = self.end();
        self.log.push(node);
    }

    /// Where the log ends.
    fn end(&self) -> u64 {
        self.dropped + self.log.len() as u64
    }

    /// What has changed since then, each node once; `None` where that is not known any more, or is more than so many changes. The last
    /// that was known then may have changed again.
    fn since(&self, end: u64, most: usize) -> Option<impl Iterator<Item = NodeIndex>> {
        let from = usize::try_from(end.saturating_sub(1).checked_sub(self.dropped)?).ok()?;
        let changed = self.log.get(from..).filter(|changed| changed.len() <= most)?;
        let first = self.dropped + from as u64;
        let is_last = move |(at, node): &(u64, NodeIndex)| self.last[node.position()] == *at;
        Some((first..).zip(changed.iter().copied()).filter(is_last).map(|(_, node)| node))
    }
}

/// The surveys of all demands that were asked for lately.
#[derive(Debug, Default)]
pub(crate) struct Surveys {
    kept: HashMap<DemandIndex, Survey>,
    /// How many costs are in those.
    costs: usize,
    /// Counts decisions.
    now: u64,
}

/// What nodes cost a demand by themselves.
#[derive(Debug)]
struct Survey {
    /// By place; [`NEVER`] where there is no node.
    costs: Vec<i32>,
    /// By block.
    least: Vec<i32>,
    /// By block: whether one of it has changed since its least was found.
    is_stale: Vec<bool>,
    /// Up to where changes of nodes are in it.
    end: u64,
    basis: Basis,
    used: u64,
}

/// What concerns all nodes at once: on another basis all is found out anew.
#[derive(Debug)]
struct Basis {
    partition: Arc<Partition>,
    hosts: Vec<(CounterIndex, Rule)>,
    /// Of each image, how often what zones lack of it has changed.
    absences: Vec<u64>,
}

impl Basis {
    fn of(cluster: &mut Cluster, demand: DemandIndex, rules: &Rules) -> Self {
        let topologies = rules.tables.iter().map(|table| table.topology).collect();
        let partition = cluster.partition(topologies);
        let images = &cluster.compiled(demand).images;
        Self {
            partition,
            hosts: rules.hosts.clone(),
            absences: images.iter().map(|image| cluster.layers.absences(*image)).collect(),
        }
    }

    fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.partition, &other.partition) && self.hosts == other.hosts && self.absences == other.absences
    }
}

impl Cluster {
    /// The node that would cost such a pod least; of equals the one that was known first.
    pub(crate) fn best(&mut self, demand: DemandIndex, rules: &Rules) -> Option<NodeIndex> {
        let basis = Basis::of(self, demand, rules);
        let kept = self.surveys.take(demand);
        let mut survey = match kept.filter(|kept| kept.basis.is_same(&basis)) {
            Some(kept) => kept.caught_up(self, demand, rules),
            None => Survey::new(self, basis, demand, rules),
        };
        let best = survey.best(rules);
        self.surveys.keep(demand, survey);
        best
    }
}

impl Survey {
    fn new(cluster: &Cluster, basis: Basis, demand: DemandIndex, rules: &Rules) -> Self {
        let mut costs = vec![NEVER; basis.partition.len()];
        for (at, cost) in cluster.survey(demand, rules).into_iter().enumerate() {
            costs[basis.partition.place(NodeIndex::at(at))] = cost;
        }
        let blocks = costs.len() / BLOCK;
        Self { costs, least: vec![NEVER; blocks], is_stale: vec![true; blocks], end: cluster.changes.end(), basis, used: 0 }
    }

    /// The survey with what has changed since.
    fn caught_up(mut self, cluster: &Cluster, demand: DemandIndex, rules: &Rules) -> Self {
        let Some(changed) = cluster.changes.since(self.end, self.costs.len() / 2) else {
            return Self::new(cluster, self.basis, demand, rules);
        };
        cluster.survey_again(demand, rules, changed, |node, cost| {
            let place = self.basis.partition.place(node);
            self.costs[place] = cost;
            self.is_stale[place / BLOCK] = true;
        });
        self.end = cluster.changes.end();
        self
    }

    /// The node that costs least, with what its part shares.
    fn best(&mut self, rules: &Rules) -> Option<NodeIndex> {
        let (blocks, _) = self.costs.as_chunks::<BLOCK>();
        for ((least, is_stale), block) in self.least.iter_mut().zip(&mut self.is_stale).zip(blocks) {
            if std::mem::take(is_stale) {
                *least = block.iter().copied().fold(NEVER, i32::min);
            }
        }
        let mut best: Option<(i32, NodeIndex)> = None;
        for part in &self.basis.partition.parts {
            let blocks_of_it = part.blocks.clone().zip(&self.least[part.blocks.clone()]);
            let Some((block, &least)) = blocks_of_it.min_by_key(|(_, least)| **least) else { continue };
            let shared = rules.tables.iter().zip(&part.domains);
            let total = shared.fold(least, |total, (table, domain)| sum(total, table.cost(*domain)));
            if total == NEVER || best.is_some_and(|(cost, _)| cost < total) {
                continue;
            }
            let within = blocks[block].iter().position(|cost| *cost == least);
            let node = within.and_then(|within| self.basis.partition.node(block * BLOCK + within));
            best = [best, node.map(|node| (total, node))].into_iter().flatten().min();
        }
        best.map(|(_, node)| node)
    }
}

impl Surveys {
    /// Keeps a survey; where there are too many, those go that were not used for the longest time.
    fn keep(&mut self, demand: DemandIndex, survey: Survey) {
        self.now += 1;
        self.costs += survey.costs.len();
        self.kept.insert(demand, Survey { used: self.now, ..survey });
        while self.costs > MOST_COSTS
            && let Some(oldest) = self.kept.iter().min_by_key(|(_, kept)| kept.used).map(|(demand, _)| *demand)
        {
            self.take(oldest);
        }
    }

    fn take(&mut self, demand: DemandIndex) -> Option<Survey> {
        let survey = self.kept.remove(&demand)?;
        self.costs -= survey.costs.len();
        Some(survey)
    }

    /// Forgets all.
    pub(crate) fn clear(&mut self) {
        self.kept.clear();
        self.costs = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_changed_is_told_whole_or_not_at_all() {
        let mut changes = Changes::default();
        for at in 0..64 {
            changes.note(NodeIndex(at % 2), 3);
        }
        let end = changes.end();
        changes.note(NodeIndex(1), 3);
        let since = |changes: &Changes, end| changes.since(end, 1_000).map(Iterator::collect::<Vec<_>>);
        assert_eq!(since(&changes, end), Some(vec![NodeIndex(1)]), "it stood last, and has changed again");
        for at in 0..200 {
            changes.note(NodeIndex(if at % 2 == 0 { 0 } else { 2 }), 3);
            let told = since(&changes, end);
            assert!(told.is_none_or(|told| told.contains(&NodeIndex(1))), "after {at}");
        }
        assert_eq!(since(&changes, end), None, "it is not known any more");
        assert_eq!(changes.since(changes.end() - 10, 5).map(Iterator::count), None, "more than are wanted");
    }
}
