//! `[audit]`: the log of who did what.

use longshore_service::choice;
use longshore_service::config::{Duration, Problems};

choice! {
    /// Whether there is an audit log.
    pub enum AuditEnabled {
        /// Where `auth.enabled` is on.
        Auto = "auto",
        /// There is one.
        On = "on",
        /// There is none.
        Off = "off",
    }
}

/// The log of who did what.
#[derive(Clone, Debug, PartialEq)]
pub struct Audit {
    /// Whether there is one.
    pub enabled: AuditEnabled,
    /// How long lines are kept.
    pub retention: Duration,
    /// How many logins and refusals may wait in memory to be written. What comes on top is counted, and the log says how much that was.
    pub queue: usize,
    /// How many logins and refusals are taken in a second, likewise. Changes are always taken.
    pub lines_per_second: u32,
}

impl Default for Audit {
    fn default() -> Self {
        Self { enabled: AuditEnabled::Auto, retention: Duration::days(90), queue: 10_000, lines_per_second: 1000 }
    }
}

longshore_service::settings!(Audit { enabled, retention, queue, lines_per_second });

impl Audit {
    pub(super) fn check(&self, problems: &mut Problems<'_>) {
        problems.check_not_zero("audit.retention", self.retention);
        if !(1..=1_000_000).contains(&self.queue) {
            problems.add(&["audit.queue"], "must be from 1 to 1000000");
        }
        if !(1..=1_000_000).contains(&self.lines_per_second) {
            problems.add(&["audit.lines_per_second"], "must be from 1 to 1000000");
        }
    }
}
