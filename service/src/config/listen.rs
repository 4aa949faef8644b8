//! What the `[listen]` of every daemon has: addresses, TLS, and how long a client may take.

use std::error::Error;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::{Duration, Problems};
use crate::listener::{BindError, Certificates, ClientAuthorityFiles, Limits, Listener, TlsError};

/// Connections that the admin listener has open at once.
const ADMIN_CONNECTIONS: usize = 64;

crate::choice! {
    /// Whether clients must show certificates.
    pub enum ClientCertificates {
        /// Who shows none may say otherwise who they are.
        Optional = "optional",
        /// Who shows none is not served at all.
        Required = "required",
    }
}

/// Where and how a daemon listens.
#[derive(Clone, Debug, PartialEq)]
pub struct Listen {
    /// The daemon's IP address and port. Port 0 takes a free one.
    pub address: SocketAddr,
    /// The address of health and metrics, always plain HTTP; `"off"` for none.
    pub admin_address: Option<SocketAddr>,
    /// The certificate chain, PEM, the server's own first; empty for plain HTTP.
    pub tls_certificate_file: Option<PathBuf>,
    /// The certificate's key, PEM.
    pub tls_key_file: Option<PathBuf>,
    /// The certificates of the authorities, PEM, whose clients may show certificates; empty for none.
    pub tls_client_ca_file: Option<PathBuf>,
    /// What these authorities have revoked, PEM: a list of each that signs in a client's chain, in force by its dates. Empty for
    /// nothing.
    pub tls_client_crl_file: Option<PathBuf>,
    /// Whether clients must show certificates: `"optional"` or `"required"`.
    pub tls_client_certificates: ClientCertificates,
    /// Whether plain HTTP may be served on an address that other machines can reach.
    pub allow_plain_http: bool,
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
}

crate::settings!(Listen {
    address,
    admin_address,
    tls_certificate_file,
    tls_key_file,
    tls_client_ca_file,
    tls_client_crl_file,
    tls_client_certificates,
    allow_plain_http,
    drain_timeout,
    header_timeout,
    idle_timeout,
    body_idle_timeout,
    max_connections,
});

impl Listen {
    /// On loopback at this port, with the admin listener at the one after it.
    pub fn on(port: u16) -> Self {
        Self {
            address: SocketAddr::from(([127, 0, 0, 1], port)),
            admin_address: Some(SocketAddr::from(([127, 0, 0, 1], port + 1))),
            tls_certificate_file: None,
            tls_key_file: None,
            tls_client_ca_file: None,
            tls_client_crl_file: None,
            tls_client_certificates: ClientCertificates::Optional,
            allow_plain_http: false,
            drain_timeout: Duration::seconds(30),
            header_timeout: Duration::seconds(15),
            idle_timeout: Duration::seconds(75),
            body_idle_timeout: Duration::seconds(60),
            max_connections: 10_000,
        }
    }

    /// The files of certificate and key, when TLS is on.
    pub fn tls_files(&self) -> Option<(&Path, &Path)> {
        Some((self.tls_certificate_file.as_deref()?, self.tls_key_file.as_deref()?))
    }

    /// The files that say which clients' certificates are good, where any are.
    fn client_files(&self) -> Option<ClientAuthorityFiles> {
        Some(ClientAuthorityFiles {
            authorities: self.tls_client_ca_file.clone()?,
            revocations: self.tls_client_crl_file.clone(),
            is_required: self.tls_client_certificates == ClientCertificates::Required,
        })
    }

    /// What TLS is made of, when it is on. Reads the files, so this blocks.
    pub fn certificates(&self) -> Result<Option<Certificates>, TlsError> {
        let read = |(certificate, key): (&Path, &Path)| Certificates::read(certificate, key, self.client_files());
        self.tls_files().map(read).transpose()
    }

    /// The limits of the daemon's listener.
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

    /// Takes the daemon's address, where `certificates` are what [`Self::certificates`] gave, and the admin listener's.
    pub async fn bind(&self, certificates: Option<Certificates>) -> Result<(Listener, Option<Listener>), BindError> {
        let allows = self.allow_plain_http;
        let listener = Listener::bind(self.address, certificates, allows, self.limits()).await?;
        let limits = Limits { max_connections: ADMIN_CONNECTIONS, ..Limits::default() };
        Ok(match self.admin_address {
            Some(address) => (listener, Some(Listener::bind(address, None, allows, limits).await?)),
            None => (listener, None),
        })
    }

    /// Adds what can't work; see [`Layout::check`](super::Layout::check).
    pub fn check(&self, problems: &mut Problems<'_>) {
        problems.check_not_zero("listen.header_timeout", self.header_timeout);
        problems.check_not_zero("listen.idle_timeout", self.idle_timeout);
        problems.check_not_zero("listen.body_idle_timeout", self.body_idle_timeout);
        if self.max_connections == 0 {
            problems.add(&["listen.max_connections"], "must be at least 1");
        }
        if self.tls_certificate_file.is_some() != self.tls_key_file.is_some() {
            let keys = ["listen.tls_certificate_file", "listen.tls_key_file"];
            problems.add(&keys, "TLS needs both tls_certificate_file and tls_key_file");
        }
        self.check_client_certificates(problems);
        if self.admin_address == Some(self.address) && self.address.port() != 0 {
            problems.add(&["listen.admin_address", "listen.address"], "the admin listener needs an address of its own");
        }
        self.check_reach(problems);
    }

    fn check_client_certificates(&self, problems: &mut Problems<'_>) {
        if self.tls_client_ca_file.is_some() {
            if self.tls_certificate_file.is_none() && self.tls_key_file.is_none() {
                let reason = "clients show certificates over TLS alone: set tls_certificate_file and tls_key_file too";
                problems.add(&["listen.tls_client_ca_file"], reason);
            }
            return;
        }
        if self.tls_client_crl_file.is_some() {
            problems.add(
                &["listen.tls_client_crl_file"],
                "it is of authorities whose certificates are missing: set tls_client_ca_file",
            );
        }
        if self.tls_client_certificates == ClientCertificates::Required {
            let reason = "it must be said which certificates are good: set tls_client_ca_file";
            problems.add(&["listen.tls_client_certificates"], reason);
        }
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

    /// Adds which files can't be used; see [`Layout::check_files`](super::Layout::check_files).
    pub fn check_files(&self, problems: &mut Problems<'_>) {
        let Err(error) = self.certificates() else { return };
        let reason = error.source().map(|source| format!(": {source}")).unwrap_or_default();
        problems.add(self.keys_of(&error), format!("{error}{reason}"));
    }

    /// The settings that name what can't be used.
    fn keys_of(&self, error: &TlsError) -> &'static [&'static str] {
        match error {
            TlsError::Authority { .. } => &["listen.tls_client_ca_file"],
            TlsError::Revocations { .. } => &["listen.tls_client_crl_file", "listen.tls_client_ca_file"],
            TlsError::Unreadable { path, .. } | TlsError::NotPem { path, .. }
                if Some(path) == self.tls_client_ca_file.as_ref() =>
            {
                &["listen.tls_client_ca_file"]
            }
            TlsError::Unreadable { path, .. } | TlsError::NotPem { path, .. }
                if Some(path) == self.tls_client_crl_file.as_ref() =>
            {
                &["listen.tls_client_crl_file"]
            }
            _ => &["listen.tls_certificate_file", "listen.tls_key_file"],
        }
    }
}
