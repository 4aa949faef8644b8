use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use super::Piece;

/// What the budget counts in, in bytes: a piece that is kept counts as it does there.
const UNIT_BYTES: usize = 1024;

/// A piece that is kept, and counts as long as it is.
struct Kept {
    piece: Piece,
    charge_bytes: u32,
    all_bytes: Arc<AtomicU64>,
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.all_bytes.fetch_sub(u64::from(self.charge_bytes), Ordering::AcqRel);
    }
}

/// Where a piece is kept. It is emptied when the piece is no longer kept: the cache frees what it held when it gets to it.
pub(super) struct Place {
    /// What it counts as.
    pub(super) charge_bytes: u32,
    kept: Mutex<Option<Kept>>,
}

impl Place {
    /// With a piece in it, counted in with what is kept.
    pub(super) fn new(piece: Piece, kept_bytes: &Arc<AtomicU64>) -> Self {
        let length = piece.as_ref().len().max(1).next_multiple_of(UNIT_BYTES);
        let charge_bytes = u32::try_from(length).unwrap_or(u32::MAX);
        kept_bytes.fetch_add(u64::from(charge_bytes), Ordering::AcqRel);
        let kept = Kept { piece, charge_bytes, all_bytes: kept_bytes.clone() };
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
