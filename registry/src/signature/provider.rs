//! Arithmetic for `sigstore-verify`, which leaves it to whoever brings it: `ring`, which TLS uses anyway.

use std::cell::RefCell;

use ring::{
    digest,
    signature::{self as scheme, UnparsedPublicKey, VerificationAlgorithm},
};
use sigstore_verify::{
    crypto::{CryptoProvider, Error, HashContext, Result, SigningScheme, install_default_provider},
    types::HashAlgorithm,
};

/// Makes it this process's. Doing it twice is doing it once.
pub fn install() {
    // It is installed already, which is as good.
    install_default_provider(&Ring).ok();
}

thread_local! {
    /// The message whose digest may be asked about; see [`with_message`].
    static MESSAGE: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Does what verifies signatures over the digest of this message, and over no other's.
///
/// Ring takes messages, not their digests, and the library has only the digest left where it asks. So the message is at hand meanwhile;
/// one whose digest is another is never taken for it.
pub fn with_message<T>(message: &[u8], verify: impl FnOnce() -> T) -> T {
    struct Forget;
    impl Drop for Forget {
        fn drop(&mut self) {
            MESSAGE.take();
        }
    }
    MESSAGE.set(message.to_vec());
    let _forget = Forget;
    verify()
}

#[derive(Debug)]
struct Ring;

struct Context(digest::Context);

impl HashContext for Context {
    fn update(&mut self, data: &[u8]) {
        self.0.update(data);
    }

    fn finalize(self: Box<Self>) -> Vec<u8> {
        self.0.finish().as_ref().to_vec()
    }
}

impl CryptoProvider for Ring {
    fn hash(&self, algorithm: HashAlgorithm) -> Result<Box<dyn HashContext>> {
        let algorithm = match algorithm {
            HashAlgorithm::Sha2256 => &digest::SHA256,
            HashAlgorithm::Sha2384 => &digest::SHA384,
            HashAlgorithm::Sha2512 => &digest::SHA512,
            other => return Err(Error::UnsupportedAlgorithm(other.to_string())),
        };
        Ok(Box::new(Context(digest::Context::new(algorithm))))
    }

    fn verify_raw(&self, scheme: SigningScheme, key: &[u8], message: &[u8], signature: &[u8]) -> Result<()> {
        let verified = UnparsedPublicKey::new(algorithm(scheme)?, key).verify(message, signature);
        verified.map_err(|_| Error::Verification(format!("the {} signature does not hold", scheme.name())))
    }

    fn verify_prehashed(&self, scheme: SigningScheme, key: &[u8], prehashed: &[u8], signature: &[u8]) -> Result<()> {
        let unsupported = || Error::UnsupportedAlgorithm(format!("{} over a digest", scheme.name()));
        let mut hashing = self.hash(scheme.hash_algorithm().ok_or_else(unsupported)?)?;
        MESSAGE.with_borrow(|message| {
            hashing.update(message);
            if hashing.finalize() == prehashed { self.verify_raw(scheme, key, message, signature) } else { Err(unsupported()) }
        })
    }
}

fn algorithm(scheme: SigningScheme) -> Result<&'static dyn VerificationAlgorithm> {
    Ok(match scheme {
        SigningScheme::EcdsaP256Sha256 => &scheme::ECDSA_P256_SHA256_ASN1,
        SigningScheme::EcdsaP256Sha384 => &scheme::ECDSA_P256_SHA384_ASN1,
        SigningScheme::EcdsaP384Sha256 => &scheme::ECDSA_P384_SHA256_ASN1,
        SigningScheme::EcdsaP384Sha384 => &scheme::ECDSA_P384_SHA384_ASN1,
        SigningScheme::Ed25519 => &scheme::ED25519,
        SigningScheme::RsaPkcs1Sha256 => &scheme::RSA_PKCS1_2048_8192_SHA256,
        SigningScheme::RsaPkcs1Sha384 => &scheme::RSA_PKCS1_2048_8192_SHA384,
        SigningScheme::RsaPkcs1Sha512 => &scheme::RSA_PKCS1_2048_8192_SHA512,
        SigningScheme::RsaPssSha256 => &scheme::RSA_PSS_2048_8192_SHA256,
        SigningScheme::RsaPssSha384 => &scheme::RSA_PSS_2048_8192_SHA384,
        SigningScheme::RsaPssSha512 => &scheme::RSA_PSS_2048_8192_SHA512,
        other => return Err(Error::UnsupportedAlgorithm(other.name().to_owned())),
    })
}
