//! What is here, as the swarm is told: what the cache has, and what containerd holds.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use longshore_edge_cache::{store::Entry, upstream::Upstream};
use longshore_oci::piece::{Geometry, PieceHashes, PieceIndex, PieceSet};
use longshore_p2p::{
    swarm::{Holdings, Kept},
    topic::Topic,
};

use super::{Runtime, stock::Held};

/// The cache's holdings, and containerd's beside them.
pub struct RuntimeHoldings {
    /// The cache's.
    pub cache: Arc<dyn Holdings>,
    /// containerd's.
    pub runtime: Arc<Runtime>,
}

#[async_trait]
impl Holdings for RuntimeHoldings {
    fn kept(&self, topic: &Topic) -> Option<Kept> {
        let cached = self.cache.kept(topic);
        if cached.as_ref().is_some_and(|kept| kept.pieces.is_full()) {
            return cached;
        }
        let held = self.runtime.vouched(topic).and_then(|(_, held, _)| Geometry::new(held.size_bytes));
        // Of another length one of them is wrong, and the cache's is what clients are served.
        let held = held.filter(|geometry| cached.as_ref().is_none_or(|kept| kept.geometry == *geometry));
        held.map(|geometry| Kept { geometry, pieces: PieceSet::all_of(geometry.pieces()) }).or(cached)
    }

    async fn read(&self, topic: &Topic, piece: PieceIndex) -> Option<Bytes> {
        if let Some(bytes) = self.cache.read(topic, piece).await {
            return Some(bytes);
        }
        let (upstream, _, _) = self.runtime.vouched(topic)?;
        self.runtime.read_piece(upstream.key(), &topic.digest, piece).await
    }

    async fn metainfo(&self, topic: &Topic) -> Option<Bytes> {
        match self.cache.metainfo(topic).await {
            Some(metainfo) => Some(metainfo),
            None => self.runtime.metainfo(topic).await,
        }
    }
}

impl Runtime {
    /// A topic's blob, as far as its registry has shown to have what containerd holds.
    fn vouched(&self, topic: &Topic) -> Option<(&Arc<Upstream>, Held, PieceHashes)> {
        let upstream = self.edge.upstreams.iter().find(|upstream| upstream.name() == &*topic.registry)?;
        let (held, hashes) = self.stock.vouched(&topic.digest, upstream.key())?;
        Some((upstream, held, hashes))
    }

    /// What its registry has signed of a blob that containerd holds.
    async fn metainfo(&self, topic: &Topic) -> Option<Bytes> {
        let (upstream, held, hashes) = self.vouched(topic)?;
        self.edge.told_of_pieces(upstream, Arc::new(Entry::nowhere(&topic.digest, held.size_bytes, hashes)?)).await
    }
}
