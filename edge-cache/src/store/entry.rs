mod clear;
mod read;
pub(super) mod write;

use std::{
    collections::BTreeSet,
    mem,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, TryLockError, Weak,
        atomic::{AtomicBool, Ordering},
    },
};

use longshore_oci::Digest;

use super::{
    charge::{blob_charge, piece_charge},
    index::{LoadedEntry, Row},
    shared::{Shared, locked},
};
use crate::piece::{Geometry, PIECE_BYTES, PieceHashes, PieceIndex, PieceSet};

/// A blob of which pieces are here, or are to be. While somebody has a handle, it is not dropped to make room.
#[derive(Debug)]
pub struct Entry {
    digest: Digest,
    geometry: Geometry,
    hashes: PieceHashes,
    pieces: Mutex<Pieces>,
    /// Whether the blob was dropped. Held shared while its file is used, alone while the file goes or another takes its place.
    gate: RwLock<bool>,
    /// The same, for who must not wait for the gate.
    is_dropped: AtomicBool,
    /// Whether the index has its length and hashes.
    is_indexed: AtomicBool,
    /// Whether the directory has its file's name for good.
    is_named: AtomicBool,
    /// The store has the entry, and not the other way round.
    shared: Weak<Shared>,
}

/// Which pieces are here.
#[derive(Debug)]
struct Pieces {
    /// Those that can be read.
    present: PieceSet,
    /// Those among them that a power failure might undo.
    unsynced: BTreeSet<PieceIndex>,
}

impl Entry {
    /// One of which nothing is here yet.
    pub(super) fn new(shared: &Arc<Shared>, digest: Digest, geometry: Geometry, hashes: PieceHashes) -> Self {
        Self { shared: Arc::downgrade(shared), ..Self::of_no_store(digest, geometry, hashes) }
    }

    /// One that lies nowhere, for a blob that there is no room for: nothing of it is ever here, and what is written to it is refused.
    /// `None` where the hashes do not go with the size.
    pub fn nowhere(digest: &Digest, size_bytes: u64, hashes: PieceHashes) -> Option<Self> {
        let geometry = Geometry::new(size_bytes)?;
        let is_sound = u32::try_from(hashes.count()).ok() == Some(geometry.pieces());
        is_sound.then(|| Self::of_no_store(digest.clone(), geometry, hashes))
    }

    fn of_no_store(digest: Digest, geometry: Geometry, hashes: PieceHashes) -> Self {
        let pieces = Mutex::new(Pieces { present: PieceSet::none_of(geometry.pieces()), unsynced: BTreeSet::new() });
        let [is_dropped, is_indexed, is_named] = [const { AtomicBool::new(false) }; 3];
        let gate = RwLock::new(false);
        Self { digest, geometry, hashes, pieces, gate, is_dropped, is_indexed, is_named, shared: Weak::new() }
    }

    /// One that the index has.
    pub(super) fn found(shared: &Arc<Shared>, found: &LoadedEntry) -> Self {
        let entry = Self::new(shared, found.digest.clone(), found.geometry, found.hashes.clone());
        entry.pieces().present = found.present.clone();
        entry.is_indexed.store(true, Ordering::Relaxed);
        entry.is_named.store(true, Ordering::Relaxed);
        entry
    }

    /// The blob.
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// How it falls into pieces.
    pub fn geometry(&self) -> Geometry {
        self.geometry
    }

    /// What its pieces hash to.
    pub fn hashes(&self) -> &PieceHashes {
        &self.hashes
    }

    /// Whether it lies in no store.
    pub fn lies_nowhere(&self) -> bool {
        self.shared.strong_count() == 0
    }

    /// Whether nothing of it is kept: it lies in no store, or was dropped from it.
    pub fn is_unkept(&self) -> bool {
        self.lies_nowhere() || self.is_dropped.load(Ordering::Acquire)
    }

    /// Whether a piece is here.
    pub fn has(&self, piece: PieceIndex) -> bool {
        self.pieces().present.contains(piece)
    }

    /// Whether all pieces are here.
    pub fn is_complete(&self) -> bool {
        self.pieces().present.is_full()
    }

    /// Has none of its pieces any more: its file goes.
    pub(super) fn forget_all(&self) {
        let count = self.geometry.pieces();
        *self.pieces() = Pieces { present: PieceSet::none_of(count), unsynced: BTreeSet::new() };
    }

    /// How many pieces are missing one after another, from one on, before `end`.
    pub fn missing_from(&self, first: PieceIndex, end: u32) -> u32 {
        self.pieces().present.missing_from(first, end)
    }

    /// Which pieces are here, as of now.
    pub fn present(&self) -> PieceSet {
        self.pieces().present.clone()
    }

    /// What the pieces here take on the disk.
    pub(super) fn disk_bytes(&self) -> u64 {
        let (held, pieces) = (self.pieces(), self.geometry.pieces());
        let present = &held.present;
        if present.is_full() {
            return blob_charge(self.geometry.size_bytes());
        }
        let has_last = pieces > 0 && present.contains(PieceIndex(pieces - 1));
        let last = if has_last { piece_charge(self.geometry, PieceIndex(pieces - 1)) } else { 0 };
        u64::from(present.count() - u32::from(has_last)) * PIECE_BYTES + last
    }

    /// All pieces are here; those that were not before are not synced. What they take more than before.
    pub(super) fn fill(&self) -> u64 {
        let before = self.disk_bytes();
        let mut pieces = self.pieces();
        for piece in (0..self.geometry.pieces()).map(PieceIndex) {
            if pieces.present.insert(piece) {
                pieces.unsynced.insert(piece);
            }
        }
        blob_charge(self.geometry.size_bytes()) - before
    }

    /// Which pieces are written and not synced: they are taken to be synced from now on.
    pub(super) fn take_unsynced(&self) -> BTreeSet<PieceIndex> {
        mem::take(&mut self.pieces().unsynced)
    }

    /// These pieces are not here any more; what they took.
    pub(super) fn forget<'a>(&self, gone: impl IntoIterator<Item = &'a PieceIndex>) -> u64 {
        let mut pieces = self.pieces();
        let mut freed = 0;
        for piece in gone {
            pieces.unsynced.remove(piece);
            if pieces.present.remove(*piece) {
                freed += piece_charge(self.geometry, *piece);
            }
        }
        freed
    }

    /// What the index is to have of it: the pieces that are synced.
    pub(super) fn row(&self) -> Row {
        let pieces = self.pieces();
        let mut durable = pieces.present.clone();
        for piece in &pieces.unsynced {
            durable.remove(*piece);
        }
        let header = (!self.is_indexed()).then(|| (self.geometry.size_bytes(), self.hashes.clone()));
        Row { digest: self.digest.clone(), header, bits: durable.to_bytes() }
    }

    pub(super) fn is_indexed(&self) -> bool {
        self.is_indexed.load(Ordering::Relaxed)
    }

    pub(super) fn set_indexed(&self) {
        self.is_indexed.store(true, Ordering::Relaxed);
    }

    #[cfg(test)]
    pub(super) fn is_named(&self) -> bool {
        self.is_named.load(Ordering::Acquire)
    }

    /// The directory has to be synced before a power failure: another file is about to get the blob's name.
    pub(super) fn set_unnamed(&self) {
        self.is_named.store(false, Ordering::Release);
    }

    /// Whether the directory is to be synced, which counts as done from now on.
    pub(super) fn take_unnamed(&self) -> bool {
        !self.is_named.swap(true, Ordering::AcqRel)
    }

    /// Holds the blob's file where it is; `None` where the blob was dropped.
    pub(super) fn hold(&self) -> Option<RwLockReadGuard<'_, bool>> {
        let gate = self.gate.read().unwrap_or_else(PoisonError::into_inner);
        (!*gate).then_some(gate)
    }

    /// As [`Self::hold`], for who must not wait: `None` also where another has the file alone.
    pub(super) fn hold_now(&self) -> Option<RwLockReadGuard<'_, bool>> {
        let gate = match self.gate.try_read() {
            Ok(gate) => gate,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return None,
        };
        (!*gate).then_some(gate)
    }

    /// Changes the file while nobody uses it; `None` where the blob was dropped. Not for who holds it.
    pub(super) fn alone<T>(&self, change: impl FnOnce() -> T) -> Option<T> {
        let gate = self.gate.write().unwrap_or_else(PoisonError::into_inner);
        (!*gate).then(change)
    }

    /// Drops the blob: nobody uses its file from now on.
    pub(super) fn end<T>(&self, change: impl FnOnce() -> T) -> T {
        let mut gate = self.gate.write().unwrap_or_else(PoisonError::into_inner);
        *gate = true;
        self.is_dropped.store(true, Ordering::Release);
        change()
    }

    fn pieces(&self) -> MutexGuard<'_, Pieces> {
        locked(&self.pieces)
    }
}
