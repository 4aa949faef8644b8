//! The connections of a node, and those on their way.

use std::{collections::BTreeMap, time::Duration};

use libp2p_identity::PeerId;

use crate::moment::Moment;

/// A connection.
#[derive(Clone, Copy, Debug)]
pub struct Link {
    /// When it came to be.
    pub since: Moment,
    /// When it was of use last.
    pub used: Moment,
}

/// Connections and dials, by peer.
#[derive(Debug, Default)]
pub struct Links {
    connected: BTreeMap<PeerId, Link>,
    dialing: BTreeMap<PeerId, Moment>,
}

impl Links {
    /// A dial began.
    pub fn dialing(&mut self, peer: PeerId, now: Moment) {
        self.dialing.insert(peer, now);
    }

    /// A dial has ended; whether there was one.
    pub fn dialed(&mut self, peer: &PeerId) -> bool {
        self.dialing.remove(peer).is_some()
    }

    /// There is a connection.
    pub fn connect(&mut self, peer: PeerId, now: Moment) {
        self.connected.entry(peer).or_insert(Link { since: now, used: now });
    }

    /// There is none any more.
    pub fn disconnect(&mut self, peer: &PeerId) -> Option<Link> {
        self.connected.remove(peer)
    }

    /// A connection was of use.
    pub fn used(&mut self, peer: &PeerId, now: Moment) {
        if let Some(link) = self.connected.get_mut(peer) {
            link.used = link.used.max(now);
        }
    }

    /// Whether there is a connection.
    pub fn is_connected(&self, peer: &PeerId) -> bool {
        self.connected.contains_key(peer)
    }

    /// Whether there is a connection, or one is on its way.
    pub fn has(&self, peer: &PeerId) -> bool {
        self.is_connected(peer) || self.dialing.contains_key(peer)
    }

    /// Whether one is on its way.
    pub fn is_dialing(&self, peer: &PeerId) -> bool {
        self.dialing.contains_key(peer)
    }

    /// Gives up dials of which nothing was heard for so long; whose.
    pub fn give_up(&mut self, dial_timeout: Duration, now: Moment) -> Vec<PeerId> {
        self.dialing.extract_if(.., |_, began| now.since(*began) >= dial_timeout).map(|(peer, _)| peer).collect()
    }

    /// The connections.
    pub fn connections(&self) -> impl Iterator<Item = (&PeerId, &Link)> {
        self.connected.iter()
    }

    /// How many connections there are.
    pub fn connected_count(&self) -> usize {
        self.connected.len()
    }

    /// How many dials there are.
    pub fn dialing_count(&self) -> usize {
        self.dialing.len()
    }

    /// How many connections there are and may come to be.
    pub fn count(&self) -> usize {
        self.connected.len() + self.dialing.keys().filter(|peer| !self.connected.contains_key(*peer)).count()
    }
}
