use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use libp2p_identity::PeerId;
use longshore_oci::{
    Digest,
    piece::{Geometry, PieceIndex, PieceSet},
};
use longshore_p2p::{
    control::ControlSettings,
    locality::Locality,
    plane::NodeKey,
    swarm::{Holdings, Kept, Node, Rights, Swarm, SwarmSettings},
    topic::Topic,
    wire::Token,
};
use longshore_service::metrics::Metrics;
use tempfile::TempDir;

use super::{Lab, Machine, zone_name};
use crate::{Image, digest_of, temporary_folder};

/// A peer of the lab that keeps to the protocol in everything but this: it says that it has all pieces of an image, and each that it sends
/// has one wrong bit. A node of ours looks at a piece before it sends it; this is the swarm's library with nothing behind it that does.
pub struct Liar {
    ways: Arc<Ways>,
    /// It goes on for as long as there is a handle.
    _swarm: Swarm,
    _machine: Machine,
    _key: TempDir,
}

struct Ways {
    blobs: HashMap<Digest, Bytes>,
    lies: AtomicUsize,
}

impl Liar {
    /// One in a zone that has told the lab's trackers of what it would have.
    pub async fn start(lab: &mut Lab, zone: usize, image: &Image) -> Self {
        let machine = lab.network.machine(zone).await;
        let blobs: HashMap<_, _> = image.blobs.iter().map(|blob| (digest_of(blob), blob.clone())).collect();
        let topics: Vec<Topic> = blobs.keys().map(topic_of).collect();
        let ways = Arc::new(Ways { blobs, lies: AtomicUsize::new(0) });
        let folder = temporary_folder("liar");
        let key = NodeKey::open(&folder.path().join("peer.key")).expect("the folder is ours");
        let node = Node { key, fleet: None, holdings: ways.clone(), rights: ways.clone() };
        let mut settings = SwarmSettings::new(machine.pieces().parse().expect("it is an address"));
        settings.locality = Locality { zone: zone_name(zone), ..Locality::default() };
        let control = machine.control().parse().expect("it is an address");
        settings.control = ControlSettings { listen: vec![control], ..ControlSettings::default() };
        let trackers = lab.trackers().into_iter().map(|at| lab.nodes[at].machine.control());
        settings.trackers = trackers.map(|address| address.parse().expect("it is an address")).collect();
        let starting = async move {
            let swarm = Swarm::start(node, settings, &Metrics::new()).await.expect("the machine's ports are free");
            for topic in topics {
                swarm.share(topic).await;
            }
            swarm
        };
        let swarm = machine.inside(starting).await;
        Self { ways, _swarm: swarm, _machine: machine, _key: folder }
    }

    /// How many wrong pieces it has sent, or begun to.
    pub fn lies(&self) -> usize {
        self.ways.lies.load(Ordering::Relaxed)
    }
}

fn topic_of(digest: &Digest) -> Topic {
    let repository = Lab::REPOSITORY.parse().expect("it is a repository's name");
    Topic { registry: Lab::REGISTRY.into(), repository, digest: digest.clone() }
}

#[async_trait]
impl Holdings for Ways {
    fn kept(&self, topic: &Topic) -> Option<Kept> {
        let geometry = Geometry::new(self.blobs.get(&topic.digest)?.len() as u64)?;
        Some(Kept { geometry, pieces: PieceSet::all_of(geometry.pieces()) })
    }

    async fn read(&self, topic: &Topic, piece: PieceIndex) -> Option<Bytes> {
        let content = self.blobs.get(&topic.digest)?;
        let place = Geometry::new(content.len() as u64)?.bytes_of(piece);
        let range = usize::try_from(place.start).ok()?..usize::try_from(place.end).ok()?;
        let mut lie = BytesMut::from(content.get(range)?);
        *lie.last_mut()? ^= 1;
        self.lies.fetch_add(1, Ordering::Relaxed);
        Some(lie.freeze())
    }

    async fn metainfo(&self, _: &Topic) -> Option<Bytes> {
        None
    }
}

#[async_trait]
impl Rights for Ways {
    async fn token(&self, _: &Topic) -> Option<Token> {
        None
    }

    async fn may_have(&self, _: &Topic, _: PeerId, _: Option<&Token>) -> Option<Duration> {
        Some(Duration::from_hours(1))
    }

    async fn may_announce(&self, _: &Topic, _: PeerId, _: Option<&Token>) -> bool {
        true
    }
}
