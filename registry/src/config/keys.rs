//! `[keys]`: what the registry signs with.

use longshore_service::config::{Duration, Problems, Secret};

/// The least that a sealing secret may have, in characters: one that can't be guessed has as many.
const LEAST_SECRET: usize = 32;

/// The least overlap: replicas look for each other's keys four times in it.
const LEAST_OVERLAP: Duration = Duration::milliseconds(500);

/// What the registry signs with.
#[derive(Clone, Debug, PartialEq)]
pub struct Keys {
    /// The secret that the signing keys in the database are sealed with, 32 characters or more, the same for all replicas. Where none is
    /// given SQLite has one made beside its file, and with PostgreSQL nothing is signed.
    pub sealing_secret: Secret,
    /// How long one key signs.
    pub lifetime: Duration,
    /// How long a key is published before its first signature and after its last.
    pub overlap: Duration,
}

impl Default for Keys {
    fn default() -> Self {
        Self { sealing_secret: Secret::default(), lifetime: Duration::days(90), overlap: Duration::days(1) }
    }
}

longshore_service::settings!(Keys { sealing_secret, lifetime, overlap });

impl Keys {
    pub(super) fn check(&self, problems: &mut Problems<'_>) {
        if self.overlap < LEAST_OVERLAP {
            problems.add(&["keys.overlap"], format!("must be {LEAST_OVERLAP} or more"));
        }
        if self.overlap >= self.lifetime {
            problems.add(&["keys.overlap", "keys.lifetime"], "the overlap must be shorter than the lifetime");
        }
        let secret = self.sealing_secret.reveal();
        if !secret.is_empty() && secret.trim().chars().count() < LEAST_SECRET {
            problems.add(&["keys.sealing_secret"], format!("must have {LEAST_SECRET} characters or more"));
        }
    }
}
