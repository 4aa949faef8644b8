//! `[manifests]`, `[lists]`, `[sweep]` and `[requests]`: sizes, pages, periods and counts.

use longshore_service::choice;
use longshore_service::config::{ByteSize, Duration, Problems};

/// What every registry must take at least (OCI distribution-spec, "Pushing Manifests").
const LEAST_MANIFEST: ByteSize = ByteSize::mebibytes(4);

choice! {
    /// What happens to a manifest that names a blob or manifest which its repository does not hold.
    pub enum MissingReferences {
        /// It is refused, with the digests that are missing.
        Reject = "reject",
        /// It is taken.
        Allow = "allow",
    }
}

/// What manifests may be.
#[derive(Clone, Debug, PartialEq)]
pub struct Manifests {
    /// The largest manifest, at least 4 MiB.
    pub max_size: ByteSize,
    /// What happens to one whose references are missing.
    pub missing_references: MissingReferences,
    /// What the cache of manifests may hold in memory.
    pub cache_size: ByteSize,
}

impl Default for Manifests {
    fn default() -> Self {
        Self { max_size: LEAST_MANIFEST, missing_references: MissingReferences::Reject, cache_size: ByteSize::mebibytes(16) }
    }
}

longshore_service::settings!(Manifests { max_size, missing_references, cache_size });

impl Manifests {
    pub(super) fn check(&self, problems: &mut Problems<'_>) {
        if self.max_size < LEAST_MANIFEST {
            problems.add(&["manifests.max_size"], format!("{} is less than {LEAST_MANIFEST}", self.max_size));
        }
    }
}

/// How lists are paged.
#[derive(Clone, Debug, PartialEq)]
pub struct Lists {
    /// The most entries of one page, whatever the client asks for.
    pub max_page: u32,
}

impl Default for Lists {
    fn default() -> Self {
        Self { max_page: 1000 }
    }
}

longshore_service::settings!(Lists { max_page });

impl Lists {
    pub(super) fn check(&self, problems: &mut Problems<'_>) {
        if !(1..=100_000).contains(&self.max_page) {
            problems.add(&["lists.max_page"], "must be from 1 to 100000");
        }
    }
}

/// How what is no longer needed is removed.
#[derive(Clone, Debug, PartialEq)]
pub struct Sweep {
    /// How often to look.
    pub interval: Duration,
    /// How long bytes that nothing refers to are kept, for the sake of requests that began before.
    pub garbage_grace: Duration,
    /// How long it may wait for its record that a blob, mounted or brought again, is a repository's: for others to share one.
    pub link_delay: Duration,
    /// How long a change of manifests, tags or blobs may take before it is given up for one that a crash cut short.
    pub change_timeout: Duration,
    /// How long the outbox is kept for its readers.
    pub events_retention: Duration,
    /// How long it is kept where tags have been.
    pub tag_history_retention: Duration,
}

impl Default for Sweep {
    fn default() -> Self {
        Self {
            interval: Duration::seconds(10),
            garbage_grace: Duration::seconds(60),
            link_delay: Duration::seconds(2),
            change_timeout: Duration::hours(1),
            events_retention: Duration::days(7),
            tag_history_retention: Duration::days(90),
        }
    }
}

longshore_service::settings!(Sweep {
    interval,
    garbage_grace,
    link_delay,
    change_timeout,
    events_retention,
    tag_history_retention
});

impl Sweep {
    pub(super) fn check(&self, problems: &mut Problems<'_>) {
        problems.check_not_zero("sweep.interval", self.interval);
        problems.check_not_zero("sweep.change_timeout", self.change_timeout);
    }
}

/// How many requests run at once.
#[derive(Clone, Debug, PartialEq)]
pub struct Requests {
    /// Over it a request is answered at once with 503 and `Retry-After`.
    pub max_in_flight: usize,
    /// How many may follow the changes at once; over it they are answered the same.
    pub max_event_streams: usize,
}

impl Default for Requests {
    fn default() -> Self {
        Self { max_in_flight: 4096, max_event_streams: 1024 }
    }
}

longshore_service::settings!(Requests { max_in_flight, max_event_streams });

impl Requests {
    pub(super) fn check(&self, problems: &mut Problems<'_>) {
        if !(1..=1_000_000).contains(&self.max_in_flight) {
            problems.add(&["requests.max_in_flight"], "must be from 1 to 1000000");
        }
        if self.max_event_streams > 1_000_000 {
            problems.add(&["requests.max_event_streams"], "must be from 0 to 1000000");
        }
    }
}
