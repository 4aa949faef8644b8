//! What is done with a pod that is to end: its container has its time, then nothing of it is left.

use std::time::Duration;

use super::{Left, Machine, Step};
use crate::agent::pod::{Action, Container, Seen, Status};

impl Machine {
    pub(super) fn decide_ending(&mut self, seen: &Seen, within: Duration) -> Step {
        if let Some(step) = stop(seen.container.as_ref(), within) {
            return step;
        }
        let of_pod = seen.sandbox.iter().map(|sandbox| (&sandbox.id, sandbox.is_ready));
        let besides = seen.surplus_sandboxes.iter().map(|(id, is_ready)| (id, *is_ready));
        if let Some((sandbox, is_ready)) = of_pod.chain(besides).next() {
            return Step::Do(remove_sandbox(sandbox, is_ready));
        }
        // Those whose sandbox somebody else has removed.
        if let Some(container) = seen.container.iter().map(|container| &container.id).chain(&seen.surplus_containers).next() {
            return Step::Do(Action::RemoveContainer { container: container.clone() });
        }
        if self.left == Left::Something {
            return Step::Do(Action::Clear);
        }
        self.left = Left::Nothing;
        Step::Wait
    }
}

/// Ends a container that may be running.
pub(super) fn stop(container: Option<&Container>, grace: Duration) -> Option<Step> {
    let container = container.filter(|container| matches!(container.status, Status::Running { .. } | Status::Unknown))?;
    Some(Step::Do(Action::Stop { container: container.id.clone(), grace }))
}

/// Ends a sandbox, and then removes it.
pub(super) fn remove_sandbox(sandbox: &str, is_ready: bool) -> Action {
    let sandbox = sandbox.to_owned();
    if is_ready { Action::StopSandbox { sandbox } } else { Action::RemoveSandbox { sandbox } }
}
