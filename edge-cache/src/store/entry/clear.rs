use super::Entry;
use crate::{
    piece::PieceIndex,
    store::{charge::piece_charge, shared::Shared},
};

impl Entry {
    /// These pieces are not here any more, for nobody can be sure of them: what they took is given back. Not for who holds the
    /// file, but for who has it alone.
    pub(in crate::store) fn give_up<'a>(&self, shared: &Shared, pieces: impl IntoIterator<Item = &'a PieceIndex> + Clone) {
        {
            let mut state = shared.state();
            let freed = self.forget(pieces.clone());
            state.release(freed);
            state.mark_changed(&self.digest);
        }
        shared.changed.notify_one();
        for piece in pieces {
            self.clear(shared, *piece, 1);
        }
    }

    /// Gives up a piece that was found damaged, and all that were lost in the same way: of a file that is cut short what lies
    /// past its end, of one that is gone, or is none, all. What is no file is removed. Told and counted once. Not for who holds
    /// the file, but for who has it alone.
    pub(super) fn give_up_with(&self, shared: &Shared, piece: PieceIndex, why: &str) {
        let length = shared.folder.length(&self.digest);
        if length.is_none()
            && let Err(error) = shared.folder.remove(&self.digest)
        {
            tracing::warn!(digest = %self.digest, %error, "what is no file lies in a blob's place, and can't be removed");
        }
        let present = self.present();
        let is_lost = |index: PieceIndex| index == piece || self.geometry.bytes_of(index).end > length.unwrap_or(0);
        let all = (0..self.geometry.pieces()).map(PieceIndex);
        let lost: Vec<_> = all.filter(|index| present.contains(*index) && is_lost(*index)).collect();
        self.give_up(shared, &lost);
        let pieces = lost.len();
        shared.metrics.damaged.inc_by(pieces as u64);
        tracing::error!(
            digest = %self.digest,
            piece = piece.0,
            pieces,
            why,
            "a blob was damaged on the disk; these pieces of it will be fetched again"
        );
    }

    /// Begins a blob's file anew where what lies in its place is none, so that nothing is written by way of that. Not for who
    /// holds the file.
    pub(super) fn replace_what_is_no_file(&self, shared: &Shared) {
        self.alone(|| {
            // Another may have been here before.
            if shared.folder.length(&self.digest).is_none() {
                self.give_up_with(shared, PieceIndex(0), "what lies in its place is no plain file");
            }
        });
    }

    /// Gives back what the disk may have of pieces that are not here. Not for who holds the file.
    pub(in crate::store) fn clear_missing(&self, shared: &Shared) {
        self.alone(|| {
            let (present, pieces) = (self.present(), self.geometry.pieces());
            let mut next = 0;
            while next < pieces {
                let missing = present.missing_from(PieceIndex(next), pieces);
                if missing > 0 {
                    self.clear(shared, PieceIndex(next), missing);
                }
                next = next.saturating_add(missing).saturating_add(1);
            }
        });
    }

    /// Makes a hole of so many pieces.
    fn clear(&self, shared: &Shared, first: PieceIndex, count: u32) {
        let last = PieceIndex(first.0 + count - 1);
        let start = self.geometry.bytes_of(first).start;
        let end = self.geometry.bytes_of(last).start + piece_charge(self.geometry, last);
        if let Err(error) = shared.folder.punch(&self.digest, &(start..end)) {
            // Not every file system can. They are written over, or go with the blob.
            tracing::debug!(digest = %self.digest, first = first.0, count, %error, "what is left of pieces stays on the disk");
        }
    }
}
