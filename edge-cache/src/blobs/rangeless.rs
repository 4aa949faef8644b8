//! Sources that send all of a blob for each part of it that they are asked for: a blob of theirs is asked for in one piece, since what
//! comes before a part comes each time.

use std::{sync::Arc, time::Duration};

use crate::source::SharedSource;

/// After how long one is asked for parts again.
const REMEMBERED: Duration = Duration::from_mins(10);
/// Of how many that is remembered; there are as many as are configured.
const MOST: u64 = 1024;
/// How many pieces such a source is asked for at once, at most: each is waited for by itself, which takes some memory.
pub const MOST_PIECES: u32 = 16_384;

/// Those that did so lately, by their addresses.
pub struct Rangeless(moka::sync::Cache<Arc<str>, ()>);

impl Default for Rangeless {
    fn default() -> Self {
        Self(moka::sync::Cache::builder().max_capacity(MOST).time_to_live(REMEMBERED).build())
    }
}

impl Rangeless {
    /// Whether the one of this address did.
    pub fn has(&self, address: &str) -> bool {
        self.0.contains_key(address)
    }

    /// Notes that it did.
    pub fn note(&self, source: &SharedSource) {
        self.0.insert(source.address(), ());
    }
}
