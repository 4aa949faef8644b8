use std::fmt;

use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use x509_cert::{Certificate, der::Decode as _, ext::pkix::BasicConstraints};

use crate::signature::InvalidSigner;

/// The most certificates in one store.
const MOST_CERTIFICATES: usize = 100;

/// Certificates that are believed, by the name that policies have for them: of roots, of authorities below them, or of a signer that
/// is its own root.
pub struct TrustStore {
    name: String,
    certificates: Vec<CertificateDer<'static>>,
}

impl TrustStore {
    /// Reads certificates in PEM.
    pub fn parse(name: &str, pem: &str) -> Result<Self, InvalidSigner> {
        let invalid = |reason: String| InvalidSigner::TrustStore(name.to_owned(), reason);
        let certificates: Vec<_> = CertificateDer::pem_slice_iter(pem.as_bytes())
            .take(MOST_CERTIFICATES + 1)
            .collect::<Result<_, _>>()
            .map_err(|error| invalid(error.to_string()))?;
        if certificates.is_empty() {
            return Err(invalid("there is none in it (\"BEGIN CERTIFICATE\")".to_owned()));
        }
        if certificates.len() > MOST_CERTIFICATES {
            return Err(invalid(format!("there are more than {MOST_CERTIFICATES} in it")));
        }
        for certificate in &certificates {
            check(certificate).map_err(invalid)?;
        }
        Ok(Self { name: name.to_owned(), certificates })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether one of these certificates is in it, byte for byte.
    pub fn has_any_of(&self, certificates: &[CertificateDer<'_>]) -> bool {
        certificates.iter().any(|certificate| self.certificates.contains(certificate))
    }
}

/// That a certificate is an authority's, or its own issuer's: one that an authority gave a signer is not to be trusted beside it.
fn check(der: &CertificateDer<'_>) -> Result<(), String> {
    let certificate = Certificate::from_der(der).map_err(|error| format!("a certificate can't be read: {error}"))?;
    let fields = &certificate.tbs_certificate;
    let constraints = fields.get::<BasicConstraints>().map_err(|error| format!("a certificate can't be read: {error}"))?;
    if constraints.is_some_and(|(_, constraints)| constraints.ca) || fields.subject == fields.issuer {
        return Ok(());
    }
    Err(format!("the certificate of {} is neither an authority's nor its own issuer's", fields.subject))
}

impl fmt::Debug for TrustStore {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("TrustStore").field("name", &self.name).finish_non_exhaustive()
    }
}
