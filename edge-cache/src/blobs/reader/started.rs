use std::{
    ops::Range,
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
};

use crate::piece::{PieceIndex, PieceSet};

/// The pieces that are fetched as one reader wanted them. One that follows others has none, and locks nothing.
#[derive(Default)]
pub(super) struct Started(OnceLock<Mutex<PieceSet>>);

impl Started {
    /// Notes that these pieces are fetched, of so many that the blob has.
    pub(super) fn note(&self, fetched: Range<u32>, pieces: u32) {
        let mut all = locked(self.0.get_or_init(|| Mutex::new(PieceSet::none_of(pieces))));
        for piece in fetched {
            all.insert(PieceIndex(piece));
        }
    }

    /// Notes that a piece did not come: another may fetch it now.
    pub(super) fn take_back(&self, piece: PieceIndex) {
        if let Some(all) = self.0.get() {
            locked(all).remove(piece);
        }
    }

    /// Whether a piece was fetched for this reader.
    pub(super) fn has(&self, piece: PieceIndex) -> bool {
        self.0.get().is_some_and(|all| locked(all).contains(piece))
    }
}

fn locked(all: &Mutex<PieceSet>) -> MutexGuard<'_, PieceSet> {
    all.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_fetched_for_one_is_known() {
        let started = Started::default();
        started.take_back(PieceIndex(1));
        assert!(!started.has(PieceIndex(1)));
        started.note(1..3, 4);
        started.take_back(PieceIndex(2));
        assert_eq!([0, 1, 2, 3].map(|piece| started.has(PieceIndex(piece))), [false, true, false, false]);
    }
}
