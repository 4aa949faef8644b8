//! From one revision to the next: which pods are made and which go now. Pure: a [`step`] follows from the pods as they are, and is the
//! same however often it is asked for; the whole way is taken by asking again whenever a pod has changed.
//!
//! Kubernetes' arithmetic: there are never more pods than are wanted and `maxSurge`, those that are ending aside; and none that counts as
//! available goes while fewer than are wanted, less `maxUnavailable`, would be left. Pods of old revisions that are not available go first,
//! for nobody misses them.

#[cfg(test)]
mod tests;

use std::cmp::Reverse;

use longshore_fleet::{PodId, Strategy, StrategyKind};

/// A pod, as far as a rollout goes by it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RolloutPod {
    /// Which.
    pub id: PodId,
    /// The number of the revision that it was made from.
    pub revision: u64,
    /// How far it has come.
    pub stage: Stage,
}

/// How far a pod has come, the one that would be missed least first.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Stage {
    /// It waits for a node.
    Unplaced,
    /// It is on a node, and not ready: it starts, or fails.
    Unready,
    /// It is ready, for less than `minReadySeconds`.
    Ready,
    /// It is ready, and counts.
    Available,
    /// It was told to end, or has ended: it counts no more.
    Ending,
}

/// What is wanted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Wanted {
    /// How many pods.
    pub replicas: u32,
    /// The number of the revision that they are to be made from.
    pub revision: u64,
    /// How others are replaced.
    pub strategy: Strategy,
}

/// What is to be done now.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Step {
    /// How many pods of the wanted revision are to be made.
    pub make: u32,
    /// Which are to end.
    pub end: Vec<PodId>,
    /// Whether all is as wanted, and every pod that is wanted counts.
    pub is_done: bool,
}

/// What is to be done now.
pub fn step(wanted: &Wanted, pods: &[RolloutPod]) -> Step {
    let alive: Vec<&RolloutPod> = pods.iter().filter(|pod| pod.stage != Stage::Ending).collect();
    let (new, old): (Vec<&RolloutPod>, Vec<&RolloutPod>) = alive.iter().copied().partition(|pod| pod.revision == wanted.revision);
    let is_clear = pods.iter().all(|pod| pod.revision == wanted.revision);
    let make = to_make(wanted, count(&new), count(&old), is_clear);
    let end = if wanted.strategy.kind == StrategyKind::Recreate {
        let too_many = new.len().saturating_sub(wanted.replicas as usize);
        least_missed(old.clone()).map(|pod| pod.id).chain(least_missed(new.clone()).take(too_many).map(|pod| pod.id)).collect()
    } else {
        to_end(wanted, &new, &old)
    };
    let available = new.iter().filter(|pod| pod.stage == Stage::Available).count();
    let is_done = old.is_empty() && new.len() == available && count(&new) == wanted.replicas;
    Step { make, end, is_done }
}

/// How many pods are to be made, where there are so many of the wanted revision and of others; `is_clear` once no other is left at all.
fn to_make(wanted: &Wanted, new: u32, old: u32, is_clear: bool) -> u32 {
    let lacking = wanted.replicas.saturating_sub(new);
    if wanted.strategy.kind == StrategyKind::Recreate {
        return if is_clear { lacking } else { 0 };
    }
    let most = wanted.replicas.saturating_add(wanted.strategy.leeway(wanted.replicas).max_surge);
    lacking.min(most.saturating_sub(new + old))
}

/// Which pods are to end, when they are replaced a few at a time.
fn to_end(wanted: &Wanted, new: &[&RolloutPod], old: &[&RolloutPod]) -> Vec<PodId> {
    let is_available = |pod: &&&RolloutPod| pod.stage == Stage::Available;
    let least = wanted.replicas.saturating_sub(wanted.strategy.leeway(wanted.replicas).max_unavailable);
    // How many that are available can be done without.
    let mut spare = count(new.iter().chain(old).filter(is_available)).saturating_sub(least);
    // How many old ones can go, available or not: one that is not may be so again in a moment, so that no more go at once than the leeway
    // allows, of which new ones that are not available have used a part.
    let unavailable = count(new.iter().filter(|pod| !is_available(pod)));
    let mut removable = (count(new) + count(old)).saturating_sub(least).saturating_sub(unavailable);
    let too_many = new.len().saturating_sub(wanted.replicas as usize);
    let mut ending = Vec::new();
    for pod in least_missed(new.to_vec()).take(too_many).chain(least_missed(old.to_vec())) {
        let is_old = pod.revision != wanted.revision;
        let is_missed = pod.stage == Stage::Available;
        if (is_old && removable == 0) || (is_missed && spare == 0) {
            continue;
        }
        removable -= u32::from(is_old);
        spare -= u32::from(is_missed);
        ending.push(pod.id);
    }
    ending
}

fn count<T>(pods: impl IntoIterator<Item = T>) -> u32 {
    u32::try_from(pods.into_iter().count()).unwrap_or(u32::MAX)
}

/// Those first that would be missed least: by stage, then the older revision, then the younger pod.
fn least_missed(mut pods: Vec<&RolloutPod>) -> impl Iterator<Item = &RolloutPod> {
    pods.sort_by_key(|pod| (pod.stage, pod.revision, Reverse(pod.id)));
    pods.into_iter()
}
