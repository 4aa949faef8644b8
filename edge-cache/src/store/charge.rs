//! What bytes cost on a disk, which keeps them in blocks.

use crate::piece::{Geometry, PIECE_BYTES, PieceIndex};

/// How much the file system takes at least for some bytes.
const BLOCK_BYTES: u64 = 4096;

/// What a piece takes.
pub(super) fn piece_charge(geometry: Geometry, piece: PieceIndex) -> u64 {
    let bytes = geometry.bytes_of(piece);
    (bytes.end - bytes.start).next_multiple_of(BLOCK_BYTES)
}

/// What a whole blob of a size takes.
pub(super) fn blob_charge(size_bytes: u64) -> u64 {
    size_bytes.checked_next_multiple_of(BLOCK_BYTES).unwrap_or(u64::MAX)
}

const _: () = assert!(PIECE_BYTES.is_multiple_of(BLOCK_BYTES), "a blob takes what its pieces take");
