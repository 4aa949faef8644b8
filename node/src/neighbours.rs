//! The swarm as the cache's first source.

use std::{ops::Range, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{
    StreamExt as _,
    stream::{self, BoxStream},
};
use longshore_client::LayerPlace;
use longshore_edge_cache::{
    Edge,
    neighbours::Neighbours,
    piece::{PieceHashes, PieceIndex},
    site::SiteRepository,
    source::{Gathered, Gathering, Reading, SharedSource, Source, SourceError, Wish},
    supply::{self, Supplied},
    upstream::{Identity, Upstream},
};
use longshore_oci::Digest;
use longshore_p2p::{
    swarm::{Arrival, Arrivals, Inquiry, Supplier, Swarm, Told, Wanted},
    topic::Topic,
};
use serde_json::Value;
use tokio::time::timeout;

use crate::{
    holdings::CacheMemory,
    origin::{ByEdges, SourceOrigin, told},
    rights::RegistryRights,
    status,
    topics::{Asked, Topics},
    unreached::Unreached,
};

/// How long whatever is behind the swarm may take to say what a blob is made of before neighbours are asked as well.
const HEAD_START: Duration = Duration::from_millis(500);
/// How long neighbours may take for that.
const PATIENCE: Duration = Duration::from_secs(10);

/// A node's swarm.
pub struct SwarmNeighbours {
    swarm: Swarm,
    topics: Arc<Topics>,
    rights: Arc<RegistryRights>,
    edge: Arc<Edge>,
    unreached: Unreached,
}

impl SwarmNeighbours {
    pub fn new(swarm: Swarm, topics: Arc<Topics>, rights: Arc<RegistryRights>, edge: Arc<Edge>, unreached: Unreached) -> Self {
        Self { swarm, topics, rights, edge, unreached }
    }
}

fn topic(place: &SiteRepository, digest: &Digest) -> Topic {
    Topic { registry: place.upstream.as_str().into(), repository: place.repository.clone(), digest: digest.clone() }
}

#[async_trait]
impl Neighbours for SwarmNeighbours {
    fn before(&self, behind: SharedSource, place: &SiteRepository) -> SharedSource {
        let upstream = self.edge.upstreams.of(place).cloned();
        Arc::new(SwarmSource { swarm: self.swarm.clone(), behind, place: place.clone(), upstream })
    }

    fn shares(&self, place: &SiteRepository, digest: &Digest) {
        let topic = topic(place, digest);
        let asked = self.topics.asked(&topic);
        if asked == Asked::Lately {
            return;
        }
        // Where too much is going on it is told when the blob is asked for in a while.
        self.swarm.try_share(topic.clone());
        if asked == Asked::New {
            let rights = self.rights.clone();
            tokio::spawn(async move { rights.learn(&topic).await });
        }
    }

    fn places(&self, digest: &Digest) -> Vec<LayerPlace> {
        self.topics.places(digest)
    }

    fn ask_about(&self, place: &SiteRepository, about: &Digest, patience: Duration) -> BoxStream<'static, (String, Bytes)> {
        let inquiry = self.swarm.ask_about(topic(place, about), patience);
        let next = |mut inquiry: Inquiry| async move {
            let Told { by, metainfo } = inquiry.next().await?;
            Some(((by.to_string(), metainfo), inquiry))
        };
        stream::unfold(inquiry, next).boxed()
    }

    fn came_bytes(&self) -> u64 {
        self.swarm.came_bytes()
    }

    fn record(&self) -> Option<Value> {
        serde_json::to_value(status::told(&self.swarm)).ok()
    }

    async fn status(&self) -> Option<Value> {
        let mut status = status::status(&self.swarm, |digest| self.edge.store.peek(digest).is_some()).await?;
        status.trackers.extend(self.unreached.told());
        serde_json::to_value(status).ok()
    }
}

/// A repository's blobs, from neighbours and from what is behind them.
struct SwarmSource {
    swarm: Swarm,
    behind: SharedSource,
    place: SiteRepository,
    /// By whose keys neighbours' word is proven.
    upstream: Option<Arc<Upstream>>,
}

impl SwarmSource {
    /// What neighbours hand on of a blob that its upstream has signed.
    async fn vouched_by_neighbours(&self, digest: &Digest) -> Option<(u64, PieceHashes)> {
        let upstream = self.upstream.as_ref()?;
        let mut inquiry = self.swarm.ask_about(topic(&self.place, digest), PATIENCE);
        while let Some(Told { by, metainfo }) = inquiry.next().await {
            match upstream.vouched_elsewhere(digest, &metainfo).await {
                Ok(found) => return Some(found),
                Err(reason) => tracing::debug!(%by, %digest, reason, "what a neighbour tells of a blob is not proven"),
            }
        }
        None
    }
}

/// Whether a source has nothing to say for now, which others may.
fn is_away(error: &SourceError) -> bool {
    matches!(error, SourceError::Upstream(error) if error.is_down())
}

#[async_trait]
impl Source for SwarmSource {
    fn name(&self) -> &str {
        self.behind.name()
    }

    fn address(&self) -> Arc<str> {
        self.behind.address()
    }

    fn caller(&self) -> Option<&Identity> {
        self.behind.caller()
    }

    /// By the word of what is behind; where that takes long, or is away, by what neighbours hand on of it, whichever comes first. A registry
    /// that answers does so in a few milliseconds, so neighbours are hardly ever asked then, which would cost as many bytes again.
    async fn vouched(&self, digest: &Digest) -> Result<Option<(u64, PieceHashes)>, SourceError> {
        let mut behind = std::pin::pin!(self.behind.vouched(digest));
        let error = match timeout(HEAD_START, &mut behind).await {
            Ok(Err(error)) if is_away(&error) => Some(error),
            Ok(answered) => return answered,
            Err(_) => None,
        };
        let elsewhere = self.vouched_by_neighbours(digest);
        let Some(error) = error else {
            let mut elsewhere = std::pin::pin!(elsewhere);
            return tokio::select! {
                answered = &mut behind => match answered {
                    Err(error) if is_away(&error) => elsewhere.await.map(Some).ok_or(error),
                    answered => answered,
                },
                Some(found) = &mut elsewhere => Ok(Some(found)),
                else => behind.await,
            };
        };
        elsewhere.await.map(Some).ok_or(error)
    }

    async fn read(&self, digest: &Digest, range: Option<Range<u64>>) -> Result<Reading, SourceError> {
        self.behind.read(digest, range).await
    }

    fn gather(&self, wish: Wish) -> Option<Box<dyn Gathering>> {
        if self.swarm.is_over() {
            return None;
        }
        let Wish { digest, geometry, hashes, here, reading, memory } = wish;
        let by_edges = Arc::<ByEdges>::default();
        let origin = SourceOrigin { source: self.behind.clone(), digest: digest.clone(), by_edges: by_edges.clone() };
        let arrivals = self.swarm.fetch(Wanted {
            topic: topic(&self.place, &digest),
            geometry,
            hashes,
            here,
            reading,
            memory: Arc::new(CacheMemory(memory)),
            origin: Arc::new(origin),
        });
        Some(Box::new(FromSwarm { arrivals, name: self.behind.name().to_owned(), digest, by_edges }))
    }

    fn distrust(&self, digest: &Digest) {
        self.behind.distrust(digest);
    }

    fn refute(&self, digest: &Digest) {
        self.behind.refute(digest);
    }

    fn is_waited_for(&self) -> bool {
        self.behind.is_waited_for()
    }
}

/// A blob on its way from the swarm.
struct FromSwarm {
    arrivals: Arrivals,
    name: String,
    digest: Digest,
    by_edges: Arc<ByEdges>,
}

impl FromSwarm {
    /// Who sent a piece.
    fn supplied(&self, arrival: &Arrival) -> Supplied {
        let bytes = arrival.bytes.len() as u64;
        match arrival.from {
            Supplier::Peer(..) => Supplied::of(supply::Supplier::Neighbours, bytes),
            Supplier::Origin => {
                let by_edges = self.by_edges.take(arrival.piece).min(bytes);
                let by_the_registry = Supplied::of(supply::Supplier::Registry, bytes - by_edges);
                Supplied::of(supply::Supplier::Edge, by_edges).plus(by_the_registry)
            }
        }
    }
}

#[async_trait]
impl Gathering for FromSwarm {
    async fn next(&mut self) -> Option<Result<Gathered, SourceError>> {
        let arrival = self.arrivals.next().await?;
        Some(match arrival {
            Ok(arrival) => {
                let supplied = self.supplied(&arrival);
                Ok(Gathered { piece: arrival.piece, bytes: arrival.bytes, supplied, memory: arrival.memory })
            }
            Err(error) => Err(told(error, &self.name, &self.digest)),
        })
    }

    fn landed(&mut self, piece: PieceIndex) {
        self.arrivals.landed(piece);
    }
}
