//! What is here, as the swarm is told: what the cache has, and what containerd holds.

use std::{ops::Range, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use longshore_edge_cache::{store::Entry, upstream::Upstream};
use longshore_oci::{
    Digest,
    piece::{Geometry, PieceHashes, PieceIndex, PieceSet},
};
use longshore_p2p::{
    swarm::{Holdings, Kept},
    topic::Topic,
};
use tokio::sync::OwnedSemaphorePermit;

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
        match self.cache.read(topic, piece).await {
            Some(bytes) => Some(bytes),
            None => self.runtime.read_piece(topic, piece).await,
        }
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

    /// A piece of a blob that containerd holds, found right; `None` where it does not, or where memory is short.
    async fn read_piece(&self, topic: &Topic, piece: PieceIndex) -> Option<Bytes> {
        let (upstream, held, hashes) = self.vouched(topic)?;
        let digest = &topic.digest;
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
            self.refute(digest, upstream.key());
            return None;
        };
        self.metrics.read_bytes.inc_by(bytes.len() as u64);
        Some(Bytes::from_owner(Counted { bytes, _room: room }))
    }

    /// What containerd holds by this digest is something else.
    pub(super) fn distrust(&self, digest: &Digest) {
        if self.stock.distrust(digest) {
            self.note_wrong(digest);
        }
    }

    /// What containerd holds by this digest is not what the registry with this key says that it is.
    pub(super) fn refute(&self, digest: &Digest, upstream: &str) {
        if self.stock.refute(digest, upstream) {
            self.note_wrong(digest);
        }
    }

    fn note_wrong(&self, digest: &Digest) {
        self.metrics.wrong.inc();
        tracing::error!(
            %digest,
            "containerd's store holds other bytes than this blob's; none of it is served from there until it has it anew"
        );
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
