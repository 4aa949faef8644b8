use std::time::Duration;

use reqwest::Client;

/// How many streams go over one connection; the server takes 128 on each.
const STREAMS: u32 = 100;
/// How many connections carry reports.
const REPORTING: u32 = 8;

/// The connections that all nodes share.
pub(super) struct Wires {
    hearing: Vec<Client>,
    reporting: Vec<Client>,
}

impl Wires {
    /// For so many nodes.
    pub(super) fn new(nodes: u32) -> Self {
        // Fails from the second time on, when there is one already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let clients = |count: u32| (0..count).map(|_| client()).collect();
        Self { hearing: clients(nodes.div_ceil(STREAMS).max(1)), reporting: clients(REPORTING) }
    }

    /// What this node hears by.
    pub(super) fn hearing(&self, node: u32) -> &Client {
        &self.hearing[node as usize % self.hearing.len()]
    }

    /// What this node reports by.
    pub(super) fn reporting(&self, node: u32) -> &Client {
        &self.reporting[node as usize % self.reporting.len()]
    }
}

fn client() -> Client {
    let builder = Client::builder()
        .http2_prior_knowledge()
        .connect_timeout(Duration::from_secs(5))
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .tls_certs_only(Vec::new());
    builder.build().expect("a client with these options can be made")
}
