//! The ways to addresses: names, dials, connections, and what is thought of an address after a call.

use std::{collections::VecDeque, io, net::SocketAddr, sync::Arc};

use libp2p::{
    PeerId,
    swarm::{
        ConnectionId, DialError,
        dial_opts::{DialOpts, PeerCondition},
    },
};
use tokio::task::JoinError;

use super::{Task, multiaddr};
use crate::control::{
    ControlAddress, ControlError,
    backoff::Pauses,
    ids,
    links::{Link, Road},
};

/// The sockets of an address.
pub(super) type Resolved = (ControlAddress, io::Result<Vec<SocketAddr>>);

impl Task {
    pub(super) fn on_resolved(&mut self, resolved: Result<Resolved, JoinError>) {
        // The look-up can't panic, and nobody aborts it.
        let Ok((address, sockets)) = resolved else { return };
        let sockets = sockets.and_then(|sockets| {
            let none = || io::Error::new(io::ErrorKind::NotFound, "the name has no addresses");
            if sockets.is_empty() { Err(none()) } else { Ok(sockets) }
        });
        let Some(link) = self.links.get(&address).filter(|link| link.road == Road::Resolving) else { return };
        match sockets {
            Ok(mut sockets) => {
                let first = link.dials % sockets.len();
                link.dials = link.dials.wrapping_add(1);
                sockets.rotate_left(first);
                self.dial(&address, sockets.into());
            }
            Err(error) => {
                let source = Arc::new(error);
                self.fail_link(&address, &ControlError::Unresolved { address: address.clone(), source });
            }
        }
    }

    /// Dials the first of these that can be dialed.
    fn dial(&mut self, address: &ControlAddress, mut rest: VecDeque<SocketAddr>) {
        while let Some(socket) = rest.pop_front() {
            let place = multiaddr(socket);
            // From a port of its own: from the listener's the same two ends could meet again too soon for TCP.
            let options = match address.peer() {
                Some(peer) => DialOpts::peer_id(ids::swarms(peer))
                    .condition(PeerCondition::Always)
                    .addresses(vec![place])
                    .allocate_new_port()
                    .build(),
                None => DialOpts::unknown_peer_id().address(place).allocate_new_port().build(),
            };
            let connection = options.connection_id();
            match self.swarm.dial(options) {
                Ok(()) => return self.links.set_road(address, Road::Dialing { connection, rest }),
                Err(error) if rest.is_empty() => return self.fail_link(address, &ControlError::of_dial(address, error)),
                Err(_) => {}
            }
        }
    }

    pub(super) fn on_dialed(&mut self, connection: ConnectionId, peer: PeerId) {
        let Some(address) = self.links.of_connection(connection).cloned() else { return };
        self.links.set_road(&address, Road::Up { connection, peer });
        self.go_on(&address);
    }

    pub(super) fn on_dial_failed(&mut self, connection: ConnectionId, error: DialError) {
        let Some(address) = self.links.of_connection(connection).cloned() else { return };
        let road = self.links.get(&address).map(|link| &mut link.road);
        let Some(Road::Dialing { rest, .. }) = road else { return };
        let rest = std::mem::take(rest);
        if rest.is_empty() {
            self.fail_link(&address, &ControlError::of_dial(&address, error));
        } else {
            self.dial(&address, rest);
        }
    }

    /// A connection has ended. Its calls are told each by itself; those that wait need another.
    pub(super) fn on_lost(&mut self, connection: ConnectionId, peer: PeerId) {
        self.hosts.closed(peer, connection);
        let Some(address) = self.links.of_connection(connection).cloned() else { return };
        self.links.set_road(&address, Road::Down);
        self.go_on(&address);
    }

    /// What a call's end says of its address.
    pub(super) fn judge_link(&mut self, address: &ControlAddress, error: Option<&ControlError>) {
        let now = self.now();
        let pauses = Pauses { min: self.settings.backoff_min, max: self.settings.backoff_max };
        let Some(Link { backoff, .. }) = self.links.get(address) else { return };
        match error {
            // Who refuses is alive.
            None | Some(ControlError::Refused { .. }) => backoff.succeeded(),
            Some(ControlError::Busy { retry_after, .. }) => backoff.asked_for(now, *retry_after),
            Some(_) => backoff.failed(now, pauses, &mut self.rng),
        }
    }

    /// A connection that was made to ask for a record, or that leads to no tracker, has served its time.
    pub(super) fn close_unless_needed(&mut self, address: &ControlAddress) {
        let Some(link) = self.links.get(address) else { return };
        let has_calls = link.in_flight > 0 || !link.waiting.is_empty();
        let Road::Up { connection, peer } = link.road else { return };
        let is_needed = has_calls || self.hosts.is_on(peer, connection) || self.guests.has_announced(connection);
        // What goes to a peer goes on any of its connections, so another address's call may have gone on this one.
        if !is_needed && self.links.roads_to(peer) == 1 {
            self.links.set_road(address, Road::Down);
            self.close(connection);
        }
    }
}
