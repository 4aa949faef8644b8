//! What each of those who connect may have of what there is for all of them.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use libp2p_identity::PeerId;

use super::link::Link;

/// How many handshakes are under way with each network that others connect from.
#[derive(Debug)]
pub(super) struct Handshakes {
    most: usize,
    of_network: Mutex<HashMap<IpAddr, usize>>,
}

/// A place among them.
#[derive(Debug)]
pub(super) struct Handshake {
    all: Arc<Handshakes>,
    network: IpAddr,
}

impl Handshakes {
    pub(super) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most: most.max(1), of_network: Mutex::default() })
    }

    /// A place for one more, if that network has not its share.
    pub(super) fn begin(self: &Arc<Self>, from: IpAddr) -> Option<Handshake> {
        let network = network(from);
        let mut of_network = lock(&self.of_network);
        let count = of_network.entry(network).or_default();
        if *count >= self.most {
            return None;
        }
        *count += 1;
        Some(Handshake { all: self.clone(), network })
    }
}

impl Drop for Handshake {
    fn drop(&mut self) {
        let mut of_network = lock(&self.all.of_network);
        if let Some(count) = of_network.get_mut(&self.network) {
            *count -= 1;
            if *count == 0 {
                of_network.remove(&self.network);
            }
        }
    }
}

/// What one customer has: an address of IPv4, a /64 of IPv6.
fn network(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() & !u128::from(u64::MAX)).into(),
        ip @ IpAddr::V4(_) => ip,
    }
}

/// The connections that others have made, the oldest first.
#[derive(Debug)]
pub(super) struct Guests {
    most_of_peer: usize,
    links: Mutex<Vec<(PeerId, Weak<Link>)>>,
}

impl Guests {
    pub(super) fn new(most_of_peer: usize) -> Self {
        Self { most_of_peer: most_of_peer.max(1), links: Mutex::default() }
    }

    /// Adds one. Where its peer has as many as it may the oldest is ended: it has begun anew, and its id is proven, so nobody else can
    /// have done that.
    pub(super) fn add(&self, peer: PeerId, link: &Arc<Link>) {
        let mut links = lock(&self.links);
        links.retain(|(_, link)| link.upgrade().is_some_and(|link| !link.ended.is_cancelled()));
        let of_peer: Vec<_> = links.iter().filter(|(of, _)| *of == peer).filter_map(|(_, link)| link.upgrade()).collect();
        let surplus = (of_peer.len() + 1).saturating_sub(self.most_of_peer);
        of_peer.iter().take(surplus).for_each(|oldest| oldest.end());
        links.push((peer, Arc::downgrade(link)));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_has_its_share_of_handshakes() {
        let handshakes = Handshakes::new(2);
        let begin = |ip: &str| handshakes.begin(ip.parse().unwrap());
        let held = [begin("10.0.0.1"), begin("::ffff:10.0.0.1"), begin("10.0.0.2"), begin("fd00::1"), begin("fd00::2")];
        assert!(held.iter().all(Option::is_some));
        assert!(begin("10.0.0.1").is_none() && begin("fd00::3").is_none());
        assert!(begin("10.0.0.2").is_some() && begin("fd00:0:0:1::1").is_some());
        drop(held);
        assert!(begin("10.0.0.1").is_some());
        assert!(lock(&handshakes.of_network).is_empty());
    }
}
