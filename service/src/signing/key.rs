use std::fmt;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use ring::{
    digest::{SHA256, digest},
    rand::SystemRandom,
    signature::{Ed25519KeyPair, KeyPair as _},
};
use serde::Serialize;

use super::{PublicKey, provider};

/// Bytes that are no Ed25519 key in PKCS#8 (RFC 8410).
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("it is no Ed25519 key in PKCS#8")]
pub struct InvalidKey;

/// A key that signs.
pub struct SigningKey {
    id: String,
    public: Vec<u8>,
    encoding: EncodingKey,
}

impl SigningKey {
    /// A new key, and its bytes in PKCS#8 to be kept.
    ///
    /// # Panics
    ///
    /// Where the system has no randomness to give.
    pub fn generate() -> (Self, Vec<u8>) {
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).expect("the system gives randomness");
        let key = Self::from_pkcs8(document.as_ref()).expect("it was just made");
        (key, document.as_ref().to_vec())
    }

    /// A key that was kept.
    pub fn from_pkcs8(bytes: &[u8]) -> Result<Self, InvalidKey> {
        provider::install();
        let pair = Ed25519KeyPair::from_pkcs8(bytes).map_err(|_| InvalidKey)?;
        let public = pair.public_key().as_ref().to_vec();
        Ok(Self { id: thumbprint(&public), public, encoding: EncodingKey::from_ed_der(bytes) })
    }

    /// What headers name it by: the thumbprint of its public half (RFC 7638, RFC 8037).
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Its public half.
    pub fn public(&self) -> PublicKey {
        PublicKey::new(self.id.clone(), &self.public)
    }

    /// The statement in compact form, signed as one of this kind: a media type without `application/`, as RFC 8725 wants it.
    pub fn sign(&self, kind: &str, statement: &impl Serialize) -> String {
        let header = Header { typ: Some(kind.to_owned()), kid: Some(self.id.clone()), ..Header::new(Algorithm::EdDSA) };
        jsonwebtoken::encode(&header, statement, &self.encoding).expect("what we sign is JSON, and the key is one")
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("SigningKey").field("id", &self.id).finish_non_exhaustive()
    }
}

/// A key's (RFC 7638, RFC 8037).
pub(super) fn thumbprint(public: &[u8]) -> String {
    let members = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, URL_SAFE_NO_PAD.encode(public));
    URL_SAFE_NO_PAD.encode(digest(&SHA256, members.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_id_is_the_thumbprint_of_rfc_8037() {
        // Appendix A.3.
        let public = URL_SAFE_NO_PAD.decode("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo").unwrap();
        assert_eq!(thumbprint(&public), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    }

    #[test]
    fn shows_no_secret() {
        let (key, bytes) = SigningKey::generate();
        assert!(!format!("{key:?}").contains(&format!("{bytes:?}")[1..20]));
        assert_eq!(SigningKey::from_pkcs8(&bytes).unwrap().id(), key.id());
        assert!(SigningKey::from_pkcs8(b"no key").is_err());
    }
}
