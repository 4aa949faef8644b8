use std::{
    net::SocketAddr,
    sync::{Arc, PoisonError, RwLock},
};

use libp2p_identity::PeerId;
use rustls::ServerConfig;
use tokio::sync::Semaphore;

use super::{Counts, EndpointError, FleetKey, Limits, NodeKey, guests::Guests, identity::Identity};
use crate::{
    locality::Locality,
    network::Shares,
    wire::{Frame, Hello, Kind, VERSION},
};

/// Who a node is to its peers, and what its connections have in common.
#[derive(Debug)]
pub struct Endpoint {
    id: PeerId,
    pub(super) identity: Identity,
    pub(super) server: Arc<ServerConfig>,
    pub(super) fleet: Option<FleetKey>,
    pub(super) own: RwLock<Hello>,
    limits: Limits,
    pub(super) handshakes: Arc<Semaphore>,
    pub(super) handshakes_of: Arc<Shares>,
    pub(super) accepted: Arc<Semaphore>,
    pub(super) accepted_of: Arc<Shares>,
    pub(super) guests: Guests,
    pub(super) dialed: Arc<Semaphore>,
    metainfo_room: Arc<Semaphore>,
    pub(super) counts: Counts,
}

impl Endpoint {
    /// The endpoint of a node that is there; with a fleet's key it has to do with those only who have it too.
    pub fn new(key: &NodeKey, fleet: Option<FleetKey>, locality: Locality, limits: Limits) -> Result<Arc<Self>, EndpointError> {
        let own = Hello { version: VERSION, locality, addresses: Vec::new(), proof: None };
        let identity = Identity::new(key.keypair())?;
        let server = Arc::new(identity.server()?);
        let semaphore = |permits: usize| Arc::new(Semaphore::new(permits.min(Semaphore::MAX_PERMITS)));
        let metainfo_kibibytes = limits.metainfo_bytes.max(Kind::Opened.most_bytes()).div_ceil(1024);
        Ok(Arc::new(Self {
            id: key.peer_id(),
            identity,
            server,
            fleet,
            own: RwLock::new(checked(own)?),
            limits,
            handshakes: semaphore(limits.most_handshakes),
            handshakes_of: Shares::new(limits.most_handshakes_per_ip),
            accepted: semaphore(limits.most_accepted),
            accepted_of: Shares::new(limits.most_accepted_per_ip),
            guests: Guests::new(limits.most_accepted_per_peer),
            dialed: semaphore(limits.most_dialed),
            metainfo_room: semaphore(metainfo_kibibytes),
            counts: Counts::default(),
        }))
    }

    /// The node's peer id.
    pub fn id(&self) -> PeerId {
        self.id
    }

    /// Has peers told from now on that the node takes connections there, at most
    /// [`MOST_ADDRESSES`](crate::record::MOST_ADDRESSES).
    pub fn set_addresses(&self, addresses: Vec<SocketAddr>) -> Result<(), EndpointError> {
        let own = checked(Hello { addresses, ..self.own() })?;
        *self.own.write().unwrap_or_else(PoisonError::into_inner) = own;
        Ok(())
    }

    /// The limits of its connections.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// What has become of its connections.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// How many connections there are now that others have made and that were made here, those that have not greeted yet included.
    pub fn connections(&self) -> (usize, usize) {
        let taken = |most: usize, semaphore: &Semaphore| most.min(Semaphore::MAX_PERMITS) - semaphore.available_permits();
        (taken(self.limits.most_accepted, &self.accepted), taken(self.limits.most_dialed, &self.dialed))
    }

    pub(super) fn own(&self) -> Hello {
        self.own.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn metainfo_room(&self) -> Arc<Semaphore> {
        self.metainfo_room.clone()
    }
}

/// What can be said.
fn checked(own: Hello) -> Result<Hello, EndpointError> {
    Frame::Hello(own.clone()).encode(&mut Vec::new()).map_err(EndpointError::Hello)?;
    Ok(own)
}
