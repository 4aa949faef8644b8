use std::sync::atomic::{AtomicU64, Ordering};

/// What has become of an endpoint's connections since it began.
#[derive(Debug, Default)]
pub struct Counts {
    pub(super) accepted: Count,
    pub(super) dialed: Count,
    pub(super) over_limit: Count,
    pub(super) over_share: Count,
    pub(super) failed_handshakes: Count,
    pub(super) strangers: Count,
    pub(super) failed_accepts: Count,
}

/// A number that only grows.
#[derive(Debug, Default)]
pub(super) struct Count(AtomicU64);

impl Count {
    pub(super) fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Counts {
    /// Those that others made and that have greeted.
    pub fn accepted(&self) -> u64 {
        self.accepted.get()
    }

    /// Those that were made here and have greeted.
    pub fn dialed(&self) -> u64 {
        self.dialed.get()
    }

    /// Those that others made and that were closed at once, as there were too many.
    pub fn over_limit(&self) -> u64 {
        self.over_limit.get()
    }

    /// Those of them that were closed as their own network had too many.
    pub fn over_share(&self) -> u64 {
        self.over_share.get()
    }

    /// Those that others made and that broke, or took too long, before they had greeted.
    pub fn failed_handshakes(&self) -> u64 {
        self.failed_handshakes.get()
    }

    /// Those, whoever made them, whose other end was not of the fleet.
    pub fn strangers(&self) -> u64 {
        self.strangers.get()
    }

    /// How often the system gave no connection where one had come.
    pub fn failed_accepts(&self) -> u64 {
        self.failed_accepts.get()
    }
}
