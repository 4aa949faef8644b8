//! What is here, as the swarm is told.

use async_trait::async_trait;
use bytes::Bytes;
use longshore_edge_cache::blobs::Blobs;
use longshore_oci::{Digest, piece::PieceIndex};
use longshore_p2p::swarm::{Holdings, Kept, Memory};
use longshore_service::budget::Budget;
use tokio::sync::OwnedSemaphorePermit;

/// The node's cache.
pub struct CacheHoldings(pub Blobs);

#[async_trait]
impl Holdings for CacheHoldings {
    fn kept(&self, digest: &Digest) -> Option<Kept> {
        self.0.kept(digest).map(|entry| Kept { geometry: entry.geometry(), pieces: entry.present() })
    }

    async fn read(&self, digest: &Digest, piece: PieceIndex) -> Option<Bytes> {
        // Where memory is short the peer asks again, or somebody else.
        self.0.read_kept(digest, piece).await.ok().flatten()
    }

    async fn metainfo(&self, _: &Digest) -> Option<Bytes> {
        None
    }
}

/// The cache's memory.
pub struct CacheMemory(pub Budget);

impl Memory for CacheMemory {
    fn try_take(&self, bytes: u64) -> Option<OwnedSemaphorePermit> {
        self.0.try_take(bytes)
    }
}
