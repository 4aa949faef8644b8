//! What is done with a piece that came: it is handed on, and kept where it can be.

use std::sync::{Arc, atomic::Ordering};

use super::{Place, Teller};
use crate::{
    blobs::Shared,
    hot::{Piece, Room},
    piece::PieceIndex,
    source::SharedSource,
    store::{Entry, StoreError},
};

/// What became of a piece that came.
pub(super) enum Came {
    /// It is not what it was to be.
    Wrong,
    /// Its blob is kept nowhere, or no longer.
    PassedOn,
    /// It was to be kept.
    Written(Result<(), StoreError>),
}

impl Shared {
    /// Whether what is fetched of a blob now is not kept, as far as is known.
    pub fn keeps_nothing_of(&self, entry: &Entry) -> bool {
        entry.is_unkept() || self.is_full.load(Ordering::Relaxed)
    }

    /// Checks a piece that came, and hands it on. Blocks.
    pub(super) fn take_in(
        &self,
        entry: &Arc<Entry>,
        (piece, key): Place,
        bytes: Vec<u8>,
        room: Room,
        teller: Option<&Teller>,
    ) -> Came {
        if !entry.hashes().is_right(piece, &bytes) {
            return Came::Wrong;
        }
        let landed = self.hot.put(key, bytes, room);
        self.hand_on(entry, piece, &landed, teller)
    }

    /// Tells of a right piece, and keeps it where it can be kept. Blocks.
    pub(super) fn hand_on(&self, entry: &Arc<Entry>, piece: PieceIndex, landed: &Piece, teller: Option<&Teller>) -> Came {
        // Whoever waits has it at once; whoever comes finds it here until it lies in the store.
        if let Some(teller) = teller {
            teller.send_replace(Some(Ok(landed.clone())));
        }
        self.keep(entry, piece, landed)
    }

    /// Keeps a right piece where it can be kept. Blocks.
    pub(super) fn keep(&self, entry: &Arc<Entry>, piece: PieceIndex, landed: &Piece) -> Came {
        match self.kept_in(entry) {
            Some(entry) => Came::Written(entry.write_checked(piece, landed.as_ref())),
            None => Came::PassedOn,
        }
    }

    /// Where a blob's pieces are kept: where they were to be, or where the blob was begun anew since it was dropped.
    pub(super) fn kept_in(&self, entry: &Arc<Entry>) -> Option<Arc<Entry>> {
        if !entry.is_unkept() {
            return Some(entry.clone());
        }
        let is_same = |anew: &Arc<Entry>| anew.geometry() == entry.geometry() && anew.hashes() == entry.hashes();
        self.store.peek(entry.digest()).filter(is_same)
    }

    /// Whether a right piece is kept, and so might be what follows it.
    pub(super) fn is_kept(&self, entry: &Entry, came: Came) -> bool {
        let written = match came {
            Came::Written(written) if written.is_ok() || !entry.is_unkept() => written,
            // That it was dropped says nothing of other blobs.
            _ => {
                self.metrics.not_kept.inc();
                return false;
            }
        };
        self.is_full.store(written.is_err(), Ordering::Relaxed);
        let Err(error) = written else { return true };
        self.metrics.not_kept.inc();
        self.tell_not_kept("a piece", entry.digest(), &error);
        false
    }

    /// Has a blob hashed if it is whole now: the one that is there, which may have been begun anew meanwhile.
    pub(super) fn check_kept(self: &Arc<Self>, entry: &Arc<Entry>, source: &SharedSource) {
        if let Some(kept) = self.kept_in(entry) {
            self.begin_check(&kept, source);
        }
    }
}
