//! Where somebody is reached in the swarm who was asked over HTTP.
//!
//! What is told is not believed further than it must be: an address is dialed only where the peer that was named proves to be there, and in
//! a closed fleet has its key. None is dialed that is this machine's own, or a link's, unless who told of it is there as well: so nobody
//! elsewhere can have a node knock at the doors of its machine.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use longshore_client::{RegistryUrl, SwarmRecord};
use longshore_p2p::{control::ControlAddress, locality::Locality, record::PeerRecord};

/// The IP address of a URL's host.
pub async fn host_of(url: &RegistryUrl) -> Option<IpAddr> {
    let url = url.as_url();
    let host = url.host_str()?.trim_matches(['[', ']']);
    let mut found = tokio::net::lookup_host((host, url.port_or_known_default()?)).await.ok()?;
    found.next().map(|address| address.ip())
}

/// Where whoever was asked at `host` is reached, a few places at most: what listens at all addresses listens at that one.
pub fn addresses(record: &SwarmRecord, host: IpAddr) -> Vec<ControlAddress> {
    let Ok(peer) = record.peer.parse() else { return Vec::new() };
    let control = record.control.iter().copied().filter(|at| !is_of_link(at.ip()) || is_of_link(host)).collect();
    let reached = PeerRecord { peer, pieces: control, locality: Locality::default() }.as_reached(host);
    let reached = reached.pieces.into_iter().map(|at: SocketAddr| ControlAddress::from(at).of_peer(peer));
    reached.collect()
}

/// Whether an address is of one link alone, where clouds have what tells of a machine's secrets.
fn is_of_link(ip: IpAddr) -> bool {
    matches!(ip.to_canonical(), IpAddr::V4(ip) if Ipv4Addr::is_link_local(&ip))
}

#[cfg(test)]
mod tests {
    use libp2p_identity::{Keypair, PeerId};

    use super::*;

    fn told(peer: &str, control: &[&str], host: &str) -> Vec<String> {
        let control = control.iter().map(|address| address.parse().unwrap()).collect();
        let record = SwarmRecord { peer: peer.to_owned(), control, ..SwarmRecord::default() };
        addresses(&record, host.parse().unwrap()).iter().map(ToString::to_string).collect()
    }

    fn peer() -> PeerId {
        Keypair::generate_ed25519().public().to_peer_id()
    }

    #[test]
    fn what_listens_everywhere_is_reached_where_it_was_asked() {
        let own = peer().to_string();
        assert_eq!(told(&own, &["0.0.0.0:7", "10.0.0.2:8"], "10.0.0.1"), ["10.0.0.1:7", "10.0.0.2:8"]);
        assert_eq!(told(&own, &["127.0.0.1:7"], "127.0.0.1"), ["127.0.0.1:7"]);
        assert_eq!(told(&own, &["[::]:7"], "fd00::1"), ["[fd00::1]:7"]);
    }

    #[test]
    fn nobody_elsewhere_has_it_knock_at_its_own_doors_or_anywhere_by_the_dozen() {
        let own = peer().to_string();
        for address in ["127.0.0.1:22", "[::1]:22", "[::ffff:127.0.0.1]:22", "169.254.169.254:80", "224.0.0.1:7", "10.0.0.1:0"] {
            assert!(told(&own, &[address], "10.0.0.1").is_empty(), "{address}");
        }
        let many: Vec<_> = (1..=100).map(|number| format!("10.0.1.{number}:7")).collect();
        assert_eq!(told(&own, &many.iter().map(String::as_str).collect::<Vec<_>>(), "10.0.0.1").len(), 8);
        assert!(told("nobody", &["10.0.0.2:7"], "10.0.0.1").is_empty());
    }

    #[test]
    fn an_address_is_one_peers() {
        let own = peer();
        let record =
            SwarmRecord { peer: own.to_string(), control: vec!["10.0.0.2:7".parse().unwrap()], ..SwarmRecord::default() };
        assert_eq!(addresses(&record, "10.0.0.1".parse().unwrap())[0].peer(), Some(own));
    }
}
