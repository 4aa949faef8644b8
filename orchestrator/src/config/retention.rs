//! `[retention]`: how long what has happened is kept.

use longshore_service::config::{Duration, Problems};

/// The least that answers of operations are kept: a retry within it is the same act.
const LEAST_ANSWERS: Duration = Duration::hours(1);

/// How long what has happened is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Retention {
    /// How often to look for what is past its time.
    pub interval: Duration,
    /// Events, for those who watch.
    pub events: Duration,
    /// How many events are kept at most, whatever their age.
    pub max_events: u64,
    /// Answers to operations that callers named, for their retries.
    pub answers: Duration,
    /// Long work that has ended.
    pub operations: Duration,
    /// Lines of the audit log.
    pub audit: Duration,
    /// How many lines of it are kept at most, whatever their age: anybody who is refused writes one.
    pub max_audit: u64,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            interval: Duration::seconds(10),
            events: Duration::days(1),
            max_events: 1_000_000,
            answers: Duration::hours(24),
            operations: Duration::days(7),
            audit: Duration::days(90),
            max_audit: 10_000_000,
        }
    }
}

longshore_service::settings!(Retention { interval, events, max_events, answers, operations, audit, max_audit });

impl Retention {
    pub(super) fn check(&self, problems: &mut Problems<'_>) {
        problems.check_not_zero("retention.interval", self.interval);
        if self.answers < LEAST_ANSWERS {
            problems.add(&["retention.answers"], format!("must be {LEAST_ANSWERS} or more"));
        }
        for (key, most) in [("retention.max_events", self.max_events), ("retention.max_audit", self.max_audit)] {
            if most < 1000 {
                problems.add(&[key], "must be at least 1000");
            }
        }
    }
}
