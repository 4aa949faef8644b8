//! What is here, as the swarm is told.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use longshore_edge_cache::{Edge, upstream::Upstream};
use longshore_oci::piece::PieceIndex;
use longshore_p2p::{
    swarm::{Holdings, Kept, Memory},
    topic::Topic,
};
use longshore_service::budget::Budget;
use tokio::sync::OwnedSemaphorePermit;

/// The node's cache. Of a blob that is here a registry's repositories have what that registry has shown to have, whoever brought the rest;
/// and a manifest, or a tag, is here while the registry's word for it counts.
pub struct CacheHoldings(pub Arc<Edge>);

impl CacheHoldings {
    fn upstream(&self, topic: &Topic) -> Option<&Arc<Upstream>> {
        self.0.upstreams.iter().find(|upstream| upstream.name() == &*topic.registry)
    }
}

#[async_trait]
impl Holdings for CacheHoldings {
    fn kept(&self, topic: &Topic) -> Option<Kept> {
        let (geometry, pieces) = self.0.shown(self.upstream(topic)?, &topic.repository, &topic.digest)?;
        Some(Kept { geometry, pieces })
    }

    async fn read(&self, topic: &Topic, piece: PieceIndex) -> Option<Bytes> {
        self.0.shown_piece(self.upstream(topic)?, &topic.repository, &topic.digest, piece).await
    }

    async fn metainfo(&self, topic: &Topic) -> Option<Bytes> {
        self.0.told(self.upstream(topic)?, &topic.repository, &topic.digest).await
    }
}

/// The cache's memory.
pub struct CacheMemory(pub Budget);

impl Memory for CacheMemory {
    fn try_take(&self, bytes: u64) -> Option<OwnedSemaphorePermit> {
        self.0.try_take(bytes)
    }
}
