use std::sync::{Arc, Mutex, PoisonError};

use super::{
    Piece, UNIT_BYTES,
    tally::{Counted, Tally},
};

/// A piece that is kept, and counts as long as it is.
struct Kept {
    _counted: Counted,
    piece: Piece,
}

/// Where a piece is kept. It is emptied when the piece is no longer kept: the cache frees what it held when it gets to it.
pub(super) struct Holder {
    /// What it counts as.
    pub(super) charge_bytes: u32,
    kept: Mutex<Option<Kept>>,
}

impl Holder {
    /// With a piece in it, counted in with what is kept.
    pub(super) fn new(piece: Piece, kept_bytes: &Arc<Tally>) -> Self {
        let length = piece.as_ref().len().max(1).next_multiple_of(UNIT_BYTES);
        let charge_bytes = u32::try_from(length).unwrap_or(u32::MAX);
        let kept = Kept { _counted: kept_bytes.count(u64::from(charge_bytes)), piece };
        Self { charge_bytes, kept: Mutex::new(Some(kept)) }
    }

    /// What is in it.
    pub(super) fn piece(&self) -> Option<Piece> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(|kept| kept.piece.clone())
    }

    /// Takes out what is in it.
    pub(super) fn empty(&self) {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(kept);
    }
}
