use std::{
    ops::Range,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use tokio::task::JoinHandle;

use super::{Suspect, expected_hash};
use crate::storage::{Mapping, PIECE_BYTES};

/// A mapped file, and which of its pieces were found right.
pub(super) struct Warm {
    mapping: Arc<Mapping>,
    pieces: Arc<[u8]>,
    is_checked: Box<[AtomicBool]>,
    suspect: Suspect,
}

impl Warm {
    pub(super) fn new(mapping: Arc<Mapping>, pieces: Arc<[u8]>, suspect: Suspect) -> Self {
        let is_checked = (0..pieces.len() / 32).map(|_| AtomicBool::new(false)).collect();
        Self { mapping, pieces, is_checked, suspect }
    }

    /// Whether the file is as it was when its pieces were checked.
    pub(super) fn is_intact(&self) -> bool {
        self.mapping.is_intact()
    }

    fn was_checked(&self, piece: u64) -> bool {
        let checked = usize::try_from(piece).ok().and_then(|piece| self.is_checked.get(piece));
        checked.is_some_and(|checked| checked.load(Ordering::Acquire))
    }

    /// Reads a piece and compares its hash; blocks while the disk works.
    fn check(&self, piece: u64) -> bool {
        let start = piece * PIECE_BYTES;
        let range = start..(start + PIECE_BYTES).min(self.mapping.size_bytes());
        let is_right = self.is_intact() && expected_hash(&self.pieces, piece) == Some(blake3::hash(&self.mapping.slice(range)));
        if let Some(checked) = usize::try_from(piece).ok().and_then(|piece| self.is_checked.get(piece)) {
            checked.store(is_right, Ordering::Release);
        }
        is_right
    }
}

/// A range of a mapped file, piece by piece.
pub(super) struct WarmBody {
    warm: Arc<Warm>,
    range: Range<u64>,
    checking: Option<JoinHandle<bool>>,
}

/// How much is handed to the socket at once, at most, of pieces that were checked.
const FRAME_BYTES: u64 = 4 * PIECE_BYTES;

impl WarmBody {
    pub(super) fn new(warm: Arc<Warm>, range: Range<u64>) -> Self {
        Self { warm, range, checking: None }
    }

    pub(super) fn remaining_bytes(&self) -> u64 {
        self.range.end - self.range.start
    }

    /// The next bytes, at most so many.
    pub(super) fn poll_bytes(&mut self, context: &mut Context<'_>, most: u64) -> Poll<Option<Result<Bytes, std::io::Error>>> {
        loop {
            if let Some(checking) = &mut self.checking {
                let is_right = ready!(Pin::new(checking).poll(context)).unwrap_or(false);
                self.checking = None;
                if !is_right {
                    return Poll::Ready(Some(Err(self.give_up("its hash is wrong, or its file was changed"))));
                }
            }
            if self.range.is_empty() {
                return Poll::Ready(None);
            }
            let first = self.range.start / PIECE_BYTES;
            if !self.warm.was_checked(first) {
                let warm = self.warm.clone();
                self.checking = Some(tokio::task::spawn_blocking(move || warm.check(first)));
                continue;
            }
            if !self.warm.is_intact() {
                return Poll::Ready(Some(Err(self.give_up("its file was changed"))));
            }
            return Poll::Ready(Some(Ok(self.next_checked(first, most))));
        }
    }

    /// The bytes from the range's start to the end of the checked pieces that follow each other from there.
    fn next_checked(&mut self, first: u64, most: u64) -> Bytes {
        let limit = self.range.end.min(self.range.start.saturating_add(FRAME_BYTES.min(most)));
        let mut end = (first + 1) * PIECE_BYTES;
        while end < limit && self.warm.was_checked(end / PIECE_BYTES) {
            end += PIECE_BYTES;
        }
        let frame = self.range.start..end.min(limit);
        self.range.start = frame.end;
        self.warm.mapping.slice(frame)
    }

    fn give_up(&mut self, what: &str) -> std::io::Error {
        self.warm.suspect.report_damaged(self.range.start / PIECE_BYTES, what);
        self.range.end = self.range.start;
        std::io::Error::other("the stored content is damaged")
    }
}
