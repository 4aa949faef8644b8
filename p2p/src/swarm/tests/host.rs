//! A node whose callbacks do as a test says, and guests that say to it what they like.

use std::{
    ops::Range,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use libp2p_identity::{Keypair, PeerId};
use longshore_oci::{
    Digest,
    piece::{Geometry, PIECE_BYTES, PieceHashes, PieceIndex, PieceSet},
};
use longshore_service::metrics::Metrics;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    time::Instant,
};

use super::bed::{Blob, soon};
use crate::{
    locality::Locality,
    plane::{Connection, ConnectionError, Endpoint, Event, Limits, NodeKey, Reader, Sender, dial_record},
    swarm::{Arrivals, Holdings, Kept, Memory, Node, Origin, OriginError, OriginStream, Rights, Swarm, SwarmSettings, Wanted},
    topic::Topic,
    wire::{Token, TopicId},
};

/// What the token says that a guest shows, and what becomes of the question whether it may have something.
pub const FINE: &str = "fine";
pub const HANGS: &str = "hangs";
pub const PANICS: &str = "panics";

/// What the node's callbacks do.
pub struct Ways {
    blob: Blob,
    pub has_blob: AtomicBool,
    pub may_read: Semaphore,
    pub may_tell_metainfo: Semaphore,
    pub judged: AtomicUsize,
    /// Till when rights hold.
    pub until: Mutex<Instant>,
}

#[async_trait]
impl Holdings for Ways {
    fn kept(&self, topic: &Topic) -> Option<Kept> {
        let is_here = topic.digest == self.blob.digest && self.has_blob.load(Ordering::Relaxed);
        let geometry = self.blob.geometry;
        is_here.then(|| Kept { geometry, pieces: PieceSet::all_of(geometry.pieces()) })
    }

    async fn read(&self, _: &Topic, piece: PieceIndex) -> Option<Bytes> {
        self.may_read.acquire().await.unwrap().forget();
        Some(self.blob.content[piece.0 as usize].clone())
    }

    async fn metainfo(&self, _: &Topic) -> Option<Bytes> {
        self.may_tell_metainfo.acquire().await.unwrap().forget();
        Some("{}".into())
    }
}

#[async_trait]
impl Rights for Ways {
    async fn token(&self, _: &Topic) -> Option<Token> {
        None
    }

    async fn may_announce(&self, _: &Topic, _: PeerId, _: Option<&Token>) -> bool {
        false
    }

    async fn may_have(&self, _: &Topic, _: PeerId, token: Option<&Token>) -> Option<Duration> {
        self.judged.fetch_add(1, Ordering::Relaxed);
        match token?.0.as_str() {
            FINE => Some(self.until.lock().unwrap().duration_since(Instant::now())),
            HANGS => std::future::pending().await,
            _ => panic!("as it was told to"),
        }
    }
}

/// Nothing comes of it.
struct Nowhere;

#[async_trait]
impl Origin for Nowhere {
    async fn read(&self, _: Range<u64>) -> Result<OriginStream, OriginError> {
        std::future::pending().await
    }
}

impl Memory for Nowhere {
    fn try_take(&self, _: u64) -> Option<OwnedSemaphorePermit> {
        None
    }
}

/// A node with a blob of so many pieces, which it shares.
pub struct Host {
    pub swarm: Swarm,
    pub ways: Arc<Ways>,
    pub topic: Topic,
}

impl Host {
    pub async fn new(pieces: u32, change: impl FnOnce(&mut SwarmSettings)) -> Self {
        let mut settings = SwarmSettings::new("127.0.0.1:0".parse().unwrap());
        settings.is_tracker = false;
        change(&mut settings);
        let blob = Blob::new(pieces, 40);
        let topic = blob.topic();
        let ways = Arc::new(Ways {
            blob,
            has_blob: AtomicBool::new(true),
            may_read: Semaphore::new(1000),
            may_tell_metainfo: Semaphore::new(0),
            judged: AtomicUsize::new(0),
            until: Mutex::new(Instant::now() + Duration::from_hours(1)),
        });
        let key = NodeKey::from(Keypair::generate_ed25519());
        let node = Node { key, fleet: None, holdings: ways.clone(), rights: ways.clone() };
        let swarm = Swarm::start(node, settings, &Metrics::new()).await.unwrap();
        swarm.share(topic.clone()).await;
        Self { swarm, ways, topic }
    }

    /// Rights end so much later from now.
    pub fn rights_end_in(&self, time: Duration) {
        *self.ways.until.lock().unwrap() = Instant::now() + time;
    }

    pub fn judged(&self) -> usize {
        self.ways.judged.load(Ordering::Relaxed)
    }

    /// Begins to get another blob, of which nothing comes.
    pub fn wait_for(&self, pieces: u32) -> (Topic, Arrivals) {
        let topic = self.another(u64::MAX);
        let geometry = Geometry::new(u64::from(pieces) * PIECE_BYTES).unwrap();
        let wanted = Wanted {
            topic: topic.clone(),
            geometry,
            hashes: PieceHashes::from_bytes(&vec![0; pieces as usize * 32]).unwrap(),
            here: PieceSet::none_of(pieces),
            reading: watch::channel(None).1,
            memory: Arc::new(Nowhere),
            origin: Arc::new(Nowhere),
        };
        (topic, self.swarm.fetch(wanted))
    }

    /// Another topic.
    pub fn another(&self, number: u64) -> Topic {
        let digest = Digest::of(longshore_oci::Algorithm::Sha256, &number.to_le_bytes());
        Topic { digest, ..self.topic.clone() }
    }

    pub async fn guest(&self) -> Guest {
        let key = NodeKey::from(Keypair::generate_ed25519());
        let endpoint = Endpoint::new(&key, None, Locality::default(), Limits::default()).unwrap();
        let connection = soon(dial_record(&endpoint, &self.swarm.record())).await.unwrap();
        let Connection { sender, reader, writer, .. } = connection;
        tokio::spawn(writer.run());
        Guest { sender, reader }
    }

    /// One that has the node's blob open.
    pub async fn guest_inside(&self) -> (Guest, TopicId) {
        let mut guest = self.guest().await;
        let id = guest.open(&self.topic, FINE);
        assert!(matches!(guest.next().await.unwrap(), Event::Opened { .. }));
        (guest, id)
    }
}

/// Who says to a node what it likes.
pub struct Guest {
    pub sender: Sender,
    reader: Reader,
}

impl Guest {
    pub fn open(&self, topic: &Topic, token: &str) -> TopicId {
        self.sender.open(topic.clone(), Some(Token(token.into())), false).unwrap()
    }

    pub fn ask(&self, id: TopicId, piece: u32) {
        let memory = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
        self.sender.ask(id, PieceIndex(piece), memory).unwrap();
    }

    /// What the node says next, but for how a piece comes along and what it wants itself.
    pub async fn next(&mut self) -> Result<Event, ConnectionError> {
        loop {
            match soon(self.reader.next()).await {
                Ok(Event::Progress { .. } | Event::Open(_) | Event::Close { .. }) => {}
                other => return other,
            }
        }
    }
}
