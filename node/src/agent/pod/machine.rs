//! The machine's memory. What it is told is in `hearing.rs`, what it decides in `ending.rs` and `running.rs`.

mod ending;
mod hearing;
mod running;
mod tries;

use std::time::{Duration, Instant};

use jiff::Timestamp;
use longshore_fleet::{Assignment, RestartPolicy};

use super::{Action, Container, Exit, ImageUser, Next, Now, Rules, Seen, Status, backoff::Backoff, probing::Probing};
use crate::agent::make;
use tries::Tries;

/// One pod: what is to be, what there is, and what was tried.
#[derive(Clone, Debug)]
pub struct Machine {
    pub(super) assignment: Assignment,
    mark: String,
    rules: Rules,
    heard_at: Timestamp,
    /// How long it has to end; as it should run where there is none.
    ends_within: Option<Duration>,
    /// What the runtime had when it was last looked.
    pub(super) seen: Option<Seen>,
    must_look: bool,
    pub(super) pending: Option<Pending>,
    away_until: Option<Instant>,
    image: ImageState,
    pulls: Tries,
    makes: Tries,
    crashes: Backoff,
    /// The container whose end was counted.
    counted: Option<String>,
    next_attempt: u32,
    next_sandbox: u32,
    probing: Option<Probing>,
    /// Whether containers that run were begun by somebody before.
    finds: bool,
    /// The one that was there before.
    found: Option<String>,
    pub(super) last_exit: Option<Exit>,
    pub(super) started_in_ms: Option<u64>,
    left: Left,
    has_run: bool,
    /// What was done last, and how often in a row.
    repeated: Option<(Action, u32)>,
    pub(super) ready_since: Option<(bool, Timestamp)>,
}

/// What is being done.
#[derive(Clone, Debug)]
pub(super) struct Pending {
    pub(super) action: Action,
    /// By when it should be over, where it has to wait for somebody.
    ends_at: Option<Instant>,
}

/// What is known of the image.
#[derive(Clone, Debug)]
enum ImageState {
    Unknown,
    Missing,
    Here(ImageUser),
}

/// What is left of a pod that is to end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Left {
    Something,
    NoFiles,
    Nothing,
}

/// What is to be decided: one thing to do, or to wait.
enum Step {
    Do(Action),
    WaitUntil(Instant),
    Wait,
}

impl Machine {
    /// One that this node has heard of then, and has not looked at.
    pub fn new(assignment: Assignment, heard_at: Timestamp, rules: Rules) -> Self {
        Self {
            mark: make::mark(&assignment.template),
            ends_within: ends_within(&assignment),
            assignment,
            rules,
            heard_at,
            seen: None,
            must_look: true,
            pending: None,
            away_until: None,
            image: ImageState::Unknown,
            pulls: Tries::new(&rules),
            makes: Tries::new(&rules),
            crashes: Backoff::new(&rules),
            counted: None,
            next_attempt: 0,
            next_sandbox: 0,
            probing: None,
            finds: true,
            found: None,
            last_exit: None,
            started_in_ms: None,
            left: Left::Something,
            has_run: false,
            repeated: None,
            ready_since: None,
        }
    }

    /// It is to be so from now on.
    pub fn assign(&mut self, assignment: Assignment) {
        // Who was told to end does not begin again.
        let ends_within = ends_within(&assignment).or(self.ends_within);
        if assignment.template != self.assignment.template {
            self.mark = make::mark(&assignment.template);
            self.image = ImageState::Unknown;
            self.pulls.reset();
            self.makes.reset();
            self.crashes.reset();
        }
        if self.ends_within.is_none() && ends_within.is_some() {
            // Whatever failed before, ending is tried at once.
            self.makes.backoff.reset();
        }
        (self.assignment, self.ends_within) = (assignment, ends_within);
    }

    /// What is wanted of it.
    pub fn assignment(&self) -> &Assignment {
        &self.assignment
    }

    /// Whether nothing of it is left.
    pub fn is_gone(&self) -> bool {
        self.left == Left::Nothing
    }

    /// Whether it was found out what the runtime has of it.
    pub fn has_looked(&self) -> bool {
        self.seen.is_some()
    }

    /// Whether it was told to end.
    pub fn is_ending(&self) -> bool {
        self.ends_within.is_some()
    }

    /// Its container, where there is one.
    pub fn container(&self) -> Option<&Container> {
        self.seen.as_ref()?.container.as_ref()
    }

    /// Its address, where it has one of its own.
    pub fn address(&self) -> Option<&str> {
        self.seen.as_ref()?.sandbox.as_ref()?.address.as_deref()
    }

    /// What is to be done now.
    pub fn next(&mut self, now: Now) -> Next {
        let mut next = Next::default();
        if self.is_gone() {
            return next;
        }
        if let Some(pending) = &self.pending {
            next.breaks_off = self.is_to_break_off(pending, now);
        } else {
            match self.decide(now) {
                Step::Do(action) => {
                    let ends_at = match &action {
                        Action::Stop { grace, .. } => Some(now.at + *grace),
                        _ => None,
                    };
                    self.pending = Some(Pending { action: action.clone(), ends_at });
                    next.action = Some(action);
                }
                Step::WaitUntil(at) => next.wake_at = Some(at),
                Step::Wait => {}
            }
        }
        if self.ends_within.is_none()
            && let Some(probing) = &mut self.probing
        {
            next.probes = probing.due(now.at);
            next.wake_at = [next.wake_at, probing.next_at()].into_iter().flatten().min();
        }
        next
    }

    /// What was being done was broken off.
    pub fn broken_off(&mut self) {
        if let Some(Pending { action: Action::MakeSandbox { .. }, .. }) = self.pending.take() {
            // What is half made has its number.
            self.next_sandbox = self.next_sandbox.saturating_add(1);
        }
        self.must_look = true;
    }

    /// Whether what is being done would keep from what is wanted.
    fn is_to_break_off(&self, pending: &Pending, now: Now) -> bool {
        let Some(within) = self.ends_within else { return false };
        match (&pending.action, pending.ends_at) {
            (Action::Pull | Action::MakeSandbox { .. }, _) => true,
            // It has less time than it was told.
            (Action::Stop { grace, .. }, Some(ends_at)) => within < *grace && now.at + within < ends_at,
            _ => false,
        }
    }

    fn decide(&mut self, now: Now) -> Step {
        if let Some(until) = self.away_until.filter(|until| *until > now.at) {
            return Step::WaitUntil(until);
        }
        let seen = match &self.seen {
            Some(seen) if !self.must_look => seen.clone(),
            _ => return Step::Do(Action::Look),
        };
        if let Some(until) = self.makes.backoff.until(now.at) {
            return Step::WaitUntil(until);
        }
        match self.ends_within {
            Some(within) => self.decide_ending(&seen, within),
            None => self.decide_running(&seen, now),
        }
    }

    /// How the pod has ended for good, where nothing of it is to run again.
    pub(super) fn ended(&self) -> Option<&Exit> {
        if self.assignment.restart == RestartPolicy::Always {
            return None;
        }
        match &self.container()?.status {
            Status::Exited(exit) => Some(exit),
            _ => None,
        }
    }

    /// Whether it has run once, as it was to, and somebody has removed it.
    pub(super) fn is_lost(&self) -> bool {
        let has_run = self.has_run || self.assignment.has_ended;
        self.assignment.restart == RestartPolicy::Never && has_run && self.has_looked() && self.container().is_none()
    }

    /// Why its image is not run, where it is not to be.
    pub(super) fn refusal(&self) -> Option<(&'static str, String)> {
        match &self.image {
            ImageState::Here(user) => make::refusal(&self.assignment, user),
            ImageState::Unknown | ImageState::Missing => None,
        }
    }

    /// Why it is to be begun anew, by its probes.
    pub(super) fn probing(&self) -> Option<&Probing> {
        self.probing.as_ref()
    }

    /// What failed last of what is tried again: its word, its reason, and whether it is an image that did not come.
    pub(super) fn failure(&self) -> Option<(&'static str, &str)> {
        let (word, why) = self.makes.failure.as_ref().or(self.pulls.failure.as_ref())?;
        let word = if *word == "ErrImagePull" && self.pulls.count > 1 { "ImagePullBackOff" } else { word };
        Some((word, why))
    }

    /// How often its container was started again.
    pub(super) fn restarts(&self) -> u32 {
        match self.container() {
            Some(container) => container.attempt,
            None => self.next_attempt.saturating_sub(1),
        }
    }

    /// Until when it waits after a crash.
    pub(super) fn crash_wait(&self, now: Now) -> Option<Instant> {
        self.crashes.until(now.at)
    }
}

fn ends_within(assignment: &Assignment) -> Option<Duration> {
    assignment.end_within_seconds.map(|seconds| Duration::from_secs(seconds.into()))
}
