//! Blobs that there is no room for, and that somebody vouches for: fetched a piece at a time for all who read near each other, and kept in
//! memory alone.

use std::{sync::Arc, time::Duration};

use super::{From, checks::weight};
use crate::store::Entry;

/// After how long it is looked again whether there is room.
const KEPT: Duration = Duration::from_mins(1);
/// How many bytes of their pieces' hashes are remembered, at most.
const MOST_BYTES: u64 = 16 << 20;

/// Those that were asked for lately.
pub struct Unkept(moka::sync::Cache<From, Arc<Entry>>);

impl Default for Unkept {
    fn default() -> Self {
        let cache = moka::sync::Cache::builder()
            .max_capacity(MOST_BYTES)
            .weigher(|_: &From, entry: &Arc<Entry>| weight(entry.hashes()))
            .time_to_live(KEPT)
            .eviction_policy(moka::policy::EvictionPolicy::lru())
            .build();
        Self(cache)
    }
}

impl Unkept {
    /// One that was asked for lately.
    pub fn get(&self, from: &From) -> Option<Arc<Entry>> {
        self.0.get(from)
    }

    /// Remembers one.
    pub fn insert(&self, from: &From, entry: Entry) -> Arc<Entry> {
        let entry = Arc::new(entry);
        self.0.insert(from.clone(), entry.clone());
        entry
    }
}
