//! Pieces out of containerd's store, each compared with what a registry says of it; and who is wrong where it is something else.

use std::{ops::Range, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use longshore_oci::{
    Digest, Hasher,
    piece::{Geometry, PieceHashes, PieceIndex},
};
use tokio::{sync::OwnedSemaphorePermit, time::timeout};

use super::{Runtime, client::RuntimeError, stock::Held};

/// How long it may take to find out whether a registry's word for a blob is true, for which somebody may wait.
const PROOF_PATIENCE: Duration = Duration::from_secs(2);

impl Runtime {
    /// A piece of a blob that containerd holds, found to be what the registry with this key says; `None` where it is not, can't be had, or
    /// where memory is short.
    pub(super) async fn read_piece(self: &Arc<Self>, upstream: &str, digest: &Digest, piece: PieceIndex) -> Option<Bytes> {
        let (held, hashes) = self.stock.said(digest, upstream)?;
        let geometry = Geometry::new(held.size_bytes).filter(|geometry| piece.0 < geometry.pieces())?;
        let Range { start, end } = geometry.bytes_of(piece);
        let room = self.memory.take(end - start).await.ok()?;
        let bytes = match self.client.read_all(&held.namespace, digest, start, end - start).await {
            Ok(bytes) => bytes,
            Err(error) => {
                if error.is_missing() {
                    self.stock.remove(digest);
                } else {
                    let error = &error as &dyn std::error::Error;
                    tracing::debug!(%digest, piece = piece.0, error, "a piece could not be read from containerd's store");
                }
                return None;
            }
        };
        let checked = tokio::task::spawn_blocking(move || hashes.is_right(piece, &bytes).then_some(bytes)).await.ok()?;
        let Some(bytes) = checked else {
            // At once, so that nobody is served any more of it; then it is found out whose fault it is, which takes all of the blob.
            if self.stock.refute(digest, upstream) {
                tokio::spawn(self.clone().judge(held, digest.clone(), upstream.to_owned()));
            }
            return None;
        };
        self.metrics.read_bytes.inc_by(bytes.len() as u64);
        Some(Bytes::from_owner(Counted { bytes, _room: room }))
    }

    /// Takes a registry at its word for what a blob is made of, once a piece of what containerd holds is so: the one in the middle, since
    /// many blobs begin and end alike.
    pub(super) async fn hear(self: &Arc<Self>, upstream: &Arc<str>, digest: &Digest, size_bytes: u64, hashes: PieceHashes) {
        let Some(middle) = Geometry::new(size_bytes).map(|geometry| PieceIndex(geometry.pieces() / 2)) else { return };
        self.stock.set_said(digest, upstream, size_bytes, hashes);
        let is_open = self.stock.vouched(digest, upstream).is_none();
        if is_open && matches!(timeout(PROOF_PATIENCE, self.read_piece(upstream, digest, middle)).await, Ok(Some(_))) {
            self.stock.prove(digest, upstream);
        }
    }

    /// What containerd holds by this digest is something else.
    pub(super) fn distrust(&self, digest: &Digest) {
        if self.stock.distrust(digest) {
            self.metrics.wrong.inc();
            tracing::error!(
                %digest,
                source = "containerd",
                "containerd's store holds other bytes than this blob's; none of it is served from there until it has it anew"
            );
        }
    }

    /// Finds out who is wrong where a piece is not as a registry says: containerd's store, or the registry.
    async fn judge(self: Arc<Self>, held: Held, digest: Digest, upstream: String) {
        let _turn = self.judging.lock().await;
        match self.digest_of(&held, &digest).await {
            Ok(Some(actual)) if actual == digest => {
                tracing::error!(
                    %digest,
                    upstream,
                    "a registry says of a blob's pieces what they are not; what containerd's store holds is not served as what it has"
                );
            }
            Ok(Some(_)) => self.distrust(&digest),
            Ok(None) => {}
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(
                    %digest,
                    upstream,
                    error,
                    "a piece in containerd's store is not as a registry says, and the rest of the blob can't be read"
                );
            }
        }
    }

    /// The digest of all that containerd holds by another; `None` where the node is going down.
    async fn digest_of(&self, held: &Held, digest: &Digest) -> Result<Option<Digest>, RuntimeError> {
        let mut hasher = Hasher::new(digest.algorithm());
        let parts = self.client.read(&held.namespace, digest, 0, held.size_bytes).await?;
        let mut parts = std::pin::pin!(parts);
        while let Some(part) = parts.try_next().await? {
            let update = move || {
                hasher.update(&part);
                hasher
            };
            let Ok(updated) = tokio::task::spawn_blocking(update).await else { return Ok(None) };
            hasher = updated;
        }
        Ok(Some(hasher.digest()))
    }
}

/// Bytes, for as long as they count against the memory that they take.
struct Counted {
    bytes: Bytes,
    _room: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}
