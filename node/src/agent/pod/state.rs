//! What is told of a pod.

use longshore_fleet::{Phase, PodState, RestartPolicy};

use super::{Action, Machine, Now, Status};

impl Machine {
    /// How the pod is.
    pub fn state(&mut self, now: Now) -> PodState {
        let (phase, reason, message) = self.phase(now);
        let is_ready = phase == Phase::Running && self.probing().is_some_and(super::probing::Probing::is_ready);
        if self.ready_since.is_none_or(|(was_ready, _)| was_ready != is_ready) {
            self.ready_since = Some((is_ready, now.wall));
        }
        let started_at = match self.container().map(|container| &container.status) {
            Some(Status::Running { since }) => Some(*since),
            _ => self.last_exit.as_ref().and_then(|exit| exit.started_at),
        };
        PodState {
            phase,
            ready: is_ready,
            ready_since: self.ready_since.map(|(_, since)| since),
            restarts: self.restarts(),
            reason: reason.map(str::to_owned),
            message,
            exit_code: self.last_exit.as_ref().map(|exit| exit.code),
            started_at,
            started_in_ms: self.started_in_ms,
            address: self.address().map(str::to_owned),
        }
    }

    fn phase(&self, now: Now) -> (Phase, Option<&'static str>, Option<String>) {
        if self.is_ending() {
            let failure = self.failure().map(|(_, why)| why.to_owned());
            return (Phase::Ending, None, failure);
        }
        if let Some(exit) = self.ended() {
            let phase = if exit.is_good() { Phase::Succeeded } else { Phase::Failed };
            return (phase, Some(exit.word()), (!exit.is_good()).then(|| exit.words()));
        }
        if self.is_lost() {
            let why = "its container was removed by somebody else before it was known how it ended".to_owned();
            return (Phase::Failed, Some("ContainerLost"), Some(why));
        }
        let is_running = matches!(self.container().map(|container| &container.status), Some(Status::Running { .. }));
        // What runs is not judged anew.
        if let Some((word, why)) = self.refusal().filter(|_| !is_running) {
            let is_last = self.assignment.restart == RestartPolicy::Never;
            return (if is_last { Phase::Failed } else { Phase::Waiting }, Some(word), Some(why));
        }
        match self.container().map(|container| &container.status) {
            Some(Status::Running { .. }) => {
                let ill = self.probing().and_then(|probing| probing.why_ill().or_else(|| probing.why_not_ready()));
                return (Phase::Running, ill.is_some().then_some("Unhealthy"), ill);
            }
            Some(Status::Exited(exit)) if self.crash_wait(now).is_some() => {
                let words = format!("it is started again after a while: {}", exit.words());
                return (Phase::Waiting, Some("CrashLoopBackOff"), Some(words));
            }
            _ => {}
        }
        let is_pulling = matches!(self.pending.as_ref().map(|pending| &pending.action), Some(Action::Pull));
        match self.failure() {
            // While it is tried again it is what it was: who looks sees why.
            Some((word, why)) => (Phase::Waiting, Some(word), Some(why.to_owned())),
            None if is_pulling => (Phase::Pulling, None, None),
            None => (Phase::Starting, None, None),
        }
    }
}
