//! When a client is sent to the store itself for a blob's bytes.

use std::{net::IpAddr, time::Duration};

use longshore_service::config::Network;

/// The rule.
#[derive(Clone, Debug)]
pub struct Redirect {
    /// The smallest blob that is worth it, in bytes; `None` for never.
    pub min_bytes: Option<u64>,
    /// Whether a client at this address can reach the store.
    pub networks: Vec<Network>,
    /// How long the URL is good for.
    pub valid_for: Duration,
}

impl Redirect {
    /// Whether this client is sent to the store for a blob so large. No networks means all.
    pub fn applies(&self, client: IpAddr, size_bytes: u64) -> bool {
        let is_reachable = self.networks.is_empty() || self.networks.iter().any(|network| network.contains(client));
        is_reachable && self.min_bytes.is_some_and(|least| size_bytes >= least)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goes_by_address_and_size() {
        let network = |text: &str| text.parse::<Network>().unwrap();
        let redirect = Redirect {
            min_bytes: Some(1000),
            networks: vec![network("10.1.0.0/16"), network("fd00::/8")],
            valid_for: Duration::from_mins(1),
        };
        let applies = |client: &str, size| redirect.applies(client.parse().unwrap(), size);
        assert!(applies("10.1.255.1", 1000) && applies("fd12::1", 1000));
        assert!(!applies("10.2.0.1", 1000) && !applies("10.1.0.1", 999) && !applies("fe00::1", 1000));
        let all = Redirect { networks: vec![network("0.0.0.0/0")], ..redirect };
        assert!(all.applies("192.0.2.1".parse().unwrap(), 1000));
    }
}
