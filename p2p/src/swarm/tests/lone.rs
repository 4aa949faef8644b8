//! A tracker that is no node.

use std::sync::Arc;

use async_trait::async_trait;
use libp2p_identity::{Keypair, PeerId};
use longshore_service::metrics::Metrics;

use super::bed::{Blob, soon};
use crate::{
    control::{Announce, AnnouncedTopic, Control, ControlAddress, ControlError, ControlSettings, Holding, TopicAnswer},
    locality::Locality,
    plane::{FleetKey, NodeKey},
    record::PeerRecord,
    swarm::{Admission, LoneTracker, TrackerSetup},
    topic::Topic,
    tracker::TrackerSettings,
    wire::Token,
};

/// Lets in who shows its own id.
struct ById;

#[async_trait]
impl Admission for ById {
    async fn admits(&self, _: &Topic, peer: PeerId, token: Option<&Token>) -> bool {
        token.is_some_and(|token| token.0 == peer.to_string())
    }
}

async fn tracker(fleet: Option<FleetKey>) -> (LoneTracker, ControlAddress) {
    let key = NodeKey::from(Keypair::generate_ed25519());
    let listen = "127.0.0.1:0".parse().unwrap();
    let setup = TrackerSetup { key, fleet, admission: Arc::new(ById), listen, settings: TrackerSettings::default() };
    let tracker = LoneTracker::start(setup, &Metrics::new()).await.unwrap();
    let address = ControlAddress::from(tracker.addresses()[0]).of_peer(tracker.peer());
    (tracker, address)
}

struct Guest {
    control: Control,
    record: PeerRecord,
}

impl Guest {
    async fn new(fleet: Option<FleetKey>) -> Self {
        let key = Keypair::generate_ed25519();
        let pieces = vec!["127.0.0.1:9".parse().unwrap()];
        let record = PeerRecord { peer: key.public().to_peer_id(), pieces, locality: Locality::default() };
        let own = tokio::sync::watch::channel(record.clone()).1;
        let (control, _) = Control::start(&key, fleet, ControlSettings::default(), None, own, &Metrics::new()).await.unwrap();
        Self { control, record }
    }

    /// Whom it is told of; `None` where it is refused.
    async fn told(&self, at: &ControlAddress, token: Option<PeerId>) -> Result<Option<Vec<PeerId>>, ControlError> {
        let token = token.map(|peer| peer.to_string());
        let state = Holding { pieces: 1, of: 2 };
        let topic = AnnouncedTopic { topic: Blob::new(1, 1).topic(), token, state, wants_peers: 9, wants_origin: 0 };
        let announce = Announce { record: self.record.clone(), topics: vec![topic], withdraw: Vec::new() };
        let announced = soon(self.control.announce(at, announce)).await?;
        Ok(match announced.topics.into_iter().next() {
            Some(TopicAnswer::Told(told)) => Some(told.peers.iter().map(|told| told.record.peer).collect()),
            _ => None,
        })
    }
}

#[tokio::test]
async fn it_tells_those_alone_whom_it_is_to_admit() {
    let (tracker, at) = tracker(None).await;
    let (one, other) = (Guest::new(None).await, Guest::new(None).await);
    let [first, second] = [one.record.peer, other.record.peer];
    assert_eq!(one.told(&at, Some(first)).await.unwrap(), Some(vec![]));
    assert_eq!(other.told(&at, None).await.unwrap(), None);
    assert_eq!(other.told(&at, Some(first)).await.unwrap(), None, "another's token");
    assert_eq!(other.told(&at, Some(second)).await.unwrap(), Some(vec![first]));
    // It has no pieces to give, and says so.
    assert!(soon(one.control.record_of(&at)).await.unwrap().pieces.is_empty());
    tracker.leave().await;
    assert!(one.told(&at, Some(first)).await.is_err());
}

#[tokio::test]
async fn in_a_closed_fleet_it_has_to_do_with_the_fleet_alone() {
    let key = || Some(FleetKey::new("0123456789abcdef0123456789abcdef").unwrap());
    let (_tracker, at) = tracker(key()).await;
    let (member, stranger) = (Guest::new(key()).await, Guest::new(None).await);
    assert_eq!(member.told(&at, Some(member.record.peer)).await.unwrap(), Some(vec![]));
    assert!(stranger.told(&at, Some(stranger.record.peer)).await.is_err());
}
