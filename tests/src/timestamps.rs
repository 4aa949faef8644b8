use std::time::Duration;

use crate::{Namespace, Process, go_program, until};

const PORT: u16 = 8040;
const START_LIMIT: Duration = Duration::from_secs(30);

/// Sigstore's timestamp authority (RFC 3161), with a key and certificates that it has made for itself.
pub struct Timestamps {
    chain: String,
    _server: Process,
}

impl Timestamps {
    /// Starts one in a namespace, until it answers.
    pub async fn start(namespace: &Namespace) -> Self {
        let port = format!("--port={PORT}");
        let arguments = ["serve", "--host=127.0.0.1", &port, "--scheme=http", "--disable-ntp-monitoring"];
        let mut server = namespace.start("timestamp-server", go_program("timestamp-server"), |command| {
            command.args(arguments).args(["--timestamp-signer=memory", "--include-chain-in-response"]);
        });
        let chain = until("timestamp-server to answer", START_LIMIT, async || {
            let exit = server.exit_status();
            assert!(exit.is_none(), "timestamp-server ended ({exit:?}):\n{}", server.output());
            namespace.get(PORT, "/api/v1/timestamp/certchain")
        })
        .await;
        Self { chain, _server: server }
    }

    /// Where it is asked, in its namespace.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{PORT}/api/v1/timestamp")
    }

    /// Its root's certificate, PEM.
    pub fn root(&self) -> &str {
        let start = self.chain.rfind("-----BEGIN CERTIFICATE-----").expect("it has a chain");
        &self.chain[start..]
    }
}
