//! How workloads are, written down when it has changed, though not more often than anybody could read.

use longshore_fleet::{
    Phase, WorkloadId,
    api::{Change, WorkloadState, WorkloadStatus},
};

use super::{Controller, workload::Asked};
use crate::{schedule::Millis, state::Write};

impl Controller {
    /// A workload may be other than it was written.
    pub(crate) fn note_status(&mut self, id: WorkloadId) {
        let Some(status) = self.status_of(id) else { return };
        let Some(workload) = self.workloads.get_mut(&id) else { return };
        let is_other = workload.row.status != status;
        workload.status = status;
        if is_other {
            self.unwritten.statuses.insert(id);
        }
    }

    /// When a status is to be written that was held back.
    pub(crate) fn unwritten_status_at(&self) -> Option<Millis> {
        let due = |id: &WorkloadId| Some(self.workloads.get(id)?.status_written + self.settings.status_period_ms);
        self.unwritten.statuses.iter().filter_map(due).min()
    }

    /// Has those statuses written that were not for a while, and those whose state is another, or that are of another revision.
    pub(crate) fn write_statuses(&mut self) {
        let (now, period) = (self.now, self.settings.status_period_ms);
        let is_due = |id: &WorkloadId| {
            self.workloads.get(id).is_none_or(|workload| {
                let (status, written) = (&workload.status, &workload.row.status);
                // Somebody may wait for what he has just asked for.
                let is_told_at_once = (status.state, status.observed_revision) != (written.state, written.observed_revision);
                is_told_at_once || workload.status_written + period <= now
            })
        };
        let due: Vec<WorkloadId> = self.unwritten.statuses.iter().copied().filter(is_due).collect();
        for id in due {
            self.unwritten.statuses.remove(&id);
            let Some(workload) = self.workloads.get_mut(&id) else { continue };
            if workload.row.status == workload.status {
                continue;
            }
            workload.row.status = workload.status.clone();
            workload.status_written = now;
            self.unwritten.writes.push(Write::PutStatus(id, workload.status.clone()));
            self.tell_of_workload(id, Change::Changed, "Status", "");
        }
    }

    /// How many of a workload's pods are how.
    pub(crate) fn status_of(&self, id: WorkloadId) -> Option<WorkloadStatus> {
        let workload = self.workloads.get(&id)?;
        let min_ready = workload.asked.min_ready_seconds();
        // What pods are to be made from comes with the workload; without that nothing was decided.
        let is_decided = workload.current().is_some() || workload.row.deleted.is_some();
        let mut status = WorkloadStatus {
            observed_revision: if is_decided { workload.row.revision } else { workload.status.observed_revision },
            state: workload.status.state,
            message: workload.status.message.clone(),
            wanted: workload.asked.wanted(),
            progressed_at: jiff::Timestamp::from_millisecond(workload.progressed).ok(),
            ..WorkloadStatus::default()
        };
        if workload.is_deployment() {
            status.message = None;
        }
        let mut trouble = None;
        for pod in workload.pods.iter().filter_map(|pod| self.pods.get(pod)) {
            match pod.row.state.phase {
                Phase::Succeeded => status.succeeded += 1,
                Phase::Failed if !pod.is_ending() => status.failed += 1,
                _ if pod.is_ending() => {}
                _ => {
                    let is_available = pod.available_at(min_ready).is_none_or(|at| at <= self.now);
                    status.pods += 1;
                    status.updated += u32::from(pod.row.revision == workload.row.template_revision);
                    status.ready += u32::from(pod.row.state.ready);
                    status.available += u32::from(pod.row.state.ready && is_available);
                    status.unplaced += u32::from(pod.row.node.is_none());
                    let is_in_trouble = matches!(pod.row.state.phase, Phase::Waiting) || pod.is_known_unplaceable;
                    if is_in_trouble && pod.row.node.is_none() == pod.is_known_unplaceable {
                        trouble = trouble.or_else(|| pod.row.state.message.clone().or_else(|| pod.row.state.reason.clone()));
                    }
                }
            }
        }
        if workload.row.deleted.is_some() {
            status.state = WorkloadState::Deleting;
        } else if status.state != WorkloadState::Available && status.message.is_none() {
            let refused = workload.current().and_then(|revision| revision.row.refused.as_ref());
            status.message = refused.map(|why| format!("its image may not run: {why}")).or(trouble);
        }
        Some(status)
    }

    /// Counts, at the beginning of a term, what is not in rows.
    pub(crate) fn recount(&mut self, id: WorkloadId) {
        let Some(failures) = self.workloads.get(&id).map(|workload| workload.status.failed) else { return };
        let pause = if failures > 0 { self.retry_pause(failures) } else { 0 };
        let Some(workload) = self.workloads.get_mut(&id) else { return };
        if let Asked::Job(_) = workload.asked {
            // Who led before paused from the last failure on.
            workload.failures = failures;
            workload.retry_at = workload.progressed.saturating_add(pause);
        }
    }
}
