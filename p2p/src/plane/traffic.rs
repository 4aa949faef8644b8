use std::sync::atomic::{AtomicU64, Ordering};

/// What has gone over a connection since it was made, in bytes.
#[derive(Debug, Default)]
pub struct Traffic {
    received: AtomicU64,
    sent: AtomicU64,
    received_of_pieces: AtomicU64,
    sent_of_pieces: AtomicU64,
}

impl Traffic {
    /// All frames that were read.
    pub fn received_bytes(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// All frames that were written.
    pub fn sent_bytes(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// What of them was pieces, those not wanted any more included.
    pub fn received_piece_bytes(&self) -> u64 {
        self.received_of_pieces.load(Ordering::Relaxed)
    }

    /// What of them was pieces.
    pub fn sent_piece_bytes(&self) -> u64 {
        self.sent_of_pieces.load(Ordering::Relaxed)
    }

    pub(super) fn note_received(&self, bytes: usize) {
        self.received.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(super) fn note_sent(&self, bytes: usize) {
        self.sent.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(super) fn note_received_block(&self, bytes: u32) {
        self.received_of_pieces.fetch_add(bytes.into(), Ordering::Relaxed);
    }

    pub(super) fn note_sent_block(&self, bytes: usize) {
        self.sent_of_pieces.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}
