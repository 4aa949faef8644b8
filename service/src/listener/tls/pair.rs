use std::path::{Path, PathBuf};

use rustls::{
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer},
    sign::CertifiedKey,
};

use super::{
    TlsError,
    part::{Source, from_pem},
};

/// The files of the certificate that a listener presents, and of its key.
#[derive(Clone, Debug)]
pub(super) struct PairFiles {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

impl Source for PairFiles {
    type Made = CertifiedKey;
    const NAME: &'static str = "TLS certificate";

    fn files(&self) -> Vec<&Path> {
        vec![&self.certificate, &self.key]
    }

    fn make(&self, contents: &[Vec<u8>]) -> Result<CertifiedKey, TlsError> {
        let [certificate, key] = contents else { unreachable!("there are two files") };
        let chain: Vec<CertificateDer<'static>> = from_pem(&self.certificate, certificate, "certificate")?;
        let mut keys: Vec<PrivateKeyDer<'static>> = from_pem(&self.key, key, "private key")?;
        let unusable = |source| TlsError::Unusable { certificate: self.certificate.clone(), key: self.key.clone(), source };
        CertifiedKey::from_der(chain, keys.swap_remove(0), &ring::default_provider()).map_err(unusable)
    }
}
