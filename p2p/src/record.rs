//! Who a peer is and where it is reached.

use std::net::{IpAddr, SocketAddr};

use libp2p_identity::PeerId;
use serde::{Deserialize, Serialize};

use crate::locality::Locality;

/// The most addresses that a record has.
pub const MOST_ADDRESSES: usize = 8;

/// A peer as others are told of it. Whoever dials it has its id proven by the connection itself, so a record can't make one peer
/// another; where it is may be a lie, which costs its friends bandwidth and nobody a wrong byte.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PeerRecord {
    /// Its id.
    pub peer: PeerId,
    /// Where it takes connections for pieces.
    pub pieces: Vec<SocketAddr>,
    /// Where it is.
    pub locality: Locality,
}

impl PeerRecord {
    /// A record that came straight from its peer, who was reached at `remote`: an address that stands for all of the peer's own becomes
    /// that one, one of its loopback stays only where it is on this machine, one of a link only where it is on one, and none is left that
    /// nobody can dial.
    #[must_use]
    pub fn as_reached(mut self, remote: IpAddr) -> Self {
        let remote = remote.to_canonical();
        let reached = |address: &SocketAddr| {
            let ip = address.ip().to_canonical();
            let ip = match ip {
                // Who listens at all addresses of IPv4 does not at one of IPv6; the other way round it is common.
                IpAddr::V4(own) if own.is_unspecified() && remote.is_ipv6() => return None,
                _ if ip.is_unspecified() => remote,
                _ => ip,
            };
            is_seen_from(ip, remote).then_some(SocketAddr::new(ip, address.port()))
        };
        self.pieces = dialable(self.pieces.iter().filter_map(reached));
        self
    }

    /// A record as somebody else at `by` tells of it: a loopback address is of this machine only if `by` is on it, and one of a link only if
    /// `by` is on one.
    #[must_use]
    pub fn as_told(mut self, by: IpAddr) -> Self {
        let canonical = self.pieces.iter().map(|address| SocketAddr::new(address.ip().to_canonical(), address.port()));
        self.pieces = dialable(canonical.filter(|address| is_seen_from(address.ip(), by.to_canonical())));
        self
    }
}

/// Whether an address is the same thing here and at `other`: those of a machine itself, and of one link alone, are only to who is there as
/// well. So nobody elsewhere can have a node knock at the doors of its own machine, or where clouds tell of a machine's secrets.
fn is_seen_from(ip: IpAddr, other: IpAddr) -> bool {
    let is_of_link = |ip: IpAddr| matches!(ip, IpAddr::V4(ip) if ip.is_link_local());
    (!ip.is_loopback() || other.is_loopback()) && (!is_of_link(ip) || is_of_link(other))
}

/// The first few different ones that can be dialed.
pub(crate) fn dialable(addresses: impl Iterator<Item = SocketAddr>) -> Vec<SocketAddr> {
    let mut kept = Vec::new();
    for address in addresses {
        let is_of_none = match address.ip() {
            IpAddr::V4(ip) => ip.is_unspecified() || ip.is_multicast() || ip.is_broadcast(),
            // Without its interface a link-local address is nobody's.
            IpAddr::V6(ip) => ip.is_unspecified() || ip.is_multicast() || ip.is_unicast_link_local(),
        };
        if !is_of_none && address.port() != 0 && !kept.contains(&address) {
            kept.push(address);
        }
        if kept.len() == MOST_ADDRESSES {
            break;
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(pieces: &[&str]) -> PeerRecord {
        let pieces = pieces.iter().map(|address| address.parse().unwrap()).collect();
        PeerRecord { peer: PeerId::random(), pieces, locality: Locality::default() }
    }

    fn texts(record: &PeerRecord) -> Vec<String> {
        record.pieces.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn all_addresses_become_the_one_that_was_reached() {
        for (pieces, remote, expected) in [
            (&["0.0.0.0:7"][..], "10.0.0.9", &["10.0.0.9:7"][..]),
            (&["[::]:7"], "10.0.0.9", &["10.0.0.9:7"]),
            (&["[::]:7"], "::ffff:10.0.0.9", &["10.0.0.9:7"]),
            (&["0.0.0.0:7", "[::]:7"], "fd00::9", &["[fd00::9]:7"]),
            (&["0.0.0.0:7", "10.0.0.9:7"], "10.0.0.9", &["10.0.0.9:7"]),
            (&["127.0.0.1:7", "192.168.0.1:7"], "10.0.0.9", &["192.168.0.1:7"]),
            (&["[::ffff:127.0.0.1]:7"], "10.0.0.9", &[]),
            (&["127.0.0.1:7", "0.0.0.0:8"], "127.0.0.1", &["127.0.0.1:7", "127.0.0.1:8"]),
            (&["10.0.0.1:0", "224.0.0.1:7", "255.255.255.255:7", "[fe80::1]:7"], "10.0.0.9", &[]),
            (&["169.254.169.254:80", "[::ffff:169.254.169.254]:80", "10.0.0.1:7"], "10.0.0.9", &["10.0.0.1:7"]),
            (&["169.254.169.254:80", "127.0.0.1:7"], "127.0.0.1", &["127.0.0.1:7"]),
            (&["0.0.0.0:7", "169.254.3.4:7"], "169.254.1.2", &["169.254.1.2:7", "169.254.3.4:7"]),
        ] {
            assert_eq!(texts(&record(pieces).as_reached(remote.parse().unwrap())), expected, "{pieces:?} reached at {remote}");
        }
    }

    #[test]
    fn what_is_told_is_cut_to_what_can_be_dialed() {
        let many: Vec<String> = (1..30).map(|number| format!("10.0.0.{number}:7")).collect();
        let many: Vec<&str> = ["0.0.0.0:7", "[::ffff:10.0.0.1]:7"].into_iter().chain(many.iter().map(String::as_str)).collect();
        let told = record(&many).as_told("10.0.0.9".parse().unwrap());
        assert_eq!((told.pieces.len(), texts(&told)[1].as_str()), (MOST_ADDRESSES, "10.0.0.2:7"));
    }

    #[test]
    fn loopback_is_of_one_machine_and_a_link_of_those_on_it() {
        for (by, expected) in [
            ("10.0.0.9", &["10.0.0.1:7"][..]),
            ("::ffff:127.0.0.1", &["127.0.0.1:7", "10.0.0.1:7"]),
            ("169.254.1.2", &["169.254.169.254:80", "10.0.0.1:7"]),
        ] {
            let told = record(&["127.0.0.1:7", "169.254.169.254:80", "10.0.0.1:7"]).as_told(by.parse().unwrap());
            assert_eq!(texts(&told), expected, "told by {by}");
        }
    }
}
