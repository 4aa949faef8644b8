//! containerd's store as a source of the node's own cache, before neighbours.

use std::{
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{
    StreamExt as _, TryStreamExt as _, future,
    stream::{self, BoxStream},
};
use longshore_client::LayerPlace;
use longshore_edge_cache::{
    neighbours::Neighbours,
    piece::PieceHashes,
    site::SiteRepository,
    source::{Gathering, Reading, SharedSource, Source, SourceError, Wish},
    supply::{Sender, Supplier},
    upstream::Identity,
};
use longshore_oci::Digest;
use serde_json::Value;

use super::{Runtime, stock::Held};

/// What it is called where it sent something wrong.
const NAME: &str = "containerd";

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
        Arc::new(RuntimeSource { runtime: self.runtime.clone(), behind, was_store: AtomicBool::new(false) })
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

    fn record(&self) -> Option<Value> {
        self.swarm.as_ref()?.record()
    }

    async fn status(&self) -> Option<Value> {
        self.swarm.as_ref()?.status().await
    }
}

/// A repository's blobs: from containerd's store those that it holds. Who reads them checks them.
struct RuntimeSource {
    runtime: Arc<Runtime>,
    behind: SharedSource,
    /// Whether what was read last came from the store.
    was_store: AtomicBool,
}

impl RuntimeSource {
    /// What containerd holds of a blob, as this source has shown to have it: to callers of one that has not it is nothing.
    fn held(&self, digest: &Digest) -> Option<(Held, PieceHashes)> {
        self.runtime.stock.vouched(digest, &self.behind.address())
    }

    /// These bytes of a blob from containerd's store; `None` where it does not give the first of them.
    async fn stored(&self, digest: &Digest, range: Option<Range<u64>>) -> Option<Reading> {
        let (held, _) = self.held(digest)?;
        let range = range.unwrap_or(0..held.size_bytes);
        if range.is_empty() || range.end > held.size_bytes {
            return None;
        }
        let parts = self.runtime.client.read(&held.namespace, digest, range.start, range.end - range.start).await;
        let mut parts = Box::pin(parts.ok()?);
        let first = match parts.try_next().await {
            Ok(first) => first?,
            Err(error) => {
                if error.is_missing() {
                    self.runtime.stock.remove(digest);
                }
                return None;
            }
        };
        let (digest, counted) = (digest.clone(), self.runtime.metrics.read_bytes.clone());
        let wrong = move |error| SourceError::Wrong {
            name: NAME.to_owned(),
            digest: digest.clone(),
            reason: longshore_service::error_text::with_sources(&error),
        };
        let rest = parts.map_err(wrong);
        let stream = stream::once(future::ready(Ok(first))).chain(rest);
        let stream = stream.inspect_ok(move |bytes| counted.inc_by(bytes.len() as u64)).boxed();
        let sender = Sender::new(Supplier::Machine);
        Some(Reading { size_bytes: held.size_bytes, is_ranged: true, sender, stream })
    }
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
            self.runtime.stock.set_shown(digest, &self.behind.address(), *size_bytes, hashes.clone());
        }
        Ok(vouched)
    }

    async fn read(&self, digest: &Digest, range: Option<Range<u64>>) -> Result<Reading, SourceError> {
        let reading = self.stored(digest, range.clone()).await;
        self.was_store.store(reading.is_some(), Ordering::Relaxed);
        match reading {
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
        if self.was_store.load(Ordering::Relaxed) {
            self.runtime.refute(digest, &self.behind.address());
        } else {
            self.behind.distrust(digest);
        }
    }

    fn is_waited_for(&self) -> bool {
        self.behind.is_waited_for()
    }
}
