//! What is done with a pod that is to run.

use std::time::Duration;

use longshore_fleet::RestartPolicy;

use super::{
    ImageState, Machine, Step,
    ending::{remove_sandbox, stop},
};
use crate::agent::pod::{Action, Now, Sandbox, Seen, Status};

impl Machine {
    pub(super) fn decide_running(&self, seen: &Seen, now: Now) -> Step {
        if let Some((sandbox, is_ready)) = seen.surplus_sandboxes.first() {
            return Step::Do(remove_sandbox(sandbox, *is_ready));
        }
        if let Some(container) = seen.surplus_containers.first() {
            return Step::Do(Action::RemoveContainer { container: container.clone() });
        }
        let ready_sandbox = seen.sandbox.as_ref().filter(|sandbox| sandbox.is_ready);
        let Some(container) = &seen.container else {
            // Once is what was asked for: how it ended is not known, and that it has run is.
            return if self.is_lost() { Step::Wait } else { self.begin(seen, now) };
        };
        let is_as_wanted = container.mark == self.mark && ready_sandbox.is_some_and(|sandbox| sandbox.id == container.sandbox);
        match &container.status {
            Status::Running { .. } if is_as_wanted && !self.is_ill() => Step::Wait,
            Status::Running { .. } | Status::Unknown => stop(Some(container), self.grace()).unwrap_or(Step::Wait),
            Status::Created if is_as_wanted => {
                Step::Do(Action::Start { container: container.id.clone(), is_again: container.attempt > 0 })
            }
            Status::Created | Status::NeverRan => Step::Do(Action::RemoveContainer { container: container.id.clone() }),
            Status::Exited(_) if self.assignment.restart == RestartPolicy::Never => match ready_sandbox {
                // What it wrote stays; what it ran in is no use to anybody.
                Some(sandbox) => Step::Do(Action::StopSandbox { sandbox: sandbox.id.clone() }),
                None => Step::Wait,
            },
            Status::Exited(_) => match self.crash_wait(now) {
                Some(until) => Step::WaitUntil(until),
                None => self.begin(seen, now),
            },
        }
    }

    /// Goes towards a new container: a sandbox, then the image, then itself.
    fn begin(&self, seen: &Seen, now: Now) -> Step {
        match &seen.sandbox {
            Some(Sandbox { id, is_ready: false, .. }) => Step::Do(Action::RemoveSandbox { sandbox: id.clone() }),
            None => Step::Do(Action::MakeSandbox { attempt: self.next_sandbox, containers_before: self.next_attempt }),
            Some(_) if matches!(self.image, ImageState::Unknown) => Step::Do(Action::CheckImage),
            Some(_) if matches!(self.image, ImageState::Missing) => match self.pulls.backoff.until(now.at) {
                Some(until) => Step::WaitUntil(until),
                None => Step::Do(Action::Pull),
            },
            // It will be none of those that may be run.
            Some(_) if self.refusal().is_some() => Step::Wait,
            Some(Sandbox { id, attempt, containers_before, .. }) => Step::Do(Action::Create {
                sandbox: id.clone(),
                sandbox_attempt: *attempt,
                containers_before: *containers_before,
                attempt: self.next_attempt,
            }),
        }
    }

    fn is_ill(&self) -> bool {
        self.probing().is_some_and(|probing| probing.why_ill().is_some())
    }

    fn grace(&self) -> Duration {
        Duration::from_secs(self.assignment.template.termination_grace_period_seconds.into())
    }
}
