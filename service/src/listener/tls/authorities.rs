use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, CertificateRevocationListDer},
    server::{WebPkiClientVerifier, danger::ClientCertVerifier},
};

use super::{
    TlsError,
    part::{Source, from_pem},
};

/// How long the names of authorities may be together to be sent to clients, in bytes; the message has room for 64 KiB.
const MOST_HINT_BYTES: usize = 48 << 10;

/// The files that say which clients' certificates are good.
#[derive(Clone, Debug)]
pub struct ClientAuthorityFiles {
    /// The certificates of the authorities, PEM.
    pub authorities: PathBuf,
    /// What these have revoked, PEM: a list of each authority in a client's chain, or its certificates are refused.
    pub revocations: Option<PathBuf>,
    /// Whether clients without a certificate are refused.
    pub is_required: bool,
}

/// Who says which clients' certificates are good.
pub(in super::super) struct Authorities {
    pub verifier: Arc<dyn ClientCertVerifier>,
    pub is_required: bool,
}

impl Source for ClientAuthorityFiles {
    type Made = Authorities;
    const NAME: &'static str = "list of client certificate authorities";

    fn files(&self) -> Vec<&Path> {
        [Some(&self.authorities), self.revocations.as_ref()].into_iter().flatten().map(PathBuf::as_path).collect()
    }

    fn make(&self, contents: &[Vec<u8>]) -> Result<Authorities, TlsError> {
        let mut roots = RootCertStore::empty();
        for certificate in from_pem::<CertificateDer<'static>>(&self.authorities, &contents[0], "certificate")? {
            roots.add(certificate).map_err(|source| TlsError::Authority { path: self.authorities.clone(), source })?;
        }
        let hint_bytes: usize = roots.subjects().iter().map(|subject| subject.as_ref().len() + 2).sum();
        let mut builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::new(ring::default_provider()));
        if hint_bytes > MOST_HINT_BYTES {
            builder = builder.clear_root_hint_subjects();
        }
        let mut path = &self.authorities;
        if let (Some(revocations), Some(content)) = (&self.revocations, contents.get(1)) {
            let lists: Vec<CertificateRevocationListDer<'static>> =
                from_pem(revocations, content, "list of revoked certificates")?;
            // A list that is past its time says nothing of what was revoked since.
            builder = builder.with_crls(lists).enforce_revocation_expiration();
            path = revocations;
        }
        if !self.is_required {
            builder = builder.allow_unauthenticated();
        }
        let verifier = builder.build().map_err(|source| TlsError::Revocations { path: path.clone(), source })?;
        Ok(Authorities { verifier, is_required: self.is_required })
    }
}

impl fmt::Debug for Authorities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authorities").field("is_required", &self.is_required).finish_non_exhaustive()
    }
}
