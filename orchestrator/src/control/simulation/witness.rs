//! Whoever watches a leader decide, and counts for itself: what it orders is held against what it knows at that moment.
//!
//! Evictions (by draining, by taints, for pods of more priority, because somebody says so) leave a workload what its disruption budget
//! wants ready, and rollouts leave available what `maxUnavailable` wants and make no more than `maxSurge` lets them. Nodes that are lost and
//! containers that fail are nobody's order, and are taken as they come.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::AddAssign,
};

use longshore_fleet::{DisruptionBudget, PodId, Share, StrategyKind, WorkloadId, WorkloadKind, api::Change};

use crate::{
    control::{Controller, workload::Asked},
    rollout::Stage,
    schedule::Millis,
    state::NewEvent,
};

/// How often what a simulation is there to show has happened.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    pub(super) drained: u64,
    pub(super) tainted: u64,
    pub(super) preempted: u64,
    pub(super) evicted: u64,
    /// Evictions that a budget did not let happen.
    pub(super) kept_by_budget: u64,
    /// Pods that a rollout took although they did their work.
    pub(super) replaced: u64,
    pub(super) scaled_down: u64,
    /// Rollouts that came to their end, of new templates and of those of before.
    pub(super) rolled_out: u64,
    pub(super) rolled_back: u64,
    /// Leaders that were overtaken while a rollout went on.
    pub(super) overtaken_in_rollout: u64,
}

/// What a pod was when a leader began to decide.
#[derive(Clone, Copy, Debug)]
struct Seen {
    workload: WorkloadId,
    revision: u64,
    /// Whether somebody would miss it: it is ready, and not to end.
    is_ready: bool,
    is_available: bool,
    /// Whether it counts towards what there may be.
    is_alive: bool,
}

/// What a leader knows before it decides.
pub(super) struct Witness {
    seed: u64,
    pods: BTreeMap<PodId, Seen>,
    told: usize,
}

impl Witness {
    /// Remembers how things are.
    pub(super) fn of(controller: &Controller, seed: u64, now: Millis) -> Self {
        let pods = controller.pods.values().map(|pod| {
            let min_ready = controller.workloads.get(&pod.row.workload).map_or(0, |workload| workload.asked.min_ready_seconds());
            let stage = pod.stage(min_ready, now.max(controller.now));
            let known = Seen {
                workload: pod.row.workload,
                revision: pod.row.revision,
                is_ready: pod.row.state.ready && !pod.is_ending(),
                is_available: stage == Stage::Available,
                is_alive: stage != Stage::Ending,
            };
            (pod.row.id, known)
        });
        Self { seed, pods: pods.collect(), told: controller.unwritten.events.len() }
    }

    /// Goes through what was ordered since, one after the other.
    pub(super) fn check(mut self, controller: &Controller, counts: &mut Counts) {
        for event in controller.unwritten.events.get(self.told..).unwrap_or_default() {
            let Ok(id) = event.id.parse::<PodId>() else { continue };
            match event.reason.as_str() {
                "Created" => self.made(controller, id),
                "Drained" | "Tainted" | "Preempted" | "Evicted" => self.evicted(controller, id, event, counts),
                "Replaced" | "ScaledDown" => self.rolled(controller, id, event, counts),
                "EvictionRefused" => {
                    counts.kept_by_budget += 1;
                    let seen = self.pods[&id];
                    assert!(seen.is_ready, "seed {}: {} is kept though nobody misses it", self.seed, event.name);
                }
                // Its node is not heard of: it is ready no more, and replaced later, or now.
                "NodeLost" => {
                    let is_ending = controller.pods.get(&id).is_none_or(super::super::pod::Pod::is_ending);
                    self.lose(id, event.change);
                    if let Some(seen) = self.pods.get_mut(&id) {
                        seen.is_alive = !is_ending;
                    }
                }
                // What the leader does not order, or orders because nothing of it is left, or of a workload that is to go.
                "NodeRemoved" | "Deleted" | "Ended" | "JobEnded" => self.lose(id, event.change),
                _ => {}
            }
        }
    }

    fn made(&mut self, controller: &Controller, id: PodId) {
        let Some(pod) = controller.pods.get(&id) else { return };
        let (workload, revision) = (pod.row.workload, pod.row.revision);
        let seen = Seen { workload, revision, is_ready: false, is_available: false, is_alive: true };
        let others = self.of_workload(workload).any(|seen| seen.revision != revision);
        self.pods.insert(id, seen);
        let Some(Asked::Deployment(upkeep)) = controller.workloads.get(&workload).map(|workload| &workload.asked) else { return };
        if upkeep.strategy.kind == StrategyKind::Recreate {
            assert!(!others, "seed {}: {} is made beside pods of another revision", self.seed, pod.row.name);
        }
        let alive = self.of_workload(workload).filter(|seen| seen.is_alive).count();
        let most = upkeep.replicas as usize + upkeep.strategy.leeway(upkeep.replicas).max_surge as usize;
        assert!(alive <= most, "seed {}: {} is one of {alive}, and {most} may be there", self.seed, pod.row.name);
    }

    fn evicted(&mut self, controller: &Controller, id: PodId, event: &NewEvent, counts: &mut Counts) {
        let Some(seen) = self.pods.get(&id).copied() else { return };
        self.lose(id, event.change);
        match event.reason.as_str() {
            "Drained" => counts.drained += u64::from(seen.is_ready),
            "Tainted" => counts.tainted += u64::from(seen.is_ready),
            "Preempted" => counts.preempted += u64::from(seen.is_ready),
            _ => counts.evicted += u64::from(seen.is_ready),
        }
        let Some(workload) = controller.workloads.get(&seen.workload).filter(|_| seen.is_ready) else { return };
        let Asked::Deployment(upkeep) = &workload.asked else { return };
        let ready = self.of_workload(seen.workload).filter(|seen| seen.is_ready).count();
        let least = least_ready(&upkeep.disruption, upkeep.replicas) as usize;
        assert!(
            ready >= least,
            "seed {}: {} is {} and leaves {ready}, and its budget wants {least}",
            self.seed,
            event.name,
            event.reason
        );
    }

    fn rolled(&mut self, controller: &Controller, id: PodId, event: &NewEvent, counts: &mut Counts) {
        let Some(seen) = self.pods.get(&id).copied() else { return };
        self.lose(id, event.change);
        if seen.workload.kind != WorkloadKind::Deployment || !seen.is_available {
            return;
        }
        if event.reason == "Replaced" {
            counts.replaced += 1;
        } else {
            counts.scaled_down += 1;
        }
        let Some(Asked::Deployment(upkeep)) = controller.workloads.get(&seen.workload).map(|workload| &workload.asked) else {
            return;
        };
        if upkeep.strategy.kind == StrategyKind::Recreate {
            return;
        }
        let available = self.of_workload(seen.workload).filter(|seen| seen.is_available).count();
        let least = upkeep.replicas.saturating_sub(upkeep.strategy.leeway(upkeep.replicas).max_unavailable) as usize;
        assert!(
            available >= least,
            "seed {}: {} is {} and leaves {available} available, and {least} must be",
            self.seed,
            event.name,
            event.reason
        );
    }

    fn lose(&mut self, id: PodId, change: Change) {
        match (change, self.pods.get_mut(&id)) {
            (Change::Deleted, _) => {
                self.pods.remove(&id);
            }
            (_, Some(seen)) => (seen.is_ready, seen.is_available, seen.is_alive) = (false, false, false),
            (_, None) => {}
        }
    }

    fn of_workload(&self, id: WorkloadId) -> impl Iterator<Item = &Seen> {
        self.pods.values().filter(move |seen| seen.workload == id)
    }
}

/// How many of so many must be ready after an eviction.
fn least_ready(budget: &DisruptionBudget, replicas: u32) -> u32 {
    let rounded_up = |share| match share {
        Share::Count(count) => count,
        Share::Percent(percent) => (replicas * percent).div_ceil(100),
    };
    match (budget.min_available, budget.max_unavailable) {
        (Some(least), _) => rounded_up(least),
        (None, Some(most)) => replicas.saturating_sub(rounded_up(most)),
        (None, None) => 0,
    }
}

impl Counts {
    /// What has never happened, of what must happen for a simulation to show anything; `fails` where something was to go wrong.
    pub(super) fn never(&self, fails: bool) -> BTreeSet<&'static str> {
        let all = [
            ("a drain took a pod that did its work", self.drained),
            ("a taint took a pod that did its work", self.tainted),
            ("a pod made room for another", self.preempted),
            ("somebody had a pod evicted", self.evicted),
            ("a budget kept a pod", self.kept_by_budget),
            ("a rollout replaced a pod that did its work", self.replaced),
            ("a deployment was scaled down", self.scaled_down),
            ("a rollout came to its end", self.rolled_out),
            ("a rollback came to its end", self.rolled_back),
            ("a leader was overtaken in a rollout", if fails { self.overtaken_in_rollout } else { 1 }),
        ];
        all.into_iter().filter(|(_, times)| *times == 0).map(|(what, _)| what).collect()
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.drained += other.drained;
        self.tainted += other.tainted;
        self.preempted += other.preempted;
        self.evicted += other.evicted;
        self.kept_by_budget += other.kept_by_budget;
        self.replaced += other.replaced;
        self.scaled_down += other.scaled_down;
        self.rolled_out += other.rolled_out;
        self.rolled_back += other.rolled_back;
        self.overtaken_in_rollout += other.overtaken_in_rollout;
    }
}
