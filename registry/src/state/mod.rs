//! What the registry knows: repositories, blobs, manifests, tags, uploads, and the outbox of their changes.
//!
//! One trait, two databases behind it. Every method is one transaction; when a method that changes something has returned, the
//! change is whole, and seen by every later read on any replica. It is durable too, but for what nothing acknowledged depends on: an
//! upload begun, claimed, noted or ended without a blob. The statements are the same for both databases and are
//! written once, in `statements/`.

mod account;
mod audit;
mod author;
mod backend;
mod error;
mod event;
mod expected;
mod image;
mod issuer;
mod manifest;
mod migrations;
mod outbox;
mod policy;
mod postgres;
mod restore;
mod sqlite;
#[cfg(test)]
mod suite;
mod upload;

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use longshore_oci::{AuditHead, AuditLine, Digest, Reference, RepositoryName, Tag};
use uuid::Uuid;

use crate::storage::{ObjectKey, PartsId};

pub use account::{AccessLimits, AccountChange, AccountKind, Expiry, Made, NewAccount, RolePlace, StoredAccount, StoredRole};
pub use audit::AuditFilter;
pub use author::Author;
pub use error::StateError;
pub use event::{Event, EventKind, NotedBatch};
pub use expected::Expected;
pub use image::{ImageDetail, ImageFilter, ImageSummary, LayerDetail, ManifestDetail, Sharing};
pub use issuer::{ClaimRule, Deletion, IssuerTrust, IssuerVersions, Put, PutIssuer, StoredIssuer, Subject};
pub use manifest::{DeleteManifest, Edge, EvidenceIndex, PutManifest, Referrer, StoredManifest, references};
pub use outbox::{OutboxEvent, OutboxHead};
pub use policy::StoredDocument;
pub use postgres::{PostgresState, Tenancy};
pub use restore::{RestoredBlob, RestoredPush, RestoredRecord};
pub use sqlite::SqliteState;
pub use upload::{
    Assembly, BlobCommit, Checkpoint, Claim, ClaimWish, Claimed, FinishUpload, Finished, NewUpload, Tail, UploadPart,
    UploadStatus,
};

/// A handle on the state that a registry was given.
pub type SharedState = Arc<dyn State>;

/// The registry's database.
#[async_trait]
pub trait State: Send + Sync + 'static {
    /// Whether this process alone changes the database, so that what it has read stays true until it writes.
    fn is_exclusive(&self) -> bool;

    /// Proves that the database answers, and that it can be changed.
    async fn probe(&self) -> Result<(), StateError>;

    /// Connections open and idle, for metrics.
    fn connections(&self) -> (u32, usize);

    // Uploads.

    /// Begins an upload.
    async fn create_upload(&self, upload: NewUpload) -> Result<(), StateError>;
    /// Takes an upload for one writer, until its lease ends.
    async fn claim_upload(&self, wish: ClaimWish) -> Result<Claim, StateError>;
    /// Keeps a claim for longer. False when it was lost.
    async fn renew_claim(&self, id: Uuid, claim: Uuid, lease_us: i64) -> Result<bool, StateError>;
    /// Gives a claim up without saying where the upload stands; `has_written` where there may be objects that no row tells of.
    async fn release_claim(&self, id: Uuid, claim: Uuid, has_written: bool) -> Result<(), StateError>;
    /// Notes where an upload stands, and the part that brought it there, if one did; `release` gives up the claim. False when it was lost.
    async fn checkpoint_upload(&self, id: Uuid, claim: Uuid, checkpoint: Checkpoint) -> Result<bool, StateError>;
    /// Turns an upload that nobody holds into a blob, in one step, where nothing of it is left to write.
    async fn finish_upload(&self, finish: FinishUpload) -> Result<Finished, StateError>;
    /// Turns an upload into a blob of its repository. False when the claim was lost.
    async fn commit_blob(&self, commit: BlobCommit) -> Result<bool, StateError>;
    /// How far an upload has come.
    async fn upload_status(&self, repository: &RepositoryName, id: Uuid) -> Result<Option<UploadStatus>, StateError>;
    /// Ends an upload and gives up its bytes. With a claim, only while that is held; without, only while nobody holds one.
    async fn cancel_upload(&self, repository: &RepositoryName, id: Uuid, claim: Option<Uuid>) -> Result<Cancelled, StateError>;
    /// Ends uploads that nobody has touched since `before`; how many.
    async fn expire_uploads(&self, before: Timestamp, limit: u32) -> Result<u64, StateError>;
    /// How many uploads are open.
    async fn count_uploads(&self) -> Result<u64, StateError>;
    /// Whether an upload, open now, may still need this object in parts.
    async fn is_upload_open(&self, id: Uuid) -> Result<bool, StateError>;

    // Blobs.

    /// A blob of a repository.
    async fn blob(&self, repository: &RepositoryName, digest: &Digest) -> Result<Option<StoredBlob>, StateError>;
    /// Makes another repository's blob one of `repository`'s too: `from`'s, or any's where that is `None`. False where there is none.
    async fn mount_blob(
        &self,
        repository: &RepositoryName,
        from: Option<&RepositoryName>,
        digest: &Digest,
    ) -> Result<bool, StateError>;
    /// The objects below a repository that hold a blob of it, by key, those that are garbage too; `None` where it has no such blob,
    /// [`StateError::Needed`] where a manifest of it is made of the blob.
    async fn blob_objects(&self, repository: &RepositoryName, digest: &Digest) -> Result<Option<Vec<ObjectKey>>, StateError>;
    /// Takes a blob from a repository; [`StateError::Changed`] where the repository does not have it, or not as the caller has seen,
    /// [`StateError::Needed`] where a manifest of it is made of the blob.
    async fn delete_blob(&self, deletion: DeleteBlob) -> Result<(), StateError>;
    /// Blobs of repositories since `before` or longer, for which neither an object below the repository nor a record will show that they
    /// are, by repository.
    async fn unrecorded_links(&self, before: Timestamp, limit: u32) -> Result<Vec<(RepositoryName, Vec<Digest>)>, StateError>;
    /// Notes that the record of this change shows these links; [`StateError::Changed`] where one of them is gone, or is shown already.
    async fn record_links(&self, repository: &RepositoryName, digests: &[Digest], revision: u64) -> Result<(), StateError>;

    // Manifests and tags.

    /// Begins a change of a repository's manifests, tags or blobs, whose record is written next: a number greater than that of every change
    /// acknowledged so far. The change's own transaction ends it; [`StateError::Changed`] there where it was abandoned meanwhile.
    async fn begin_change(&self, repository: &RepositoryName) -> Result<u64, StateError>;
    /// Ends a change that was not made, whose record is gone.
    async fn drop_change(&self, revision: u64) -> Result<(), StateError>;
    /// Gives up changes that were begun before `before` and never ended; their records become garbage. How many.
    async fn abandon_changes(&self, before: Timestamp, limit: u32) -> Result<u64, StateError>;
    /// A manifest by tag or digest.
    async fn manifest(&self, repository: &RepositoryName, reference: &Reference) -> Result<Option<StoredManifest>, StateError>;
    /// What may show that an image is signed, of its own repository.
    async fn evidence(&self, repository: &RepositoryName, image: &Digest) -> Result<EvidenceIndex, StateError>;
    /// Which of these are not in the repository: blobs, then manifests.
    async fn missing(
        &self,
        repository: &RepositoryName,
        blobs: &[Digest],
        manifests: &[Digest],
    ) -> Result<Vec<Digest>, StateError>;
    /// Keeps a manifest and moves tags to it; [`StateError::Changed`] where a deletion of one of them has a greater revision, so that the
    /// push must be made again with a revision of its own; [`StateError::Missing`] where it must be whole and is not;
    /// [`StateError::Frozen`] where a tag that stays where it is would be moved.
    async fn put_manifest(&self, put: PutManifest) -> Result<(), StateError>;
    /// The tags at a manifest, or `None` where there is no such manifest.
    async fn tags_of(&self, repository: &RepositoryName, digest: &Digest) -> Result<Option<Vec<Tag>>, StateError>;
    /// Deletes a manifest and the tags at it; [`StateError::Changed`] where those are not the ones the caller has seen.
    async fn delete_manifest(&self, deletion: DeleteManifest) -> Result<(), StateError>;
    /// Deletes a tag; [`StateError::Changed`] where there is none, or where it was set after this revision.
    async fn delete_tag(&self, repository: &RepositoryName, tag: &Tag, revision: u64) -> Result<(), StateError>;

    // Lists, each in the byte order of its names, after `after`, at most `limit`.

    /// A repository's tags; `None` where there is no such repository.
    async fn tags(&self, repository: &RepositoryName, after: &str, limit: u32) -> Result<Option<Vec<String>>, StateError>;
    /// A repository's tags, each with the digest that it is at; none where there is no such repository.
    async fn tagged(&self, repository: &RepositoryName, after: &str, limit: u32) -> Result<Vec<(Tag, Digest)>, StateError>;
    /// The repositories.
    async fn repositories(&self, after: &str, limit: u32) -> Result<Vec<String>, StateError>;
    /// Manifests whose subject is `subject`, by digest.
    async fn referrers(
        &self,
        repository: &RepositoryName,
        subject: &Digest,
        artifact_type: Option<&str>,
        after: &str,
        limit: u32,
    ) -> Result<Vec<Referrer>, StateError>;
    /// Tagged images with their sizes, by repository and tag.
    async fn images(&self, filter: ImageFilter) -> Result<Vec<ImageSummary>, StateError>;
    /// One image, manifest by manifest and layer by layer.
    async fn image(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        sharing: Sharing,
    ) -> Result<Option<ImageDetail>, StateError>;

    // What is left to delete.

    /// Waits until all that can be read by now would survive a power failure.
    async fn sync(&self) -> Result<(), StateError>;
    /// Objects due for deletion by now, the longest due first.
    async fn due_garbage(&self, limit: u32) -> Result<Vec<Garbage>, StateError>;
    /// Strikes off objects that have been deleted.
    async fn forget_garbage(&self, deleted: Vec<Garbage>) -> Result<(), StateError>;
    /// Drops from the outbox what happened before `before`; how much. Where there is an audit log, nothing that waits for its line there.
    async fn expire_events(&self, before: Timestamp, is_audited: bool, limit: u32) -> Result<u64, StateError>;
    /// Drops from the history of tags what is older than `before`; how much.
    async fn expire_tag_history(&self, before: Timestamp, limit: u32) -> Result<u64, StateError>;
    /// Hands records that no rebuilding needs any more over to the garbage; how many.
    async fn retire_records(&self, limit: u32) -> Result<u64, StateError>;

    // Who may call, and what they may do.

    /// A number that is another after each change of accounts and roles.
    async fn access_version(&self) -> Result<u64, StateError>;
    /// Accounts by name, after `after`, at most `limit`.
    async fn accounts(&self, after: &str, limit: u32) -> Result<Vec<StoredAccount>, StateError>;
    /// An account.
    async fn account(&self, name: &str) -> Result<Option<StoredAccount>, StateError>;
    /// Makes an account and its roles.
    async fn add_account(&self, new: NewAccount) -> Result<Made, StateError>;
    /// Changes an account; `None` where there is none.
    async fn change_account(&self, name: &str, change: AccountChange) -> Result<Option<StoredAccount>, StateError>;
    /// Deletes an account and its roles. False where there is none.
    async fn delete_account(&self, name: &str) -> Result<bool, StateError>;
    /// Notes when accounts last called; no change that others need to know of.
    async fn note_used(&self, used: Vec<(String, Timestamp)>) -> Result<(), StateError>;
    /// Roles by id, those of one subject or all, after `after`, at most `limit`.
    async fn roles(&self, subject: Option<&str>, after: &str, limit: u32) -> Result<Vec<StoredRole>, StateError>;
    /// Makes a role. Its subject must be an account, or `anonymous`.
    async fn add_role(&self, role: StoredRole, most: u32) -> Result<Made, StateError>;
    /// Deletes a role. False where there is none.
    async fn delete_role(&self, id: &str) -> Result<bool, StateError>;

    /// Issuers by name, those after one.
    async fn issuers(&self, after: &str, limit: u32) -> Result<Vec<StoredIssuer>, StateError>;
    /// An issuer.
    async fn issuer(&self, name: &str) -> Result<Option<StoredIssuer>, StateError>;
    /// Makes an issuer, or replaces it; the roles of rules that it has no more go.
    async fn put_issuer(&self, put: PutIssuer) -> Result<Put, StateError>;
    /// Deletes an issuer, and the roles of its rules and groups. False where there is none.
    async fn delete_issuer(&self, name: &str, expected: Expected) -> Result<Deletion, StateError>;

    // Policy documents.

    /// The number of the last change of policy documents: another after each.
    async fn policy_version(&self) -> Result<u64, StateError>;
    /// All policy documents, by name.
    async fn policy_documents(&self) -> Result<Vec<StoredDocument>, StateError>;
    /// Keeps a policy document in place of the one of its name, if there is one; the number of the change, which is its revision.
    /// [`StateError::Changed`] where `seen` is not the number of the last change.
    async fn put_policy_document(&self, document: StoredDocument, seen: u64) -> Result<u64, StateError>;
    /// Deletes a policy document. [`StateError::Changed`] as above, or where there is none.
    async fn delete_policy_document(&self, name: &str, seen: u64) -> Result<(), StateError>;

    // Those who follow changes.

    /// Where the outbox stands, and whether something in it waits for its position.
    async fn outbox_head(&self) -> Result<(OutboxHead, bool), StateError>;
    /// Gives what waits its positions, at most so much at once; where the outbox stands then, which a power failure does not undo, and
    /// how much that was. Any number of replicas may do so at once: one waits for the other.
    async fn order_outbox(&self, limit: u32) -> Result<(OutboxHead, u64), StateError>;
    /// The changes after a position up to another, of the kinds that [`longshore_oci::Change`] has; and where the outbox stood after
    /// that was read.
    async fn outbox(&self, after: u64, upto: u64) -> Result<(OutboxHead, Vec<OutboxEvent>), StateError>;

    // The audit log.

    /// Puts what is no change, and has no transaction of its own, into the outbox, once however often it is asked to.
    async fn note_events(&self, batch: NotedBatch) -> Result<(), StateError>;
    /// Whether something in the outbox waits for its line.
    async fn is_audit_waiting(&self) -> Result<bool, StateError>;
    /// Gives what waits its lines; how many. Any number of replicas may do so at once: one waits for the other.
    async fn chain_audit(&self, limit: u32) -> Result<u64, StateError>;
    /// Where the log begins and ends, unsigned.
    async fn audit_head(&self) -> Result<AuditHead, StateError>;
    /// Lines by number, with their numbers.
    async fn audit_lines(&self, filter: AuditFilter) -> Result<Vec<(u64, AuditLine)>, StateError>;
    /// The number of the first line of what happened at `since` or later.
    async fn first_audited_since(&self, since: Timestamp) -> Result<Option<u64>, StateError>;
    /// Drops lines of what happened before `before` off the log's beginning; how many.
    async fn expire_audit(&self, before: Timestamp, limit: u32) -> Result<u64, StateError>;

    // The registry's own keys.

    /// All signing keys, in the order of their generations.
    async fn signing_keys(&self) -> Result<Vec<StoredKey>, StateError>;
    /// Adds a signing key. False where there is one of its generation, or of a later one.
    async fn add_signing_key(&self, key: StoredKey) -> Result<bool, StateError>;
    /// Drops the signing keys of generations before this.
    async fn drop_signing_keys(&self, before: u64) -> Result<(), StateError>;

    // Rebuilding.

    /// Whether the database knows nothing at all, or not all since a rebuilding was broken off.
    async fn needs_rebuilding(&self) -> Result<bool, StateError>;
    /// Empties the database, to be rebuilt.
    async fn clear(&self) -> Result<(), StateError>;
    /// Takes in a blob that was found in the store.
    async fn restore_blob(&self, blob: RestoredBlob) -> Result<(), StateError>;
    /// Makes these blobs the repository's, where no later record speaks of them, as their record says; that was played back before.
    async fn restore_links(&self, repository: &RepositoryName, digests: &[Digest], revision: u64) -> Result<(), StateError>;
    /// Once all is played back: makes every blob that a manifest of a repository names one of that repository's, and gives objects to
    /// the garbage whose blob no repository has, unless not all of the store could be read.
    async fn settle_blobs(&self, is_whole: bool) -> Result<(), StateError>;
    /// Plays back one record. Records come in the order of their revisions.
    async fn restore_record(&self, record: RestoredRecord) -> Result<(), StateError>;
    /// Notes that the rebuilding is done.
    async fn finish_rebuilding(&self) -> Result<(), StateError>;
    /// Sets the sequence of revisions past `highest`.
    async fn resume_revisions(&self, highest: u64) -> Result<(), StateError>;
}

/// A blob and where its bytes are.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StoredBlob {
    /// Its length.
    pub size_bytes: u64,
    /// Its object.
    pub key: ObjectKey,
    /// BLAKE3 of each piece, 32 bytes each.
    pub pieces: Arc<[u8]>,
}

/// A key that the registry signs with.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StoredKey {
    /// Its number: each is followed by the next.
    pub generation: u64,
    /// Its public half, as a JSON Web Key.
    pub public: String,
    /// The key itself, sealed.
    pub sealed: Vec<u8>,
    /// From when on it signs.
    pub signs_from: Timestamp,
}

/// A blob to take from a repository, with what has already been written beside the blobs.
#[derive(Clone, Debug)]
pub struct DeleteBlob {
    /// Where.
    pub repository: RepositoryName,
    /// Its digest.
    pub digest: Digest,
    /// The objects below the repository that hold it, as the caller saw and wrote down.
    pub objects: Vec<ObjectKey>,
    /// The number of this change.
    pub revision: u64,
    /// When its bytes may go, where no other repository has it.
    pub due_at: Timestamp,
}

/// What became of an upload that was to be cancelled.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Cancelled {
    /// It is gone.
    Done,
    /// There is none.
    Unknown,
    /// Another request is writing to it.
    Busy,
}

/// An object that nothing needs.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Garbage {
    /// Its key.
    pub key: ObjectKey,
    /// For an object in parts, its name to the store.
    pub parts: Option<PartsId>,
}
