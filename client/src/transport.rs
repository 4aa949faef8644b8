use std::{io, path::Path, path::PathBuf, time::Duration};

use reqwest::{Certificate, Client, ClientBuilder, Identity, redirect::Policy};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use rustls::{RootCertStore, crypto::ring::default_provider, sign::CertifiedKey};

use crate::{CertificateFolders, ClientError, Credentials, Reach, RegistryUrl};

/// How to reach a registry.
#[derive(Clone, Debug)]
pub struct ClientOptions {
    /// The registry.
    pub registry: RegistryUrl,
    /// Who asks; anonymous where nobody is named.
    pub credentials: Option<Credentials>,
    /// A PEM file of certificate authorities to trust beside those of the machine.
    pub ca_file: Option<PathBuf>,
    /// The certificate that says who asks, to a registry that takes any; over plain HTTP it is not shown.
    pub certificate: Option<ClientCertificateFiles>,
    /// Where to look for more authorities, and for a certificate where there is none yet; over plain HTTP nothing is read there.
    pub certificate_folders: CertificateFolders,
    /// Whether plain HTTP may leave this machine.
    pub allow_plain_http: bool,
    /// Which machines are connected to.
    pub reach: Reach,
    /// How long to wait for a connection.
    pub connect_timeout: Duration,
    /// How long to wait for the next bytes of an answer.
    pub read_timeout: Duration,
}

/// A certificate of the caller's own and its key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ClientCertificateFiles {
    /// The certificate chain, PEM, the caller's own first.
    pub certificate: PathBuf,
    /// The key of the first one, PEM.
    pub key: PathBuf,
}

impl ClientOptions {
    /// Anonymous, with the machine's certificate authorities; 5 s to connect, 60 s for an answer's next bytes.
    pub fn new(registry: RegistryUrl) -> Self {
        Self {
            registry,
            credentials: None,
            ca_file: None,
            certificate: None,
            certificate_folders: CertificateFolders::default(),
            allow_plain_http: false,
            reach: Reach::Any,
            connect_timeout: Duration::from_secs(5),
            read_timeout: Duration::from_mins(1),
        }
    }

    /// The HTTP client; reads the files of certificates, so this blocks.
    pub(crate) fn build(&self) -> Result<Client, ClientError> {
        let is_plain = !self.registry.is_https();
        if is_plain && !self.registry.is_loopback() && !self.allow_plain_http {
            return Err(ClientError::PlainHttp(self.registry.clone()));
        }
        if self.reach.shuns(&self.registry) {
            return Err(ClientError::Private(self.registry.clone()));
        }
        let mut builder = Client::builder()
            .user_agent(concat!("longshore/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(self.connect_timeout)
            .read_timeout(self.read_timeout)
            .redirect(Policy::none());
        if let Some(resolver) = self.reach.resolver() {
            builder = builder.dns_resolver(resolver);
        }
        if self.registry.is_loopback() {
            // A proxy that the environment names is for the network, and could not reach this machine's loopback.
            builder = builder.no_proxy();
        }
        let builder = if is_plain { without_tls(builder) } else { self.with_tls(builder)? };
        builder.build().map_err(ClientError::Setup)
    }

    fn with_tls(&self, builder: ClientBuilder) -> Result<ClientBuilder, ClientError> {
        // The first caller in the process installs the provider; that another one did is as good.
        let _ = default_provider().install_default();
        // Over HTTP/2 it would be lost why a server ends a connection at once, as for want of a certificate.
        let mut builder = builder.tls_backend_rustls().http1_only();
        let found = self.certificate_folders.of(&self.registry)?;
        let own = match &self.certificate {
            Some(files) => Some(files.clone()),
            None => found.own()?,
        };
        if let Some(files) = own {
            builder = builder.identity(files.read()?);
        }
        for path in self.ca_file.as_deref().into_iter().chain(found.authorities()) {
            let authorities = read_authorities(path);
            let authorities = authorities.map_err(|source| ClientError::Authorities { path: path.to_owned(), source })?;
            builder = builder.tls_certs_merge(authorities);
        }
        Ok(builder)
    }
}

impl ClientCertificateFiles {
    fn read(&self) -> Result<Identity, ClientError> {
        let unreadable = |path: &Path| {
            let path = path.to_owned();
            move |source| ClientError::Certificate { path, source }
        };
        let certificate = std::fs::read(&self.certificate).map_err(unreadable(&self.certificate))?;
        let key = std::fs::read(&self.key).map_err(unreadable(&self.key))?;
        let unusable =
            |_| io::Error::new(io::ErrorKind::InvalidData, "there is no certificate and key in PEM form in these files");
        let both = [certificate, b"\n".to_vec(), key].concat();
        let identity = Identity::from_pem(&both).map_err(unusable).map_err(unreadable(&self.certificate))?;
        let mismatched = |error| {
            let told = format!("it does not go with the key {}: {error}", self.key.display());
            io::Error::new(io::ErrorKind::InvalidData, told)
        };
        check_pair(&both).map_err(mismatched).map_err(unreadable(&self.certificate))?;
        Ok(identity)
    }
}

/// That the key is the first certificate's. Whoever sets TLS up finds out too, and can't say in which file.
fn check_pair(pem: &[u8]) -> Result<(), rustls::Error> {
    let chain = CertificateDer::pem_slice_iter(pem).filter_map(Result::ok).collect();
    let Some(key) = PrivateKeyDer::pem_slice_iter(pem).filter_map(Result::ok).last() else { return Ok(()) };
    CertifiedKey::from_der(chain, key, &default_provider()).map(drop)
}

fn read_authorities(path: &Path) -> io::Result<Vec<Certificate>> {
    let invalid = |error: &str| io::Error::new(io::ErrorKind::InvalidData, error);
    let content = std::fs::read(path)?;
    let mut authorities = Vec::new();
    for certificate in CertificateDer::pem_slice_iter(&content) {
        let certificate = certificate.map_err(|_| invalid("it is not PEM"))?;
        let is_good = RootCertStore::empty().add(certificate.clone()).is_ok();
        let authority = Certificate::from_der(&certificate).ok().filter(|_| is_good);
        authorities.push(authority.ok_or_else(|| invalid("it holds what can't be an authority's certificate"))?);
    }
    if authorities.is_empty() { Err(invalid("it holds no certificate")) } else { Ok(authorities) }
}

/// A TLS set-up that trusts nobody, for a client that speaks plain HTTP: the machine's authorities are not read for nothing,
/// and a machine that has none can still ask its own registry.
fn without_tls(builder: ClientBuilder) -> ClientBuilder {
    let provider = std::sync::Arc::new(default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring has the cipher suites of the default versions")
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    builder.tls_backend_preconfigured(config)
}
