use std::{
    sync::{Arc, Weak},
    time::{Duration, Instant},
};

use jiff::Timestamp;

use super::{Slot, State};
use crate::store::entry::Entry;

/// How long it is taken for known how much might be dropped, where nothing is seen to change: leases end.
const KNOWN: Duration = Duration::from_secs(1);
/// How many blobs that are in use are watched, at most.
const MOST_WATCHED: usize = 1024;

/// That there was not enough to drop: with many blobs, to look for more at each piece that has no room would hold all others up.
#[derive(Debug)]
pub(super) struct Shortage {
    /// So much might be dropped, and no more.
    freeable_bytes: u64,
    seen_at: Instant,
    /// Blobs that might be dropped as well, were they not in use.
    in_use: Vec<Weak<Entry>>,
}

impl Shortage {
    /// Whether it is known still.
    fn holds(&self) -> bool {
        self.seen_at.elapsed() < KNOWN && self.in_use.iter().all(|entry| entry.strong_count() > 1)
    }
}

impl State {
    /// Whether it is known that so much can't be had by dropping blobs.
    pub(in crate::store) fn is_known_short_of(&self, bytes: u64) -> bool {
        self.shortage.as_ref().is_some_and(|shortage| bytes > shortage.freeable_bytes && shortage.holds())
    }

    /// Whether so much can't be had by dropping blobs. Looks at all of them, unless it is known.
    pub(in crate::store) fn is_short_of(&mut self, bytes: u64, now: Timestamp) -> bool {
        if self.is_known_short_of(bytes) {
            return true;
        }
        let (mut freeable_bytes, mut in_use) = (0_u64, Vec::new());
        for (digest, Slot { entry, .. }) in &self.entries {
            let disk_bytes = entry.disk_bytes();
            if disk_bytes == 0 || self.pins.holding(digest, now).is_some() {
                continue;
            }
            if Arc::strong_count(entry) == 1 {
                freeable_bytes = freeable_bytes.saturating_add(disk_bytes);
                if freeable_bytes >= bytes {
                    self.shortage = None;
                    return false;
                }
            } else if in_use.len() < MOST_WATCHED {
                in_use.push(Arc::downgrade(entry));
            }
        }
        self.shortage = Some(Shortage { freeable_bytes, seen_at: Instant::now(), in_use });
        true
    }
}
