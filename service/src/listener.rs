//! Serving HTTP/1.1 and HTTP/2 on one address, plain or over TLS, with every wait and every count bounded.
//!
//! | limit | what it does |
//! |---|---|
//! | `max_connections` | over it nothing more is accepted; waiting clients queue in the kernel's backlog |
//! | `handshake_timeout` | a TLS handshake that takes longer is cut |
//! | `header_timeout` | a request head that takes longer to arrive, counted from its first byte or from the accept, ends the connection |
//! | `idle_timeout` | a kept-alive connection without a request for longer is closed |
//! | `stall_timeout` | a client that takes nothing of its answer for longer is cut |
//! | `drain_timeout` | after the shutdown signal, running requests get so long |
//!
//! Reading a request's body is bounded by the handler, which alone knows what it is worth.
//!
//! One task owns each connection; a clock shared with the socket and the requests tells that task which wait it is in.

mod activity;
mod bind;
mod client_certificate;
mod connection;
mod identity;
mod serve;
mod socket;
mod tls;
mod tracked;

use std::net::SocketAddr;
use std::time::Duration;

pub use bind::{BindError, Listener};
pub use client_certificate::{ClientCertificate, UntrustedCertificate};
pub use identity::{Identity, InvalidIdentity};
pub use serve::Drained;
pub use tls::{Certificates, ClientAuthorityFiles, TlsError};

/// The limits of one listener. See the module for what each does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections open at once, at least 1.
    pub max_connections: usize,
    /// For the TLS handshake.
    pub handshake_timeout: Duration,
    /// For one request head.
    pub header_timeout: Duration,
    /// Between requests.
    pub idle_timeout: Duration,
    /// For one write of an answer.
    pub stall_timeout: Duration,
    /// For what runs when the shutdown begins.
    pub drain_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_connections: 10_000,
            handshake_timeout: Duration::from_secs(10),
            header_timeout: Duration::from_secs(15),
            idle_timeout: Duration::from_secs(75),
            stall_timeout: Duration::from_mins(1),
            drain_timeout: Duration::from_secs(30),
        }
    }
}

/// Who is at the other end of a request's connection.
#[derive(Clone, Debug)]
pub struct ConnectionInfo {
    /// The peer's address as the socket sees it.
    pub peer: SocketAddr,
    /// Whether the connection is over TLS.
    pub tls: bool,
    /// The certificate that its client showed, where the listener takes any.
    pub certificate: Option<ClientCertificate>,
}

#[cfg(test)]
mod tests;
