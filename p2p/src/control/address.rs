//! Where control protocols are spoken.

use std::{
    fmt, io,
    net::{IpAddr, SocketAddr},
    str::FromStr,
    sync::Arc,
    time::Duration,
};

use libp2p::{Multiaddr, multiaddr::Protocol};
use libp2p_identity::PeerId;
use longshore_service::own_address::is_own;
use tokio::time::timeout;

use super::ids;

/// The most addresses of one name that are tried.
const MOST_RESOLVED: usize = 8;
/// How long a start waits for the system's resolver.
const RESOLVED_WITHIN: Duration = Duration::from_secs(2);
/// The longest name (RFC 1035, section 2.3.4).
const MOST_NAME_BYTES: usize = 253;

/// Where a tracker or a peer is reached for the control protocols, and who should be there if that is known.
///
/// Read as `host:port`, or as a multiaddr of `/ip4`, `/ip6`, `/dns`, `/dns4` or `/dns6`, then `/tcp`, then `/p2p` if the peer is known. It is
/// told as `host:port`; see [`Self::peer`] for who is there.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ControlAddress(Arc<Place>);

#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
struct Place {
    host: Host,
    port: u16,
    peer: Option<PeerId>,
}

#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
enum Host {
    Ip(IpAddr),
    Name(String),
}

/// A text that is no address for the control protocols.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{text:?} is no address of the form host:port, or /ip4/…/tcp/… with or without /p2p/…")]
pub struct InvalidControlAddress {
    text: String,
}

impl ControlAddress {
    /// Who should be there.
    pub fn peer(&self) -> Option<PeerId> {
        self.0.peer
    }

    /// The same place, where this peer should be.
    #[must_use]
    pub fn of_peer(self, peer: PeerId) -> Self {
        Self::new(self.0.host.clone(), self.0.port, Some(peer))
    }

    /// By what whoever is there is told apart from others: the peer's id, which stays the same wherever it is reached, or else the place.
    pub fn identity(&self) -> String {
        self.peer().map_or_else(|| self.to_string(), |peer| peer.to_string())
    }

    /// The place's number, unless it is a name.
    pub(super) fn ip(&self) -> Option<IpAddr> {
        if let Host::Ip(ip) = self.0.host { Some(ip) } else { None }
    }

    /// The sockets to dial, a few at most. It asks the system's resolver for a name.
    pub(super) async fn resolve(&self) -> io::Result<Vec<SocketAddr>> {
        match &self.0.host {
            Host::Ip(ip) => Ok(vec![SocketAddr::new(*ip, self.0.port)]),
            Host::Name(name) => Ok(tokio::net::lookup_host((name.as_str(), self.0.port)).await?.take(MOST_RESOLVED).collect()),
        }
    }

    /// Whether that is this peer, which listens at these: by its id, or where it is on this machine and nowhere else. What a name stands for
    /// that the system's resolver does not know soon is another.
    pub(crate) async fn is_of(&self, peer: PeerId, listening: &[SocketAddr]) -> bool {
        if let Some(named) = self.peer() {
            return named == peer;
        }
        let Ok(Ok(found)) = timeout(RESOLVED_WITHIN, self.resolve()).await else { return false };
        let leads_to = |place: &SocketAddr, at: &SocketAddr| {
            at == place || at.port() == place.port() && at.ip().is_unspecified() && at.is_ipv4() == place.is_ipv4()
        };
        let is_listened_at = |place: &SocketAddr| listening.iter().any(|at| leads_to(place, at));
        found.iter().all(|place| is_own(place.ip())) && found.iter().any(is_listened_at)
    }

    fn new(host: Host, port: u16, peer: Option<PeerId>) -> Self {
        Self(Arc::new(Place { host, port, peer }))
    }

    fn named(name: &str, port: u16) -> Option<Self> {
        let is_of_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
        let is_name = (1..=MOST_NAME_BYTES).contains(&name.len()) && name.bytes().all(is_of_name);
        is_name.then(|| Self::new(Host::Name(name.to_ascii_lowercase()), port, None))
    }

    fn from_host_and_port(text: &str) -> Option<Self> {
        if let Ok(socket) = text.parse::<SocketAddr>() {
            return Some(socket.into());
        }
        let (name, port) = text.rsplit_once(':')?;
        Self::named(name, port.parse().ok()?)
    }

    fn from_multiaddr(address: &Multiaddr) -> Option<Self> {
        let mut parts = address.iter();
        let host = parts.next()?;
        let Protocol::Tcp(port) = parts.next()? else { return None };
        let place = match host {
            Protocol::Ip4(ip) => SocketAddr::new(ip.into(), port).into(),
            Protocol::Ip6(ip) => SocketAddr::new(ip.into(), port).into(),
            Protocol::Dns(name) | Protocol::Dns4(name) | Protocol::Dns6(name) => Self::named(&name, port)?,
            _ => return None,
        };
        let place = match parts.next() {
            None => place,
            Some(Protocol::P2p(peer)) => place.of_peer(ids::ours(peer)),
            Some(_) => return None,
        };
        parts.next().is_none().then_some(place)
    }
}

impl From<SocketAddr> for ControlAddress {
    fn from(socket: SocketAddr) -> Self {
        Self::new(Host::Ip(socket.ip().to_canonical()), socket.port(), None)
    }
}

impl TryFrom<&Multiaddr> for ControlAddress {
    type Error = InvalidControlAddress;

    fn try_from(address: &Multiaddr) -> Result<Self, InvalidControlAddress> {
        let found = Self::from_multiaddr(address).filter(|found| found.0.port != 0);
        found.ok_or_else(|| InvalidControlAddress { text: address.to_string() })
    }
}

impl FromStr for ControlAddress {
    type Err = InvalidControlAddress;

    fn from_str(text: &str) -> Result<Self, InvalidControlAddress> {
        let found = match text.parse::<Multiaddr>() {
            Ok(address) if text.starts_with('/') => Self::from_multiaddr(&address),
            _ => Self::from_host_and_port(text),
        };
        found.filter(|found| found.0.port != 0).ok_or_else(|| InvalidControlAddress { text: text.to_owned() })
    }
}

impl fmt::Display for ControlAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.host {
            Host::Ip(ip) => SocketAddr::new(*ip, self.0.port).fmt(formatter),
            Host::Name(name) => write!(formatter, "{name}:{}", self.0.port),
        }
    }
}

/// Where somebody is who was reached at this address.
pub(super) fn ip_of(address: &Multiaddr) -> Option<IpAddr> {
    address.iter().find_map(|part| match part {
        Protocol::Ip4(ip) => Some(ip.into()),
        Protocol::Ip6(ip) => Some(IpAddr::V6(ip).to_canonical()),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: &str = "12D3KooWRNw2pJC9748Fmq4WNV27HoSTcX3r37132FLkQMrbKAiC";

    #[tokio::test]
    async fn a_node_knows_itself() {
        let peer = PeerId::random();
        let is_itself = async |text: &str, listening: &str| {
            text.parse::<ControlAddress>().unwrap().is_of(peer, &[listening.parse().unwrap()]).await
        };
        let own = format!("/ip4/10.0.0.1/tcp/7/p2p/{peer}");
        for (text, listening) in
            [("127.0.0.1:7", "127.0.0.1:7"), ("127.0.0.1:7", "0.0.0.0:7"), ("localhost:7", "127.0.0.1:7"), (&own, "127.0.0.1:9")]
        {
            assert!(is_itself(text, listening).await, "{text} {listening}");
        }
        let another = format!("/ip4/127.0.0.1/tcp/7/p2p/{PEER}");
        for (text, listening) in [
            ("127.0.0.1:8", "0.0.0.0:7"),
            ("192.0.2.1:7", "0.0.0.0:7"),
            ("127.0.0.1:7", "[::]:7"),
            ("[::1]:7", "0.0.0.0:7"),
            ("none.invalid:7", "0.0.0.0:7"),
            (&another, "127.0.0.1:7"),
        ] {
            assert!(!is_itself(text, listening).await, "{text} {listening}");
        }
    }

    #[test]
    fn both_forms_are_read() {
        let with_peer = format!("/ip4/10.0.0.1/tcp/7/p2p/{PEER}");
        for (text, expected) in [
            ("10.0.0.1:7", "10.0.0.1:7"),
            ("/ip4/10.0.0.1/tcp/7", "10.0.0.1:7"),
            ("[::1]:7", "[::1]:7"),
            ("/ip6/::1/tcp/7", "[::1]:7"),
            ("[::ffff:10.0.0.1]:7", "10.0.0.1:7"),
            ("Edge-1.example.org:7", "edge-1.example.org:7"),
            ("/dns4/edge-1/tcp/7", "edge-1:7"),
        ] {
            let address: ControlAddress = text.parse().unwrap();
            assert_eq!((address.to_string().as_str(), address.identity().as_str()), (expected, expected), "{text}");
            assert_eq!(address.to_string().parse(), Ok(address));
        }
        let (of_peer, place): (ControlAddress, ControlAddress) = (with_peer.parse().unwrap(), "10.0.0.1:7".parse().unwrap());
        let peer: PeerId = PEER.parse().unwrap();
        assert_eq!((of_peer.to_string().as_str(), of_peer.identity().as_str()), ("10.0.0.1:7", PEER));
        assert_eq!((place.peer(), place.of_peer(peer)), (None, of_peer));
    }

    #[test]
    fn nonsense_is_not() {
        let long = format!("{}:7", "a".repeat(MOST_NAME_BYTES + 1));
        for text in [
            "",
            ":7",
            "host",
            "host:",
            "host:0",
            "host:65536",
            "10.0.0.1:0",
            "ho st:7",
            "http://host:7",
            "::1:7",
            "/ip4/10.0.0.1",
            "/ip4/10.0.0.1/udp/7",
            "/ip4/10.0.0.1/tcp/0",
            "/ip4/10.0.0.1/tcp/7/ws",
            "/tcp/7",
            "/ip4/10.0.0.1/tcp/7/p2p/12D3KooW",
            &long,
        ] {
            assert!(text.parse::<ControlAddress>().is_err(), "{text:?}");
        }
    }

    #[tokio::test]
    async fn a_name_is_resolved() {
        let address: ControlAddress = "localhost:7".parse().unwrap();
        let sockets = address.resolve().await.unwrap();
        assert!(
            !sockets.is_empty() && sockets.iter().all(|socket| socket.ip().is_loopback() && socket.port() == 7),
            "{sockets:?}"
        );
    }
}
