//! Where this end has announced, and on which connections: the trackers whose guest it is.

use std::collections::{BTreeSet, HashMap};

use libp2p::{PeerId, swarm::ConnectionId};
use tokio::sync::watch;

/// How long what was announced to a tracker is known there: until the last connection ends on which this peer announced to it. A tracker
/// may forget single announcements sooner, which it expects to be renewed.
#[derive(Clone, Debug)]
pub struct Standing(watch::Receiver<()>);

impl Standing {
    /// That of what is forgotten already.
    pub(super) fn over() -> Self {
        Self(watch::channel(()).1)
    }

    /// Whether the tracker has forgotten all that was announced to it.
    pub fn is_over(&self) -> bool {
        self.0.has_changed().is_err()
    }

    /// Returns when the tracker has forgotten all that was announced to it: it all has to be announced anew.
    pub async fn ended(&self) {
        // Nothing is ever sent, so the only news is that there is no sender.
        let mut ends = self.0.clone();
        while ends.changed().await.is_ok() {}
    }
}

/// The trackers at which something is announced.
#[derive(Debug, Default)]
pub(super) struct Hosts(HashMap<PeerId, Host>);

#[derive(Debug)]
struct Host {
    connections: BTreeSet<ConnectionId>,
    ends: watch::Sender<()>,
}

impl Hosts {
    /// An announcement that went on this connection, which is open, was taken.
    pub fn took(&mut self, peer: PeerId, connection: ConnectionId) -> Standing {
        let host = self.0.entry(peer).or_insert_with(|| Host { connections: BTreeSet::new(), ends: watch::Sender::new(()) });
        host.connections.insert(connection);
        Standing(host.ends.subscribe())
    }

    /// Whether something is announced on this connection.
    pub fn is_on(&self, peer: PeerId, connection: ConnectionId) -> bool {
        self.0.get(&peer).is_some_and(|host| host.connections.contains(&connection))
    }

    /// A connection has ended.
    pub fn closed(&mut self, peer: PeerId, connection: ConnectionId) {
        let Some(host) = self.0.get_mut(&peer) else { return };
        host.connections.remove(&connection);
        if host.connections.is_empty() {
            self.0.remove(&peer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_announced_stands_as_long_as_one_of_its_connections() {
        let (mut hosts, peer, other) = (Hosts::default(), PeerId::random(), PeerId::random());
        let [first, second, third] = [1, 2, 3].map(ConnectionId::new_unchecked);
        let (standing, others) = (hosts.took(peer, first), hosts.took(other, third));
        let later = hosts.took(peer, second);
        assert!(hosts.is_on(peer, first) && !hosts.is_on(peer, third));
        hosts.closed(peer, first);
        assert!(!standing.is_over() && !later.is_over());
        hosts.closed(peer, second);
        assert!(standing.is_over() && later.is_over() && !others.is_over());
        // What is announced after is another matter.
        assert!(!hosts.took(peer, first).is_over() && standing.is_over());
        hosts.closed(peer, first);
        hosts.closed(other, third);
        assert!(hosts.0.is_empty() && Standing::over().is_over());
    }
}
