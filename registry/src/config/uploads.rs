//! `[uploads]`: what uploads may take.

use longshore_service::config::{ByteSize, Duration, Problems};

/// What uploads may take of time, memory and space.
#[derive(Clone, Debug, PartialEq)]
pub struct Uploads {
    /// How long an upload may rest before it expires and its bytes go.
    pub idle_timeout: Duration,
    /// How long a request's claim on an upload holds after its replica was last heard of.
    pub claim_lease: Duration,
    /// What the parts in flight of all requests together may hold in memory.
    pub memory_budget: ByteSize,
    /// How long a request may wait for a share of the budget before it is answered with 503.
    pub budget_wait: Duration,
    /// The largest blob.
    pub max_blob_size: ByteSize,
}

impl Default for Uploads {
    fn default() -> Self {
        Self {
            idle_timeout: Duration::days(1),
            claim_lease: Duration::seconds(30),
            memory_budget: ByteSize::mebibytes(256),
            budget_wait: Duration::seconds(30),
            max_blob_size: ByteSize::gibibytes(100),
        }
    }
}

longshore_service::settings!(Uploads { idle_timeout, claim_lease, memory_budget, budget_wait, max_blob_size });

impl Uploads {
    pub(super) fn check(&self, problems: &mut Problems<'_>) {
        problems.check_not_zero("uploads.idle_timeout", self.idle_timeout);
        problems.check_not_zero("uploads.claim_lease", self.claim_lease);
        if self.claim_lease > Duration::seconds(3600) {
            problems.add(&["uploads.claim_lease"], "must be at most 1h: a client waits so long where a replica was lost");
        }
        if self.memory_budget < ByteSize::mebibytes(1) {
            problems.add(&["uploads.memory_budget"], "must be at least 1MiB");
        }
        if self.max_blob_size.as_bytes() == 0 {
            problems.add(&["uploads.max_blob_size"], "must be more than 0");
        }
    }
}
