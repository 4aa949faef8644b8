//! A tracker that is no node: beside a registry or an edge, which have no part in the swarm else.

use std::{net::SocketAddr, sync::Arc};

use libp2p_identity::PeerId;
use longshore_service::metrics::Metrics;
use tokio::sync::watch;

use super::tracking::{Admission, Tracking};
use crate::{
    control::{Control, ControlError, ControlSettings},
    locality::Locality,
    plane::{FleetKey, NodeKey},
    record::PeerRecord,
    tracker::TrackerSettings,
};

/// What a tracker is made of.
pub struct TrackerSetup {
    /// Who it is.
    pub key: NodeKey,
    /// With whom it has to do at all; everybody where there is none.
    pub fleet: Option<FleetKey>,
    /// Who may announce what.
    pub admission: Arc<dyn Admission>,
    /// Where it listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// What bounds it.
    pub settings: TrackerSettings,
}

/// A tracker at work. It ends with [`LoneTracker::leave`], or when it is dropped.
pub struct LoneTracker {
    control: Control,
    peer: PeerId,
    addresses: Vec<SocketAddr>,
    /// Who asks it for its record is told of nothing: it takes no connections for pieces.
    _record: watch::Sender<PeerRecord>,
}

impl LoneTracker {
    /// Takes the address and begins to answer.
    pub async fn start(setup: TrackerSetup, metrics: &Metrics) -> Result<Self, ControlError> {
        let TrackerSetup { key, fleet, admission, listen, settings } = setup;
        let peer = key.peer_id();
        let (own, record) = watch::channel(PeerRecord { peer, pieces: Vec::new(), locality: Locality::default() });
        let service = Arc::new(Tracking::admitting(settings, admission, metrics));
        let control = ControlSettings { listen: vec![listen], ..ControlSettings::default() };
        let (control, addresses) = Control::start(key.keypair(), fleet, control, Some(service), record, metrics).await?;
        Ok(Self { control, peer, addresses, _record: own })
    }

    /// Its peer id.
    pub fn peer(&self) -> PeerId {
        self.peer
    }

    /// Where it listens, with the port that was taken.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Closes all connections; returns when that is done or took too long. Whoever announced here goes by others, or by whom it knows.
    pub async fn leave(&self) {
        self.control.shutdown().await;
    }
}
