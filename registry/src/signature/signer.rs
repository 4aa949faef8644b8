use std::{fmt, sync::Arc};

use sigstore_verify::{
    crypto::{KeyAlgorithm, SigningScheme, VerificationKey},
    types::{Bundle, DerPublicKey, Sha256Hash, SignatureBytes},
};

use super::{SigstoreRoot, Trust, provider};
use crate::policy::TextPattern;

/// The least length of an RSA key of 2048 bits, in DER.
const LEAST_RSA_BYTES: usize = 290;

/// Somebody whose word counts.
#[derive(Clone, Debug)]
pub enum Signer {
    /// Who has the private half of a key.
    Key(Arc<Key>),
    /// Who has shown an authority who they are.
    Identity {
        /// Which authority.
        authority: Arc<TrustedAuthority>,
        /// Whom the certificate is for.
        identity: TextPattern,
        /// Who knows them.
        issuer: TextPattern,
    },
    /// Who has a certificate, by Notation.
    Notation(Arc<Trust>),
}

/// A public key, by the name that policies have for it.
pub struct Key {
    name: String,
    /// As often as there are ways in which it may have signed.
    ways: Vec<VerificationKey>,
}

/// A trusted root of Sigstore's, by the name that policies have for it.
#[derive(Clone)]
pub struct TrustedAuthority {
    name: String,
    root: RootSource,
}

/// Where a trusted root is from.
#[derive(Clone)]
enum RootSource {
    /// The document has it.
    Document(Arc<SigstoreRoot>),
    /// A TUF repository keeps it; what it says now, or why that is not known.
    Tuf(String, Result<Arc<SigstoreRoot>, String>),
}

/// Whom a certificate is for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Vouched {
    /// Their name there: an address, or a URI.
    pub identity: String,
    /// Whether it is a URI.
    pub is_uri: bool,
    /// Who knows them.
    pub issuer: String,
}

impl Vouched {
    /// Whether it is whom patterns mean. One with `://` in it is of URIs, and any other is not: parts of a URI may be anybody's to
    /// choose, and look like an address.
    pub fn is(&self, identity: &TextPattern, issuer: &TextPattern) -> bool {
        let means_uris = identity.to_string().contains("://");
        means_uris == self.is_uri && identity.covers(&self.identity) && issuer.covers(&self.issuer)
    }
}

/// What a document names can't be used to check a signature.
#[derive(Debug, thiserror::Error)]
pub enum InvalidSigner {
    /// It is no public key.
    #[error("{0:?} is no public key in PEM (\"BEGIN PUBLIC KEY\"): {1}")]
    Key(String, String),
    /// It is a key of a kind that is not known here.
    #[error("{0:?} is a key of a kind that is not taken: ECDSA on P-256 and P-384, RSA and Ed25519 are")]
    Kind(String),
    /// It is too short to be trusted.
    #[error("{0:?} is an RSA key of fewer than 2048 bits")]
    Weak(String),
    /// It is no trusted root.
    #[error("{0:?} is no trusted root of Sigstore's: {1}")]
    Root(String, String),
    /// There are no certificates in it that can be trusted.
    #[error("{0:?} is no trust store of certificates in PEM: {1}")]
    TrustStore(String, String),
    /// The lists of revoked certificates beside them are none.
    #[error("the revocation lists of {0:?} can't be used: {1}")]
    RevocationLists(String, String),
}

impl Key {
    /// Reads a key in PEM.
    pub fn parse(name: &str, pem: &str) -> Result<Self, InvalidSigner> {
        provider::install();
        let invalid = |error: &dyn fmt::Display| InvalidSigner::Key(name.to_owned(), error.to_string());
        let der = DerPublicKey::from_pem(pem).map_err(|error| invalid(&error))?;
        let schemes: &[SigningScheme] = match KeyAlgorithm::from_spki(&der).map_err(|error| invalid(&error))? {
            KeyAlgorithm::EcdsaP256 => &[SigningScheme::EcdsaP256Sha256],
            KeyAlgorithm::EcdsaP384 => &[SigningScheme::EcdsaP384Sha384, SigningScheme::EcdsaP384Sha256],
            KeyAlgorithm::Ed25519 => &[SigningScheme::Ed25519],
            KeyAlgorithm::Rsa if der.as_bytes().len() < LEAST_RSA_BYTES => return Err(InvalidSigner::Weak(name.to_owned())),
            KeyAlgorithm::Rsa => &[SigningScheme::RsaPkcs1Sha256, SigningScheme::RsaPssSha256],
            _ => return Err(InvalidSigner::Kind(name.to_owned())),
        };
        let way = |scheme: &SigningScheme| VerificationKey::from_spki_with_scheme(&der, *scheme);
        let ways = schemes.iter().map(way).collect::<Result<_, _>>().map_err(|error| invalid(&error))?;
        Ok(Self { name: name.to_owned(), ways })
    }

    /// Whether it has signed this.
    pub fn has_signed(&self, message: &[u8], signature: &SignatureBytes) -> bool {
        self.ways.iter().any(|way| way.verify(message, signature).is_ok())
    }
}

impl TrustedAuthority {
    /// Reads a trusted root in JSON.
    pub fn parse(name: &str, json: &str) -> Result<Self, InvalidSigner> {
        let root = SigstoreRoot::parse(json).map_err(|reason| InvalidSigner::Root(name.to_owned(), reason))?;
        Ok(Self { name: name.to_owned(), root: RootSource::Document(Arc::new(root)) })
    }

    /// The one that a TUF repository keeps. What that is must be looked up yet.
    pub fn kept_by_tuf(name: &str, repository: &str) -> Self {
        let unknown = Err(format!("the TUF repository {repository:?} was not looked up"));
        Self { name: name.to_owned(), root: RootSource::Tuf(repository.to_owned(), unknown) }
    }

    /// The TUF repository that keeps it, if one does.
    pub fn repository(&self) -> Option<&str> {
        match &self.root {
            RootSource::Tuf(repository, _) => Some(repository),
            RootSource::Document(_) => None,
        }
    }

    /// As [`Self::kept_by_tuf`], with what the repository says now, or why that is not known.
    #[must_use]
    pub fn looked_up(&self, found: Result<Arc<SigstoreRoot>, String>) -> Self {
        let root = match &self.root {
            RootSource::Tuf(repository, _) => RootSource::Tuf(repository.clone(), found),
            RootSource::Document(root) => RootSource::Document(root.clone()),
        };
        Self { name: self.name.clone(), root }
    }

    fn root(&self) -> Result<&SigstoreRoot, &str> {
        match &self.root {
            RootSource::Document(root) | RootSource::Tuf(_, Ok(root)) => Ok(root),
            RootSource::Tuf(_, Err(reason)) => Err(reason),
        }
    }

    /// Why nothing can be verified by it, if nothing can.
    pub fn missing(&self) -> Option<&str> {
        self.root().err()
    }

    /// Whom the certificate of a bundle is for, where the bundle is about this and holds.
    pub fn verify(&self, bundle: &Bundle, subject: Sha256Hash) -> Result<Vouched, String> {
        self.root()?.verify(bundle, subject)
    }

    /// Whom the certificate of a bundle is for, where the bundle is a signature of this message and holds.
    pub fn verify_message(&self, bundle: &Bundle, message: &[u8]) -> Result<Vouched, String> {
        self.root()?.verify_message(bundle, message)
    }
}

impl fmt::Display for Signer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(key) => key.fmt(formatter),
            Self::Identity { authority, identity, issuer } => {
                write!(formatter, "{identity} of {issuer} (trusted root {})", authority.name)
            }
            Self::Notation(trust) => trust.fmt(formatter),
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "key {}", self.name)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Key").field("name", &self.name).finish_non_exhaustive()
    }
}

impl fmt::Debug for TrustedAuthority {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("TrustedAuthority").field("name", &self.name).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_no_uri_that_ends_like_it() {
        let pattern = |text: &str| TextPattern::try_from(text.to_owned()).unwrap();
        let vouched = |identity: &str, is_uri| Vouched { identity: identity.into(), is_uri, issuer: "https://issuer".into() };
        for (identity, found, expected) in [
            ("*@example.org", vouched("ci@example.org", false), true),
            ("*@example.org", vouched("https://git/x@example.org", true), false),
            ("https://git/*", vouched("https://git/x@example.org", true), true),
            ("https://git/*", vouched("https://git/x", false), false),
            ("*", vouched("https://git/x", true), false),
        ] {
            assert_eq!(found.is(&pattern(identity), &pattern("https://issuer")), expected, "{identity} {found:?}");
        }
        assert!(!vouched("ci@example.org", false).is(&pattern("*"), &pattern("https://other")));
    }

    #[test]
    fn a_key_that_is_too_short_or_none_is_refused() {
        assert!(matches!(Key::parse("k", "no key"), Err(InvalidSigner::Key(..))));
        let root = TrustedAuthority::parse("r", "{}");
        assert!(matches!(root, Err(InvalidSigner::Root(..))), "{root:?}");
    }
}
