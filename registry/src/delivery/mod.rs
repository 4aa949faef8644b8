//! Blobs on their way to clients, no byte of them before its piece was found right.
//!
//! A stored file is mapped and its pieces checked once, on a thread that may block; from then on they are handed to the socket as they
//! lie, as long as the file is as it was. A stored object is read in whole pieces, whatever the range asked for, and each is checked
//! before it is passed on. A piece that is wrong ends the answer short of its announced length, which every client sees.

mod body;
mod checked;
mod warm;

use std::{ops::Range, sync::Arc};

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use longshore_oci::Digest;
use prometheus::IntCounter;

pub use body::BlobBody;
use checked::CheckedStream;
use warm::{Warm, WarmBody};

use crate::{
    state::StoredBlob,
    storage::{Content, ObjectKey, PIECE_BYTES, SharedStore, StorageError},
    upload::{Budget, NoBudget},
};

/// How many files stay mapped; each keeps a descriptor open.
const MAPPED_FILES: u64 = 2048;

/// How many blobs are remembered to be damaged.
const DAMAGED_BLOBS: u64 = 100_000;

/// Opens blobs for reading.
pub struct Delivery {
    store: SharedStore,
    warm: moka::sync::Cache<ObjectKey, Arc<Warm>>,
    budget: Budget,
    damage: Damage,
}

/// What was found damaged, as far back as it is remembered, and how often something was.
#[derive(Clone)]
struct Damage {
    found: IntCounter,
    objects: moka::sync::Cache<Digest, ObjectKey>,
}

/// Why a blob could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum DeliveryError {
    /// The object is not as long as the blob.
    #[error("blob {digest} is damaged: {key} does not hold its bytes")]
    Damaged {
        /// The blob.
        digest: Digest,
        /// The object.
        key: ObjectKey,
    },
    /// See [`StorageError`].
    #[error("blob {digest} could not be read")]
    Storage {
        /// The blob.
        digest: Digest,
        /// Why.
        #[source]
        source: StorageError,
    },
    /// See [`NoBudget`].
    #[error(transparent)]
    NoBudget(#[from] NoBudget),
}

/// What is wrong with a piece, for those who count and those who read logs.
#[derive(Clone)]
pub(crate) struct Suspect {
    digest: Digest,
    key: ObjectKey,
    damage: Damage,
}

impl Suspect {
    /// Counts and logs a piece whose stored bytes are wrong, and has the blob count as gone until it is pushed again.
    fn report_damaged(&self, piece: u64, what: &str) {
        self.damage.objects.insert(self.digest.clone(), self.key.clone());
        self.report(piece, what);
    }

    /// Counts and logs a piece that could not be served.
    fn report(&self, piece: u64, what: &str) {
        self.damage.found.inc();
        tracing::error!(digest = %self.digest, key = %self.key, piece, "stored content could not be served: {what}");
    }
}

impl Delivery {
    /// A delivery from this store. `damaged` counts what was found wrong.
    pub fn new(store: SharedStore, budget: Budget, damaged: IntCounter) -> Self {
        let damage = Damage { found: damaged, objects: moka::sync::Cache::new(DAMAGED_BLOBS) };
        Self { store, warm: moka::sync::Cache::new(MAPPED_FILES), budget, damage }
    }

    /// The object of a blob that was found damaged, if it was.
    pub fn damaged_object(&self, digest: &Digest) -> Option<ObjectKey> {
        self.damage.objects.get(digest)
    }

    /// Opens `range` of a blob.
    pub async fn open(&self, digest: &Digest, blob: &StoredBlob, range: Range<u64>) -> Result<BlobBody, DeliveryError> {
        if let Some(warm) = self.warm.get(&blob.key) {
            if warm.is_intact() {
                return Ok(BlobBody::warm(WarmBody::new(warm, range)));
            }
            self.warm.invalidate(&blob.key);
        }
        self.open_cold(digest, blob, range).await
    }

    async fn open_cold(&self, digest: &Digest, blob: &StoredBlob, range: Range<u64>) -> Result<BlobBody, DeliveryError> {
        if range.is_empty() {
            return Ok(BlobBody::empty());
        }
        let suspect = Suspect { digest: digest.clone(), key: blob.key.clone(), damage: self.damage.clone() };
        let first_piece = range.start / PIECE_BYTES;
        let aligned = first_piece * PIECE_BYTES..range.end.next_multiple_of(PIECE_BYTES).min(blob.size_bytes);
        // A piece that is being checked, and as much again on its way in and out.
        let permit = self.budget.take(2 * (aligned.end - aligned.start).min(PIECE_BYTES)).await?;
        let opened = self.store.read(&blob.key, blob.size_bytes, aligned.clone()).await;
        let content = opened.map_err(|source| match source {
            StorageError::Length { .. } => {
                suspect.report_damaged(first_piece, &source.to_string());
                DeliveryError::Damaged { digest: digest.clone(), key: blob.key.clone() }
            }
            source => DeliveryError::Storage { digest: digest.clone(), source },
        })?;
        Ok(match content {
            Content::Mapped(mapping) => {
                let warm = Arc::new(Warm::new(mapping, blob.pieces.clone(), suspect));
                self.warm.insert(blob.key.clone(), warm.clone());
                BlobBody::warm(WarmBody::new(warm, range))
            }
            Content::Stream(stream) => {
                BlobBody::checked(CheckedStream::new(stream, aligned, range, blob.pieces.clone(), suspect, permit))
            }
        })
    }

    /// All of a blob, which should be short; `None` where its bytes are damaged.
    pub async fn read_whole(&self, digest: &Digest, blob: &StoredBlob) -> Result<Option<Bytes>, DeliveryError> {
        let mut body = match self.open(digest, blob, 0..blob.size_bytes).await {
            Err(DeliveryError::Damaged { .. }) => return Ok(None),
            opened => opened?,
        };
        let mut bytes = BytesMut::new();
        while let Some(frame) = body.frame().await {
            // It breaks off where a piece is damaged.
            let Ok(frame) = frame else { return Ok(None) };
            bytes.extend_from_slice(&frame.into_data().unwrap_or_default());
        }
        Ok(Some(bytes.freeze()))
    }

    /// Forgets a file that is about to go.
    pub fn forget(&self, key: &ObjectKey) {
        self.warm.invalidate(key);
    }
}

/// The hash that a piece must have.
fn expected_hash(pieces: &[u8], piece: u64) -> Option<blake3::Hash> {
    let start = usize::try_from(piece).ok()?.checked_mul(32)?;
    let hash: [u8; 32] = pieces.get(start..start + 32)?.try_into().ok()?;
    Some(blake3::Hash::from_bytes(hash))
}
