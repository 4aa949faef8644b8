//! The arithmetic of `jsonwebtoken`, which leaves that to whoever brings it: `ring`, which TLS uses anyway. It signs by Ed25519 alone, and
//! checks what issuers of identities sign by.

use jsonwebtoken::{
    Algorithm, AlgorithmFamily, DecodingKey, DecodingKeyKind, EncodingKey,
    crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils},
    errors::{Error, ErrorKind, Result},
    signature::{Error as SignatureError, Signer, Verifier},
};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, Ed25519KeyPair, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384,
    RSA_PSS_2048_8192_SHA512, RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm,
};

static PROVIDER: CryptoProvider =
    CryptoProvider { signer_factory: signer, verifier_factory: verifier, key_utils: KeyUtils::new_unimplemented() };

/// Makes it this process's. Doing it twice is doing it once.
pub fn install() {
    // It is installed already, which is as good.
    PROVIDER.install_default().ok();
}

struct Ed25519Signer(Ed25519KeyPair);

impl Signer<Vec<u8>> for Ed25519Signer {
    fn try_sign(&self, message: &[u8]) -> std::result::Result<Vec<u8>, SignatureError> {
        Ok(self.0.sign(message).as_ref().to_vec())
    }
}

impl JwtSigner for Ed25519Signer {
    fn algorithm(&self) -> Algorithm {
        Algorithm::EdDSA
    }
}

/// A public key, and the one algorithm that it checks by.
struct KeyVerifier {
    algorithm: Algorithm,
    key: Key,
}

enum Key {
    /// A point of a curve.
    Point(&'static dyn VerificationAlgorithm, Vec<u8>),
    /// Modulus and exponent.
    Rsa(&'static RsaParameters, RsaPublicKeyComponents<Vec<u8>>),
}

impl Verifier<Vec<u8>> for KeyVerifier {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> std::result::Result<(), SignatureError> {
        let verified = match &self.key {
            Key::Point(algorithm, point) => UnparsedPublicKey::new(*algorithm, point).verify(message, signature),
            Key::Rsa(parameters, key) => key.verify(parameters, message, signature),
        };
        verified.map_err(|_| SignatureError::new())
    }
}

impl JwtVerifier for KeyVerifier {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the provider's signature")]
fn signer(algorithm: &Algorithm, key: &EncodingKey) -> Result<Box<dyn JwtSigner>> {
    if (*algorithm, key.family()) != (Algorithm::EdDSA, AlgorithmFamily::Ed) {
        return Err(ErrorKind::InvalidAlgorithm.into());
    }
    let pair = Ed25519KeyPair::from_pkcs8(key.as_bytes()).map_err(|_| Error::from(ErrorKind::InvalidEddsaKey))?;
    Ok(Box::new(Ed25519Signer(pair)))
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the provider's signature")]
fn verifier(algorithm: &Algorithm, key: &DecodingKey) -> Result<Box<dyn JwtVerifier>> {
    let point = |by: &'static dyn VerificationAlgorithm| Ok(Key::Point(by, key.try_get_as_bytes()?.to_vec()));
    let rsa = |by: &'static RsaParameters| match key.kind() {
        DecodingKeyKind::RsaModulusExponent { n, e } => Ok(Key::Rsa(by, RsaPublicKeyComponents { n: n.clone(), e: e.clone() })),
        DecodingKeyKind::SecretOrDer(_) => Err(Error::from(ErrorKind::InvalidKeyFormat)),
    };
    let checked = match (key.family(), *algorithm) {
        (AlgorithmFamily::Ed, Algorithm::EdDSA) => point(&ED25519),
        (AlgorithmFamily::Ec, Algorithm::ES256) => point(&ECDSA_P256_SHA256_FIXED),
        (AlgorithmFamily::Ec, Algorithm::ES384) => point(&ECDSA_P384_SHA384_FIXED),
        (AlgorithmFamily::Rsa, Algorithm::RS256) => rsa(&RSA_PKCS1_2048_8192_SHA256),
        (AlgorithmFamily::Rsa, Algorithm::RS384) => rsa(&RSA_PKCS1_2048_8192_SHA384),
        (AlgorithmFamily::Rsa, Algorithm::RS512) => rsa(&RSA_PKCS1_2048_8192_SHA512),
        (AlgorithmFamily::Rsa, Algorithm::PS256) => rsa(&RSA_PSS_2048_8192_SHA256),
        (AlgorithmFamily::Rsa, Algorithm::PS384) => rsa(&RSA_PSS_2048_8192_SHA384),
        (AlgorithmFamily::Rsa, Algorithm::PS512) => rsa(&RSA_PSS_2048_8192_SHA512),
        // A secret shared with the issuer is no key of its own, and no algorithm is none.
        _ => Err(ErrorKind::InvalidAlgorithm.into()),
    };
    Ok(Box::new(KeyVerifier { algorithm: *algorithm, key: checked? }))
}
