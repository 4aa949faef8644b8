use super::Entry;
use crate::{
    piece::PieceIndex,
    store::{charge::piece_charge, shared::Shared},
};

impl Entry {
    /// These pieces are not here any more, for nobody can be sure of them: what they took is given back. Not for who holds the file, but
    /// for who has it alone.
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
