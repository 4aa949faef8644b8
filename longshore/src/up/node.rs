//! The node that `longshore up` runs.

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
};

use longshore_client::RegistryUrl;
use longshore_edge_cache::config::Upstream;
use longshore_node::Config;
use longshore_service::{config::Secret, telemetry::Filter};

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
    /// The name and the secret of its account there, where it has one.
    pub account: Option<(&'static str, Secret)>,
    /// Who says what runs here, where anybody does.
    pub runs: Option<Runs>,
    /// Whether plain HTTP may be served to other machines.
    pub allow_plain_http: bool,
    /// What to log.
    pub log: Filter,
}

/// Who says what runs on a node, and how it is run.
pub struct Runs {
    /// The orchestrator's URL.
    pub orchestrator: String,
    /// What lets the node join.
    pub token: Secret,
    /// The socket of containerd.
    pub containerd: PathBuf,
    /// Whether containerd can give pods networks of their own.
    pub has_pod_network: bool,
}

impl UpNode {
    pub fn config(self) -> Config {
        let mut config = Config::default();
        config.edge.cache.folder = self.folder;
        config.edge.listen.common.address = self.listen;
        config.edge.listen.common.admin_address = self.admin_address;
        config.edge.listen.common.allow_plain_http = self.allow_plain_http;
        config.edge.log.filter = self.log;
        let (username, password) = self.account.map(|(name, secret)| (name.to_owned(), secret)).unwrap_or_default();
        config.edge.upstream =
            vec![Upstream { url: self.registry.to_string(), username, password, allow_plain_http: true, ..Upstream::default() }];
        config.swarm.listen = SocketAddr::new(self.swarm_ip, 0);
        config.swarm.control_listen = SocketAddr::new(self.swarm_ip, 0);
        if let Some(runs) = self.runs {
            config.containerd.address = runs.containerd.display().to_string();
            config.agent.orchestrators = vec![runs.orchestrator];
            config.agent.token = runs.token;
            config.agent.pod_network = runs.has_pod_network;
        }
        config
    }
}
