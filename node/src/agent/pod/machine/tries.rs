use std::time::Instant;

use crate::agent::pod::{Rules, backoff::Backoff};

/// Something that is tried until it succeeds.
#[derive(Clone, Debug)]
pub(super) struct Tries {
    pub(super) backoff: Backoff,
    pub(super) count: u32,
    /// What was tried, and why it failed last.
    pub(super) failure: Option<(&'static str, String)>,
}

impl Tries {
    pub(super) fn new(rules: &Rules) -> Self {
        Self { backoff: Backoff::new(rules), count: 0, failure: None }
    }

    pub(super) fn fail(&mut self, what: &'static str, why: String, now: Instant) {
        self.backoff.fail(now);
        (self.count, self.failure) = (self.count.saturating_add(1), Some((what, why)));
    }

    pub(super) fn reset(&mut self) {
        self.backoff.reset();
        (self.count, self.failure) = (0, None);
    }
}
