//! Peers that mDNS tells of.

use std::net::IpAddr;

use libp2p::Multiaddr;
use libp2p_identity::PeerId;

use super::{ControlAddress, ids};
use crate::record::MOST_ADDRESSES;

/// Peers that are told of at once; those of a packet beyond it come again with the next.
const MOST_AT_ONCE: usize = 64;

/// A peer that mDNS tells of. Nothing of it is proven before it was asked:
/// [`Control::record_of`](super::Control::record_of) does.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Discovered {
    /// Who it says it is.
    pub peer: PeerId,
    /// Where its control protocols are spoken; each has the peer's id.
    pub addresses: Vec<ControlAddress>,
}

/// The peers among these, each with those of its addresses that can be asked.
pub(super) fn of(found: Vec<(libp2p::PeerId, Multiaddr)>) -> Vec<Discovered> {
    let mut peers = Vec::<Discovered>::new();
    for (peer, address) in found {
        let peer = ids::ours(peer);
        // Other programs speak libp2p too, over what is not spoken here.
        let Ok(address) = ControlAddress::try_from(&address).map(|address| address.of_peer(peer)) else { continue };
        if !address.ip().is_some_and(is_neighbours) {
            continue;
        }
        if let Some(known) = peers.iter_mut().find(|known| known.peer == peer) {
            if known.addresses.len() < MOST_ADDRESSES && !known.addresses.contains(&address) {
                known.addresses.push(address);
            }
        } else if peers.len() < MOST_AT_ONCE {
            peers.push(Discovered { peer, addresses: vec![address] });
        }
    }
    peers
}

/// Whether a neighbour can be there. Anybody on the network may say anything: it makes nobody here resolve a name, or dial this machine.
fn is_neighbours(ip: IpAddr) -> bool {
    !ip.is_loopback() && !ip.is_unspecified() && !ip.is_multicast()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peers_addresses_come_together() {
        let [one, other] = [libp2p::PeerId::random(), libp2p::PeerId::random()];
        let found = [
            (one, "/ip4/10.0.0.1/tcp/7"),
            (other, "/ip4/10.0.0.2/tcp/7"),
            (one, "/ip4/10.0.0.1/udp/7/quic-v1"),
            (one, "/ip4/127.0.0.1/tcp/7"),
            (one, "/dns/example.org/tcp/7"),
            (one, "/ip6/fd00::1/tcp/7"),
            (one, "/ip4/10.0.0.1/tcp/7"),
        ];
        let found = found.map(|(peer, address)| (peer, address.parse().unwrap())).to_vec();
        let of_peer = |peer, address: &str| address.parse::<ControlAddress>().unwrap().of_peer(ids::ours(peer));
        let expected = [
            (ids::ours(one), vec![of_peer(one, "10.0.0.1:7"), of_peer(one, "[fd00::1]:7")]),
            (ids::ours(other), vec![of_peer(other, "10.0.0.2:7")]),
        ];
        let found = of(found).into_iter().map(|discovered| (discovered.peer, discovered.addresses)).collect::<Vec<_>>();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_flood_is_cut() {
        let peers: Vec<_> = (0..200).map(|_| libp2p::PeerId::random()).collect();
        let address = |number: usize| format!("/ip4/10.0.0.1/tcp/{}", number + 1).parse().unwrap();
        let found = peers.iter().flat_map(|peer| (0..20).map(|number| (*peer, address(number)))).collect();
        let told = of(found);
        assert_eq!(told.len(), MOST_AT_ONCE);
        assert!(told.iter().all(|peer| peer.addresses.len() == MOST_ADDRESSES));
    }
}
