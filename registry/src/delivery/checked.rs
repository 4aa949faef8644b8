use std::{
    collections::VecDeque,
    ops::Range,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use futures_util::{StreamExt as _, stream::BoxStream};
use tokio::sync::OwnedSemaphorePermit;

use super::{Suspect, expected_hash};
use crate::storage::{PIECE_BYTES, StorageError};

/// An object's bytes as they come from the store, passed on piece by piece once each was found right.
pub(super) struct CheckedStream {
    stream: BoxStream<'static, Result<Bytes, StorageError>>,
    /// What the stream still has to bring; it begins at a piece's start.
    aligned: Range<u64>,
    /// What the client still has to get.
    range: Range<u64>,
    pieces: Arc<[u8]>,
    suspect: Suspect,
    hasher: blake3::Hasher,
    /// The piece in the making, and how much of it is still to come.
    unchecked: Vec<Bytes>,
    unchecked_bytes: u64,
    checked: VecDeque<Bytes>,
    _memory: OwnedSemaphorePermit,
}

impl CheckedStream {
    pub(super) fn new(
        stream: BoxStream<'static, Result<Bytes, StorageError>>,
        aligned: Range<u64>,
        range: Range<u64>,
        pieces: Arc<[u8]>,
        suspect: Suspect,
        memory: OwnedSemaphorePermit,
    ) -> Self {
        Self {
            stream,
            aligned,
            range,
            pieces,
            suspect,
            hasher: blake3::Hasher::new(),
            unchecked: Vec::new(),
            unchecked_bytes: 0,
            checked: VecDeque::new(),
            _memory: memory,
        }
    }

    pub(super) fn remaining_bytes(&self) -> u64 {
        self.range.end - self.range.start
    }

    /// The next bytes, at most so many.
    pub(super) fn poll_bytes(&mut self, context: &mut Context<'_>, most: u64) -> Poll<Option<Result<Bytes, std::io::Error>>> {
        loop {
            if self.range.is_empty() {
                return Poll::Ready(None);
            }
            if let Some(mut bytes) = self.checked.pop_front() {
                let most = usize::try_from(most).unwrap_or(usize::MAX);
                if bytes.len() > most {
                    self.checked.push_front(bytes.split_off(most));
                }
                self.range.start += bytes.len() as u64;
                return Poll::Ready(Some(Ok(bytes)));
            }
            match ready!(self.stream.poll_next_unpin(context)) {
                Some(Ok(bytes)) => {
                    if let Err(error) = self.take_in(bytes) {
                        return Poll::Ready(Some(Err(error)));
                    }
                }
                Some(Err(error)) => return Poll::Ready(Some(Err(self.give_up(&error.to_string())))),
                None => return Poll::Ready(Some(Err(self.give_up("the store's answer was too short")))),
            }
        }
    }

    fn take_in(&mut self, mut bytes: Bytes) -> Result<(), std::io::Error> {
        while !bytes.is_empty() {
            let start = self.aligned.start;
            let piece = start / PIECE_BYTES;
            let piece_bytes = ((piece + 1) * PIECE_BYTES).min(self.aligned.end) - piece * PIECE_BYTES;
            let room = usize::try_from(piece_bytes.saturating_sub(self.unchecked_bytes)).unwrap_or(0);
            if room == 0 {
                return Err(self.give_up("the store's answer was too long"));
            }
            let head = bytes.split_to(room.min(bytes.len()));
            self.hasher.update(&head);
            self.unchecked_bytes += head.len() as u64;
            self.unchecked.push(head);
            if self.unchecked_bytes == piece_bytes {
                if expected_hash(&self.pieces, piece) != Some(self.hasher.finalize()) {
                    self.suspect.report_damaged(piece, "its hash is wrong");
                    return Err(self.stop());
                }
                self.hasher.reset();
                self.pass_on(piece * PIECE_BYTES);
                self.unchecked_bytes = 0;
                self.aligned.start = (piece * PIECE_BYTES) + piece_bytes;
            }
        }
        Ok(())
    }

    /// Passes on the part of a checked piece, which begins at `at`, that the client asked for.
    fn pass_on(&mut self, mut at: u64) {
        for mut bytes in self.unchecked.drain(..) {
            let (start, end) = (at, at + bytes.len() as u64);
            at = end;
            let within = |position: u64| usize::try_from(position - start).unwrap_or(usize::MAX);
            let wanted = start.max(self.range.start)..end.min(self.range.end);
            if wanted.start < wanted.end {
                bytes.truncate(within(wanted.end));
                self.checked.push_back(bytes.split_off(within(wanted.start)));
            }
        }
    }

    fn give_up(&mut self, what: &str) -> std::io::Error {
        self.suspect.report(self.aligned.start / PIECE_BYTES, what);
        self.stop()
    }

    fn stop(&mut self) -> std::io::Error {
        self.range.end = self.range.start;
        std::io::Error::other("the stored content is damaged, or the store broke off")
    }
}
