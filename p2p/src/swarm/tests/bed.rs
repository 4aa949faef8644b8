//! A tracker, and nodes around it.

use std::{
    collections::HashMap,
    ops::Range,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use libp2p_identity::{Keypair, PeerId};
use longshore_oci::{
    Algorithm, Digest,
    piece::{Geometry, PIECE_BYTES, PieceHashes, PieceIndex, PieceSet},
};
use longshore_service::metrics::Metrics;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use crate::{
    control::{Announce, AnnouncedTopic, Control, ControlAddress, ControlSettings, Holding, TopicAnswer},
    locality::Locality,
    plane::NodeKey,
    record::PeerRecord,
    swarm::{
        Arrival, Arrivals, FetchError, Holdings, Kept, Memory, Node, Origin, OriginError, OriginStream, Rights, Supplier, Swarm,
        SwarmSettings, Tracking, Wanted,
    },
    topic::Topic,
    tracker::TrackerSettings,
    wire::Token,
};

/// How long anything may take.
const PATIENCE: Duration = Duration::from_mins(1);

pub async fn soon<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, work).await.expect("it takes too long")
}

/// A blob that some have.
pub struct Blob {
    pub digest: Digest,
    pub content: Arc<[Bytes]>,
    pub geometry: Geometry,
    hashes: PieceHashes,
}

impl Blob {
    /// Of so many pieces; the last is short.
    pub fn new(pieces: u32, seed: u64) -> Self {
        let piece = |number: u32| {
            let length = if number + 1 == pieces { 1000 } else { usize::try_from(PIECE_BYTES).unwrap() };
            let mut bytes = vec![0; length];
            blake3::Hasher::new().update(&seed.to_le_bytes()).update(&number.to_le_bytes()).finalize_xof().fill(&mut bytes);
            Bytes::from(bytes)
        };
        let content: Arc<[Bytes]> = (0..pieces).map(piece).collect();
        let size = content.iter().map(|piece| piece.len() as u64).sum();
        let hashes: Vec<u8> = content.iter().flat_map(|piece| *blake3::hash(piece).as_bytes()).collect();
        Self {
            digest: Digest::of(Algorithm::Sha256, &seed.to_le_bytes()),
            content,
            geometry: Geometry::new(size).unwrap(),
            hashes: PieceHashes::from_bytes(&hashes).unwrap(),
        }
    }

    pub fn topic(&self) -> Topic {
        Topic { registry: "registry.test".into(), repository: "team/app".parse().unwrap(), digest: self.digest.clone() }
    }
}

/// How a blob falls into pieces, and those that are there.
type Content = (Geometry, Vec<Option<Bytes>>);

/// What a node has.
#[derive(Default)]
pub struct Shelf {
    blobs: Mutex<HashMap<Digest, Content>>,
    /// What it tells of a blob.
    pub metainfo: Mutex<HashMap<Digest, Bytes>>,
    /// Whether it sends what is not so.
    pub lies: AtomicBool,
    /// Whether it can't read what it has.
    pub is_broken: AtomicBool,
}

#[async_trait]
impl Holdings for Shelf {
    fn kept(&self, topic: &Topic) -> Option<Kept> {
        let blobs = self.blobs.lock().unwrap();
        let (geometry, content) = blobs.get(&topic.digest)?;
        let mut pieces = PieceSet::none_of(geometry.pieces());
        for (piece, _) in (0..).zip(content).filter(|(_, bytes)| bytes.is_some()) {
            pieces.insert(PieceIndex(piece));
        }
        Some(Kept { geometry: *geometry, pieces })
    }

    async fn read(&self, topic: &Topic, piece: PieceIndex) -> Option<Bytes> {
        let bytes = self.blobs.lock().unwrap().get(&topic.digest)?.1[piece.0 as usize].clone()?;
        if self.is_broken.load(Ordering::Relaxed) {
            return None;
        }
        if self.lies.load(Ordering::Relaxed) {
            let mut wrong = bytes.to_vec();
            wrong[0] ^= 1;
            return Some(wrong.into());
        }
        Some(bytes)
    }

    async fn metainfo(&self, topic: &Topic) -> Option<Bytes> {
        self.metainfo.lock().unwrap().get(&topic.digest).cloned()
    }
}

/// The fleet's rights: a token says whose it is, and holds while that peer is among those who may.
#[derive(Clone, Default)]
pub struct Law {
    forbidden: Arc<Mutex<Vec<PeerId>>>,
    /// Whether who gives tokens gives none now.
    pub is_down: Arc<AtomicBool>,
    pub holds_for: Arc<Mutex<Option<Duration>>>,
}

impl Law {
    pub fn forbid(&self, peer: PeerId) {
        self.forbidden.lock().unwrap().push(peer);
    }

    pub fn token(peer: PeerId) -> Token {
        Token(format!("for {peer}"))
    }
}

struct Rule {
    law: Law,
    own: PeerId,
    shows: Option<Shown>,
}

#[async_trait]
impl Rights for Rule {
    async fn token(&self, _: &Topic) -> Option<Token> {
        if self.law.is_down.load(Ordering::Relaxed) {
            return None;
        }
        self.shows.clone().map_or_else(|| Some(Law::token(self.own)), |shown| shown.0)
    }

    async fn may_announce(&self, topic: &Topic, peer: PeerId, token: Option<&Token>) -> bool {
        self.may_have(topic, peer, token).await.is_some()
    }

    async fn may_have(&self, _: &Topic, peer: PeerId, token: Option<&Token>) -> Option<Duration> {
        let is_forbidden = self.law.forbidden.lock().unwrap().contains(&peer);
        let holds_for = self.law.holds_for.lock().unwrap().unwrap_or(PATIENCE);
        (token == Some(&Law::token(peer)) && !is_forbidden).then_some(holds_for)
    }
}

struct Room {
    pieces: Arc<Semaphore>,
    all: u32,
    most: AtomicU32,
}

impl Memory for Room {
    fn try_take(&self, _: u64) -> Option<OwnedSemaphorePermit> {
        let taken = self.pieces.clone().try_acquire_owned().ok();
        let held = self.all - u32::try_from(self.pieces.available_permits()).unwrap();
        self.most.fetch_max(held, Ordering::Relaxed);
        taken
    }
}

/// All of a blob, at a pace.
#[expect(clippy::struct_excessive_bools, reason = "each is a fault of its own")]
struct Spring {
    content: Arc<[Bytes]>,
    bytes_per_second: Option<u32>,
    fails: bool,
    /// Whether it fails for good.
    refuses: bool,
    wrong: bool,
    hangs: bool,
    /// How many requests are still to break off after their first piece.
    breaks: Arc<AtomicU32>,
    sent: Arc<AtomicU64>,
    requests: Arc<AtomicU64>,
}

#[async_trait]
impl Origin for Spring {
    async fn read(&self, bytes: Range<u64>) -> Result<OriginStream, OriginError> {
        let failure = || OriginError {
            retry_after: Duration::from_millis(100),
            is_final: self.refuses,
            source: "the origin is down".into(),
        };
        self.requests.fetch_add(1, Ordering::Relaxed);
        if self.fails {
            return Err(failure());
        }
        if self.hangs {
            return std::future::pending().await;
        }
        let first = bytes.start / PIECE_BYTES;
        let past = bytes.end.div_ceil(PIECE_BYTES);
        let breaks = self.breaks.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok();
        let (content, rate, sent, wrong) = (self.content.clone(), self.bytes_per_second, self.sent.clone(), self.wrong);
        let pieces = stream::iter(first..past).then(move |piece| {
            let mut bytes = content[usize::try_from(piece).unwrap()].clone();
            if wrong {
                bytes = vec![7; bytes.len()].into();
            }
            sent.fetch_add(1, Ordering::Relaxed);
            async move {
                if let Some(rate) = rate {
                    tokio::time::sleep(Duration::from_secs(u64::try_from(bytes.len()).unwrap()) / rate).await;
                }
                Ok(bytes)
            }
        });
        let end = stream::iter(breaks.then(|| Err(failure())));
        Ok(pieces.take(if breaks { 1 } else { usize::MAX }).chain(end).boxed())
    }
}

/// What a node shows in place of its own token.
#[derive(Clone, Debug)]
pub struct Shown(pub Option<Token>);

/// What a node is to be like.
#[expect(clippy::struct_excessive_bools, reason = "each is a fault of its own")]
pub struct Spec<'a> {
    pub holds: Option<&'a Blob>,
    pub joins: Vec<ControlAddress>,
    pub origin_rate: Option<u32>,
    pub has_no_origin: bool,
    pub origin_refuses: bool,
    pub origin_is_wrong: bool,
    pub origin_hangs: bool,
    /// How many requests to the origin break off after a piece.
    pub origin_breaks: u32,
    pub memory_pieces: u32,
    pub shows: Option<Shown>,
    pub zone: &'a str,
    /// What else is to be set otherwise.
    pub tune: fn(&mut SwarmSettings),
}

impl Default for Spec<'_> {
    fn default() -> Self {
        Self {
            holds: None,
            joins: Vec::new(),
            origin_rate: None,
            has_no_origin: false,
            origin_refuses: false,
            origin_is_wrong: false,
            origin_hangs: false,
            origin_breaks: 0,
            memory_pieces: 64,
            shows: None,
            zone: "a",
            tune: |_| {},
        }
    }
}

/// A node at work.
pub struct Running {
    pub swarm: Swarm,
    pub shelf: Arc<Shelf>,
    room: Arc<Room>,
    spring: Spec<'static>,
    breaks: Arc<AtomicU32>,
    sent: Arc<AtomicU64>,
    requests: Arc<AtomicU64>,
}

/// What came from where, in pieces.
#[derive(Debug, Default)]
pub struct Outcome {
    pub from_peers: u32,
    pub from_origin: u32,
}

impl Running {
    pub fn control(&self) -> ControlAddress {
        address_of(&self.swarm.control_addresses()[0].to_string())
    }

    pub fn hold(&self, blob: &Blob) {
        let all = blob.content.iter().cloned().map(Some).collect();
        self.shelf.blobs.lock().unwrap().insert(blob.digest.clone(), (blob.geometry, all));
    }

    pub fn has_all(&self, blob: &Blob) -> bool {
        let blobs = self.shelf.blobs.lock().unwrap();
        blobs.get(&blob.digest).is_some_and(|(_, content)| content.iter().flatten().eq(blob.content.iter()))
    }

    pub fn origin_pieces(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    pub fn origin_requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    pub fn most_memory(&self) -> u32 {
        self.room.most.load(Ordering::Relaxed)
    }

    /// How many pieces there is memory taken for now.
    pub fn held_memory(&self) -> u32 {
        self.room.all - u32::try_from(self.room.pieces.available_permits()).unwrap()
    }

    /// Begins to get a blob, of which some may be here.
    pub fn begin(&self, blob: &Blob) -> Arrivals {
        let pieces = blob.geometry.pieces();
        let nothing = || (blob.geometry, vec![None; pieces as usize]);
        self.shelf.blobs.lock().unwrap().entry(blob.digest.clone()).or_insert_with(nothing);
        let here = self.shelf.kept(&blob.topic()).unwrap().pieces;
        let origin = Spring {
            content: blob.content.clone(),
            bytes_per_second: self.spring.origin_rate,
            fails: self.spring.has_no_origin || self.spring.origin_refuses,
            refuses: self.spring.origin_refuses,
            wrong: self.spring.origin_is_wrong,
            hangs: self.spring.origin_hangs,
            breaks: self.breaks.clone(),
            sent: self.sent.clone(),
            requests: self.requests.clone(),
        };
        let (geometry, hashes) = (blob.geometry, blob.hashes.clone());
        let (_, reading) = watch::channel(None);
        let (memory, origin) = (self.room.clone(), Arc::new(origin));
        self.swarm.fetch(Wanted { topic: blob.topic(), geometry, hashes, here, reading, memory, origin })
    }

    /// Keeps a piece that came.
    pub fn put(&self, blob: &Blob, arrival: Arrival) {
        let mut blobs = self.shelf.blobs.lock().unwrap();
        let place = &mut blobs.get_mut(&blob.digest).unwrap().1[arrival.piece.0 as usize];
        assert!(place.is_none(), "piece {} came twice", arrival.piece.0);
        *place = Some(arrival.bytes.into());
    }

    /// Gets a blob, to the end.
    pub async fn get(&self, blob: &Blob) -> Result<Outcome, FetchError> {
        let mut arrivals = self.begin(blob);
        let mut outcome = Outcome::default();
        while let Some(arrival) = arrivals.next().await {
            let arrival = arrival?;
            let piece = arrival.piece;
            match arrival.from {
                Supplier::Peer(..) => outcome.from_peers += 1,
                Supplier::Origin => outcome.from_origin += 1,
            }
            self.put(blob, arrival);
            arrivals.landed(piece);
        }
        Ok(outcome)
    }
}

/// A tracker, or none, and how nodes are made.
pub struct Bed {
    tracker: Option<ControlAddress>,
    /// Somebody who may have all, and asks the tracker.
    onlooker: Control,
    onlooker_id: PeerId,
    pub law: Law,
    tracking: Option<Control>,
}

/// Machines that test much at once are slow.
fn patient() -> ControlSettings {
    let request_timeout = Duration::from_secs(20);
    ControlSettings { request_timeout, handshake_timeout: request_timeout, ..ControlSettings::default() }
}

fn local() -> ControlSettings {
    ControlSettings { listen: vec!["127.0.0.1:0".parse().unwrap()], ..patient() }
}

fn address_of(text: &str) -> ControlAddress {
    text.parse().unwrap()
}

fn nobody(peer: PeerId) -> watch::Receiver<PeerRecord> {
    watch::channel(PeerRecord { peer, pieces: Vec::new(), locality: Locality::default() }).1
}

impl Bed {
    pub async fn new() -> Self {
        let law = Law::default();
        let key = Keypair::generate_ed25519();
        let own = key.public().to_peer_id();
        let rights = Arc::new(Rule { law: law.clone(), own, shows: None });
        let service = Arc::new(Tracking::new(TrackerSettings::default(), rights, &Metrics::new()));
        let started = Control::start(&key, None, local(), Some(service), nobody(own), &Metrics::new()).await;
        let (control, addresses) = started.unwrap();
        let tracker = address_of(&addresses[0].to_string());
        Self { tracker: Some(tracker), tracking: Some(control), ..Self::of(law).await }
    }

    pub async fn without_tracker() -> Self {
        Self::of(Law::default()).await
    }

    async fn of(law: Law) -> Self {
        let key = Keypair::generate_ed25519();
        let onlooker_id = key.public().to_peer_id();
        let settings = patient();
        let (onlooker, _) = Control::start(&key, None, settings, None, nobody(onlooker_id), &Metrics::new()).await.unwrap();
        Self { tracker: None, onlooker, onlooker_id, law, tracking: None }
    }

    pub async fn node(&self, spec: Spec<'_>) -> Running {
        let key = Keypair::generate_ed25519();
        let own = key.public().to_peer_id();
        let room = Arc::new(Room {
            pieces: Arc::new(Semaphore::new(spec.memory_pieces as usize)),
            all: spec.memory_pieces,
            most: AtomicU32::new(0),
        });
        let holdings = Arc::new(Shelf::default());
        let rights = Arc::new(Rule { law: self.law.clone(), own, shows: spec.shows.clone() });
        let mut settings = SwarmSettings::new("127.0.0.1:0".parse().unwrap());
        settings.control = local();
        settings.trackers = self.tracker.iter().cloned().collect();
        settings.joins = spec.joins.clone();
        settings.locality.zone = spec.zone.to_owned();
        settings.download.lease_patience = Duration::from_secs(2);
        settings.download.takeover = Duration::from_secs(10);
        settings.download.poor_part = u32::MAX;
        settings.give_up_after = Duration::from_secs(5);
        (spec.tune)(&mut settings);
        let node = Node { key: NodeKey::from(key), fleet: None, holdings: holdings.clone(), rights };
        let swarm = Swarm::start(node, settings, &Metrics::new()).await.unwrap();
        let spring = Spec {
            origin_rate: spec.origin_rate,
            has_no_origin: spec.has_no_origin,
            origin_refuses: spec.origin_refuses,
            origin_is_wrong: spec.origin_is_wrong,
            origin_hangs: spec.origin_hangs,
            ..Spec::default()
        };
        let breaks = Arc::new(AtomicU32::new(spec.origin_breaks));
        let running = Running { swarm, shelf: holdings, room, spring, breaks, sent: Arc::default(), requests: Arc::default() };
        if let Some(blob) = spec.holds {
            running.hold(blob);
        }
        running
    }

    /// Ends the tracker.
    pub async fn kill_tracker(&mut self) {
        if let Some(tracker) = self.tracking.take() {
            tracker.shutdown().await;
        }
    }

    /// Whom the tracker tells of.
    async fn told(&self, blob: &Blob) -> Vec<PeerId> {
        let record = nobody(self.onlooker_id).borrow().clone();
        let announced = AnnouncedTopic {
            topic: blob.topic(),
            token: Some(Law::token(self.onlooker_id).0),
            state: Holding { pieces: 0, of: blob.geometry.pieces() },
            wants_peers: 32,
            wants_origin: 0,
        };
        let announce = Announce { record, topics: vec![announced], withdraw: Vec::new() };
        let answers = self.onlooker.announce(self.tracker.as_ref().unwrap(), announce).await.unwrap().topics;
        let Some(TopicAnswer::Told(told)) = answers.into_iter().next() else { return Vec::new() };
        told.peers.iter().map(|told| told.record.peer).collect()
    }

    /// Has the tracker tell of somebody who has all of a blob, and can't be reached.
    pub async fn tells_of_nobody(&self, blob: &Blob) {
        let record = PeerRecord { pieces: vec!["127.0.0.1:1".parse().unwrap()], ..nobody(self.onlooker_id).borrow().clone() };
        let all = blob.geometry.pieces();
        let announced = AnnouncedTopic {
            topic: blob.topic(),
            token: Some(Law::token(self.onlooker_id).0),
            state: Holding { pieces: all, of: all },
            wants_peers: 0,
            wants_origin: 0,
        };
        let announce = Announce { record, topics: vec![announced], withdraw: Vec::new() };
        let answers = self.onlooker.announce(self.tracker.as_ref().unwrap(), announce).await.unwrap().topics;
        assert!(matches!(answers[..], [TopicAnswer::Told(_)]));
    }

    /// Waits until the tracker tells of a node.
    pub async fn tracks(&self, blob: &Blob, node: &Running) {
        soon(self.until(blob, node, true)).await;
    }

    /// Waits until it does not.
    pub async fn forgets(&self, blob: &Blob, node: &Running) {
        soon(self.until(blob, node, false)).await;
    }

    async fn until(&self, blob: &Blob, node: &Running, is_told: bool) {
        while self.told(blob).await.contains(&node.swarm.peer()) != is_told {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}
