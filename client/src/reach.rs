//! Which machines a client connects to.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::RegistryUrl;

/// Which machines a client connects to: the registry's own, and those where that sends it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Reach {
    /// Any.
    #[default]
    Any,
    /// Those of the public network alone, for whoever asks where strangers say: what is reached on this machine and within its own networks is
    /// none of theirs. A name counts as what it leads to when it is connected to. Where the environment names a proxy, what that reaches is its
    /// own affair.
    Public {
        /// Hosts that are reached all the same, as a proxy within the own network: names or addresses, without a port.
        besides: Arc<[String]>,
    },
}

impl Reach {
    /// Whether a server is nowhere to be connected to, as far as its URL tells. Of a name that is found out when it is connected to.
    pub(crate) fn shuns(&self, server: &RegistryUrl) -> bool {
        let Self::Public { besides } = self else { return false };
        let host = server.host();
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let is_private = server.is_loopback() || bare.parse().is_ok_and(|address| !is_public(address));
        is_private && !is_among(besides, bare)
    }

    /// What finds the addresses of names, where not all will do.
    pub(crate) fn resolver(&self) -> Option<PublicNames> {
        match self {
            Self::Any => None,
            Self::Public { besides } => Some(PublicNames { besides: besides.clone() }),
        }
    }
}

fn is_among(hosts: &[String], host: &str) -> bool {
    hosts.iter().any(|named| named.eq_ignore_ascii_case(host))
}

/// Finds the addresses of names, those of the public network alone.
#[derive(Clone, Debug)]
pub(crate) struct PublicNames {
    besides: Arc<[String]>,
}

impl Resolve for PublicNames {
    fn resolve(&self, name: Name) -> Resolving {
        let is_named = is_among(&self.besides, name.as_str());
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let taken: Vec<SocketAddr> = found.iter().filter(|address| is_named || is_public(address.ip())).copied().collect();
            if taken.is_empty() && !found.is_empty() {
                let told = format!("the name {} leads into a private network, where this does not connect to", name.as_str());
                return Err(io::Error::new(io::ErrorKind::PermissionDenied, told).into());
            }
            Ok(Box::new(taken.into_iter()) as Addrs)
        })
    }
}

/// Whether an address is one of the public network (IANA's registries of special-purpose addresses).
fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [first, second, third, _] = address.octets();
    let is_special = match first {
        0 | 10 | 127 | 224.. => true,
        100 => (64..128).contains(&second),
        169 => second == 254,
        172 => (16..32).contains(&second),
        192 => second == 168 || second == 0 && matches!(third, 0 | 2),
        198 => second == 18 || second == 19 || second == 51 && third == 100,
        203 => second == 0 && third == 113,
        _ => false,
    };
    !is_special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let [first, second, .., high, low] = address.segments();
    let embedded = |high: u16, low: u16| Ipv4Addr::from_bits((u32::from(high) << 16) | u32::from(low));
    match (first, second) {
        // Translated to the IPv4 address at the end (RFC 6052).
        (0x64, 0xff9b) => is_public_v4(embedded(high, low)),
        // 6to4, with the IPv4 address after it (RFC 3056).
        (0x2002, _) => is_public_v4(embedded(second, address.segments()[2])),
        // Special purposes: tunnels, tests, documentation.
        (0x2001, ..0x200 | 0xdb8) | (0x3fff, ..0x1000) => false,
        _ => (0x2000..0x4000).contains(&first),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn public(besides: &[&str]) -> Reach {
        Reach::Public { besides: besides.iter().map(|host| (*host).to_owned()).collect() }
    }

    #[test]
    fn tells_public_addresses_from_others() {
        for address in
            ["8.8.8.8", "100.63.0.1", "172.32.0.1", "192.0.1.1", "2606:4700::1111", "64:ff9b::8.8.8.8", "::ffff:8.8.8.8"]
        {
            assert!(is_public(address.parse().expect("an address")), "{address}");
        }
        for address in [
            "127.0.0.1",
            "0.0.0.0",
            "10.0.0.5",
            "172.16.9.9",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::1",
            "::",
            "fe80::1",
            "fd00::1",
            "ff02::1",
            "::ffff:10.0.0.5",
            "64:ff9b::10.0.0.5",
            "2002:a00:5::1",
            "2001:db8::1",
            "2001::1",
        ] {
            assert!(!is_public(address.parse().expect("an address")), "{address}");
        }
    }

    #[test]
    fn urls_of_private_addresses_are_shunned_but_for_those_that_are_named() {
        let url = |text: &str| RegistryUrl::parse(text, false).expect("a registry");
        for host in
            ["127.0.0.1:8500", "localhost:5000", "10.0.0.5:2379", "[::1]:80", "[fd00::1]", "https://0x7f.1", "https://2130706433"]
        {
            assert!(public(&[]).shuns(&url(host)), "{host}");
            assert!(!Reach::Any.shuns(&url(host)), "{host}");
        }
        assert!(!public(&["10.0.0.5"]).shuns(&url("10.0.0.5:2379")) && !public(&[]).shuns(&url("registry.example")));
    }

    #[tokio::test]
    async fn names_count_as_what_they_lead_to() {
        let resolve = |reach: Reach| async move {
            let resolver = reach.resolver().expect("it has one");
            resolver.resolve("localhost".parse().expect("a name")).await.map(Iterator::count)
        };
        let error = resolve(public(&[])).await.expect_err("it is this machine");
        assert!(error.to_string().contains("private network"), "{error}");
        assert!(resolve(public(&["LOCALHOST"])).await.is_ok_and(|count| count > 0));
    }
}
