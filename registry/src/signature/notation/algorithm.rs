use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384,
    RSA_PSS_2048_8192_SHA512, UnparsedPublicKey, VerificationAlgorithm,
};
use x509_cert::{
    der::{
        Decode as _, Reader as _,
        asn1::{AnyRef, ObjectIdentifier, UintRef},
    },
    spki::SubjectPublicKeyInfoOwned,
};

use super::untrusted;
use crate::signature::Refuted;

/// `rsaEncryption` (RFC 8017).
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
/// `id-ecPublicKey` (RFC 5480), and the curves that may follow it.
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const P521: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.35");

/// How an envelope is signed. A key signs in one way alone, which its kind and size say; what an envelope says of it must be the same.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Algorithm {
    Ps256,
    Ps384,
    Ps512,
    Es256,
    Es384,
}

impl Algorithm {
    /// The way in which a key signs.
    pub fn of(key: &SubjectPublicKeyInfoOwned) -> Result<Self, Refuted> {
        let curve = || key.algorithm.parameters.as_ref().and_then(|curve| curve.decode_as::<ObjectIdentifier>().ok());
        match key.algorithm.oid {
            RSA => match modulus_bits(bits(key)?)? {
                2048 => Ok(Self::Ps256),
                3072 => Ok(Self::Ps384),
                4096 => Ok(Self::Ps512),
                other => Err(untrusted(format!("its key is RSA of {other} bits: 2048, 3072 and 4096 are taken"))),
            },
            EC => match curve() {
                Some(P256) => Ok(Self::Es256),
                Some(P384) => Ok(Self::Es384),
                Some(P521) => Err(untrusted("its key is on P-521 (ES512), which is not checked here: P-256 and P-384 are")),
                _ => Err(untrusted("its key is on a curve that is not taken: P-256 and P-384 are")),
            },
            other => Err(untrusted(format!("its key is of a kind that is not taken ({other}): RSA and ECDSA are"))),
        }
    }

    /// Its name in JWS (RFC 7518, section 3.1).
    pub fn name(self) -> &'static str {
        match self {
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
        }
    }

    /// Whether a key has signed this in its way.
    pub fn verify(self, key: &SubjectPublicKeyInfoOwned, message: &[u8], signature: &[u8]) -> Result<(), Refuted> {
        let verified = UnparsedPublicKey::new(self.arithmetic(), bits(key)?).verify(message, signature);
        verified.map_err(|_| untrusted("its signature does not hold"))
    }

    fn arithmetic(self) -> &'static dyn VerificationAlgorithm {
        match self {
            Self::Ps256 => &RSA_PSS_2048_8192_SHA256,
            Self::Ps384 => &RSA_PSS_2048_8192_SHA384,
            Self::Ps512 => &RSA_PSS_2048_8192_SHA512,
            Self::Es256 => &ECDSA_P256_SHA256_FIXED,
            Self::Es384 => &ECDSA_P384_SHA384_FIXED,
        }
    }
}

fn bits(key: &SubjectPublicKeyInfoOwned) -> Result<&[u8], Refuted> {
    key.subject_public_key.as_bytes().ok_or(Refuted::Unreadable)
}

/// The length of an RSA key's modulus, to whole bytes as Notation counts it.
fn modulus_bits(key: &[u8]) -> Result<usize, Refuted> {
    let modulus_and_exponent = AnyRef::from_der(key).and_then(|key| {
        key.sequence(|reader| {
            let modulus: UintRef<'_> = reader.decode()?;
            let _exponent: UintRef<'_> = reader.decode()?;
            Ok(modulus.as_bytes().len() * 8)
        })
    });
    modulus_and_exponent.map_err(|_| Refuted::Unreadable)
}
