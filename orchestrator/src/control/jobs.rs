//! Jobs: pods are made until enough of them have ended well, or too many have not.

use longshore_fleet::{
    Phase, PodId, WorkloadId,
    api::{Change, WorkloadState},
};

use super::{Controller, Timer, workload::Asked};
use crate::schedule::Millis;

/// How a job's pods are.
#[derive(Clone, Copy, Debug, Default)]
struct Count {
    active: u32,
    succeeded: u32,
    failed: u32,
}

impl Controller {
    pub(crate) fn reconcile_job(&mut self, id: WorkloadId) {
        let Some(workload) = self.workloads.get(&id) else { return };
        let Asked::Job(work) = workload.asked.clone() else { return };
        if workload.current().is_none() {
            return;
        }
        let count = self.count_job(id);
        let began = workload.row.created / 1_000;
        let deadline = work.active_deadline_seconds.map(|seconds| began.saturating_add(i64::from(seconds) * 1_000));
        if matches!(workload.status.state, WorkloadState::Succeeded | WorkloadState::Failed) {
            self.end_active(id);
            self.expire_job(id, work.ttl_seconds_after_finished);
            return;
        }
        self.note_progress(id, count);
        if count.succeeded >= work.completions {
            self.finish_job(
                id,
                WorkloadState::Succeeded,
                format!("as many pods have ended well as were to: {}", count.succeeded),
            );
        } else if count.failed > work.backoff_limit {
            self.finish_job(
                id,
                WorkloadState::Failed,
                format!("too many pods have failed: {}, and it may be {}", count.failed, work.backoff_limit),
            );
        } else if deadline.is_some_and(|deadline| self.now >= deadline) {
            self.finish_job(id, WorkloadState::Failed, "it has taken longer than it may".to_owned());
        } else {
            if let Some(deadline) = deadline {
                self.timers.set(Timer::Workload(id), deadline);
            }
            self.make_active(id, &work, count);
        }
    }

    fn count_job(&self, id: WorkloadId) -> Count {
        let mut count = Count::default();
        let Some(workload) = self.workloads.get(&id) else { return count };
        for pod in workload.pods.iter().filter_map(|pod| self.pods.get(pod)) {
            match pod.row.state.phase {
                Phase::Succeeded => count.succeeded += 1,
                Phase::Failed => count.failed += u32::from(!pod.is_ending()),
                _ => count.active += u32::from(!pod.is_ending()),
            }
        }
        count
    }

    /// A job gets further with each pod that ends.
    fn note_progress(&mut self, id: WorkloadId, count: Count) {
        let Some(workload) = self.workloads.get_mut(&id) else { return };
        if (workload.status.succeeded, workload.status.failed) != (count.succeeded, count.failed) {
            workload.progressed = self.now;
        }
    }

    /// How long after so many failures no pod is made, in milliseconds.
    pub(crate) fn retry_pause(&self, failures: u32) -> Millis {
        let doublings = failures.saturating_sub(1).min(30);
        self.settings.first_retry_ms.saturating_mul(1 << doublings).min(self.settings.longest_retry_ms)
    }

    /// Makes pods until as many run as may; after a failure not at once.
    fn make_active(&mut self, id: WorkloadId, work: &longshore_fleet::Work, count: Count) {
        let pause = self.retry_pause(count.failed);
        let Some(workload) = self.workloads.get_mut(&id) else { return };
        workload.status.state = WorkloadState::Progressing;
        let wanted = work.parallelism.min(work.completions.saturating_sub(count.succeeded));
        if count.active > wanted {
            self.end_surplus(id, count.active - wanted);
            return;
        }
        if count.failed > workload.failures {
            workload.failures = count.failed;
            workload.retry_at = self.now.saturating_add(pause);
        }
        let missing = wanted - count.active;
        if missing == 0 {
            return;
        }
        if workload.retry_at > self.now {
            let at = workload.retry_at;
            self.timers.set(Timer::Workload(id), at);
            return;
        }
        let made = if work.gang && missing > self.settings.makes_at_once {
            // A gang is placed whole, so it is made whole.
            let mut made = Vec::new();
            while made.len() < missing as usize {
                let part = self.make_pods(id, missing - u32::try_from(made.len()).unwrap_or(missing));
                if part.is_empty() {
                    break;
                }
                made.extend(part);
            }
            made
        } else {
            self.make_pods(id, missing)
        };
        if work.gang {
            self.enqueue_gang(&made);
        } else {
            for pod in made {
                self.enqueue(pod);
            }
        }
    }

    /// Fewer are to run at once than do: those that are not placed go first.
    fn end_surplus(&mut self, id: WorkloadId, surplus: u32) {
        let Some(workload) = self.workloads.get(&id) else { return };
        let active = workload.pods.iter().filter_map(|pod| self.pods.get(pod));
        let mut active: Vec<(bool, PodId)> = active
            .filter(|pod| !pod.is_ending() && !pod.row.state.phase.has_ended())
            .map(|pod| (pod.row.node.is_some(), pod.row.id))
            .collect();
        active.sort_unstable();
        for (_, pod) in active.into_iter().take(surplus as usize) {
            self.end_pod(pod, "ScaledDown", "fewer are to run at once");
        }
    }

    fn finish_job(&mut self, id: WorkloadId, state: WorkloadState, message: String) {
        let Some(workload) = self.workloads.get_mut(&id) else { return };
        workload.status.state = state;
        workload.status.message = Some(message.clone());
        workload.progressed = self.now;
        self.end_active(id);
        let reason = if state == WorkloadState::Succeeded { "Succeeded" } else { "Failed" };
        self.tell_of_workload(id, Change::Changed, reason, message);
        self.touch(id);
    }

    fn end_active(&mut self, id: WorkloadId) {
        let Some(workload) = self.workloads.get(&id) else { return };
        for pod in workload.pods.clone() {
            if self.pods.get(&pod).is_some_and(|pod| !pod.row.state.phase.has_ended()) {
                self.end_pod(pod, "JobEnded", "its job has ended");
            }
        }
    }

    /// A job that has ended goes after a while, where that was asked for.
    fn expire_job(&mut self, id: WorkloadId, ttl_seconds: Option<u32>) {
        let (Some(seconds), Some(workload)) = (ttl_seconds, self.workloads.get(&id)) else { return };
        let at = workload.progressed.saturating_add(i64::from(seconds) * 1_000);
        if self.now < at {
            self.timers.set(Timer::Workload(id), at);
            return;
        }
        self.clear_away(id);
    }
}
