//! The piece store: blobs, or pieces of them, in sparse files below a folder, and an index of what is there.
//!
//! | path | what lies there |
//! |---|---|
//! | `blobs/<algorithm>/<first two digits>/<hex>` | a blob's bytes, with holes where pieces are missing |
//! | `incoming/` | whole blobs on their way, removed at start |
//! | `index.redb` | which blobs, which pieces, how they were asked for, pins, records |
//! | `lock` | locked by the process that has the folder |
//!
//! **Right bytes only.** A piece is kept where it is what its hash says, and checked again each time it is read. A blob without hashes
//! is kept when its digest was found right.
//!
//! **Crashes.** The [`Keeper`] gathers what was written, syncs the data, and then notes in one transaction what is there. So the index
//! never has a piece that the disk has not. A dropped blob's file goes first and its row later: a row without a file is none, and a
//! file without a row is removed at start. A blob that was dropped is begun anew only when its row is gone, so that old bits never
//! speak of a new file. What was written and not noted is given back to the disk at start, as is what was found damaged at once.
//!
//! **Room.** What is here and what is being written never takes more than the quota: room is reserved before a write, and made by
//! dropping what is worth least ([`eviction`]), never what is pinned or in use. Where there is none, the write is refused, and the
//! caller passes the bytes on.

mod admit;
mod changes;
mod charge;
mod entry;
mod error;
pub mod eviction;
mod flow;
mod flush;
mod folder;
mod follower;
mod index;
mod keeper;
mod listing;
mod metrics;
mod notes;
mod pin;
mod pinning;
mod receiving;
mod records;
mod room;
mod scrub;
mod settings;
mod shared;
mod state;
#[cfg(test)]
mod tests;
mod usage;

use std::{collections::HashSet, sync::Arc};

use jiff::Timestamp;
use longshore_oci::Digest;
use tokio::sync::broadcast;

pub use changes::Changes;
pub use entry::Entry;
pub use error::{ReadError, StoreError};
pub use follower::{Follower, There, Written};
pub use keeper::Keeper;
pub use metrics::StoreMetrics;
pub use pin::Pin;
pub use receiving::Receiving;
pub use scrub::ScrubReport;
pub use settings::StoreSettings;
pub use usage::{EntrySummary, Usage, Use};

use crate::piece::PieceHashes;
use shared::{Shared, off_runtime};

/// A handle to a store; clones share it. The folder is free again when all handles, its keeper and its work are gone.
#[derive(Clone, Debug)]
pub struct Store {
    shared: Arc<Shared>,
}

impl Store {
    /// Takes a folder up as it was left, or begins one. Blocks, for as long as it takes to list what is there.
    ///
    /// Without its [`Keeper`] running, a store works, but what is written outlasts a crash only after [`Self::flush`].
    pub fn open(settings: StoreSettings, metrics: StoreMetrics) -> Result<(Self, Keeper), StoreError> {
        let store = Self { shared: Shared::open(settings, metrics)? };
        let keeper = Keeper::new(store.clone());
        Ok((store, keeper))
    }

    /// A blob of which something is here or is about to be. Notes that it was asked for.
    pub fn entry(&self, digest: &Digest) -> Option<Arc<Entry>> {
        let mut state = self.shared.state();
        let slot = state.entries.get_mut(digest)?;
        slot.used.note(Timestamp::now());
        let entry = slot.entry.clone();
        if !state.used.contains(digest) {
            state.used.insert(digest.clone());
        }
        Some(entry)
    }

    /// As [`Self::entry`], without noting it.
    pub fn peek(&self, digest: &Digest) -> Option<Arc<Entry>> {
        self.shared.state().entries.get(digest).map(|slot| slot.entry.clone())
    }

    /// A blob's place, for its pieces to come; the same one each time.
    ///
    /// Refused with [`StoreError::NoRoom`] where the blob is larger than the quota, and with [`StoreError::Contradiction`] where the
    /// hashes do not go with the size, or others are known.
    pub async fn begin(&self, digest: &Digest, size_bytes: u64, hashes: PieceHashes) -> Result<Arc<Entry>, StoreError> {
        self.shared.begin(digest, size_bytes, hashes).await
    }

    /// Receives a whole blob whose pieces nobody vouches for. Room for all of it is made first.
    pub async fn receive(&self, digest: &Digest, size_bytes: u64) -> Result<Receiving, StoreError> {
        self.shared.receive(digest, size_bytes).await
    }

    /// Drops a blob by hand, even while it is used: who reads it then finds its pieces missing. Whether it was here.
    ///
    /// Refused with [`StoreError::Pinned`] while it is pinned.
    pub async fn evict(&self, digest: &Digest) -> Result<bool, StoreError> {
        let (shared, digest) = (self.shared.clone(), digest.clone());
        off_runtime(move || shared.evict(&digest)).await
    }

    /// Drops a blob that nobody uses, and no pin holds; whether it was here and is not any more.
    pub async fn drop_unused(&self, digest: &Digest) -> bool {
        let (shared, digest) = (self.shared.clone(), digest.clone());
        off_runtime(move || shared.drop_unused(&digest)).await
    }

    /// Blobs that this machine has whole in another place, too, as of now: where room is made, they are dropped first. Whoever says so
    /// says it again when it changes.
    pub fn set_elsewhere(&self, digests: Arc<HashSet<Digest>>) {
        self.shared.state().elsewhere = digests;
    }

    /// Drops a blob whose pieces were found not to be those of its digest, even where it is used or pinned. Whether it was here.
    pub async fn discard(&self, entry: &Arc<Entry>) -> bool {
        let (shared, entry) = (self.shared.clone(), entry.clone());
        off_runtime(move || shared.discard(&entry)).await
    }

    /// Blobs that are dropped from now on, by whomever. Who takes note of them too slowly is told how many were missed.
    pub fn dropped(&self) -> broadcast::Receiver<Digest> {
        self.shared.dropped.subscribe()
    }

    /// Which blobs changed last.
    pub fn changes(&self) -> &Changes {
        &self.shared.changes
    }

    /// How many blobs are kept at most.
    pub fn max_entries(&self) -> usize {
        self.shared.settings.max_entries
    }

    /// How full it is.
    pub fn usage(&self) -> Usage {
        self.shared.state().usage(Timestamp::now())
    }

    /// Has everything that was written so far outlast a crash.
    pub async fn flush(&self) -> Result<(), StoreError> {
        let shared = self.shared.clone();
        off_runtime(move || shared.flush()).await
    }
}
