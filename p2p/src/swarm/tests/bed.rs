//! A tracker, and nodes around it.

mod law;
mod running;
mod shelf;
mod spring;

use std::{
    sync::{Arc, atomic::AtomicU32},
    time::Duration,
};

use law::Rule;
pub use law::{Law, Shown};
use libp2p_identity::{Keypair, PeerId};
use longshore_service::metrics::Metrics;
use running::Room;
pub use running::{Running, Spec};
pub use shelf::{Blob, Shelf};
use tokio::sync::{Semaphore, watch};

use crate::{
    control::{Announce, AnnouncedTopic, Control, ControlAddress, ControlSettings, Holding, TopicAnswer},
    locality::Locality,
    plane::NodeKey,
    record::PeerRecord,
    swarm::{Node, Swarm, SwarmSettings, Tracking},
    tracker::TrackerSettings,
};

/// How long anything may take.
const PATIENCE: Duration = Duration::from_mins(1);

pub async fn soon<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, work).await.expect("it takes too long")
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
        settings.control.listen.extend(spec.control);
        settings.trackers = spec.trackers.clone();
        settings.trackers.extend(self.tracker.clone());
        settings.joins = spec.joins.clone();
        settings.locality.zone = spec.zone.to_owned();
        settings.download.lease_patience = Duration::from_secs(2);
        settings.download.peer_patience = Duration::from_secs(2);
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
