//! Networks, as what one holder has of addresses: whoever has one has all of its addresses, and as many keys as it likes.

use std::{
    collections::{HashMap, hash_map::Entry},
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// The network of an address: an address of IPv4, or of IPv6 a /64.
pub(crate) fn network_of(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() & !u128::from(u64::MAX)).into(),
        ip @ IpAddr::V4(_) => ip,
    }
}

/// How many of something each network has. Of who has none nothing is kept.
#[derive(Debug, Default)]
pub(crate) struct Counts(HashMap<IpAddr, usize>);

impl Counts {
    /// How many the network of an address has.
    pub(crate) fn of(&self, ip: IpAddr) -> usize {
        self.0.get(&network_of(ip)).copied().unwrap_or(0)
    }

    /// It has one more.
    pub(crate) fn add(&mut self, ip: IpAddr) {
        *self.0.entry(network_of(ip)).or_default() += 1;
    }

    /// It has one less.
    pub(crate) fn remove(&mut self, ip: IpAddr) {
        if let Entry::Occupied(mut count) = self.0.entry(network_of(ip)) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }

    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Places, of which each network has so many.
#[derive(Debug)]
pub(crate) struct Shares {
    most: usize,
    counts: Mutex<Counts>,
}

/// One of them, until it is dropped.
#[derive(Debug)]
pub(crate) struct Share {
    all: Arc<Shares>,
    of: IpAddr,
}

impl Shares {
    pub(crate) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most: most.max(1), counts: Mutex::default() })
    }

    /// A place for one more, if the network of that address has not its share.
    pub(crate) fn take(self: &Arc<Self>, of: IpAddr) -> Option<Share> {
        let mut counts = self.lock();
        (counts.of(of) < self.most).then(|| {
            counts.add(of);
            Share { all: self.clone(), of }
        })
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.all.lock().remove(self.of);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_has_its_share() {
        let shares = Shares::new(2);
        let take = |ip: &str| shares.take(ip.parse().unwrap());
        let held = [take("10.0.0.1"), take("::ffff:10.0.0.1"), take("10.0.0.2"), take("fd00::1"), take("fd00::2")];
        assert!(held.iter().all(Option::is_some));
        assert!(take("10.0.0.1").is_none() && take("fd00::3").is_none());
        assert!(take("10.0.0.2").is_some() && take("fd00:0:0:1::1").is_some());
        drop(held);
        assert!(take("10.0.0.1").is_some());
        assert!(shares.lock().is_empty());
    }
}
