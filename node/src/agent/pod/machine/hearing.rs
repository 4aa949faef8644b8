//! What the machine is told: what there is, what came of what it asked for, and what probes say.

use std::time::Duration;

use jiff::Timestamp;

use super::{ImageState, Left, Machine, Pending};
use crate::agent::pod::{Action, Done, Exit, Failure, Glimpse, Now, ProbeKind, Seen, Status, Verdict, probing::Probing};

/// How often in a row the same is done at once.
const MOST_REPEATED: u32 = 3;

impl Machine {
    /// What the runtime lists of it. Where that is something else than it knows, it looks.
    pub fn glimpse(&mut self, glimpse: &Glimpse) {
        if self.seen.as_ref().is_some_and(|seen| seen.glimpse != *glimpse) {
            self.must_look = true;
            self.left = Left::Something;
        }
    }

    /// What came of what it asked for.
    pub fn done(&mut self, result: Result<Done, Failure>, now: Now) {
        let Some(Pending { action, .. }) = self.pending.take() else { return };
        match result {
            Ok(Done::Seen(seen)) => self.look(*seen, now),
            Ok(Done::Image(user)) => self.image = user.map_or(ImageState::Missing, ImageState::Here),
            Ok(Done::Cleared) => self.left = Left::NoFiles,
            Ok(Done::Changed) if self.is_in_vain(&action) => {
                let message = "the container runtime says that it is done, and it is not".to_owned();
                self.failed(&action, message, now);
            }
            Ok(Done::Changed) => self.changed(&action),
            Err(failure) if failure.is_down => {
                self.away_until = Some(now.at + self.rules.away);
                self.must_look = true;
            }
            Err(failure) => self.failed(&action, failure.message, now),
        }
    }

    /// Whether the same was done again and again, and is to be done still.
    fn is_in_vain(&mut self, action: &Action) -> bool {
        let count = match &self.repeated {
            Some((before, count)) if before == action => count + 1,
            _ => 1,
        };
        self.repeated = Some((action.clone(), count));
        count > MOST_REPEATED
    }

    fn changed(&mut self, action: &Action) {
        match action {
            Action::Pull => {
                self.pulls.reset();
                self.image = ImageState::Unknown;
            }
            _ => self.must_look = true,
        }
    }

    fn failed(&mut self, action: &Action, message: String, now: Now) {
        self.must_look = true;
        let word = match action {
            Action::Pull => return self.pulls.fail("ErrImagePull", message, now.at),
            Action::MakeSandbox { .. } => {
                // What is half made has its number.
                self.next_sandbox = self.next_sandbox.saturating_add(1);
                "CreateSandboxError"
            }
            Action::Create { .. } => {
                // That may be because its image is not here any more.
                self.image = ImageState::Unknown;
                "CreateContainerError"
            }
            Action::Start { .. } => "RunContainerError",
            Action::Look | Action::CheckImage => {
                // It goes by what it saw last until it is told again.
                self.away_until = Some(now.at + self.rules.away);
                return;
            }
            _ => "RuntimeError",
        };
        self.makes.fail(word, message, now.at);
    }

    /// What the runtime has.
    fn look(&mut self, mut seen: Seen, now: Now) {
        self.must_look = false;
        self.away_until = None;
        if self.finds {
            self.found = seen.container.as_ref().map(|container| container.id.clone());
        }
        if let Some(container) = &mut seen.container
            && matches!(&container.status, Status::Exited(exit) if exit.never_ran(self.found.as_ref() == Some(&container.id)))
        {
            // It may be that the agent which started it ended meanwhile, and with it the start. Where it can't be started that shows again.
            container.status = Status::NeverRan;
        }
        if let Some(sandbox) = &seen.sandbox {
            self.next_sandbox = self.next_sandbox.max(sandbox.attempt + 1);
            self.next_attempt = self.next_attempt.max(sandbox.containers_before);
        }
        if let Some(container) = &seen.container {
            self.next_attempt = match container.status {
                // It has not run: where it goes, the next has its number.
                Status::Created | Status::NeverRan => container.attempt,
                _ => self.next_attempt.max(container.attempt + 1),
            };
            match &container.status {
                Status::Running { since } => self.runs(&container.id.clone(), container.attempt, *since, now),
                Status::Exited(exit) => {
                    self.probing = None;
                    self.last_exit = Some(exit.clone());
                    self.has_run = true;
                    if self.counted.as_ref() != Some(&container.id) {
                        self.counted = Some(container.id.clone());
                        self.crashed(&exit.clone(), now);
                    }
                }
                Status::Created | Status::NeverRan | Status::Unknown => self.probing = None,
            }
        }
        self.finds = false;
        self.seen = Some(seen);
    }

    fn runs(&mut self, id: &str, attempt: u32, since: Timestamp, now: Now) {
        self.has_run = true;
        if attempt == 0 && self.started_in_ms.is_none() {
            self.started_in_ms = u64::try_from(since.duration_since(self.heard_at).as_millis()).ok();
        }
        if self.probing.as_ref().is_none_or(|probing| probing.container() != id) {
            self.makes.reset();
            self.pulls.reset();
            let ran_for = Duration::try_from(now.wall.duration_since(since)).unwrap_or_default();
            self.probing = Some(Probing::new(&self.assignment.template.probes, id, ran_for, self.finds, now.at));
        }
    }

    fn crashed(&mut self, exit: &Exit, now: Now) {
        let ran_for = exit.started_at.zip(exit.finished_at).map(|(start, end)| end.duration_since(start));
        if ran_for.is_some_and(|ran_for| Duration::try_from(ran_for).is_ok_and(|ran_for| ran_for > self.rules.steady_after)) {
            self.crashes.reset();
        }
        self.crashes.crash(now.at);
    }

    /// What a probe of a container has found.
    pub fn probed(&mut self, container: &str, kind: ProbeKind, verdict: Verdict, now: Now) {
        if let Some(probing) = self.probing.as_mut().filter(|probing| probing.container() == container) {
            probing.note(kind, verdict, now.at);
        }
    }
}
