//! Deployments: pods are made and ended so that what is comes to what is wanted.

use longshore_fleet::{
    WorkloadId,
    api::{Change, WorkloadState},
};

use super::{
    Controller, Timer,
    workload::{Asked, Progress},
};
use crate::{
    rollout::{RolloutPod, Stage, Step, Wanted, step},
    state::{RolloutRow, Write},
};

impl Controller {
    pub(crate) fn reconcile_deployment(&mut self, id: WorkloadId) {
        let Some(workload) = self.workloads.get(&id) else { return };
        let Asked::Deployment(upkeep) = &workload.asked else { return };
        if workload.current().is_none() {
            return;
        }
        let min_ready = upkeep.min_ready_seconds;
        let wanted = Wanted { replicas: upkeep.replicas, revision: workload.row.template_revision, strategy: upkeep.strategy };
        let mut pods = Vec::with_capacity(workload.pods.len());
        let mut next = None;
        for pod in workload.pods.iter().filter_map(|pod| self.pods.get(pod)) {
            let stage = pod.stage(min_ready, self.now);
            if stage == Stage::Ready {
                next = next.into_iter().chain(pod.available_at(min_ready)).min();
            }
            pods.push(RolloutPod { id: pod.row.id, revision: pod.row.revision, stage });
        }
        if let Some(at) = next {
            self.timers.set(Timer::Workload(id), at);
        }
        let decided = step(&wanted, &pods);
        for pod in &decided.end {
            let is_old = self.pods.get(pod).is_some_and(|pod| pod.row.revision != wanted.revision);
            let (reason, message) =
                if is_old { ("Replaced", "another revision takes its place") } else { ("ScaledDown", "fewer are wanted") };
            self.end_pod(*pod, reason, message);
        }
        for pod in self.make_pods(id, decided.make) {
            self.enqueue(pod);
        }
        self.clear_ended(id);
        self.follow_rollout(id, &wanted, &pods, &decided);
        if decided.is_done {
            self.forget_revisions(id);
        }
    }

    /// A deployment's pods run for good: one that has ended all the same is done with.
    fn clear_ended(&mut self, id: WorkloadId) {
        let Some(workload) = self.workloads.get(&id) else { return };
        let ended = |pod: &&longshore_fleet::PodId| {
            self.pods.get(*pod).is_some_and(|pod| pod.row.state.phase.has_ended() && !pod.is_ending())
        };
        let ended: Vec<_> = workload.pods.iter().filter(ended).copied().collect();
        for pod in ended {
            self.end_pod(pod, "Ended", "it has ended, and another takes its place");
        }
    }

    /// Keeps account of how a rollout goes on.
    fn follow_rollout(&mut self, id: WorkloadId, wanted: &Wanted, pods: &[RolloutPod], decided: &Step) {
        let now = self.now;
        let Some(workload) = self.workloads.get_mut(&id) else { return };
        let Asked::Deployment(upkeep) = &workload.asked else { return };
        let alive = pods.iter().filter(|pod| pod.stage != Stage::Ending);
        let updated = alive.clone().filter(|pod| pod.revision == wanted.revision);
        let progress = Progress {
            revision: workload.row.revision,
            available: count(updated.clone().filter(|pod| pod.stage == Stage::Available)),
            updated: count(updated),
            old: count(alive.filter(|pod| pod.revision != wanted.revision)),
        };
        if workload.progress.0 != progress {
            workload.progress = (progress, now);
        }
        let deadline = workload.progress.1.saturating_add(i64::from(upkeep.progress_deadline_seconds) * 1_000);
        let is_stuck = !decided.is_done && now >= deadline;
        if !decided.is_done && !is_stuck {
            self.timers.set(Timer::Workload(id), deadline);
        }
        let before = workload.rollout.take();
        let is_same = before.as_ref().is_some_and(|rollout| rollout.template_revision == wanted.revision);
        let mut rollout = match before.clone().filter(|_| is_same) {
            Some(rollout) => rollout,
            None => RolloutRow {
                workload: id,
                revision: workload.row.revision,
                template_revision: wanted.revision,
                state: String::new(),
                began: now.saturating_mul(1_000),
                ended: None,
            },
        };
        let state = if decided.is_done || rollout.ended.is_some() {
            "done"
        } else if is_stuck {
            "stuck"
        } else {
            "progressing"
        };
        let is_new_state = rollout.state != state;
        if is_new_state {
            state.clone_into(&mut rollout.state);
            rollout.ended = (state == "done").then(|| now.saturating_mul(1_000));
            self.unwritten.writes.push(Write::PutRollout(rollout.clone()));
        }
        workload.rollout = Some(rollout);
        workload.status.state = match state {
            _ if decided.is_done => WorkloadState::Available,
            _ if is_stuck => WorkloadState::Stuck,
            _ => WorkloadState::Progressing,
        };
        if let Some(mut replaced) = before.filter(|before| !is_same && before.ended.is_none()) {
            "replaced".clone_into(&mut replaced.state);
            replaced.ended = Some(now.saturating_mul(1_000));
            self.unwritten.writes.push(Write::PutRollout(replaced));
        }
        match state {
            "done" if is_new_state => self.tell_of_workload(id, Change::Changed, "RolledOut", "all pods are as they are wanted"),
            "stuck" if is_new_state => self.tell_of_workload(id, Change::Changed, "Stuck", "it gets no further"),
            _ => {}
        }
    }

    /// Revisions that nobody goes back to any more: more than are to be kept, and without pods.
    fn forget_revisions(&mut self, id: WorkloadId) {
        let Some(workload) = self.workloads.get_mut(&id) else { return };
        let Asked::Deployment(upkeep) = &workload.asked else { return };
        let used: std::collections::BTreeSet<u64> =
            workload.pods.iter().filter_map(|pod| self.pods.get(pod)).map(|pod| pod.row.revision).collect();
        let current = workload.row.template_revision;
        let others: Vec<u64> = workload.revisions.keys().rev().copied().filter(|number| *number != current).collect();
        let kept = usize::try_from(upkeep.revision_history_limit).unwrap_or(usize::MAX);
        for number in others.into_iter().skip(kept).filter(|number| !used.contains(number)) {
            workload.revisions.remove(&number);
            if workload.revisions.len() < 2 {
                self.with_history.remove(&id);
            }
            self.unwritten.writes.push(Write::RemoveRevision(id, number));
        }
    }
}

fn count<T>(pods: impl Iterator<Item = T>) -> u32 {
    u32::try_from(pods.count()).unwrap_or(u32::MAX)
}
