use std::{io, path::Path};

use longshore_oci::Digest;
use longshore_service::byte_count::ByteCount;

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
    /// The quota has no room, and none can be made: what is kept is pinned or in use.
    #[error("no room for {needed_bytes} bytes: the quota is {quota_bytes} bytes, and what is kept is pinned or in use")]
    NoRoom {
        /// What was asked for.
        needed_bytes: u64,
        /// What may be kept in all.
        quota_bytes: u64,
    },
    /// The quota would allow it, and the disk has no room.
    #[error("no room for {needed_bytes} bytes: the disk is full below the quota, with {kept_bytes} bytes kept on it")]
    DiskFull {
        /// What was asked for.
        needed_bytes: u64,
        /// What is kept.
        kept_bytes: u64,
    },
    /// What is pinned would not fit, whatever is dropped.
    #[error(
        "with this, {} were pinned, {} more than the {} that the cache may keep: unpin something, or raise the quota",
        ByteCount(*pinned_bytes),
        ByteCount(pinned_bytes.saturating_sub(*quota_bytes)),
        ByteCount(*quota_bytes)
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

    /// Whether the file system has no room for what was to be written, or lets this process have none.
    pub fn is_disk_full(&self) -> bool {
        let is_full = |error: &io::Error| matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
        match self {
            Self::File { source, .. } => is_full(source),
            Self::Index { source, .. } => matches!(&**source, redb::Error::Io(source) if is_full(source)),
            Self::DiskFull { .. } => true,
            _ => false,
        }
    }

    /// Whether the bytes can't be kept for want of room: they may be passed on without.
    pub fn is_no_room(&self) -> bool {
        matches!(self, Self::NoRoom { .. } | Self::DiskFull { .. })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_told_as_people_read_them() {
        let error = StoreError::PinsExceedQuota { pinned_bytes: 30 << 20, quota_bytes: 16 << 20 };
        let start = "with this, 30.0 MiB were pinned, 14.0 MiB more than the 16.0 MiB that the cache may keep: ";
        assert!(error.to_string().starts_with(start), "{error}");
    }

    #[test]
    fn a_full_disk_is_told_from_one_that_fails() {
        let index = StoreError::index::<redb::Error>(Path::new("index"));
        for (error, is_full) in [
            // ENOSPC, EDQUOT and EIO.
            (io::Error::from_raw_os_error(28), true),
            (io::Error::from_raw_os_error(122), true),
            (io::Error::from_raw_os_error(5), false),
        ] {
            let file = StoreError::file("write", Path::new("blob"))(io::Error::from(error.kind()));
            assert_eq!((index(redb::Error::Io(error)).is_disk_full(), file.is_disk_full()), (is_full, is_full), "{file:?}");
        }
        assert!(!index(redb::Error::PreviousIo).is_disk_full());
    }
}
