use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use jiff::Timestamp;
use prometheus::{IntCounterVec, IntGaugeVec};
use tokio_util::sync::CancellationToken;

use super::Repository;
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

/// The task that asks TUF repositories, those that policies in force name, and puts what they say in force.
pub struct Keeper {
    policies: Arc<Policies>,
    watched: Vec<Watched>,
    pace: Pace,
    told: Told,
}

struct Watched {
    repository: Arc<Repository>,
    /// What it said last, where it was asked since the start.
    content: Vec<u8>,
    refreshed_at: Option<Timestamp>,
    /// When it is to be asked again; at once where that is not said.
    again_at: Option<Instant>,
    failures: u32,
    warned_at: Option<Instant>,
}

impl Keeper {
    /// One for these repositories, whose roots go to these policies.
    pub fn new(policies: Arc<Policies>, repositories: Vec<Arc<Repository>>, pace: Pace, told: Told) -> Self {
        let watch = |repository: Arc<Repository>| {
            let refreshed_at = repository.refreshed_at();
            Watched { repository, content: Vec::new(), refreshed_at, again_at: None, failures: 0, warned_at: None }
        };
        Self { policies, watched: repositories.into_iter().map(watch).collect(), pace, told }
    }

    /// Asks until told to stop.
    pub async fn run(mut self, shutdown: CancellationToken) {
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = self.ask_those_due() => {}
            }
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(PERIOD) => {}
            }
        }
    }

    async fn ask_those_due(&mut self) {
        let Self { policies, watched, pace, told } = self;
        let document = policies.current();
        let named = document.tuf_repositories();
        let now = Instant::now();
        let is_due = |watched: &&mut Watched| {
            named.contains(watched.repository.name.as_str()) && watched.again_at.is_none_or(|again_at| again_at <= now)
        };
        let due = watched.iter_mut().filter(is_due);
        join_all(due.map(|watched| watched.ask(policies, *pace, told))).await;
    }
}

impl Watched {
    async fn ask(&mut self, policies: &Policies, pace: Pace, told: &Told) {
        let name = self.repository.name.as_str();
        let gauge = told.refreshed_at.with_label_values(&[name]);
        match self.repository.refresh(pace.timeout).await {
            Ok((root, content)) => {
                if std::mem::take(&mut self.failures) > 0 {
                    tracing::info!(repository = name, "the TUF repository answers again");
                }
                if content != self.content {
                    policies.take_root(name, Arc::new(root));
                    tracing::info!(repository = name, "the trusted root of the TUF repository is in force");
                    self.content = content;
                }
                let now = Timestamp::now();
                (self.refreshed_at, self.warned_at) = (Some(now), None);
                gauge.set(now.as_second());
                self.again_at = Some(Instant::now() + jittered(pace.interval, random()));
            }
            Err(error) => {
                gauge.set(self.refreshed_at.map_or(0, Timestamp::as_second));
                told.failures.with_label_values(&[name]).inc();
                if self.warned_at.is_none_or(|warned_at| warned_at.elapsed() >= REMINDER) {
                    self.warned_at = Some(Instant::now());
                    let age_hours = self.refreshed_at.map(|at| Timestamp::now().duration_since(at).as_hours());
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(
                        repository = name,
                        error,
                        age_hours,
                        "a TUF repository could not be asked for its trusted root, and what was known of it stays in force"
                    );
                }
                let pause = retry_after(self.failures).min(pace.interval);
                self.failures = self.failures.saturating_add(1);
                self.again_at = Some(Instant::now() + jittered(pause, random()));
            }
        }
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
