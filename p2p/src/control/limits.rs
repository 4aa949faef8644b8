//! How many connections there may be.
//!
//! libp2p's own limits keep an entry for every peer that ever connected, so any number of keys makes them grow; and refuse a peer that
//! comes back while its old connection has not been found dead yet. These keep nothing of who has left, and end the oldest connection of
//! the peer instead: its id is proven, so nobody else can end it.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    convert::Infallible,
    net::{IpAddr, Ipv6Addr},
    task::{Context, Poll},
};

use libp2p::{
    Multiaddr, PeerId,
    core::{ConnectedPoint, Endpoint, transport::PortUse},
    swarm::{
        CloseConnection, ConnectionClosed, ConnectionDenied, ConnectionId, DialFailure, FromSwarm, ListenFailure,
        NetworkBehaviour, THandler, THandlerInEvent, THandlerOutEvent, ToSwarm, behaviour::ConnectionEstablished, dummy,
    },
};

use super::address::ip_of;
use crate::network::Counts;

/// The most connections of each kind.
#[derive(Clone, Copy, Debug)]
pub(super) struct Most {
    pub inbound: usize,
    pub inbound_per_ip: usize,
    pub outbound: usize,
    pub pending: usize,
    pub pending_per_ip: usize,
    pub per_peer: usize,
}

/// A connection would be one too many.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("there are {most} {kind} connections already")]
pub(super) struct OverLimit {
    kind: &'static str,
    most: usize,
}

/// Keeps count of the connections, and denies those over the limits.
#[derive(Debug)]
pub(super) struct Limits {
    most: Most,
    /// With the addresses they come from.
    pending_inbound: HashMap<ConnectionId, IpAddr>,
    pending_outbound: HashSet<ConnectionId>,
    inbound: usize,
    outbound: usize,
    pending_from: Counts,
    inbound_from: Counts,
    /// Those of each connected peer, the oldest first, but for those to close.
    of_peer: HashMap<PeerId, Vec<ConnectionId>>,
    to_close: VecDeque<(PeerId, ConnectionId)>,
}

impl Limits {
    pub(super) fn new(most: Most) -> Self {
        Self {
            most,
            pending_inbound: HashMap::new(),
            pending_outbound: HashSet::new(),
            inbound: 0,
            outbound: 0,
            pending_from: Counts::default(),
            inbound_from: Counts::default(),
            of_peer: HashMap::new(),
            to_close: VecDeque::new(),
        }
    }

    fn admit(kind: &'static str, count: usize, most: usize) -> Result<(), ConnectionDenied> {
        if count < most { Ok(()) } else { Err(ConnectionDenied::new(OverLimit { kind, most })) }
    }

    fn admit_inbound(&self, from: IpAddr) -> Result<(), ConnectionDenied> {
        Self::admit("inbound", self.inbound, self.most.inbound)?;
        Self::admit("inbound (of one network)", self.inbound_from.of(from), self.most.inbound_per_ip)
    }

    /// A handshake that another began is over.
    fn settled(&mut self, connection: ConnectionId) {
        if let Some(from) = self.pending_inbound.remove(&connection) {
            self.pending_from.remove(from);
        }
    }

    fn opened(&mut self, peer: PeerId, connection: ConnectionId, end: &ConnectedPoint) {
        if end.is_dialer() {
            self.outbound += 1;
        } else {
            self.inbound += 1;
            self.inbound_from.add(origin_of(end.get_remote_address()));
        }
        let of_peer = self.of_peer.entry(peer).or_default();
        of_peer.push(connection);
        let surplus = of_peer.len().saturating_sub(self.most.per_peer);
        self.to_close.extend(of_peer.drain(..surplus).map(|oldest| (peer, oldest)));
    }

    fn closed(&mut self, peer: PeerId, connection: ConnectionId, end: &ConnectedPoint) {
        if end.is_dialer() {
            self.outbound -= 1;
        } else {
            self.inbound -= 1;
            self.inbound_from.remove(origin_of(end.get_remote_address()));
        }
        if let Some(of_peer) = self.of_peer.get_mut(&peer) {
            of_peer.retain(|other| *other != connection);
            if of_peer.is_empty() {
                self.of_peer.remove(&peer);
            }
        }
    }
}

/// Where somebody connects from.
fn origin_of(address: &Multiaddr) -> IpAddr {
    // TCP is all that is spoken, so each has an address.
    ip_of(address).unwrap_or(Ipv6Addr::UNSPECIFIED.into())
}

impl NetworkBehaviour for Limits {
    type ConnectionHandler = dummy::ConnectionHandler;
    type ToSwarm = Infallible;

    fn handle_pending_inbound_connection(
        &mut self,
        connection: ConnectionId,
        _: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<(), ConnectionDenied> {
        let from = origin_of(remote);
        Self::admit("pending inbound", self.pending_inbound.len(), self.most.pending)?;
        Self::admit("pending inbound (of one network)", self.pending_from.of(from), self.most.pending_per_ip)?;
        // Not worth a handshake.
        self.admit_inbound(from)?;
        self.pending_inbound.insert(connection, from);
        self.pending_from.add(from);
        Ok(())
    }

    fn handle_established_inbound_connection(
        &mut self,
        connection: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.settled(connection);
        self.admit_inbound(origin_of(remote))?;
        Ok(dummy::ConnectionHandler)
    }

    fn handle_pending_outbound_connection(
        &mut self,
        connection: ConnectionId,
        _: Option<PeerId>,
        _: &[Multiaddr],
        _: Endpoint,
    ) -> Result<Vec<Multiaddr>, ConnectionDenied> {
        Self::admit("pending outbound", self.pending_outbound.len(), self.most.pending)?;
        self.pending_outbound.insert(connection);
        Ok(Vec::new())
    }

    fn handle_established_outbound_connection(
        &mut self,
        connection: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.pending_outbound.remove(&connection);
        Self::admit("outbound", self.outbound, self.most.outbound)?;
        Ok(dummy::ConnectionHandler)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        match event {
            FromSwarm::ConnectionEstablished(ConnectionEstablished { peer_id, connection_id, endpoint, .. }) => {
                self.opened(peer_id, connection_id, endpoint);
            }
            FromSwarm::ConnectionClosed(ConnectionClosed { peer_id, connection_id, endpoint, .. }) => {
                self.closed(peer_id, connection_id, endpoint);
            }
            FromSwarm::DialFailure(DialFailure { connection_id, .. }) => {
                self.pending_outbound.remove(&connection_id);
            }
            FromSwarm::ListenFailure(ListenFailure { connection_id, .. }) => self.settled(connection_id),
            _ => {}
        }
    }

    fn on_connection_handler_event(&mut self, _: PeerId, _: ConnectionId, event: THandlerOutEvent<Self>) {
        match event {}
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Infallible, THandlerInEvent<Self>>> {
        match self.to_close.pop_front() {
            Some((peer_id, connection)) => {
                Poll::Ready(ToSwarm::CloseConnection { peer_id, connection: CloseConnection::One(connection) })
            }
            None => Poll::Pending,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: Most = Most { inbound: 9, inbound_per_ip: 2, outbound: 9, pending: 9, pending_per_ip: 2, per_peer: 2 };

    fn connection(number: usize) -> ConnectionId {
        ConnectionId::new_unchecked(number)
    }

    fn address(text: &str) -> Multiaddr {
        text.parse().unwrap()
    }

    fn accepted(from: &str) -> ConnectedPoint {
        ConnectedPoint::Listener { local_addr: address("/ip4/10.0.0.1/tcp/7"), send_back_addr: address(from) }
    }

    #[test]
    fn each_surplus_connection_is_closed_once_and_nothing_is_left() {
        let (mut limits, peer, end) = (Limits::new(MOST), PeerId::random(), accepted("/ip4/10.0.0.2/tcp/9"));
        for number in 0..100 {
            limits.opened(peer, connection(number), &end);
        }
        let closing: Vec<_> = limits.to_close.drain(..).collect();
        assert_eq!(closing, (0..98).map(|number| (peer, connection(number))).collect::<Vec<_>>());
        for number in 0..100 {
            limits.closed(peer, connection(number), &end);
        }
        assert!(limits.of_peer.is_empty() && limits.inbound == 0 && limits.inbound_from.is_empty());
    }

    #[test]
    fn one_network_has_its_share() {
        let mut limits = Limits::new(MOST);
        let here = address("/ip4/10.0.0.1/tcp/7");
        let mut begin = |number, from: &str| limits.handle_pending_inbound_connection(connection(number), &here, &address(from));
        // Of IPv6 whoever has one address has as many as there are in its /64.
        begin(1, "/ip6/fd00::1:1/tcp/7").unwrap();
        begin(2, "/ip6/fd00::2:1/tcp/7").unwrap();
        begin(3, "/ip6/fd00::3:1/tcp/7").unwrap_err();
        begin(4, "/ip6/fd00:0:0:1::1/tcp/7").unwrap();
        begin(5, "/ip4/10.0.0.2/tcp/7").unwrap();
        begin(6, "/ip6/::ffff:10.0.0.2/tcp/7").unwrap();
        begin(7, "/ip4/10.0.0.2/tcp/8").unwrap_err();
        for number in [1, 2, 4, 5, 6] {
            limits.settled(connection(number));
        }
        assert!(limits.pending_inbound.is_empty() && limits.pending_from.is_empty());

        for number in 1..=2 {
            limits.opened(PeerId::random(), connection(number), &accepted("/ip4/10.0.0.2/tcp/7"));
        }
        limits.handle_pending_inbound_connection(connection(8), &here, &address("/ip4/10.0.0.2/tcp/9")).unwrap_err();
        limits.handle_pending_inbound_connection(connection(9), &here, &address("/ip4/10.0.0.3/tcp/9")).unwrap();
    }
}
