use std::fmt;

use sigstore_verify::{
    SubjectAltName, VerificationPolicy, Verifier,
    trust_root::TrustedRoot,
    types::{Artifact, Bundle, Sha256Hash},
};

use super::{Vouched, provider};

/// Certificate authorities, logs and timestamp authorities that are believed.
pub struct SigstoreRoot {
    verifier: Verifier,
    /// Whether certificates must have been logged: where the root knows logs of certificates.
    logs_certificates: bool,
}

impl SigstoreRoot {
    /// Reads a trusted root in JSON, or says why it is none.
    pub fn parse(json: &str) -> Result<Self, String> {
        provider::install();
        let root = TrustedRoot::from_json(json).map_err(|error| error.to_string())?;
        let verifier = Verifier::new(&root).map_err(|error| error.to_string())?;
        Ok(Self { verifier, logs_certificates: !root.ctlogs.is_empty() })
    }

    /// Whom the certificate of a bundle is for, where the bundle is about this and holds.
    pub fn verify(&self, bundle: &Bundle, subject: Sha256Hash) -> Result<Vouched, String> {
        self.verify_artifact(bundle, subject.into())
    }

    /// Whom the certificate of a bundle is for, where the bundle is a signature of this message and holds: the certificate was good when
    /// the log says that it took the entry, which the log has signed, and the entry is of this signature, certificate and message.
    pub fn verify_message(&self, bundle: &Bundle, message: &[u8]) -> Result<Vouched, String> {
        provider::with_message(message, || self.verify_artifact(bundle, Artifact::Blob(message)))
    }

    fn verify_artifact(&self, bundle: &Bundle, artifact: Artifact<'_>) -> Result<Vouched, String> {
        let policy = VerificationPolicy::any_identity();
        let policy = if self.logs_certificates { policy } else { policy.skip_sct() };
        let verified = self.verifier.verify(artifact, bundle, &policy).map_err(|error| error.to_string())?;
        match (verified.identity(), verified.issuer()) {
            (Some(identity), Some(issuer)) => Ok(Vouched {
                identity: identity.as_str().to_owned(),
                is_uri: matches!(identity, SubjectAltName::Uri(_)),
                issuer: issuer.to_owned(),
            }),
            _ => Err("its certificate names no identity, or no issuer".to_owned()),
        }
    }
}

impl fmt::Debug for SigstoreRoot {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("SigstoreRoot").finish_non_exhaustive()
    }
}
