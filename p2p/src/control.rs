//! How peers and trackers find each other, over libp2p: TCP, its TLS (both ends prove their peer ids) and yamux.
//!
//! In a closed fleet both ends besides prove, over a value of the TLS session, that they have its key, before anything else is said.
//!
//! One task owns the swarm; [`Control`] is a handle to it, as cheap to clone as a channel's end. Two protocols of requests and answers,
//! each a CBOR message: by `/longshore/tracker/1` a peer announces to a tracker what it holds and is told of others, by
//! `/longshore/record/1` it asks another for its [`PeerRecord`]. Neighbours may be found by mDNS besides. Pieces don't travel here.
//!
//! Everything is bounded: connections, handshakes, streams, calls, what is read and not yet answered, the addresses that are remembered.
//! A tracker that is dead costs whoever calls an error, at once while its pause lasts. Announcements live on a connection: when the last
//! one on which a peer announced ends, its tracker's service is told that the peer is gone, and the peer that it has to announce anew.

mod address;
mod backoff;
mod behaviour;
mod budget;
mod codec;
mod error;
mod guests;
mod hosts;
mod ids;
mod impatient;
mod limits;
mod links;
mod messages;
mod metrics;
mod neighbours;
mod proof;
mod service;
mod settings;
mod task;
#[cfg(test)]
mod tests;
mod tls;
mod transport;

use std::{net::SocketAddr, sync::Arc};

use libp2p_identity::Keypair;
use longshore_service::metrics::Metrics;
use tokio::sync::{broadcast, mpsc, oneshot, watch};

pub use address::{ControlAddress, InvalidControlAddress};
pub use error::ControlError;
pub use hosts::Standing;
pub use messages::{
    Announce, Announced, AnnouncedTopic, Answer, Holding, Introduction, MOST_MESSAGE_BYTES, MOST_TOPICS, MOST_WITHDRAWN,
    OriginLease, ToldPeer, TopicAnswer,
};
pub use neighbours::Discovered;
pub use service::TrackerService;
pub use settings::ControlSettings;

use crate::{plane::FleetKey, record::PeerRecord};
use metrics::ControlMetrics;
use task::{Order, Task};

/// Orders that wait for the task at most; who has one more to give waits.
const MOST_ORDERS: usize = 256;
/// Discoveries that a listener may be behind; it misses older ones.
const MOST_DISCOVERIES: usize = 64;

/// A handle to the task that owns the swarm. The task ends with [`Control::shutdown`], or when the last handle is dropped.
#[derive(Clone, Debug)]
pub struct Control {
    orders: mpsc::Sender<Order>,
    discoveries: broadcast::Sender<Discovered>,
}

impl Control {
    /// Listens, and starts the task. With the key of a `fleet` nothing is said to anybody, or heard of, who has not proven to have it too;
    /// without one it is an open fleet, which speaks with no closed one. `service` is what answers announcements; without it this is no
    /// tracker. `own_record` is what others are told who ask for it, under the keypair's own id. Gives where it listens too: the addresses of the settings, with the port that was
    /// taken where they left it open.
    pub async fn start(
        keypair: &Keypair,
        fleet: Option<FleetKey>,
        settings: ControlSettings,
        service: Option<Arc<dyn TrackerService>>,
        own_record: watch::Receiver<PeerRecord>,
        metrics: &Metrics,
    ) -> Result<(Self, Vec<SocketAddr>), ControlError> {
        let (orders, inbox) = mpsc::channel(MOST_ORDERS);
        let (discoveries, _) = broadcast::channel(MOST_DISCOVERIES);
        let metrics = ControlMetrics::new(metrics);
        let swarm = behaviour::swarm(keypair, fleet, &settings, service.is_some(), &metrics)?;
        let mut task = Task::new(swarm, settings, service, own_record, metrics, inbox, discoveries.clone());
        let addresses = task.listen().await?;
        tokio::spawn(task.run());
        Ok((Self { orders, discoveries }, addresses))
    }

    /// Announces to a tracker; what is too much for one message is [split](Announce::split) before.
    ///
    /// The connection is kept as long as announcements are renewed when the answers say; the tracker takes its end for the peer's.
    /// [`Announced::standing`] tells of that end.
    pub async fn announce(&self, tracker: &ControlAddress, announce: Announce) -> Result<Announced, ControlError> {
        announce.check()?;
        let (reply, answer) = oneshot::channel();
        self.order(Order::Announce { to: tracker.clone(), announce: Arc::new(announce), reply }, answer).await
    }

    /// Asks whoever is at an address for its record. The record's peer is the one at the connection's other end, and the address's where
    /// it has one.
    pub async fn record_of(&self, address: &ControlAddress) -> Result<PeerRecord, ControlError> {
        let (reply, answer) = oneshot::channel();
        self.order(Order::RecordOf { at: address.clone(), reply }, answer).await
    }

    /// The peers that mDNS tells of from now on.
    pub fn discoveries(&self) -> broadcast::Receiver<Discovered> {
        self.discoveries.subscribe()
    }

    /// Closes listeners and connections, and returns when that is done or took too long. Calls that are under way end with
    /// [`ControlError::Closed`]. Announcements are the caller's to withdraw before.
    pub async fn shutdown(&self) {
        let (done, is_done) = oneshot::channel();
        if self.orders.send(Order::Shutdown(done)).await.is_ok() {
            // An error means that it is over as well.
            let _ = is_done.await;
        }
    }

    async fn order<T>(&self, order: Order, answer: oneshot::Receiver<Result<T, ControlError>>) -> Result<T, ControlError> {
        self.orders.send(order).await.map_err(|_| ControlError::Closed)?;
        answer.await.unwrap_or(Err(ControlError::Closed))
    }
}
