//! What all pods' tasks have in common.

use std::{path::PathBuf, sync::Arc, time::Duration};

use longshore_fleet::PodId;

use super::{board::Board, cri::Cri, make::Capacity, metrics::AgentMetrics, pod::Rules, worker::Pulls};

/// What all pods' tasks have in common.
pub struct Hands {
    /// The container runtime.
    pub cri: Cri,
    /// What this agent's own is labelled with.
    pub agent: String,
    /// Where the pods' logs are, each in a folder of its own.
    pub logs: PathBuf,
    /// How long is waited between tries.
    pub rules: Rules,
    /// What the machine has.
    pub capacity: Capacity,
    /// Where pods that have the machine's network are reached.
    pub host_address: String,
    /// Whether pods have networks of their own here.
    pub has_pod_network: bool,
    /// Images on their way.
    pub pulls: Pulls,
    /// What asks containers how they are.
    pub probes: reqwest::Client,
    /// What is counted.
    pub metrics: AgentMetrics,
    /// What is to be told of all this.
    pub board: Arc<Board>,
}

impl Hands {
    /// The folder of a pod's logs.
    pub fn logs_of(&self, pod: PodId) -> PathBuf {
        self.logs.join(pod.to_string())
    }
}

/// A client for probes: none is kept connected, and none goes by a proxy, or on to where an answer points.
pub fn probe_client() -> Result<reqwest::Client, reqwest::Error> {
    // The first caller in the process installs the provider; that another one did is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .user_agent(concat!("longshore-probe/", env!("CARGO_PKG_VERSION")))
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .pool_max_idle_per_host(0)
        .tls_backend_rustls()
        .tls_certs_only(Vec::new())
        .connect_timeout(Duration::from_mins(1))
        .build()
}
