//! Room on the disk: reserved before it is written, made by dropping what is worth least.

use std::sync::Arc;

use jiff::Timestamp;
use longshore_oci::Digest;

use super::{
    entry::Entry,
    error::StoreError,
    eviction::{self, Wanted},
    shared::{Shared, locked},
    state::State,
};

/// How often room is made again that others took first.
const ATTEMPTS: u32 = 8;
/// Of a quota, as a part of it: how much more than needed is freed at once, so that the next need not search.
const SLACK: u64 = 64;
/// How much of a full disk is left alone, in bytes.
const FULL_DISK_MARGIN_BYTES: u64 = 4 << 20;

/// Room that is set aside, and given back where it is not used.
#[derive(Debug)]
pub(super) struct Room {
    shared: Arc<Shared>,
    bytes: u64,
}

impl Room {
    /// It is used: so much is on the disk now.
    pub(super) fn spend(mut self, state: &mut State) {
        let bytes = std::mem::take(&mut self.bytes);
        state.reserved_bytes -= bytes;
        state.charge(bytes);
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        // What was spent must not lock again: the lock is held.
        if self.bytes > 0 {
            self.shared.state().reserved_bytes -= self.bytes;
        }
    }
}

impl Shared {
    /// Sets room aside, and makes it where there is none. Blocks.
    pub(super) fn reserve(self: &Arc<Self>, bytes: u64) -> Result<Room, StoreError> {
        for _ in 0..ATTEMPTS {
            {
                let mut state = self.state();
                if state.excess(bytes) == 0 {
                    state.reserved_bytes += bytes;
                    return Ok(Room { shared: self.clone(), bytes });
                }
                if bytes > state.limit_bytes || state.is_known_short_of(state.excess(bytes)) {
                    break;
                }
            }
            if !self.make_room(bytes, 0) {
                break;
            }
        }
        Err(self.no_room(bytes))
    }

    /// Drops blobs until so many bytes and blobs more may be here; whether that went. Blocks.
    pub(super) fn make_room(&self, bytes: u64, blobs: usize) -> bool {
        let _turn = locked(&self.names);
        self.make_room_in_turn(bytes, blobs)
    }

    /// As [`Self::make_room`], by who has the names.
    pub(super) fn make_room_in_turn(&self, bytes: u64, blobs: usize) -> bool {
        for _ in 0..ATTEMPTS {
            let now = Timestamp::now();
            let (digests, candidates, wanted) = {
                let mut state = self.state();
                let wanted = self.wanted(&state, bytes, blobs);
                if wanted.needed_bytes == 0 && wanted.needed_blobs == 0 {
                    return true;
                }
                if wanted.needed_bytes > 0 && state.is_short_of(wanted.needed_bytes, now) {
                    return false;
                }
                let (digests, candidates) = state.candidates(now);
                (digests, candidates, wanted)
            };
            // While it is chosen, others go on; what they took in use meanwhile stays.
            let Some(chosen) = eviction::choose(&candidates, now, wanted) else { return false };
            self.drop_chosen(chosen.into_iter().map(|place| &digests[place]), now, "room");
        }
        let wanted = self.wanted(&self.state(), bytes, blobs);
        wanted.needed_bytes == 0 && wanted.needed_blobs == 0
    }

    fn wanted(&self, state: &State, bytes: u64, blobs: usize) -> Wanted {
        let needed_bytes = state.excess(bytes);
        let needed_blobs = (state.entries.len() + blobs).saturating_sub(self.settings.max_entries);
        let wanted_bytes = if needed_bytes == 0 { 0 } else { needed_bytes.saturating_add(state.quota_bytes / SLACK) };
        let wanted_blobs = if needed_blobs == 0 { 0 } else { needed_blobs + self.settings.max_entries / 64 };
        Wanted { needed_bytes, wanted_bytes, needed_blobs, wanted_blobs }
    }

    /// Drops what nobody has asked for in too long. Blocks.
    pub(super) fn sweep(&self) {
        let Some(max_idle) = self.settings.max_idle else { return };
        let _turn = locked(&self.names);
        let now = Timestamp::now();
        let (digests, candidates) = self.state().candidates(now);
        let cold = eviction::cold(&candidates, now, max_idle);
        self.drop_chosen(cold.into_iter().map(|place| &digests[place]), now, "idle");
    }

    /// Drops those of these blobs that are not pinned or in use by now. For who has the names.
    fn drop_chosen<'a>(&self, chosen: impl Iterator<Item = &'a Digest>, now: Timestamp, reason: &str) {
        let victims: Vec<Arc<Entry>> = {
            let mut state = self.state();
            chosen.filter_map(|digest| state.remove_unused(digest, now)).collect()
        };
        self.drop_files(victims, reason);
    }

    /// Drops a blob that nobody uses, and no pin holds; whether it was dropped. Blocks.
    pub(super) fn drop_unused(&self, digest: &Digest) -> bool {
        let _turn = locked(&self.names);
        let victim = self.state().remove_unused(digest, Timestamp::now());
        let was_dropped = victim.is_some();
        self.drop_files(victim, "elsewhere");
        self.changed.notify_one();
        was_dropped
    }

    /// Drops a blob by hand, in use or not; whether it was here. Blocks.
    pub(super) fn evict(&self, digest: &Digest) -> Result<bool, StoreError> {
        let _turn = locked(&self.names);
        let victim = {
            let mut state = self.state();
            if let Some(pin) = state.pins.holding(digest, Timestamp::now()) {
                return Err(StoreError::Pinned { digest: digest.clone(), owner: pin.owner.clone() });
            }
            state.remove(digest)
        };
        let was_here = victim.is_some();
        self.drop_files(victim, "hand");
        self.changed.notify_one();
        Ok(was_here)
    }

    /// Drops a blob that is wrong, pinned or not, unless something else is in its place; whether it was here. Blocks.
    pub(super) fn discard(&self, entry: &Arc<Entry>) -> bool {
        let _turn = locked(&self.names);
        let victim = {
            let mut state = self.state();
            let is_it = state.entries.get(entry.digest()).is_some_and(|slot| Arc::ptr_eq(&slot.entry, entry));
            if is_it { state.remove(entry.digest()) } else { None }
        };
        let was_here = victim.is_some();
        self.drop_files(victim, "wrong");
        self.changed.notify_one();
        was_here
    }

    /// Removes the files of blobs that were taken out. The index forgets them later: a blob whose file is not there is none.
    pub(super) fn drop_files(&self, victims: impl IntoIterator<Item = Arc<Entry>>, reason: &str) {
        for entry in victims {
            let (freed, removed) = entry.end(|| {
                let freed = entry.disk_bytes();
                entry.forget_all();
                (freed, self.folder.remove(entry.digest()))
            });
            if let Err(error) = removed {
                tracing::warn!(digest = %entry.digest(), %error, "a dropped blob's file stays until the next start");
            }
            let mut state = self.state();
            state.release(freed);
            state.moving.remove(entry.digest());
            drop(state);
            self.metrics.evicted.with_label_values(&[reason]).inc();
            self.metrics.evicted_bytes.inc_by(freed);
            // Nobody may want to know.
            let _ = self.dropped.send(entry.digest().clone());
            tracing::debug!(digest = %entry.digest(), freed, reason, "a blob was dropped");
        }
    }

    /// The disk is full below the quota: less than what is here has to do, for some time.
    pub(super) fn note_full_disk(&self, needed_bytes: u64) {
        self.metrics.disk_full.inc();
        let mut state = self.state();
        // What is set aside may be there already: without it, all else would have to go for one blob on its way.
        let most_bytes = state.disk_bytes.saturating_add(state.reserved_bytes);
        state.limit_bytes = state.limit_bytes.min(most_bytes.saturating_sub(FULL_DISK_MARGIN_BYTES));
        let limit_bytes = state.limit_bytes;
        drop(state);
        if let Some(count) = self.full_disk.due() {
            tracing::warn!(needed_bytes, limit_bytes, count, "the disk is full: less is kept than the quota allows");
        }
    }

    /// The disk may have room again.
    pub(super) fn forget_full_disk(&self) {
        let mut state = self.state();
        state.limit_bytes = state.quota_bytes;
    }

    /// That there is no room for so much, and whether it is the quota or the disk that has none. Not for who has the state locked.
    pub(super) fn no_room(&self, needed_bytes: u64) -> StoreError {
        self.metrics.no_room.inc();
        let state = self.state();
        let (kept_bytes, quota_bytes) = (state.disk_bytes, state.quota_bytes);
        let in_all = kept_bytes.saturating_add(state.reserved_bytes).saturating_add(needed_bytes);
        if state.limit_bytes < quota_bytes && in_all <= quota_bytes {
            return StoreError::DiskFull { needed_bytes, kept_bytes };
        }
        StoreError::NoRoom { needed_bytes, quota_bytes }
    }
}
