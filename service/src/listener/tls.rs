//! What TLS is made of, read again when it changes: the server's certificate and key, and who says which clients' are good.

mod authorities;
mod error;
mod pair;
mod part;

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::sign::SingleCertAndKey;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

pub(super) use authorities::Authorities;
pub use authorities::ClientAuthorityFiles;
pub use error::TlsError;
use pair::PairFiles;
use part::{Broken, Part};

/// The certificate chain and key that a listener presents, and the authorities whose clients it knows by theirs; clones share what
/// is in force.
///
/// Connections made before a change go on with the server's certificate that they were made with. Their client's certificate is
/// looked at again: see [`ClientCertificate`](super::ClientCertificate).
#[derive(Clone)]
pub struct Certificates(Arc<ArcSwap<InForce>>);

/// What was read. The two parts are taken up each by itself, so that what is wrong with one keeps nothing back of the other.
struct InForce {
    pair: Part<PairFiles>,
    clients: Option<Part<ClientAuthorityFiles>>,
    config: Arc<ServerConfig>,
}

/// What the last look found broken.
#[derive(Default)]
struct LastBroken {
    pair: Option<Broken>,
    clients: Option<Broken>,
}

impl Certificates {
    /// Reads a certificate chain and its key, both PEM, the server's certificate first; and, where clients may show certificates,
    /// who says which are good. Blocks while it reads.
    pub fn read(certificate: &Path, key: &Path, clients: Option<ClientAuthorityFiles>) -> Result<Self, TlsError> {
        let pair = Part::read(PairFiles { certificate: certificate.to_owned(), key: key.to_owned() })?;
        let clients = clients.map(Part::read).transpose()?;
        Ok(Self(Arc::new(ArcSwap::from_pointee(InForce::new(pair, clients)?))))
    }

    /// Looks at the files every `period` until `shutdown`, and puts what has changed in force.
    ///
    /// What cannot be used, such as a file half written, is logged once and looked at again when it changes; what was there before
    /// stays in force. The content is compared, not the time, because mounted secrets are swapped by a link.
    pub async fn watch(self, period: Duration, shutdown: CancellationToken) {
        let mut broken = LastBroken::default();
        while shutdown.run_until_cancelled(tokio::time::sleep(period)).await.is_some() {
            let certificates = self.clone();
            let look = move || {
                certificates.look(&mut broken);
                broken
            };
            broken = tokio::task::spawn_blocking(look).await.unwrap_or_default();
        }
    }

    /// Reads the files once and puts what has changed in force.
    fn look(&self, broken: &mut LastBroken) {
        let now = self.0.load_full();
        let pair = now.pair.renewed(&mut broken.pair);
        let clients = now.clients.as_ref().and_then(|clients| clients.renewed(&mut broken.clients));
        if pair.is_none() && clients.is_none() {
            return;
        }
        let renewed =
            InForce::new(pair.clone().unwrap_or_else(|| now.pair.clone()), clients.clone().or_else(|| now.clients.clone()));
        match renewed {
            Ok(renewed) => {
                self.0.store(Arc::new(renewed));
                pair.iter().for_each(Part::announce);
                clients.iter().for_each(Part::announce);
            }
            Err(error) => tracing::error!(error = &error as &dyn std::error::Error, "what TLS was made of before stays in force"),
        }
    }

    pub(super) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.0.load().config))
    }

    /// Who says now which clients' certificates are good.
    pub(super) fn authorities(&self) -> Option<Arc<Authorities>> {
        self.0.load().clients.as_ref().map(|clients| Arc::clone(&clients.made))
    }
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificates").field("authorities", &self.authorities()).finish_non_exhaustive()
    }
}

impl InForce {
    fn new(pair: Part<PairFiles>, clients: Option<Part<ClientAuthorityFiles>>) -> Result<Self, TlsError> {
        let config = server_config(&pair, clients.as_ref()).map_err(TlsError::Setup)?;
        Ok(Self { pair, clients, config: Arc::new(config) })
    }
}

fn server_config(pair: &Part<PairFiles>, clients: Option<&Part<ClientAuthorityFiles>>) -> Result<ServerConfig, rustls::Error> {
    let verifier =
        clients.map_or_else(WebPkiClientVerifier::no_client_auth, |authorities| Arc::clone(&authorities.made.verifier));
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(Arc::clone(&pair.made))));
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    if clients.is_none() {
        config.ticketer = ring::Ticketer::new()?;
    } else {
        // A session that is taken up again bears the certificate that it began with, unchecked. Every connection here shows the one
        // that its client has now, and has it checked.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
    }
    Ok(config)
}
