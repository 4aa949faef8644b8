//! The node that `longshore up` runs.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
};

use longshore_client::RegistryUrl;
use longshore_edge_cache::config::Upstream;
use longshore_node::Config;
use longshore_service::telemetry::Filter;

/// What is said of it.
pub struct UpNode {
    /// The folder that keeps its pieces.
    pub folder: PathBuf,
    /// Where its mirror listens.
    pub listen: SocketAddr,
    /// Where health and metrics are, if anywhere.
    pub admin_address: Option<SocketAddr>,
    /// The IP address where other nodes reach it.
    pub swarm_ip: IpAddr,
    /// The registry.
    pub registry: RegistryUrl,
    /// Whether plain HTTP may be served to other machines.
    pub allow_plain_http: bool,
    /// What to log.
    pub log: Filter,
}

impl UpNode {
    pub fn config(self) -> Config {
        let mut config = Config::default();
        config.edge.cache.folder = self.folder;
        config.edge.listen.common.address = self.listen;
        config.edge.listen.common.admin_address = self.admin_address;
        config.edge.listen.common.allow_plain_http = self.allow_plain_http;
        config.edge.log.filter = self.log;
        config.edge.upstream = vec![Upstream {
            name: name(&self.registry),
            url: self.registry.to_string(),
            allow_plain_http: true,
            ..Upstream::default()
        }];
        config.swarm.listen = SocketAddr::new(self.swarm_ip, 0);
        config.swarm.control_listen = SocketAddr::new(self.swarm_ip, 0);
        config
    }
}

/// What nodes call a registry: its host and port, but a registry of this machine the same by whichever of its names it was reached.
fn name(registry: &RegistryUrl) -> String {
    let port = registry.as_url().port_or_known_default();
    match port.filter(|_| registry.is_loopback()) {
        Some(port) => SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port).to_string(),
        None => registry.authority().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_of_this_machine_has_one_name() {
        let named = |text: &str| name(&RegistryUrl::parse(text, true).expect("it is a URL"));
        for text in ["127.0.0.1:5000", "localhost:5000", "http://[::1]:5000", "http://0.0.0.0:5000"] {
            assert_eq!(named(text), "127.0.0.1:5000", "{text}");
        }
        assert_eq!(named("10.0.0.7:5000"), "10.0.0.7:5000");
        assert_eq!(named("https://registry.example.org"), "registry.example.org");
    }
}
