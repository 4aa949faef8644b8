//! A block of IP addresses.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;

use super::setting::quote_all;
use super::{Given, Setting};

/// A block of addresses in CIDR form (RFC 4632): `10.0.0.0/8`, `fd00::/8`, or a single address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network(IpNet);

/// The text is not a block of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a network is an address and a prefix length, such as 10.0.0.0/8 or fd00::/8")]
pub struct NetworkError;

impl Network {
    /// Whether the address is in the block. An IPv4 address that arrives mapped into IPv6 counts as the IPv4 address.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address.to_canonical())
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        let network = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
        network.map(Self).map_err(|_| NetworkError)
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The list is replaced whole.
impl Setting for Vec<Network> {
    fn set(&mut self, given: &Given) -> Result<(), String> {
        *self = given.items("networks")?;
        Ok(())
    }

    fn render(&self) -> String {
        quote_all(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mapped_address_is_in_its_ipv4_block() {
        let network: Network = "10.0.0.0/8".parse().expect("a network");
        assert!(network.contains("10.1.2.3".parse().expect("an address")));
        assert!(network.contains("::ffff:10.1.2.3".parse().expect("an address")));
        assert!(!network.contains("11.0.0.1".parse().expect("an address")));
        assert_eq!("127.0.0.1".parse::<Network>().map(|it| it.to_string()), Ok("127.0.0.1/32".to_owned()));
        assert_eq!("10.0.0.0/33".parse::<Network>(), Err(NetworkError));
    }
}
