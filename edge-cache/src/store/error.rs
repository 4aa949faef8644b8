use std::{io, path::Path};

use longshore_oci::Digest;

use crate::piece::PieceIndex;

/// Why the store could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The folder's file system refused.
    #[error("{operation} {path}")]
    File {
        /// What was being done, as a verb.
        operation: &'static str,
        /// The file.
        path: String,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// Another process has the folder.
    #[error("the folder {path} is in use by another process: two must not share one")]
    InUse {
        /// The folder.
        path: String,
    },
    /// The index could not be read or written.
    #[error(
        "the index of the cache at {path}; if it stays so, stop the cache and remove its folder: what it kept is fetched again"
    )]
    Index {
        /// The index's file.
        path: String,
        /// What the database says.
        #[source]
        source: Box<redb::Error>,
    },
    /// The index was written by another version.
    #[error("the cache at {path} has format {found}, and this program reads {expected}: remove the folder, or give another one")]
    Format {
        /// The index's file.
        path: String,
        /// The format there.
        found: u64,
        /// The format that is read.
        expected: u64,
    },
    /// There is no room, and none can be made: the rest is pinned or in use, or the disk is full.
    #[error("no room for {needed_bytes} bytes: what is kept of {quota_bytes} bytes is pinned or in use, or the disk is full")]
    NoRoom {
        /// What was asked for.
        needed_bytes: u64,
        /// What may be kept in all.
        quota_bytes: u64,
    },
    /// What is pinned would not fit, whatever is dropped.
    #[error(
        "with this, {pinned_bytes} bytes were pinned, and the cache may keep {quota_bytes}: unpin something, or raise the quota"
    )]
    PinsExceedQuota {
        /// What all pins would need, each blob whole.
        pinned_bytes: u64,
        /// What may be kept in all.
        quota_bytes: u64,
    },
    /// There are as many pins as may be.
    #[error("there are {most} pins, and no more may be: unpin something")]
    TooManyPins {
        /// How many there may be.
        most: usize,
    },
    /// A pinned blob is not dropped.
    #[error("{digest} is pinned by {owner}: unpin it first")]
    Pinned {
        /// The blob.
        digest: Digest,
        /// Who has pinned it, or one of those.
        owner: String,
    },
    /// The bytes are not what they were said to be.
    #[error("what came as {expected} is {actual}")]
    Mismatch {
        /// The digest asked for.
        expected: Digest,
        /// The digest of what came.
        actual: Digest,
    },
    /// Fewer or more bytes came than the blob has.
    #[error("{digest} has {expected_bytes} bytes, and {actual_bytes} came")]
    Length {
        /// The blob.
        digest: Digest,
        /// Its length.
        expected_bytes: u64,
        /// How much came.
        actual_bytes: u64,
    },
    /// The bytes are not that piece.
    #[error("piece {} of {digest} is not what its hash says", .piece.0)]
    WrongPiece {
        /// The blob.
        digest: Digest,
        /// The piece.
        piece: PieceIndex,
    },
    /// The hashes do not go with the size, or with what is known of the blob already.
    #[error("the size or the hashes given for {digest} contradict what is known of it")]
    Contradiction {
        /// The blob.
        digest: Digest,
    },
    /// The blob was dropped meanwhile, or the store is closed.
    #[error("{digest} was dropped from the cache meanwhile")]
    Gone {
        /// The blob.
        digest: Digest,
    },
}

impl StoreError {
    pub(super) fn file(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.display().to_string();
        move |source| Self::File { operation, path, source }
    }

    pub(super) fn index<E: Into<redb::Error>>(path: &Path) -> impl Fn(E) -> Self {
        let path = path.display().to_string();
        move |source| Self::Index { path: path.clone(), source: Box::new(source.into()) }
    }

    /// Whether the bytes can't be kept for want of room: they may be passed on without.
    pub fn is_no_room(&self) -> bool {
        matches!(self, Self::NoRoom { .. })
    }
}

/// Why bytes of a blob could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The piece is not here.
    #[error("piece {} of {digest} is not here", .piece.0)]
    Missing {
        /// The blob.
        digest: Digest,
        /// The piece.
        piece: PieceIndex,
    },
    /// The piece was here, and is no longer what its hash says. It counts as missing from now on.
    #[error("piece {} of {digest} was damaged on the disk", .piece.0)]
    Damaged {
        /// The blob.
        digest: Digest,
        /// The piece.
        piece: PieceIndex,
    },
    /// The disk could not be read.
    #[error("read {digest}")]
    Io {
        /// The blob.
        digest: Digest,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// Who was writing the blob has given up, for this reason.
    #[error("the blob did not come to its end: {0}")]
    Aborted(String),
}
