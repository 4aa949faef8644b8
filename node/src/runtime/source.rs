//! containerd's store as a source of the node's own cache, before neighbours.

use std::{ops::Range, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{
    StreamExt as _, future,
    stream::{self, BoxStream},
};
use longshore_client::LayerPlace;
use longshore_edge_cache::{
    neighbours::Neighbours,
    piece::{Geometry, PieceHashes, PieceIndex},
    site::SiteRepository,
    source::{Gathering, Reading, SharedSource, Source, SourceError, Wish},
    supply::{Sender, Supplier},
    upstream::Identity,
};
use longshore_oci::Digest;
use serde_json::Value;

use super::{Runtime, stock::Held};

/// What it is called where it does not go on.
const NAME: &str = "containerd";
/// How many pieces are read at once: one is compared while the next comes.
const AHEAD: usize = 2;

/// The node's neighbours, and containerd's store before them.
pub struct RuntimeNeighbours {
    /// The swarm; `None` where the node has no part in one.
    pub swarm: Option<Arc<dyn Neighbours>>,
    /// containerd.
    pub runtime: Arc<Runtime>,
}

#[async_trait]
impl Neighbours for RuntimeNeighbours {
    fn before(&self, behind: SharedSource, place: &SiteRepository) -> SharedSource {
        let behind = match &self.swarm {
            Some(swarm) => swarm.before(behind, place),
            None => behind,
        };
        Arc::new(RuntimeSource { runtime: self.runtime.clone(), behind })
    }

    fn shares(&self, place: &SiteRepository, digest: &Digest) {
        if let Some(swarm) = &self.swarm {
            swarm.shares(place, digest);
        }
    }

    fn places(&self, digest: &Digest) -> Vec<LayerPlace> {
        self.swarm.as_ref().map(|swarm| swarm.places(digest)).unwrap_or_default()
    }

    fn ask_about(&self, place: &SiteRepository, about: &Digest, patience: Duration) -> BoxStream<'static, (String, Bytes)> {
        match &self.swarm {
            Some(swarm) => swarm.ask_about(place, about, patience),
            None => stream::empty().boxed(),
        }
    }

    fn came_bytes(&self) -> u64 {
        self.swarm.as_ref().map_or(0, |swarm| swarm.came_bytes())
    }

    fn record(&self) -> Option<Value> {
        self.swarm.as_ref()?.record()
    }

    async fn status(&self) -> Option<Value> {
        self.swarm.as_ref()?.status().await
    }
}

/// A repository's blobs: from containerd's store those that it holds, each piece found right.
struct RuntimeSource {
    runtime: Arc<Runtime>,
    behind: SharedSource,
}

impl RuntimeSource {
    /// What containerd holds of a blob, as this source has shown to have it: to callers of one that has not it is nothing.
    fn held(&self, digest: &Digest) -> Option<(Held, PieceHashes)> {
        self.runtime.stock.vouched(digest, &self.behind.address())
    }

    /// These bytes of a blob from containerd's store; `None` where it does not give the first of them right, or where they are no whole
    /// pieces, which can't be compared with anything: who wants to see what this source has itself is not shown what is here.
    async fn stored(&self, digest: &Digest, range: Option<Range<u64>>) -> Option<Reading> {
        let (held, _) = self.held(digest)?;
        let pieces = whole_pieces(Geometry::new(held.size_bytes)?, &range?)?;
        let (runtime, upstream, digest) = (self.runtime.clone(), self.behind.address(), digest.clone());
        let first = runtime.read_piece(&upstream, &digest, PieceIndex(pieces.start)).await?;
        let rest = stream::iter(pieces.start + 1..pieces.end).map(PieceIndex).map(move |piece| {
            let (runtime, upstream, digest) = (runtime.clone(), upstream.clone(), digest.clone());
            async move {
                let read = runtime.read_piece(&upstream, &digest, piece).await;
                read.ok_or_else(|| SourceError::Wrong {
                    name: NAME.to_owned(),
                    digest,
                    reason: format!("piece {} could not be read there, or is not right", piece.0),
                })
            }
        });
        let stream = stream::once(future::ready(Ok(first))).chain(rest.buffered(AHEAD)).boxed();
        let sender = Sender::new(Supplier::Machine);
        Some(Reading { size_bytes: held.size_bytes, is_ranged: true, sender, stream })
    }
}

/// The pieces that these bytes are, where they are whole ones.
fn whole_pieces(geometry: Geometry, range: &Range<u64>) -> Option<Range<u32>> {
    let pieces = geometry.pieces_of(range);
    let last = pieces.end.checked_sub(1)?;
    let of_pieces = geometry.bytes_of(PieceIndex(pieces.start)).start..geometry.bytes_of(PieceIndex(last)).end;
    (of_pieces == *range).then_some(pieces)
}

#[async_trait]
impl Source for RuntimeSource {
    fn name(&self) -> &str {
        self.behind.name()
    }

    fn address(&self) -> Arc<str> {
        self.behind.address()
    }

    fn caller(&self) -> Option<&Identity> {
        self.behind.caller()
    }

    async fn vouched(&self, digest: &Digest) -> Result<Option<(u64, PieceHashes)>, SourceError> {
        if let Some((held, hashes)) = self.held(digest) {
            return Ok(Some((held.size_bytes, hashes)));
        }
        let vouched = self.behind.vouched(digest).await?;
        if let Some((size_bytes, hashes)) = &vouched {
            self.runtime.hear(&self.behind.address(), digest, *size_bytes, hashes.clone()).await;
        }
        Ok(vouched)
    }

    async fn read(&self, digest: &Digest, range: Option<Range<u64>>) -> Result<Reading, SourceError> {
        match self.stored(digest, range.clone()).await {
            Some(reading) => Ok(reading),
            None => self.behind.read(digest, range).await,
        }
    }

    fn gather(&self, wish: Wish) -> Option<Box<dyn Gathering>> {
        // What containerd holds is read run by run, and no neighbour is asked.
        if self.held(&wish.digest).is_some_and(|(_, hashes)| hashes == wish.hashes) {
            return None;
        }
        self.behind.gather(wish)
    }

    fn distrust(&self, digest: &Digest) {
        self.behind.distrust(digest);
    }

    fn refute(&self, digest: &Digest) {
        self.runtime.stock.refute(digest, &self.behind.address());
        self.behind.refute(digest);
    }

    fn is_waited_for(&self) -> bool {
        self.behind.is_waited_for()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_whole_piece_can_t_be_compared_with_anything() {
        const MIB: u64 = 1 << 20;
        let of = |range: Range<u64>| whole_pieces(Geometry::new(2 * MIB + 5).unwrap(), &range);
        assert_eq!(of(0..2 * MIB + 5), Some(0..3));
        assert_eq!((of(0..MIB), of(MIB..2 * MIB), of(2 * MIB..2 * MIB + 5)), (Some(0..1), Some(1..2), Some(2..3)));
        for part in [0..1, 1..MIB, MIB..2 * MIB + 4, 5..2 * MIB + 5, 0..0, MIB..MIB, 2 * MIB..9 * MIB] {
            assert_eq!(of(part.clone()), None, "{part:?}");
        }
    }
}
