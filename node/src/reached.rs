//! Where somebody is reached in the swarm who was asked over HTTP.
//!
//! What is told is not believed further than it must be: an address is dialed only where the peer that was named proves to be there, and in
//! a closed fleet has its key. None is dialed that is this machine's own, or a link's, unless who told of it is there as well: so nobody
//! elsewhere can have a node knock at the doors of its machine.

use std::net::{IpAddr, Ipv4Addr};

use longshore_client::{RegistryUrl, SwarmRecord};
use longshore_p2p::{
    control::ControlAddress,
    locality::Locality,
    record::{MOST_ADDRESSES, PeerRecord},
};

/// The IP addresses of a URL's host, in the order in which they are given. HTTP may have gone to any of them. Those of this machine and of
/// its link are left out where there are others: a name is somebody else's to say, and no reason to knock there.
pub async fn hosts_of(url: &RegistryUrl) -> Vec<IpAddr> {
    let url = url.as_url();
    let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else { return Vec::new() };
    let found = tokio::net::lookup_host((host.trim_matches(['[', ']']), port)).await;
    far_ones(found.into_iter().flatten().map(|address| address.ip().to_canonical()).collect())
}

fn far_ones(mut hosts: Vec<IpAddr>) -> Vec<IpAddr> {
    let is_near = |ip: &IpAddr| ip.is_loopback() || matches!(ip, IpAddr::V4(ip) if Ipv4Addr::is_link_local(ip));
    if !hosts.iter().all(is_near) {
        hosts.retain(|ip| !is_near(ip));
    }
    hosts
}

/// Where whoever was asked at a host of these addresses may be reached, a few places at most: what listens at all addresses listens at those.
/// Nothing but what is told outright where they are not known, as behind a proxy.
pub fn addresses(record: &SwarmRecord, hosts: &[IpAddr]) -> Vec<ControlAddress> {
    let Ok(peer) = record.peer.parse() else { return Vec::new() };
    let told = PeerRecord { peer, pieces: record.control.clone(), locality: Locality::default() };
    let nowhere = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    let outright = hosts.is_empty().then(|| told.clone().as_told(nowhere));
    let reached = hosts.iter().map(|host| told.clone().as_reached(*host)).chain(outright);
    let mut found = Vec::new();
    for at in reached.flat_map(|record| record.pieces) {
        let address = ControlAddress::from(at).of_peer(peer);
        if found.len() < MOST_ADDRESSES && !found.contains(&address) {
            found.push(address);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use libp2p_identity::{Keypair, PeerId};

    use super::*;

    fn ips(texts: &[&str]) -> Vec<IpAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn told(peer: &str, control: &[&str], hosts: &[&str]) -> Vec<String> {
        let control = control.iter().map(|address| address.parse().unwrap()).collect();
        let record = SwarmRecord { peer: peer.to_owned(), control, ..SwarmRecord::default() };
        addresses(&record, &ips(hosts)).iter().map(ToString::to_string).collect()
    }

    fn peer() -> PeerId {
        Keypair::generate_ed25519().public().to_peer_id()
    }

    #[test]
    fn what_listens_everywhere_is_reached_where_it_was_asked() {
        let own = peer().to_string();
        assert_eq!(told(&own, &["0.0.0.0:7", "10.0.0.2:8"], &["10.0.0.1"]), ["10.0.0.1:7", "10.0.0.2:8"]);
        assert_eq!(told(&own, &["127.0.0.1:7"], &["127.0.0.1"]), ["127.0.0.1:7"]);
        assert_eq!(told(&own, &["[::]:7"], &["fd00::1"]), ["[fd00::1]:7"]);
    }

    #[test]
    fn of_a_name_with_addresses_of_both_kinds_each_counts_whichever_comes_first() {
        let own = peer().to_string();
        for hosts in [&["fd00::1", "10.0.0.1"], &["10.0.0.1", "fd00::1"]] {
            assert_eq!(told(&own, &["0.0.0.0:7"], hosts), ["10.0.0.1:7"], "{hosts:?}");
            assert_eq!(told(&own, &["[::]:7"], hosts).len(), 2, "{hosts:?}");
            assert_eq!(told(&own, &["10.0.0.2:8"], hosts), ["10.0.0.2:8"], "{hosts:?}");
        }
        assert_eq!(told(&own, &["0.0.0.0:7"], &["::1", "127.0.0.1"]), ["127.0.0.1:7"]);
        // Nothing but IPv6 is no way to who listens on IPv4.
        assert!(told(&own, &["0.0.0.0:7"], &["fd00::1"]).is_empty());
        assert_eq!(
            told(&own, &["0.0.0.0:7", "10.0.0.2:8", "127.0.0.1:9"], &[]),
            ["10.0.0.2:8"],
            "the name is known to a proxy alone"
        );
    }

    #[tokio::test]
    async fn all_addresses_of_a_host_are_found() {
        let hosts = async |url: &str| hosts_of(&RegistryUrl::parse(url, true).unwrap()).await;
        assert_eq!(hosts("http://10.0.0.1:5000").await, ips(&["10.0.0.1"]));
        assert_eq!(hosts("http://[fd00::1]:5000").await, ips(&["fd00::1"]));
        assert!(hosts("http://localhost:5000").await.contains(&ips(&["127.0.0.1"])[0]));
        assert!(hosts("http://nobody.invalid:5000").await.is_empty());
    }

    #[test]
    fn nobody_elsewhere_has_it_knock_at_its_own_doors_or_anywhere_by_the_dozen() {
        let own = peer().to_string();
        for address in ["127.0.0.1:22", "[::1]:22", "[::ffff:127.0.0.1]:22", "169.254.169.254:80", "224.0.0.1:7", "10.0.0.1:0"] {
            assert!(told(&own, &[address], &["10.0.0.1"]).is_empty(), "{address}");
        }
        // Nor by a name that means this machine besides.
        for near in ["127.0.0.1", "::1", "169.254.169.254"] {
            assert_eq!(far_ones(ips(&[near, "10.0.0.1"])), ips(&["10.0.0.1"]));
        }
        assert_eq!(far_ones(ips(&["::1", "127.0.0.1"])), ips(&["::1", "127.0.0.1"]));
        let many: Vec<_> = (1..=100).map(|number| format!("10.0.1.{number}:7")).collect();
        assert_eq!(told(&own, &many.iter().map(String::as_str).collect::<Vec<_>>(), &["10.0.0.1", "10.0.0.2"]).len(), 8);
        assert!(told("nobody", &["10.0.0.2:7"], &["10.0.0.1"]).is_empty());
    }

    #[test]
    fn an_address_is_one_peers() {
        let own = peer();
        let record =
            SwarmRecord { peer: own.to_string(), control: vec!["10.0.0.2:7".parse().unwrap()], ..SwarmRecord::default() };
        assert_eq!(addresses(&record, &ips(&["10.0.0.1"]))[0].peer(), Some(own));
    }
}
