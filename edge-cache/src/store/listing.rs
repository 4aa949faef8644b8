use std::{
    ops::Bound,
    sync::{Arc, Weak},
};

use jiff::Timestamp;
use longshore_oci::Digest;

use super::{
    Store,
    entry::Entry,
    state::{Slot, State},
    usage::{EntrySummary, Use},
};

/// A blob as it is found while others wait.
struct Found {
    entry: Weak<Entry>,
    used: Use,
    pinned_by: Vec<String>,
}

impl Store {
    /// A page of what is here, by digest: so many at most of those that come after a text; and the digest after which there is more.
    pub fn page(&self, after: &str, most: usize) -> (Vec<EntrySummary>, Option<Digest>) {
        let now = Timestamp::now();
        let (found, last) = {
            let state = self.shared.state();
            let mut following = state.entries.range::<str, _>((Bound::Excluded(after), Bound::Unbounded));
            let (mut found, mut last) = (Vec::new(), None);
            for (digest, slot) in following.by_ref().take(most) {
                found.push(Found::of(&state, digest, slot, now));
                last = Some(digest);
            }
            let has_more = following.next().is_some();
            (found, last.filter(|_| has_more).cloned())
        };
        // Not held meanwhile, for what is held is not dropped to make room.
        (found.into_iter().filter_map(Found::summary).collect(), last)
    }
}

impl Store {
    /// What is here of a blob; `None` where nothing is, and nothing is about to be.
    pub fn summary(&self, digest: &Digest) -> Option<EntrySummary> {
        let found = {
            let state = self.shared.state();
            state.entries.get(digest).map(|slot| Found::of(&state, digest, slot, Timestamp::now()))
        };
        found?.summary()
    }
}

impl Found {
    fn of(state: &State, digest: &Digest, slot: &Slot, now: Timestamp) -> Self {
        let holding = state.pins.iter_of(digest).filter(|pin| pin.holds(now));
        let pinned_by = holding.map(|pin| pin.owner.clone()).collect();
        Self { entry: Arc::downgrade(&slot.entry), used: slot.used, pinned_by }
    }

    /// What there is of it; `None` where it was dropped meanwhile.
    fn summary(self) -> Option<EntrySummary> {
        let entry = self.entry.upgrade()?;
        Some(EntrySummary {
            digest: entry.digest().clone(),
            size_bytes: entry.geometry().size_bytes(),
            pieces: entry.geometry().pieces(),
            present_pieces: entry.present().count(),
            disk_bytes: entry.disk_bytes(),
            used: self.used,
            pinned_by: self.pinned_by,
        })
    }
}
