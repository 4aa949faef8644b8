use std::fmt;

use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use x509_cert::{Certificate, der::Decode as _, ext::pkix::BasicConstraints};

use super::revocation::RevocationList;
use crate::signature::InvalidSigner;

/// The most certificates in one store.
const MOST_CERTIFICATES: usize = 100;

/// Certificates that are believed, by the name that policies have for them: of roots, of authorities below them, or of a signer that
/// is its own root.
pub struct TrustStore {
    name: String,
    certificates: Vec<CertificateDer<'static>>,
    /// What is not trusted any more of what these or authorities below them have signed.
    lists: Vec<RevocationList>,
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
        Ok(Self { name: name.to_owned(), certificates, lists: Vec::new() })
    }

    /// The same with lists of revoked certificates in PEM. From then on every authority in a chain of its must have one that is not
    /// past its time, or the chain is refused.
    pub fn with_revocation_lists(self, pem: &str) -> Result<Self, InvalidSigner> {
        let lists = RevocationList::parse(pem).map_err(|reason| InvalidSigner::RevocationLists(self.name.clone(), reason))?;
        Ok(Self { lists, ..self })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its certificates.
    pub fn certificates(&self) -> &[CertificateDer<'static>] {
        &self.certificates
    }

    /// What was revoked.
    pub fn lists(&self) -> &[RevocationList] {
        &self.lists
    }

    /// That its certificates are of roots alone, as those of authorities for timestamps have to be.
    pub fn require_roots(&self) -> Result<(), String> {
        let is_root = |der: &CertificateDer<'_>| {
            let certificate = Certificate::from_der(der).ok().map(|certificate| certificate.tbs_certificate);
            certificate.is_some_and(|fields| {
                let constraints = fields.get::<BasicConstraints>().ok().flatten();
                fields.subject == fields.issuer && constraints.is_some_and(|(_, constraints)| constraints.ca)
            })
        };
        if self.certificates.iter().all(is_root) {
            return Ok(());
        }
        Err(format!(
            "tsa:{} must have certificates of roots alone, and has others; give those a trust store of their own",
            self.name
        ))
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
