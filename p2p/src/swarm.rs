//! A node of the swarm at work: what decides, bound to connections, to what is here and to where else bytes come from.
//!
//! One task owns all of it ([`task`]); a [`Swarm`] is a handle to it. Whoever has blobs brings three things: what is here
//! ([`Holdings`]), who may have it ([`Rights`]), and for each blob that is wanted an [`Origin`], memory and a place to put pieces
//! ([`Wanted`]). What it promises:
//!
//! - A piece is handed on when its hash was found right, and never before. A peer that sent a wrong one is dropped and shunned.
//! - A peer is told what is here, and sent a piece, only while [`Rights`] says that it may have it; all others are told nothing, be it here
//!   or not.
//! - What is in flight is bounded: pieces by the memory that is handed in and [`SwarmSettings::in_flight`], peers, topics, calls and what
//!   waits for the task each by a setting or a constant.
//! - It ends by itself: a download whose taker is gone, a peer that is silent, a right that is over.
//! - Trackers advise. While none answers, nodes go by the peers that they know.

mod announcing;
mod arrival;
mod callback;
mod clock;
mod connecting;
mod debts;
mod fetching;
mod holdings;
mod input;
mod inquiring;
mod inquiry;
mod link;
mod lone_tracker;
mod metrics;
mod origin_run;
mod serving;
mod settings;
mod status;
mod task;
#[cfg(test)]
mod tests;
mod tracking;
mod wanted;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use futures_util::future::join_all;
use libp2p_identity::PeerId;
use longshore_service::metrics::Metrics;
use prometheus::IntCounter;
use tokio::sync::{mpsc, oneshot, watch};

pub use arrival::{Arrival, Arrivals, FetchError, Supplier};
pub use holdings::{Holdings, Kept, Memory, Rights};
pub use inquiry::{Inquiry, Told};
pub use lone_tracker::{LoneTracker, TrackerSetup};
pub use origin_run::{Origin, OriginError, OriginStream};
pub use settings::SwarmSettings;
pub use status::{FetchStatus, PeerStatus, Status, TrackerStatus};
pub use tracking::{Admission, Tracking};
pub use wanted::Wanted;

use crate::{
    control::{Control, ControlAddress, ControlError},
    plane::{Endpoint, EndpointError, FleetKey, Listener, NodeKey},
    record::PeerRecord,
    topic::Topic,
};
use announcing::Trackers;
use input::Order;
use metrics::SwarmMetrics;
use task::Task;

/// Orders that wait for the task at most; who has one more waits.
const MOST_ORDERS: usize = 256;

/// Why there is no swarm.
#[derive(Debug, thiserror::Error)]
pub enum SwarmError {
    /// Pieces can't travel.
    #[error("the swarm's connections for pieces can't be had")]
    Pieces(#[from] EndpointError),
    /// Peers and trackers can't be found.
    #[error("the swarm's control protocols can't be had")]
    Control(#[from] ControlError),
}

/// What a node brings to the swarm.
pub struct Node {
    /// Who it is.
    pub key: NodeKey,
    /// With whom it has to do at all; everybody where there is none.
    pub fleet: Option<FleetKey>,
    /// What is here.
    pub holdings: Arc<dyn Holdings>,
    /// Who may have it.
    pub rights: Arc<dyn Rights>,
}

/// A handle to a node's swarm. The task ends with [`Swarm::leave`], or some time after the last handle was dropped.
#[derive(Clone, Debug)]
pub struct Swarm {
    orders: mpsc::Sender<Order>,
    peer: PeerId,
    record: watch::Receiver<PeerRecord>,
    control: Arc<[SocketAddr]>,
    arriving: IntCounter,
    is_closed: bool,
}

impl Swarm {
    /// Takes the addresses and starts the task.
    pub async fn start(node: Node, settings: SwarmSettings, metrics: &Metrics) -> Result<Self, SwarmError> {
        let peer = node.key.peer_id();
        let endpoint = Endpoint::new(&node.key, node.fleet.clone(), settings.locality.clone(), settings.plane)?;
        let listener = Listener::bind(settings.listen, endpoint.clone()).await?;
        let pieces = settings.advertised(listener.address());
        endpoint.set_addresses(pieces.clone())?;
        let record = PeerRecord { peer, pieces, locality: settings.locality.clone() };
        let (own, record) = watch::channel(record);
        let service = settings.is_tracker.then(|| Tracking::shared(settings.tracker.clone(), node.rights.clone(), metrics));
        let itself = service.clone();
        let (control, addresses) =
            Control::start(node.key.keypair(), node.fleet.clone(), settings.control.clone(), service, record.clone(), metrics)
                .await?;
        let mut named = Vec::new();
        if itself.is_some() {
            let is_itself = join_all(settings.trackers.iter().map(|tracker| tracker.is_of(peer, &addresses))).await;
            named.extend(
                settings.trackers.iter().zip(is_itself).filter(|(_, is_itself)| *is_itself).map(|(tracker, _)| tracker.clone()),
            );
        }
        let (orders, inbox) = mpsc::channel(MOST_ORDERS);
        let is_closed = node.fleet.is_some();
        let metrics = SwarmMetrics::new(metrics);
        let arriving = metrics.arriving.clone();
        let task = Task::new(node, settings, endpoint, Trackers { control, itself, named }, own, metrics);
        tokio::spawn(task.run(listener, inbox));
        Ok(Self { orders, peer, record, control: addresses.into(), arriving, is_closed })
    }

    /// Whether the task has ended.
    pub fn is_over(&self) -> bool {
        self.orders.is_closed()
    }

    /// Whether it has to do with those alone who have its fleet's key.
    pub fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// This node's peer id.
    pub fn peer(&self) -> PeerId {
        self.peer
    }

    /// What others are told of this node.
    pub fn record(&self) -> PeerRecord {
        self.record.borrow().clone()
    }

    /// How many bytes of pieces have come from peers, those that are not whole yet included.
    pub fn came_bytes(&self) -> u64 {
        self.arriving.get()
    }

    /// Where its control protocols are spoken; nowhere if none were listened on.
    pub fn control_addresses(&self) -> &[SocketAddr] {
        &self.control
    }

    /// Begins to get a blob. Its pieces come in any order, each once; what comes is no more than `wanted` has memory for. It is given up
    /// when the arrivals are dropped.
    pub fn fetch(&self, wanted: Wanted) -> Arrivals {
        let (arrivals, order) = Arrivals::of(wanted, self.orders.clone());
        // Where the task is gone the arrivals say so.
        if let Err(mpsc::error::TrySendError::Full(order)) = self.orders.try_send(order) {
            let orders = self.orders.clone();
            tokio::spawn(async move { orders.send(order).await });
        }
        arrivals
    }

    /// Asks peers who may know something of a topic what that is: the metainfo of a blob of which nothing is here, say. What they say is
    /// nobody's word but theirs. Ends when the inquiry is dropped, when nobody else is to be asked, and after `patience` in any case.
    pub fn ask_about(&self, topic: Topic, patience: Duration) -> Inquiry {
        let (inquiry, order) = Inquiry::of(topic, patience, self.orders.clone());
        // Where too much is going on, or the task is gone, nobody says anything.
        let _ = self.orders.try_send(order);
        inquiry
    }

    /// What is here of a blob may be had by peers who may pull from there. Forgotten when nothing of it is here any more.
    pub async fn share(&self, topic: Topic) {
        let _ = self.orders.send(Order::Share(topic)).await;
    }

    /// The same where there is no time to wait; whether it was heard.
    pub fn try_share(&self, topic: Topic) -> bool {
        self.orders.try_send(Order::Share(topic)).is_ok()
    }

    /// Another node, which answers at one of these addresses at least: it is asked who it is, now and then. Where the settings name no
    /// trackers it is one.
    pub async fn join(&self, addresses: Vec<ControlAddress>) {
        let _ = self.orders.send(Order::Join(addresses)).await;
    }

    /// A registry tells of its trackers, each by the addresses at which it is reached: they come before all others for the blobs of that
    /// registry, as topics name it. One that it told of before stays as long as it answers. Nothing of it counts where the settings name
    /// trackers.
    pub async fn found_trackers(&self, registry: Arc<str>, trackers: Vec<Vec<ControlAddress>>) {
        let _ = self.orders.send(Order::Found { registry, trackers }).await;
    }

    /// How things are; `None` where the task is gone.
    pub async fn status(&self) -> Option<Status> {
        let (reply, status) = oneshot::channel();
        self.orders.send(Order::Status(reply)).await.ok()?;
        status.await.ok()
    }

    /// Withdraws what was announced, says good-bye and closes all connections; returns when that is done or took too long.
    pub async fn leave(&self) {
        let (done, is_done) = oneshot::channel();
        if self.orders.send(Order::Leave(done)).await.is_ok() {
            let _ = is_done.await;
        }
    }
}
