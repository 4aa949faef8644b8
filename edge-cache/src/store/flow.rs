use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::{entry::Entry, error::ReadError};
use crate::piece::{Geometry, PIECE_BYTES, PieceIndex};

/// How many chunks of a piece are kept apart; past it they are joined.
const MOST_CHUNKS: usize = 256;

/// How far a blob on its way is: what the writer tells those who read behind it.
#[derive(Debug)]
pub(super) struct Flow {
    pub(super) geometry: Geometry,
    /// BLAKE3 of each piece that is in the file.
    pub(super) hashes: Vec<[u8; 32]>,
    /// The bytes of the piece that is not in the file yet.
    chunks: Vec<Bytes>,
    chunk_bytes: u64,
    pub(super) end: End,
}

/// How the writer came to its end, if it has.
#[derive(Debug)]
pub(super) enum End {
    /// It goes on.
    Running,
    /// All is here and right; the blob is being put in its place.
    Right,
    /// The blob is in its place.
    Kept(Arc<Entry>),
    /// It failed.
    Aborted(String),
}

/// What there is for a reader.
pub(super) enum Look {
    /// Nothing yet.
    Wait,
    /// These bytes; none where the blob is at its end.
    Bytes(Bytes),
    /// A piece in the file, and its hash; and the blob, once it is in its place.
    InFile(PieceIndex, [u8; 32], Option<Arc<Entry>>),
    /// Nothing any more.
    Failed(ReadError),
}

impl Flow {
    pub(super) fn new(geometry: Geometry) -> Self {
        Self { geometry, hashes: Vec::new(), chunks: Vec::new(), chunk_bytes: 0, end: End::Running }
    }

    /// How many bytes are in the file.
    pub(super) fn written_bytes(&self) -> u64 {
        let pieces = u64::try_from(self.hashes.len()).expect("a count fits");
        (pieces * PIECE_BYTES).min(self.geometry.size_bytes())
    }

    /// Where each piece in the file ends, and its hash.
    pub(super) fn written(&self) -> Vec<(u64, [u8; 32])> {
        let ends = (1..).map(|pieces| (pieces * PIECE_BYTES).min(self.geometry.size_bytes()));
        ends.zip(self.hashes.iter().copied()).collect()
    }

    /// How many bytes have come.
    pub(super) fn received_bytes(&self) -> u64 {
        self.written_bytes() + self.chunk_bytes
    }

    /// The bytes of the piece that is not in the file yet.
    pub(super) fn chunks(&self) -> &[Bytes] {
        &self.chunks
    }

    /// How many bytes the piece still lacks.
    pub(super) fn lacking_bytes(&self) -> u64 {
        let end = (self.written_bytes() + PIECE_BYTES).min(self.geometry.size_bytes());
        end - self.received_bytes()
    }

    /// Takes in bytes of the piece, no more than it lacks.
    pub(super) fn push(&mut self, chunk: Bytes) {
        if self.chunks.len() >= MOST_CHUNKS {
            let mut joined = BytesMut::new();
            self.chunks.drain(..).for_each(|chunk| joined.extend_from_slice(&chunk));
            self.chunks.push(joined.freeze());
        }
        self.chunk_bytes += length(&chunk);
        self.chunks.push(chunk);
    }

    /// The piece is in the file.
    pub(super) fn note_written(&mut self, hash: [u8; 32]) {
        self.hashes.push(hash);
        self.chunks = Vec::new();
        self.chunk_bytes = 0;
    }

    /// What a reader gets that wants bytes from `at` on.
    pub(super) fn look(&self, at: u64) -> Look {
        let (is_right, entry) = match &self.end {
            End::Aborted(why) => return Look::Failed(ReadError::Aborted(why.clone())),
            End::Running => (false, None),
            End::Right => (true, None),
            End::Kept(entry) => (true, Some(entry.clone())),
        };
        // The last piece is held back until all is known to be right: no reader gets all of a wrong blob.
        let last = self.geometry.bytes_of(PieceIndex(self.geometry.pieces().saturating_sub(1))).start;
        if !is_right && at >= self.received_bytes().min(last) {
            return Look::Wait;
        }
        if at >= self.geometry.size_bytes() {
            return Look::Bytes(Bytes::new());
        }
        if at < self.written_bytes() {
            let piece = u32::try_from(at / PIECE_BYTES).expect("no longer than the longest blob");
            let hash = self.hashes[usize::try_from(piece).expect("32 bits fit")];
            return Look::InFile(PieceIndex(piece), hash, entry);
        }
        let mut start = self.written_bytes();
        for chunk in &self.chunks {
            if at < start + length(chunk) {
                let skipped = usize::try_from(at - start).expect("less than the chunk");
                return Look::Bytes(chunk.slice(skipped..));
            }
            start += length(chunk);
        }
        Look::Wait
    }
}

pub(super) fn length(bytes: &Bytes) -> u64 {
    u64::try_from(bytes.len()).expect("a length fits")
}
