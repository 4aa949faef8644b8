use std::sync::Arc;

use longshore_fleet::Assignment;
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

use crate::agent::{hands::Hands, kept::KeptPod, pod::Glimpse, worker};

/// A pod, and its task.
pub(super) struct Entry {
    pub(super) kept: KeptPod,
    wanted: watch::Sender<Assignment>,
    listed: watch::Sender<Glimpse>,
    task: Option<AbortOnDropHandle<()>>,
}

impl Entry {
    /// One without a task yet.
    pub(super) fn new(kept: KeptPod) -> Self {
        Self { wanted: watch::Sender::new(kept.assignment.clone()), listed: watch::Sender::default(), kept, task: None }
    }

    /// Tells the task what is wanted; where there is none, it is begun.
    pub(super) fn carry_on(&mut self, hands: &Arc<Hands>) {
        self.wanted.send_if_modified(|wanted| {
            let is_new = *wanted != self.kept.assignment;
            wanted.clone_from(&self.kept.assignment);
            is_new
        });
        if self.task.is_none() {
            let (wants, lists) = (self.wanted.subscribe(), self.listed.subscribe());
            let task = tokio::spawn(worker::run(hands.clone(), wants, lists, self.kept.heard_at));
            self.task = Some(AbortOnDropHandle::new(task));
        }
    }

    /// Tells the task what the runtime lists of the pod.
    pub(super) fn show(&self, glimpse: Glimpse) {
        self.listed.send_if_modified(|listed| {
            let is_new = *listed != glimpse;
            *listed = glimpse;
            is_new
        });
    }

    /// Whether the task has ended: nothing of the pod is left.
    pub(super) fn is_over(&self) -> bool {
        self.task.as_ref().is_some_and(AbortOnDropHandle::is_finished)
    }

    /// Begins anew, after it was over.
    pub(super) fn begin_again(&mut self, hands: &Arc<Hands>) {
        self.task = None;
        self.carry_on(hands);
    }
}
