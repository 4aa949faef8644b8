//! The swarm as the cache's first source.

use std::{ops::Range, sync::Arc};

use async_trait::async_trait;
use longshore_client::LayerPlace;
use longshore_edge_cache::{
    neighbours::Neighbours,
    piece::{PieceHashes, PieceIndex},
    site::SiteRepository,
    source::{Gathered, Gathering, Reading, SharedSource, Source, SourceError, Wish},
    supply::{self, Supplied},
    upstream::Identity,
};
use longshore_oci::Digest;
use longshore_p2p::{
    swarm::{Arrival, Arrivals, Supplier, Swarm, Wanted},
    topic::Topic,
};
use serde_json::Value;

use crate::{
    holdings::CacheMemory,
    origin::{ByEdges, SourceOrigin, told},
    rights::RegistryRights,
    status,
    topics::{Asked, Topics},
};

/// A node's swarm.
pub struct SwarmNeighbours {
    swarm: Swarm,
    topics: Arc<Topics>,
    rights: Arc<RegistryRights>,
}

impl SwarmNeighbours {
    pub fn new(swarm: Swarm, topics: Arc<Topics>, rights: Arc<RegistryRights>) -> Self {
        Self { swarm, topics, rights }
    }
}

fn topic(place: &SiteRepository, digest: &Digest) -> Topic {
    Topic { registry: place.upstream.as_str().into(), repository: place.repository.clone(), digest: digest.clone() }
}

#[async_trait]
impl Neighbours for SwarmNeighbours {
    fn before(&self, behind: SharedSource, place: &SiteRepository) -> SharedSource {
        Arc::new(SwarmSource { swarm: self.swarm.clone(), behind, place: place.clone() })
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

    fn record(&self) -> Option<Value> {
        serde_json::to_value(status::record(&self.swarm)).ok()
    }

    async fn status(&self) -> Option<Value> {
        serde_json::to_value(status::status(&self.swarm).await?).ok()
    }
}

/// A repository's blobs, from neighbours and from what is behind them.
struct SwarmSource {
    swarm: Swarm,
    behind: SharedSource,
    place: SiteRepository,
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

    async fn vouched(&self, digest: &Digest) -> Result<Option<(u64, PieceHashes)>, SourceError> {
        self.behind.vouched(digest).await
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
