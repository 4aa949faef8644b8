use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use prometheus::{IntCounterVec, IntGaugeVec};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{Answer, Repository, TufError};
use crate::{policy::Policies, random::random};

/// How often it is looked whether a repository is to be asked.
const PERIOD: Duration = Duration::from_secs(1);
/// How long after a failure a repository is asked again, at first; twice as long after each one more.
const FIRST_RETRY: Duration = Duration::from_mins(1);
/// The longest that takes.
const MOST_RETRY: Duration = Duration::from_hours(1);
/// How often it is told that a repository still fails.
const REMINDER: Duration = Duration::from_hours(24);

/// How repositories are asked.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// How long after a success the next time comes; a tenth more or less, lest all replicas ask at once.
    pub interval: Duration,
    /// How long it may take.
    pub timeout: Duration,
}

/// What is told of repositories, by name.
pub struct Told {
    /// When each was last asked with success, in seconds since 1970.
    pub refreshed_at: IntGaugeVec,
    /// How often each was asked without.
    pub failures: IntCounterVec,
}

/// Asks TUF repositories, those that policies in force name, and puts what they say in force: a task each, so that none waits for
/// another.
pub struct Keeper {
    watched: Vec<Watched>,
}

/// The task of one.
struct Watched {
    repository: Arc<Repository>,
    policies: Arc<Policies>,
    pace: Pace,
    told: Arc<Told>,
    /// What it said last, where it was asked since the start.
    content: Vec<u8>,
    refreshed_at: Option<Timestamp>,
    /// When it is to be asked again; at once where that is not said.
    again_at: Option<Instant>,
    failures: u32,
    /// When it was last told that it fails, and whether in keeping what it said.
    warned: Option<(Instant, bool)>,
}

impl Keeper {
    /// One for these repositories, whose roots go to these policies.
    pub fn new(policies: &Arc<Policies>, repositories: Vec<Arc<Repository>>, pace: Pace, told: Told) -> Self {
        let told = Arc::new(told);
        let watch = |repository: Arc<Repository>| Watched {
            refreshed_at: repository.refreshed_at(),
            repository,
            policies: policies.clone(),
            pace,
            told: told.clone(),
            content: Vec::new(),
            again_at: None,
            failures: 0,
            warned: None,
        };
        Self { watched: repositories.into_iter().map(watch).collect() }
    }

    /// Asks until told to stop.
    pub async fn run(self, shutdown: CancellationToken) {
        let mut tasks: JoinSet<()> = self.watched.into_iter().map(|watched| watched.run(shutdown.clone())).collect();
        while tasks.join_next().await.is_some() {}
    }
}

impl Watched {
    async fn run(mut self, shutdown: CancellationToken) {
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = self.ask_if_due() => {}
            }
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(PERIOD) => {}
            }
        }
    }

    async fn ask_if_due(&mut self) {
        let is_named = self.policies.current().tuf_repositories().contains(self.repository.name.as_str());
        if !is_named || self.again_at.is_some_and(|again_at| again_at > Instant::now()) {
            return;
        }
        let asked = self.repository.refresh(self.pace.timeout).await;
        match asked.and_then(|answer| self.take(answer)) {
            Ok(()) => self.note_success(),
            Err(error) => self.note_failure(&error),
        }
        let refreshed_at = self.told.refreshed_at.with_label_values(&[self.repository.name.as_str()]);
        refreshed_at.set(self.refreshed_at.map_or(0, Timestamp::as_second));
    }

    /// Puts an answer in force, also one that could not be kept, of which it tells then.
    fn take(&mut self, answer: Answer) -> Result<(), TufError> {
        if answer.content != self.content {
            let repository = self.repository.name.as_str();
            self.policies.take_root(repository, Arc::new(answer.root));
            tracing::info!(repository, "the trusted root of the TUF repository is in force");
            self.content = answer.content;
        }
        self.refreshed_at = Some(Timestamp::now());
        answer.kept
    }

    fn note_success(&mut self) {
        if std::mem::take(&mut self.failures) > 0 {
            tracing::info!(repository = self.repository.name, "the TUF repository answers again");
        }
        self.warned = None;
        self.again_at = Some(Instant::now() + jittered(self.pace.interval, random()));
    }

    fn note_failure(&mut self, error: &TufError) {
        let repository = self.repository.name.as_str();
        self.told.failures.with_label_values(&[repository]).inc();
        let is_in_force = error.is_of_keeping();
        if self.warned.is_none_or(|(at, was_in_force)| was_in_force != is_in_force || at.elapsed() >= REMINDER) {
            self.warned = Some((Instant::now(), is_in_force));
            let age_hours = self.refreshed_at.map(|at| Timestamp::now().duration_since(at).as_hours());
            let error = error as &dyn std::error::Error;
            if is_in_force {
                tracing::warn!(repository, error, "the trusted root of a TUF repository is in force until the next start only");
            } else {
                tracing::warn!(
                    repository,
                    error,
                    age_hours,
                    "a TUF repository could not be asked for its trusted root, and what was known of it stays in force"
                );
            }
        }
        let pause = retry_after(self.failures).min(self.pace.interval);
        self.failures = self.failures.saturating_add(1);
        self.again_at = Some(Instant::now() + jittered(pause, random()));
    }
}

/// How long to wait after a failure that came after so many others.
fn retry_after(failures: u32) -> Duration {
    FIRST_RETRY.saturating_mul(2_u32.saturating_pow(failures)).min(MOST_RETRY)
}

/// A pause, a tenth more or less.
fn jittered(pause: Duration, random: [u8; 1]) -> Duration {
    pause.mul_f64(0.9 + 0.2 * f64::from(random[0]) / 255.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_tried_again_later_and_later_to_an_end() {
        let minutes = |failures| retry_after(failures).as_secs() / 60;
        assert_eq!([0, 1, 2, 5, 6, 40, u32::MAX].map(minutes), [1, 2, 4, 32, 60, 60, 60]);
        let hour = Duration::from_hours(1);
        assert_eq!((jittered(hour, [0]), jittered(hour, [255])), (hour * 9 / 10, hour * 11 / 10));
    }
}
