//! When something is to be looked at again.

use std::collections::BTreeSet;

use longshore_fleet::{NodeId, OperationId, WorkloadId};

use super::Controller;
use crate::schedule::Millis;

/// What is to be looked at again.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Timer {
    /// A workload: a pod counts as available, a deadline is over, a retry is due.
    Workload(WorkloadId),
    /// A node: it may be lost.
    Node(NodeId),
    /// A node's taints: there are pods that tolerate them for so long and no longer.
    Taints(NodeId),
    /// Pods of lost nodes that are not replaced yet.
    Losses,
    /// Nodes that are drained.
    Drains,
    /// Long work: its deadline is over.
    Operation(OperationId),
    /// A verdict about the image of a revision that pods wait for.
    Verdict(WorkloadId),
    /// What has failed on nodes counts less.
    Failures,
}

/// When something is to be looked at again, each thing once: the earliest counts.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    due: BTreeSet<(Millis, Timer)>,
    by_timer: std::collections::BTreeMap<Timer, Millis>,
}

impl Timers {
    /// Looks at something at this moment, or before, where that was wanted.
    pub(crate) fn set(&mut self, timer: Timer, at: Millis) {
        match self.by_timer.get(&timer).copied() {
            Some(before) if before <= at => return,
            Some(before) => {
                self.due.remove(&(before, timer));
            }
            None => {}
        }
        self.by_timer.insert(timer, at);
        self.due.insert((at, timer));
    }

    pub(crate) fn next_at(&self) -> Option<Millis> {
        self.due.first().map(|(at, _)| *at)
    }

    fn pop(&mut self, now: Millis) -> Option<Timer> {
        let (at, timer) = *self.due.first()?;
        if at > now {
            return None;
        }
        self.due.pop_first();
        self.by_timer.remove(&timer);
        Some(timer)
    }
}

impl Controller {
    /// Does what the time brings.
    pub(crate) fn ring(&mut self) {
        // What a timer sets anew for this very moment waits for the next time, so that this ends.
        let mut due = Vec::new();
        while let Some(timer) = self.timers.pop(self.now) {
            due.push(timer);
        }
        for timer in due {
            match timer {
                Timer::Workload(id) => self.touch(id),
                Timer::Node(id) => self.look_after(id),
                Timer::Taints(id) => self.expel(id),
                Timer::Losses => self.replace_lost(),
                Timer::Drains => self.drain_nodes(),
                Timer::Operation(id) => self.continue_prewarming(id),
                Timer::Verdict(id) => self.ask_again(id),
                Timer::Failures => self.forgive(),
            }
        }
    }
}
