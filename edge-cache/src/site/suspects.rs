//! Which member sent what a blob is not, and is not asked for it for a while.

use std::time::Duration;

use longshore_oci::Digest;

use super::Member;

/// For how long a member is not asked for a blob that it sent wrong.
const PAUSE: Duration = Duration::from_mins(1);
/// How many such are remembered.
const MOST: u64 = 10_000;

pub struct Suspects(moka::sync::Cache<(Digest, Member), ()>);

impl Default for Suspects {
    fn default() -> Self {
        Self(moka::sync::Cache::builder().max_capacity(MOST).time_to_live(PAUSE).build())
    }
}

impl Suspects {
    pub fn add(&self, digest: &Digest, member: &Member) {
        self.0.insert((digest.clone(), member.clone()), ());
    }

    pub fn has(&self, digest: &Digest, member: &Member) -> bool {
        self.0.contains_key(&(digest.clone(), member.clone()))
    }
}

impl std::fmt::Debug for Suspects {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Suspects").finish_non_exhaustive()
    }
}
