//! A certificate and its key, read again when they change.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

/// The certificate chain and key that a listener presents; clones share what is in force.
///
/// Connections made before a change go on with what they were made with.
#[derive(Clone)]
pub struct Certificates {
    certificate_file: PathBuf,
    key_file: PathBuf,
    in_force: Arc<ArcSwap<Pair>>,
}

/// One pair as read, with its text so that a change is seen however the files were replaced.
struct Pair {
    text: PairText,
    config: Arc<ServerConfig>,
}

#[derive(Clone, PartialEq, Eq)]
struct PairText {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

/// A certificate and key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("{path} cannot be read", path = path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A file holds no PEM of the kind it should.
    #[error("{path} holds no {expected} in PEM form", path = path.display())]
    NotPem {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        expected: &'static str,
        /// Why it does not parse.
        #[source]
        source: pem::Error,
    },
    /// The two do not belong together, or are of a kind that is not supported.
    #[error("{certificate} and {key} cannot be used together", certificate = certificate.display(), key = key.display())]
    Unusable {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// Why not.
        #[source]
        source: rustls::Error,
    },
}

impl Certificates {
    /// Reads a certificate chain and its key, both PEM, the server's certificate first. Blocks while it reads.
    pub fn read(certificate_file: &Path, key_file: &Path) -> Result<Self, TlsError> {
        let text = PairText::read(certificate_file, key_file)?;
        let pair = Pair::new(certificate_file, key_file, text)?;
        Ok(Self {
            certificate_file: certificate_file.to_owned(),
            key_file: key_file.to_owned(),
            in_force: Arc::new(ArcSwap::from_pointee(pair)),
        })
    }

    /// Looks at the files every `period` until `shutdown`, and puts a changed pair in force.
    ///
    /// A pair that cannot be used, such as one half written, is logged once and looked at again when it changes; the old
    /// one stays in force. The content is compared, not the time, because mounted secrets are swapped by a link.
    pub async fn watch(self, period: Duration, shutdown: CancellationToken) {
        let mut broken = None;
        while shutdown.run_until_cancelled(tokio::time::sleep(period)).await.is_some() {
            let certificates = self.clone();
            let last_broken = broken.take();
            let looked = tokio::task::spawn_blocking(move || certificates.look(last_broken)).await;
            broken = looked.unwrap_or(None);
        }
    }

    /// Reads the files once and puts a changed pair in force. Returns what was broken, so as not to log it again.
    fn look(&self, last_broken: Option<Broken>) -> Option<Broken> {
        let changed = PairText::read(&self.certificate_file, &self.key_file);
        let (broken, error) = match changed {
            Ok(text) if text == self.in_force.load().text => return None,
            Ok(text) if last_broken == Some(Broken::Content(text.clone())) => return last_broken,
            Ok(text) => match Pair::new(&self.certificate_file, &self.key_file, text.clone()) {
                Ok(pair) => {
                    self.in_force.store(Arc::new(pair));
                    tracing::info!(certificate = %self.certificate_file.display(), "a new TLS certificate is in force");
                    return None;
                }
                Err(error) => (Broken::Content(text), error),
            },
            Err(error) => (Broken::Unreadable, error),
        };
        if last_broken.as_ref() != Some(&broken) {
            let error = &error as &dyn std::error::Error;
            tracing::error!(error, "the new TLS certificate is broken; the old one stays in force");
        }
        Some(broken)
    }

    pub(super) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.in_force.load().config))
    }
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Certificates({}, {})", self.certificate_file.display(), self.key_file.display())
    }
}

/// What the last look found broken.
#[derive(PartialEq, Eq)]
enum Broken {
    Unreadable,
    Content(PairText),
}

impl PairText {
    fn read(certificate_file: &Path, key_file: &Path) -> Result<Self, TlsError> {
        let read = |path: &Path| std::fs::read(path).map_err(|source| TlsError::Unreadable { path: path.to_owned(), source });
        Ok(Self { certificate: read(certificate_file)?, key: read(key_file)? })
    }
}

impl Pair {
    fn new(certificate_file: &Path, key_file: &Path, text: PairText) -> Result<Self, TlsError> {
        let not_pem = |path: &Path, expected| {
            let path = path.to_owned();
            move |source| TlsError::NotPem { path, expected, source }
        };
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&text.certificate)
            .collect::<Result<_, _>>()
            .map_err(not_pem(certificate_file, "certificate"))?;
        let key = PrivateKeyDer::from_pem_slice(&text.key).map_err(not_pem(key_file, "private key"))?;
        let unusable = |source| TlsError::Unusable { certificate: certificate_file.to_owned(), key: key_file.to_owned(), source };
        let config = server_config(chain, key).map_err(unusable)?;
        Ok(Self { text, config: Arc::new(config) })
    }
}

fn server_config(chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> Result<ServerConfig, rustls::Error> {
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config.ticketer = ring::Ticketer::new()?;
    Ok(config)
}
