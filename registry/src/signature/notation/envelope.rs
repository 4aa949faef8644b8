use rustls_pki_types::CertificateDer;
use serde_json::{Map, Value};

use super::{
    algorithm::Algorithm,
    attributes::{Attributes, Fields},
    chain::{Chain, Role},
    cose, jws, untrusted,
};
use crate::signature::{Refuted, unique};

/// The largest envelope that is read, in bytes. One with a chain of three certificates and a timestamp has some ten thousand.
const MOST_BYTES: usize = 256 << 10;
/// The most certificates in a chain.
const MOST_CERTIFICATES: usize = 8;

/// In what an envelope is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Syntax {
    /// JSON: a flattened JWS (RFC 7515, section 7.2.2).
    Jws,
    /// CBOR: a tagged `COSE_Sign1` (RFC 9052, section 4.2).
    Cose,
}

impl Syntax {
    /// The syntax of the envelopes of this media type.
    pub fn of(media_type: &str) -> Option<Self> {
        match media_type {
            "application/jose+json" => Some(Self::Jws),
            "application/cose" => Some(Self::Cose),
            _ => None,
        }
    }

    /// Whether bytes are an envelope in this syntax, whoever made it, and of whatever.
    pub fn is_of(self, content: &[u8]) -> bool {
        let Ok(Envelope { fields, payload, certificates, .. }) = Envelope::read(content, self) else { return false };
        Attributes::try_from(fields).is_ok() && object(&payload).is_ok() && Chain::read(&certificates, Role::Signing).is_ok()
    }
}

/// An envelope, read, and nothing in it checked but its shape.
#[derive(Debug)]
pub struct Envelope {
    /// What is signed.
    pub signed: Vec<u8>,
    pub signature: Vec<u8>,
    /// What the envelope says it is signed in, by the name that JWS and COSE have for it.
    pub algorithm: String,
    pub fields: Fields,
    pub payload: Vec<u8>,
    /// The chain, from the signer's certificate up.
    pub certificates: Vec<CertificateDer<'static>>,
    /// When it was signed, by somebody else than the signer.
    pub timestamp: Option<Vec<u8>>,
}

impl Envelope {
    pub fn read(content: &[u8], syntax: Syntax) -> Result<Self, Refuted> {
        if content.len() > MOST_BYTES {
            return Err(untrusted(format!("it has {} bytes, and {MOST_BYTES} are read", content.len())));
        }
        match syntax {
            Syntax::Jws => jws::read(content),
            Syntax::Cose => cose::read(content),
        }
    }

    /// What is signed in it beside the payload, where it is signed in this way.
    pub fn attributes(self, algorithm: Algorithm) -> Result<(Attributes, Vec<u8>), Refuted> {
        if self.algorithm != algorithm.name() {
            let (said, meant) = (self.algorithm, algorithm.name());
            return Err(untrusted(format!("it says that it is signed in {said:?}, and its key signs in {meant}")));
        }
        Ok((self.fields.try_into()?, self.payload))
    }
}

/// An object of JSON that has no member twice.
pub fn object(json: &[u8]) -> Result<Map<String, Value>, Refuted> {
    match unique(json) {
        Ok(Value::Object(object)) => Ok(object),
        _ => Err(Refuted::Unreadable),
    }
}

/// That there are certificates, and not too many.
pub fn require_count(certificates: usize) -> Result<(), Refuted> {
    let is_fit = (1..=MOST_CERTIFICATES).contains(&certificates);
    let told = || untrusted(format!("it has {certificates} certificates, and 1 to {MOST_CERTIFICATES} are read"));
    is_fit.then_some(()).ok_or_else(told)
}
