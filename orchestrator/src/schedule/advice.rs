//! Which moves would put an end to fragmentation, and what they would cost in bytes. Advice: nothing is moved by itself.
//!
//! Moves are tried on the cluster itself and taken back, so what is advised is what the scheduler would do.

use std::cmp::Reverse;

use longshore_fleet::PodId;

use super::{Budget, Cluster, DemandIndex, NodeIndex, cluster::Bound};

/// Pods that would be moved off a node, and what for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Advice {
    /// The node that would have room, or be empty.
    pub node: NodeIndex,
    /// What would be moved.
    pub moves: Vec<Move>,
}

/// A pod that would be moved.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Move {
    /// Which.
    pub pod: PodId,
    /// Where it would go.
    pub to: NodeIndex,
    /// What that node lacks for it, and would fetch.
    pub missing_bytes: u64,
}

impl Advice {
    /// What all moves would fetch.
    pub fn missing_bytes(&self) -> u64 {
        self.moves.iter().fold(0, |sum, moved| sum.saturating_add(moved.missing_bytes))
    }
}

/// How many nodes are tried at most, the likeliest first.
const MOST_TRIALS: usize = 64;

impl Cluster {
    /// Moves after which such a pod fits, with the fewest bytes; `None` where none of 64 nodes can be relieved so, which have the fewest
    /// pods in the way.
    pub fn room_by_moves(&mut self, demand: DemandIndex, budget_of: impl Fn(PodId) -> Option<Budget>) -> Option<Advice> {
        let mut candidates = self.relievable(demand, &budget_of);
        candidates.sort_by_key(|(node, pods)| (pods.len(), *node));
        candidates.truncate(MOST_TRIALS);
        let mut best: Option<Advice> = None;
        for (node, pods) in candidates {
            let mut trial = Trial::default();
            self.block(node, true);
            let moves = trial.relocate(self, &pods);
            self.block(node, false);
            trial.undo(self);
            let advice = moves.map(|moves| Advice { node, moves });
            best = [best, advice].into_iter().flatten().min_by_key(Advice::missing_bytes);
        }
        best
    }

    /// Nodes that moves would empty, at most so many, of the 64 emptiest: each pod goes to a node that is no emptier than its own. They
    /// can be emptied one after the other, in this order.
    pub fn emptied_by_moves(&mut self, most: usize, budget_of: impl Fn(PodId) -> Option<Budget>) -> Vec<Advice> {
        // One that is empty stays so.
        let all: Vec<NodeIndex> = self.nodes().collect();
        let (mut blocked, mut nodes): (Vec<NodeIndex>, Vec<NodeIndex>) =
            all.into_iter().partition(|node| self.pods_on(*node).next().is_none());
        for node in &blocked {
            self.block(*node, true);
        }
        nodes.retain(|node| self.nodes.is_open[node.position()]);
        nodes.sort_by(|one, other| self.fullness(*one).total_cmp(&self.fullness(*other)).then(one.cmp(other)));
        nodes.truncate(MOST_TRIALS);
        let mut trial = Trial::default();
        let mut advice = Vec::new();
        let mut spent = rustc_hash::FxHashMap::default();
        for node in nodes {
            if advice.len() == most {
                break;
            }
            // Neither it nor what was emptier takes pods from here on.
            self.block(node, true);
            blocked.push(node);
            let mut pods: Vec<(PodId, DemandIndex)> = self.pods_on(node).collect();
            pods.sort_by_key(|(pod, demand)| (Reverse(self.compiled(*demand).demand.cpu_millis), *pod));
            let mut here = spent.clone();
            let is_allowed = pods.iter().all(|(pod, _)| {
                budget_of(*pod).is_none_or(|budget| {
                    let used: &mut u32 = here.entry(budget.of).or_default();
                    *used += 1;
                    *used <= budget.allowed
                })
            });
            if is_allowed && let Some(moves) = trial.relocate(self, &pods) {
                spent = here;
                advice.push(Advice { node, moves });
            }
        }
        trial.undo(self);
        for node in blocked {
            self.block(node, false);
        }
        advice
    }

    /// Leaves no room on a node for more pods, or again what it had: what else is decided by stays as it is.
    fn block(&mut self, node: NodeIndex, is_blocked: bool) {
        let taken = i64::from(u32::MAX);
        self.nodes.pods_free[node.position()] += if is_blocked { -taken } else { taken };
        self.touch(node);
    }

    /// What of a node's processor and memory is asked for, from 0 to 1 each, together.
    #[expect(clippy::cast_precision_loss, reason = "24 bits of a share are enough")]
    fn fullness(&self, node: NodeIndex) -> f32 {
        let at = node.position();
        let free = self.nodes.cpu_free[at] as f32 * self.nodes.cpu_share[at]
            + self.nodes.memory_free[at] as f32 * self.nodes.memory_share[at];
        2.0 - free
    }
}

/// Moves that were made to see whether they can be, and are taken back.
#[derive(Debug, Default)]
struct Trial {
    moved: Vec<(PodId, Bound)>,
}

impl Trial {
    /// Moves pods to wherever they cost least; where one fits nowhere none of them is moved.
    fn relocate(&mut self, cluster: &mut Cluster, pods: &[(PodId, DemandIndex)]) -> Option<Vec<Move>> {
        let mut own = Self::default();
        for (pod, _) in pods {
            own.moved.extend(cluster.bound(*pod).map(|bound| (*pod, bound)));
            cluster.unbind(*pod);
        }
        let mut moves = Vec::new();
        for (pod, demand) in pods {
            let Some(placed) = cluster.place(*pod, *demand) else {
                own.undo(cluster);
                return None;
            };
            moves.push(Move { pod: *pod, to: placed.node, missing_bytes: placed.missing_bytes });
        }
        self.moved.append(&mut own.moved);
        Some(moves)
    }

    /// Puts all back where they were.
    fn undo(self, cluster: &mut Cluster) {
        for (pod, _) in &self.moved {
            cluster.unbind(*pod);
        }
        // A pod that was moved twice stands twice; where it was first counts, and is put back first.
        for (pod, bound) in self.moved {
            cluster.restore(pod, bound);
        }
    }
}
