use longshore_oci::{Digest, InvalidHashState};
use tokio::task::JoinError;

use super::NoBudget;
use crate::{
    state::StateError,
    storage::{ObjectKey, StorageError},
};

/// Why bytes could not be taken in.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    /// The connection broke off, or stood still for too long; what came before is kept.
    #[error("the body broke off after byte {offset_bytes} of the upload: {reason}")]
    Interrupted {
        /// How many bytes the upload has.
        offset_bytes: u64,
        /// What happened.
        reason: String,
    },
    /// More came than was announced or is taken.
    #[error("the blob is larger than {limit_bytes} bytes")]
    TooLarge {
        /// The limit.
        limit_bytes: u64,
    },
    /// The content has another digest.
    #[error("the content's digest is {actual}, not {expected}")]
    DigestMismatch {
        /// What the client said.
        expected: Digest,
        /// What came.
        actual: Digest,
    },
    /// The claim ran out, and somebody else may hold the upload now.
    #[error("the upload was taken over by another request")]
    ClaimLost,
    /// See [`NoBudget`].
    #[error(transparent)]
    NoBudget(#[from] NoBudget),
    /// See [`StorageError`].
    #[error("the upload's bytes could not be stored")]
    Storage(#[from] StorageError),
    /// See [`StateError`].
    #[error("the upload could not be noted")]
    State(#[from] StateError),
    /// A hash in the database can't be gone on with.
    #[error("the upload's hash state can't be read")]
    HashState(#[from] InvalidHashState),
    /// What was stored of the upload reads back differently.
    #[error("the upload's stored bytes at {key} are damaged")]
    Damaged {
        /// Where.
        key: ObjectKey,
    },
    /// A task ended before its work was done.
    #[error("a task of the upload failed")]
    Task(#[from] JoinError),
}
