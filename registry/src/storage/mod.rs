//! Where bytes are kept: a narrow trait, two stores behind it, and wrappers around them.
//!
//! A store knows keys and bytes, and nothing of digests, repositories or uploads. Every key is written once: an object never
//! changes after [`Store::put`] or [`Store::complete`] returned, which is what makes it safe to map, cache and redirect to.
//!
//! Crash guarantees: when `put` or `complete` has returned, the object is there, whole, after a power failure. Before that, nothing
//! can be read under the key. Parts that were never completed are found again by [`Store::list_unfinished`], and dropped by
//! [`Store::abort`].

mod error;
mod folder;
mod key;
mod mapping;
mod metered;
mod retry;
mod s3;
#[cfg(test)]
mod suite;

use std::{ops::Range, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{TryStreamExt as _, stream::BoxStream};

pub use error::StorageError;
pub use folder::FolderStore;
pub use key::{BlobName, ObjectKey};
pub use mapping::Mapping;
pub use metered::Metered;
pub use retry::{Backoff, Retrying};
pub use s3::{S3Settings, S3Store};

/// How many bytes a BLAKE3 piece hash covers; the last piece of a blob may be shorter.
pub const PIECE_BYTES: u64 = 1 << 20;

/// A handle on the store that a registry was given.
pub type SharedStore = Arc<dyn Store>;

/// A place for objects.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// How long every part but the last of an object in parts is, in bytes; a multiple of [`PIECE_BYTES`].
    fn part_bytes(&self) -> u64;

    /// The least a client should send in a chunk, in bytes, where less is costly.
    fn chunk_min_bytes(&self) -> Option<u64>;

    /// Writes a whole object of at most one part. `content` is its bytes in order, in any cut.
    async fn put(&self, key: &ObjectKey, content: Vec<Bytes>) -> Result<(), StorageError>;

    /// Opens `range` of an object that is `size_bytes` long. A shorter object is an error, at once or in the stream.
    async fn read(&self, key: &ObjectKey, size_bytes: u64, range: Range<u64>) -> Result<Content, StorageError>;

    /// Deletes objects; one that is not there is as good as deleted. At most 1,000 at a time.
    async fn delete(&self, keys: &[ObjectKey]) -> Result<(), StorageError>;

    /// Begins an object in parts; the answer names it in the calls that follow.
    async fn begin(&self, key: &ObjectKey) -> Result<PartsId, StorageError>;

    /// Writes part `number` (from 1), whose first byte is `(number - 1) * part_bytes` of the object; the answer goes to `complete`.
    /// Writing a part again replaces it.
    async fn put_part(&self, key: &ObjectKey, id: &PartsId, number: u32, content: Vec<Bytes>) -> Result<PartTag, StorageError>;

    /// Makes an object of its parts, in order.
    async fn complete(&self, key: &ObjectKey, id: &PartsId, parts: &[PartTag]) -> Result<(), StorageError>;

    /// Drops an object in parts that will not be completed, or does nothing when it is gone already.
    async fn abort(&self, key: &ObjectKey, id: &PartsId) -> Result<(), StorageError>;

    /// Begins at `new_key` an object in parts with the full parts of the unfinished one, and hands out the bytes that followed them.
    ///
    /// `parts` are all that the unfinished one has; where `tail_bytes` is not 0, the last of them is short, `tail_bytes` long, and is
    /// handed out and not taken over. The unfinished one takes no more parts after this, and may have been completed; once the new
    /// one is on record the caller drops what is left of it with [`Store::abort`] and [`Store::delete`]. Until then it can be
    /// reopened again.
    async fn reopen(
        &self,
        unfinished: &Unfinished,
        parts: &[PartTag],
        tail_bytes: u64,
        new_key: &ObjectKey,
    ) -> Result<Reopened, StorageError>;

    /// One page of the objects whose keys begin with `prefix`, in the keys' order, after `after`.
    async fn list(&self, prefix: &str, after: Option<&str>) -> Result<Page, StorageError>;

    /// One page of the objects in parts that are neither completed nor dropped, after `after`; an empty page is the end.
    async fn list_unfinished(&self, after: Option<&Unfinished>) -> Result<Vec<Unfinished>, StorageError>;

    /// A URL at which a client can GET the object by itself for `valid_for`, where the store has such URLs. No call is made.
    async fn presign(&self, key: &ObjectKey, valid_for: Duration) -> Result<Option<String>, StorageError>;

    /// Proves that the store answers.
    async fn probe(&self) -> Result<(), StorageError>;
}

/// The bytes of an opened object.
pub enum Content {
    /// Bytes as they come, just those of the range.
    Stream(BoxStream<'static, Result<Bytes, StorageError>>),
    /// The whole object in the address space; the range is the caller's to take.
    Mapped(Arc<Mapping>),
}

impl Content {
    /// All the bytes of the range that was read, in memory.
    pub async fn collect(self, range: Range<u64>) -> Result<Vec<Bytes>, StorageError> {
        match self {
            Self::Mapped(mapping) => Ok(vec![Bytes::copy_from_slice(&mapping.slice(range))]),
            Self::Stream(stream) => stream.try_collect().await,
        }
    }
}

/// Names an object in parts to its store.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PartsId(pub String);

/// What a store needs back of a written part (S3's `ETag`).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PartTag(pub String);

/// An object in parts that is neither completed nor dropped.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Unfinished {
    /// Where it would be.
    pub key: ObjectKey,
    /// Its name to the store.
    pub id: PartsId,
}

/// What [`Store::reopen`] began.
#[derive(Debug)]
pub struct Reopened {
    /// The new object's name to the store.
    pub id: PartsId,
    /// The parts it has, all full.
    pub parts: Vec<PartTag>,
    /// The bytes after them, not yet written at the new key.
    pub tail: Vec<Bytes>,
}

/// A page of a listing.
#[derive(Debug, Default)]
pub struct Page {
    /// Objects in the keys' order.
    pub objects: Vec<Listed>,
    /// Whether there are more after the last.
    pub has_more: bool,
}

/// An object as a listing shows it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Listed {
    /// Its key as text, without the store's own prefix. What [`ObjectKey::parse`] can't read is not ours.
    pub key: String,
    /// Its length in bytes.
    pub size_bytes: u64,
    /// When it was written.
    pub modified_at: jiff::Timestamp,
}
