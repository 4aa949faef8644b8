use jiff::Timestamp;
use longshore_oci::{Algorithm, Digest, HashState, RepositoryName};
use uuid::Uuid;

use super::Garbage;
use crate::storage::{BlobName, ObjectKey, PartTag, PartsId};

/// An upload to begin.
#[derive(Clone, Debug)]
pub struct NewUpload {
    /// Its id.
    pub id: Uuid,
    /// Where its blob will be.
    pub repository: RepositoryName,
    /// How its content is hashed as it comes.
    pub algorithm: Algorithm,
    /// How long its parts are.
    pub part_bytes: u64,
    /// The token and the lease, in microseconds, of whoever writes to it from the start.
    pub claim: Option<(Uuid, i64)>,
}

/// A wish to write to an upload.
#[derive(Clone, Debug)]
pub struct ClaimWish {
    /// The upload.
    pub id: Uuid,
    /// The repository that the caller believes it is in.
    pub repository: RepositoryName,
    /// How the writer would have the content hashed; heeded while the upload is empty.
    pub algorithm: Option<Algorithm>,
    /// The token that will prove the claim.
    pub claim: Uuid,
    /// How long the claim lasts unless renewed, in microseconds.
    pub lease_us: i64,
}

/// What came of wanting to write to an upload.
#[derive(Clone, Debug)]
pub enum Claim {
    /// It is the caller's until the lease ends.
    Taken(Box<Claimed>),
    /// Another request is writing to it.
    Busy,
    /// There is none.
    Unknown,
}

/// An upload that one writer holds.
#[derive(Clone, Debug)]
pub struct Claimed {
    /// Its id.
    pub id: Uuid,
    /// Where its blob will be.
    pub repository: RepositoryName,
    /// The proof that the writer holds it.
    pub claim: Uuid,
    /// Which of the upload's claims this is, from 1; what is written under it has keys of its own.
    pub generation: u32,
    /// Whether the writer before never gave it up: it may be late, not dead, and must find nothing left to write to.
    pub is_taken_over: bool,
    /// How its content is hashed as it comes.
    pub algorithm: Algorithm,
    /// How long its parts are.
    pub part_bytes: u64,
    /// How many bytes it has.
    pub offset_bytes: u64,
    /// The hash of these bytes, laid down; `None` where there are none yet.
    pub hash_state: Option<HashState>,
    /// The object in parts that holds its first bytes.
    pub assembly: Option<Assembly>,
    /// The object that holds the bytes after the parts.
    pub tail: Option<Tail>,
    /// Piece hashes of the bytes after the last full part, 32 bytes each.
    pub pieces: Vec<u8>,
}

/// An object in parts, in the making.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Assembly {
    /// The claim that began it.
    pub generation: u32,
    /// Its name to the store.
    pub id: PartsId,
    /// Its parts, in order.
    pub parts: Vec<UploadPart>,
    /// Whether the last of them is short; its piece hashes are then the upload's.
    pub is_sealed: bool,
}

/// A part that has been written.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct UploadPart {
    /// Counted from 1.
    pub number: u32,
    /// What the store needs back of it.
    pub tag: PartTag,
    /// Its piece hashes, 32 bytes each.
    pub pieces: Vec<u8>,
}

/// An object that holds an upload's last bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Tail {
    /// The claim that wrote it.
    pub generation: u32,
    /// Its length.
    pub size_bytes: u64,
}

/// Where an upload stands now.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    /// How many bytes it has.
    pub offset_bytes: u64,
    /// The hash of these bytes.
    pub hash_state: HashState,
    /// The object in parts: which claim began it, its name, and whether its last part is short.
    pub assembly: Option<(u32, PartsId, bool)>,
    /// The parts that were written since the last checkpoint.
    pub new_parts: Vec<UploadPart>,
    /// Whether the parts noted before are void, since the object in parts is another one now.
    pub replaces_parts: bool,
    /// The object that holds the bytes after the parts.
    pub tail: Option<Tail>,
    /// Piece hashes of the bytes after the last full part.
    pub pieces: Vec<u8>,
    /// Objects that this checkpoint leaves behind.
    pub garbage: Vec<Garbage>,
    /// Whether the writer is done with it.
    pub release: bool,
    /// How long the claim lasts from now where it is kept, in microseconds.
    pub lease_us: i64,
    /// When the garbage may go.
    pub garbage_due_at: Timestamp,
}

impl Checkpoint {
    /// Whether the upload's row says it all.
    pub fn is_one_statement(&self) -> bool {
        self.new_parts.is_empty() && !self.replaces_parts && self.garbage.is_empty()
    }
}

/// A whole upload whose digest was found right.
#[derive(Clone, Debug)]
pub struct BlobCommit {
    /// The upload.
    pub id: Uuid,
    /// The proof that the writer holds it.
    pub claim: Uuid,
    /// Where the blob will be.
    pub repository: RepositoryName,
    /// The content's digest.
    pub digest: Digest,
    /// The content's length.
    pub size_bytes: u64,
    /// The object that holds it, durable and whole.
    pub key: ObjectKey,
    /// All of its piece hashes.
    pub pieces: Vec<u8>,
    /// An object of this digest that is known to be damaged: the upload's takes its place.
    pub damaged: Option<ObjectKey>,
    /// Objects that the upload leaves behind.
    pub garbage: Vec<Garbage>,
    /// When the garbage may go, and the object too should the digest be known already.
    pub garbage_due_at: Timestamp,
}

/// An upload to be turned into a blob as it stands.
#[derive(Clone, Debug)]
pub struct FinishUpload {
    /// The upload.
    pub id: Uuid,
    /// The repository that the caller believes it is in.
    pub repository: RepositoryName,
    /// What the content's digest should be.
    pub digest: Digest,
    /// An object of this digest that is known to be damaged: the upload's takes its place.
    pub damaged: Option<ObjectKey>,
    /// When the object may go should the digest be known already.
    pub garbage_due_at: Timestamp,
}

/// What came of wanting to finish an upload as it stands.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Finished {
    /// It is a blob.
    Done,
    /// Its content has this digest instead, and it is gone.
    Mismatch(Digest),
    /// It is not one whole object, or somebody holds it, or it is none: it takes a claim to finish it, or to learn why not.
    NotYet,
}

/// How far an upload has come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct UploadStatus {
    /// How many bytes it has.
    pub offset_bytes: u64,
}

impl NewUpload {
    /// The upload as its first writer holds it.
    pub fn claimed(self, claim: Uuid) -> Claimed {
        Claimed {
            id: self.id,
            repository: self.repository,
            claim,
            generation: 1,
            is_taken_over: false,
            algorithm: self.algorithm,
            part_bytes: self.part_bytes,
            offset_bytes: 0,
            hash_state: None,
            assembly: None,
            tail: None,
            pieces: Vec::new(),
        }
    }
}

impl Claimed {
    /// The key of an object in parts that a claim of this upload began.
    pub fn parts_key(&self, generation: u32) -> ObjectKey {
        parts_key(&self.repository, self.id, self.algorithm, generation)
    }

    /// The key of a whole object that a claim of this upload wrote: its last bytes, or all of them.
    pub fn tail_key(&self, generation: u32) -> ObjectKey {
        tail_key(&self.repository, self.id, self.algorithm, generation)
    }
}

/// The key of an object in parts, by the claim that began it.
pub fn parts_key(repository: &RepositoryName, upload: Uuid, algorithm: Algorithm, generation: u32) -> ObjectKey {
    ObjectKey::Blob(repository.clone(), BlobName { upload, number: 2 * generation, algorithm })
}

/// The key of a whole object, by the claim that wrote it.
pub fn tail_key(repository: &RepositoryName, upload: Uuid, algorithm: Algorithm, generation: u32) -> ObjectKey {
    ObjectKey::Blob(repository.clone(), BlobName { upload, number: 2 * generation + 1, algorithm })
}
