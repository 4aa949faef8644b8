//! Which network has how much of what a tracker keeps, and which of its peers.

use std::{
    collections::{BTreeSet, HashMap},
    net::IpAddr,
};

use super::PeerNumber;

/// How much each network has of something, and each peer of it; so that it is known at once who has the most.
#[derive(Debug, Default)]
pub struct Shares {
    networks: HashMap<IpAddr, Network>,
    by_count: BTreeSet<(usize, IpAddr)>,
}

#[derive(Debug, Default)]
struct Network {
    count: usize,
    by_count: BTreeSet<(usize, PeerNumber)>,
}

impl Shares {
    /// How much a network has.
    pub fn of(&self, network: IpAddr) -> usize {
        self.networks.get(&network).map_or(0, |network| network.count)
    }

    /// A network's peer that had so much has so much now.
    pub fn change(&mut self, network: IpAddr, peer: PeerNumber, before: usize, now: usize) {
        let entry = self.networks.entry(network).or_default();
        self.by_count.remove(&(entry.count, network));
        entry.by_count.remove(&(before, peer));
        entry.count = entry.count - before + now;
        if now > 0 {
            entry.by_count.insert((now, peer));
        }
        if entry.count == 0 {
            self.networks.remove(&network);
        } else {
            self.by_count.insert((entry.count, network));
        }
    }

    /// Who has the most in the network that has the most, if that has more than `network` would have with one more: then it is the one to give.
    pub fn giver(&self, network: IpAddr) -> Option<PeerNumber> {
        let (count, most) = self.by_count.last()?;
        let (_, peer) = self.networks.get(most)?.by_count.last()?;
        (*count > self.of(network) + 1).then_some(*peer)
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, net::Ipv4Addr};

    use proptest::prelude::*;

    use super::*;

    fn network(number: u8) -> IpAddr {
        Ipv4Addr::new(10, 0, 0, number).into()
    }

    proptest! {
        #[test]
        fn who_has_the_most_gives(changes in prop::collection::vec((0_u8..4, 0_u32..4, 0_usize..5), 0..100)) {
            let (mut shares, mut model) = (Shares::default(), BTreeMap::new());
            for (of, peer, now) in changes {
                let before = model.insert((of, peer), now).unwrap_or(0);
                shares.change(network(of), peer, before, now);
                let sum = |of: u8| model.iter().filter(|((other, _), _)| *other == of).map(|(_, count)| *count).sum::<usize>();
                let most = (0..4).map(sum).max().unwrap();
                for asker in 0..4 {
                    prop_assert_eq!(shares.of(network(asker)), sum(asker));
                    let giver = shares.giver(network(asker));
                    prop_assert_eq!(giver.is_some(), most > sum(asker) + 1);
                    let is_right = |((of, peer), count): (&(u8, u32), &usize)| {
                        let is_its_most = model.iter().filter(|((other, _), _)| other == of).all(|(_, other)| other <= count);
                        Some(*peer) == giver && sum(*of) == most && is_its_most
                    };
                    prop_assert!(giver.is_none() || model.iter().any(is_right));
                }
            }
            for ((of, peer), before) in model {
                shares.change(network(of), peer, before, 0);
            }
            prop_assert!(shares.networks.is_empty() && shares.by_count.is_empty());
        }
    }
}
