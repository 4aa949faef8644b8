//! Taking the address.

use std::io;
use std::net::SocketAddr;

use tokio::net::TcpListener;

use super::{Certificates, Limits};
use crate::metrics::ConnectionMetrics;

/// A bound address that does not yet serve. Connections made now wait in the kernel's backlog.
#[derive(Debug)]
pub struct Listener {
    tcp: TcpListener,
    address: SocketAddr,
    certificates: Option<Certificates>,
    limits: Limits,
    metrics: Option<ConnectionMetrics>,
}

/// What a listener is made of, once it serves.
pub(super) struct Parts {
    pub tcp: TcpListener,
    pub certificates: Option<Certificates>,
    pub limits: Limits,
    pub metrics: Option<ConnectionMetrics>,
}

/// The address cannot be listened on.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The system refused it: taken, not this machine's, or privileged.
    #[error("cannot listen on {address}")]
    Refused {
        /// The address asked for.
        address: SocketAddr,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// Other machines could reach it, and nothing would be encrypted.
    #[error(
        "will not serve plain HTTP on {address}, which other machines can reach: set a certificate and key, or allow_plain_http = true"
    )]
    PlainHttp {
        /// The address asked for.
        address: SocketAddr,
    },
}

impl Listener {
    /// Listens on `address`, over TLS when there are `certificates`. Port 0 takes a free port.
    ///
    /// Plain HTTP is refused on an address that is not loopback, unless `allow_plain_http`.
    pub async fn bind(
        address: SocketAddr,
        certificates: Option<Certificates>,
        allow_plain_http: bool,
        limits: Limits,
    ) -> Result<Self, BindError> {
        if certificates.is_none() && !allow_plain_http && !address.ip().to_canonical().is_loopback() {
            return Err(BindError::PlainHttp { address });
        }
        let refused = |source| BindError::Refused { address, source };
        let tcp = TcpListener::bind(address).await.map_err(refused)?;
        let address = tcp.local_addr().map_err(refused)?;
        Ok(Self { tcp, address, certificates, limits, metrics: None })
    }

    /// The address in force, with the real port where 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of the listener's root, without a slash at its end, such as `http://127.0.0.1:5000`.
    pub fn url(&self) -> String {
        let scheme = if self.certificates.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// Counts connections in these, such as [`HttpMetrics::connections`](crate::metrics::HttpMetrics).
    #[must_use]
    pub fn counted_in(self, metrics: ConnectionMetrics) -> Self {
        Self { metrics: Some(metrics), ..self }
    }

    pub(super) fn into_parts(self) -> Parts {
        let Self { tcp, certificates, limits, metrics, .. } = self;
        Parts { tcp, certificates, limits, metrics }
    }
}
