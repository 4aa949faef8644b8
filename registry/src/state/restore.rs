use bytes::Bytes;
use jiff::Timestamp;
use longshore_oci::{Digest, Manifest, RepositoryName, Tag};

use crate::storage::ObjectKey;

/// A blob that was found in the store, read and hashed.
#[derive(Clone, Debug)]
pub struct RestoredBlob {
    /// The content's digest.
    pub digest: Digest,
    /// The content's length.
    pub size_bytes: u64,
    /// The object.
    pub key: ObjectKey,
    /// Whether a record says that the blob is not the repository's below which it lies.
    pub is_disowned: bool,
    /// All of its piece hashes.
    pub pieces: Vec<u8>,
    /// When the object was written.
    pub created_at: Timestamp,
}

/// A manifest that was found in a record.
#[derive(Clone, Debug)]
pub struct RestoredPush {
    /// Its digest.
    pub digest: Digest,
    /// What is read in it.
    pub manifest: Manifest,
    /// What it runs on, as its configuration says.
    pub platform: Option<String>,
    /// Its bytes.
    pub content: Bytes,
    /// When it was pushed.
    pub pushed_at: Timestamp,
}

/// A record that was found in the store.
#[derive(Clone, Debug)]
pub struct RestoredRecord {
    /// The repository it speaks of.
    pub repository: RepositoryName,
    /// Its number.
    pub revision: u64,
    /// When the change was made.
    pub at: Timestamp,
    /// What was pushed, if something was.
    pub push: Option<RestoredPush>,
    /// The manifest that was deleted, if one was.
    pub removed: Option<Digest>,
    /// The tags that were set to what was pushed, or else deleted.
    pub tags: Vec<Tag>,
    /// The blobs that are the repository's though none of its objects may show it.
    pub linked: Vec<Digest>,
    /// The blob that was deleted, if one was, and all objects below the repository that held it then.
    pub unlinked: Option<(Digest, Vec<ObjectKey>)>,
}
