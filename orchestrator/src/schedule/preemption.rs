//! Which pods of less priority would have to go so that one of more fits: those whose loss is least.

use std::{cmp::Reverse, collections::HashMap};

use longshore_fleet::PodId;

use super::{
    Cluster, DemandIndex, NodeIndex, Refusal,
    cost::NEVER,
    demand::{Compiled, Demand},
    nodes::{NodeFacts, signed},
    rule::Rules,
};

/// How many more pods of a kind may be taken away now.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Budget {
    /// What names the kind: the same for all pods that one budget is for.
    pub of: u64,
    /// How many.
    pub allowed: u32,
}

/// Pods that would have to go for one to fit.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Preemption {
    /// Where it would fit then.
    pub node: NodeIndex,
    /// Which pods would have to go.
    pub victims: Vec<PodId>,
    /// How long they would wait for their bytes elsewhere, all together, in ticks of 100 µs.
    pub restart: i64,
}

/// What is lost: the highest priority, the number of pods, how long they wait elsewhere.
type Loss = (i32, usize, i64);

/// What a node would have free, or a pod takes.
#[derive(Clone, Copy, Debug)]
struct Room {
    cpu: i64,
    memory: i64,
    pods: i64,
}

impl Cluster {
    /// The least loss that would make room for such a pod; `None` where none would, or none is allowed: of pods that share a budget those
    /// of the least priority are counted against it first. What keeps a pod off a node besides room stays as it is: a node that has other
    /// reasons to refuse it is not looked at.
    pub fn preempt(&self, demand: DemandIndex, budget_of: impl Fn(PodId) -> Option<Budget>) -> Option<Preemption> {
        let rules = Rules::of(self, demand);
        let compiled = self.compiled(demand);
        let mut restarts: HashMap<DemandIndex, Restarts> = HashMap::new();
        let mut best: Option<(Loss, Preemption)> = None;
        for (node, facts) in self.nodes.iter() {
            if !self.refusals(demand, &rules, node, facts).iter().all(Refusal::is_room) {
                continue;
            }
            let Some(victims) = self.victims(compiled, compiled.demand.priority, node, &budget_of) else { continue };
            let highest = victims.iter().map(|(_, demand)| self.compiled(*demand).demand.priority).max().unwrap_or(i32::MIN);
            if best.as_ref().is_some_and(|((least, count, _), _)| (*least, *count) < (highest, victims.len())) {
                continue;
            }
            let restart = victims.iter().map(|(_, demand)| {
                let restarts = restarts.entry(*demand).or_insert_with(|| self.restarts(*demand));
                restarts.without(node)
            });
            let restart = restart.sum();
            let loss = (highest, victims.len(), restart);
            if best.as_ref().is_none_or(|(least, _)| loss < *least) {
                let victims = victims.into_iter().map(|(pod, _)| pod).collect();
                best = Some((loss, Preemption { node, victims, restart }));
            }
        }
        best.map(|(_, preemption)| preemption)
    }

    /// Nodes that lack nothing but room for such a pod, each with the pods that would have to go, whatever their priority.
    pub(crate) fn relievable(
        &self,
        demand: DemandIndex,
        budget_of: &impl Fn(PodId) -> Option<Budget>,
    ) -> Vec<(NodeIndex, Vec<(PodId, DemandIndex)>)> {
        let rules = Rules::of(self, demand);
        let compiled = self.compiled(demand);
        let lacks_room = |(node, facts): &(NodeIndex, &NodeFacts)| {
            let refusals = self.refusals(demand, &rules, *node, facts);
            !refusals.is_empty() && refusals.iter().all(Refusal::is_room)
        };
        let nodes = self.nodes.iter().filter(lacks_room);
        nodes.filter_map(|(node, _)| Some((node, self.victims(compiled, i32::MAX, node, budget_of)?))).collect()
    }

    /// The pods that would have to go from a node: of those below a priority the fewest that matter least.
    fn victims(
        &self,
        Compiled { demand: wants, near, .. }: &Compiled,
        below: i32,
        node: NodeIndex,
        budget_of: &impl Fn(PodId) -> Option<Budget>,
    ) -> Option<Vec<(PodId, DemandIndex)>> {
        let priority = |demand: DemandIndex| self.compiled(demand).demand.priority;
        // What must be near may be just that pod.
        let is_needed = |demand: DemandIndex| near.iter().any(|(counter, _)| self.compiled(demand).counted_by.contains(counter));
        let mut lower: Vec<(PodId, DemandIndex)> =
            self.pods_on(node).filter(|(_, demand)| priority(*demand) < below && !is_needed(*demand)).collect();
        // The least first; of equals the one that frees most, and then the younger.
        lower.sort_by_key(|(pod, demand)| (priority(*demand), Reverse(self.compiled(*demand).demand.cpu_millis), Reverse(*pod)));
        let mut spent: HashMap<u64, u32> = HashMap::new();
        lower.retain(|(pod, _)| {
            budget_of(*pod).is_none_or(|budget| {
                let used = spent.entry(budget.of).or_default();
                *used += 1;
                *used <= budget.allowed
            })
        });
        let mut room = self.room(node);
        for (_, demand) in &lower {
            room = room.with(self.compiled(*demand), 1);
        }
        let blocks = |pods: &[(PodId, DemandIndex)], spared: Option<usize>| {
            wants.ports.iter().any(|port| {
                let is_freed = |(at, (_, demand)): (usize, &(PodId, DemandIndex))| {
                    Some(at) != spared && self.compiled(*demand).demand.ports.contains(port)
                };
                self.nodes.has_port(node, *port) && !pods.iter().enumerate().any(is_freed)
            })
        };
        if !room.fits(wants) || blocks(&lower, None) {
            return None;
        }
        // Those that matter most are spared first.
        for at in (0..lower.len()).rev() {
            let spared = room.with(self.compiled(lower[at].1), -1);
            if spared.fits(wants) && !blocks(&lower, Some(at)) {
                room = spared;
                lower.remove(at);
            }
        }
        Some(lower)
    }

    fn room(&self, node: NodeIndex) -> Room {
        let at = node.position();
        Room { cpu: self.nodes.cpu_free[at], memory: self.nodes.memory_free[at], pods: self.nodes.pods_free[at] }
    }

    /// How long such a pod would wait for its bytes on the best of all nodes, and on the second best, in ticks.
    fn restarts(&self, demand: DemandIndex) -> Restarts {
        let costs = self.statics.costs(self.compiled(demand).statics);
        let is_able = |node: &NodeIndex| self.nodes.is_open[node.position()] && costs[node.position()] != NEVER;
        let mut restarts = Restarts { best: None, second: NEVER };
        for node in self.nodes.iter().map(|(node, _)| node).filter(is_able) {
            let start = self.start(demand, node);
            match restarts.best {
                Some((least, _)) if least <= start => restarts.second = restarts.second.min(start),
                best => {
                    restarts.second = best.map_or(NEVER, |(least, _)| least);
                    restarts.best = Some((start, node));
                }
            }
        }
        restarts
    }
}

/// How long a pod would wait for its bytes where it would wait least.
#[derive(Clone, Copy, Debug)]
struct Restarts {
    best: Option<(i32, NodeIndex)>,
    second: i32,
}

impl Restarts {
    /// On the best of all nodes but this; the longest of all where there is none.
    fn without(self, node: NodeIndex) -> i64 {
        i64::from(match self.best {
            Some((start, best)) if best != node => start,
            Some(_) => self.second,
            None => NEVER,
        })
    }
}

impl Room {
    fn with(self, compiled: &Compiled, sign: i64) -> Self {
        Self {
            cpu: self.cpu + sign * signed(compiled.demand.cpu_millis),
            memory: self.memory + sign * signed(compiled.demand.memory_bytes),
            pods: self.pods + sign,
        }
    }

    fn fits(self, wants: &Demand) -> bool {
        (wants.cpu_millis == 0 || self.cpu >= signed(wants.cpu_millis))
            && (wants.memory_bytes == 0 || self.memory >= signed(wants.memory_bytes))
            && self.pods >= 1
    }
}
