//! What a credential is known by: a hash with a key of this process's own. It tells nothing of the credential, not even to who can guess
//! it, and is another after each start.

use http::HeaderValue;
use ring::rand::{SecureRandom as _, SystemRandom};

/// The hash of an `Authorization` header.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Credential([u8; 32]);

/// What credentials are hashed with (BLAKE3, keyed).
pub struct CredentialKey([u8; 32]);

impl CredentialKey {
    /// A new one.
    ///
    /// # Panics
    ///
    /// Where the system has no randomness to give.
    pub fn generate() -> Self {
        let mut bytes = [0; 32];
        SystemRandom::new().fill(&mut bytes).expect("the system gives randomness");
        Self(bytes)
    }

    /// What a header is known by.
    pub fn hash(&self, header: &HeaderValue) -> Credential {
        Credential(*blake3::keyed_hash(&self.0, header.as_bytes()).as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_is_all_of_its_header_and_is_known_here_alone() {
        let (here, elsewhere) = (CredentialKey::generate(), CredentialKey::generate());
        let of = |key: &CredentialKey, text: &str| key.hash(&HeaderValue::from_str(text).unwrap());
        assert_eq!(of(&here, "Basic YTpi"), of(&here, "Basic YTpi"));
        assert_ne!(of(&here, "Basic YTpi"), of(&here, "Basic YTpj"));
        assert_ne!(of(&here, "Basic YTpi"), of(&here, "Bearer YTpi"));
        assert_ne!(of(&here, "Basic YTpi"), of(&elsewhere, "Basic YTpi"));
    }
}
