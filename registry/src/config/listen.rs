//! `[listen]`: addresses, TLS, and how long a client may take.

use std::error::Error;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use longshore_service::config::{Duration, HttpUrl, Problems};
use longshore_service::listener::{Certificates, Limits};

use super::check_not_zero;

/// Where and how the registry listens.
#[derive(Clone, Debug, PartialEq)]
pub struct Listen {
    /// The registry's IP address and port. Port 0 takes a free one.
    pub address: SocketAddr,
    /// The address of health and metrics, always plain HTTP; `"off"` for none.
    pub admin_address: Option<SocketAddr>,
    /// The certificate chain, PEM, the server's own first; empty for plain HTTP.
    pub tls_certificate_file: Option<PathBuf>,
    /// The certificate's key, PEM.
    pub tls_key_file: Option<PathBuf>,
    /// Whether plain HTTP may be served on an address that other machines can reach.
    pub allow_plain_http: bool,
    /// Whether nobody need say who they are on an address that other machines can reach.
    pub allow_unauthenticated: bool,
    /// How long running requests get after the signal to stop.
    pub drain_timeout: Duration,
    /// How long the head of a request may take to arrive.
    pub header_timeout: Duration,
    /// How long a connection may stay open between requests.
    pub idle_timeout: Duration,
    /// How long a client may send nothing of a body that is read, or take nothing of an answer that is written.
    pub body_idle_timeout: Duration,
    /// Connections open at once; more wait until one closes.
    pub max_connections: usize,
    /// The URL under which clients reach the registry, where a proxy in front of it changes that.
    pub public_url: Option<HttpUrl>,
}

impl Default for Listen {
    fn default() -> Self {
        Self {
            address: SocketAddr::from(([127, 0, 0, 1], 5000)),
            admin_address: Some(SocketAddr::from(([127, 0, 0, 1], 5001))),
            tls_certificate_file: None,
            tls_key_file: None,
            allow_plain_http: false,
            allow_unauthenticated: false,
            drain_timeout: Duration::seconds(30),
            header_timeout: Duration::seconds(15),
            idle_timeout: Duration::seconds(75),
            body_idle_timeout: Duration::seconds(60),
            max_connections: 10_000,
            public_url: None,
        }
    }
}

longshore_service::settings!(Listen {
    address,
    admin_address,
    tls_certificate_file,
    tls_key_file,
    allow_plain_http,
    allow_unauthenticated,
    drain_timeout,
    header_timeout,
    idle_timeout,
    body_idle_timeout,
    max_connections,
    public_url,
});

impl Listen {
    /// The files of certificate and key, when TLS is on.
    pub fn tls_files(&self) -> Option<(&Path, &Path)> {
        Some((self.tls_certificate_file.as_deref()?, self.tls_key_file.as_deref()?))
    }

    /// The limits of the registry's listener.
    pub fn limits(&self) -> Limits {
        Limits {
            max_connections: self.max_connections,
            header_timeout: self.header_timeout.get(),
            idle_timeout: self.idle_timeout.get(),
            stall_timeout: self.body_idle_timeout.get(),
            drain_timeout: self.drain_timeout.get(),
            ..Limits::default()
        }
    }

    pub(super) fn check(&self, problems: &mut Problems<'_>) {
        check_not_zero("listen.header_timeout", self.header_timeout, problems);
        check_not_zero("listen.idle_timeout", self.idle_timeout, problems);
        check_not_zero("listen.body_idle_timeout", self.body_idle_timeout, problems);
        if self.max_connections == 0 {
            problems.add(&["listen.max_connections"], "must be at least 1");
        }
        if self.tls_certificate_file.is_some() != self.tls_key_file.is_some() {
            let keys = ["listen.tls_certificate_file", "listen.tls_key_file"];
            problems.add(&keys, "TLS needs both tls_certificate_file and tls_key_file");
        }
        if self.admin_address == Some(self.address) && self.address.port() != 0 {
            problems.add(&["listen.admin_address", "listen.address"], "the admin listener needs an address of its own");
        }
        self.check_reach(problems);
    }

    fn check_reach(&self, problems: &mut Problems<'_>) {
        let reachable = |address: SocketAddr| !address.ip().to_canonical().is_loopback();
        if self.allow_plain_http {
            return;
        }
        if reachable(self.address) && self.tls_certificate_file.is_none() && self.tls_key_file.is_none() {
            problems.add(
                &["listen.address", "listen.allow_plain_http"],
                "other machines can reach this address: set tls_certificate_file and tls_key_file, or allow_plain_http = true",
            );
        }
        if self.admin_address.is_some_and(reachable) {
            problems.add(
                &["listen.admin_address", "listen.allow_plain_http"],
                "other machines can reach this address, and the admin listener is plain HTTP: set allow_plain_http = true if they may",
            );
        }
    }

    pub(super) fn check_files(&self, problems: &mut Problems<'_>) {
        let Some((certificate, key)) = self.tls_files() else {
            return;
        };
        if let Err(error) = Certificates::read(certificate, key) {
            let reason = error.source().map(|source| format!(": {source}")).unwrap_or_default();
            problems.add(&["listen.tls_certificate_file", "listen.tls_key_file"], format!("{error}{reason}"));
        }
    }
}
