use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use jiff::Timestamp;
use rustls_pki_types::CertificateDer;
use serde_json::{Map, Value};

use super::{
    algorithm::Algorithm,
    attributes::{AUTHENTIC_SIGNED_AT, Attributes, EXPIRY, Fields, SCHEME, SIGNED_AT},
    untrusted,
};
use crate::signature::{Refuted, unique};

/// The largest envelope that is read, in bytes. One with a chain of three certificates and a timestamp has some ten thousand.
const MOST_BYTES: usize = 256 << 10;
/// The most certificates in a chain.
const MOST_CERTIFICATES: usize = 8;
/// The members of JWS in the protected header that have a meaning here.
const REGISTERED: [&str; 3] = ["alg", "cty", "crit"];

/// In what an envelope is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Syntax {
    /// JSON: a flattened JWS (RFC 7515, section 7.2.2).
    Jws,
    /// CBOR: a `COSE_Sign1`, which is not read here.
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
}

/// An envelope, read, and nothing in it checked but its shape.
#[derive(Debug)]
pub struct Envelope {
    /// What is signed.
    pub signed: Vec<u8>,
    pub signature: Vec<u8>,
    /// What the envelope says it is signed in.
    pub algorithm: String,
    pub fields: Fields,
    pub payload: Vec<u8>,
    /// The chain, from the signer's certificate up.
    pub certificates: Vec<CertificateDer<'static>>,
}

impl Envelope {
    pub fn read(content: &[u8], syntax: Syntax) -> Result<Self, Refuted> {
        if content.len() > MOST_BYTES {
            return Err(untrusted(format!("it has {} bytes, and {MOST_BYTES} are read", content.len())));
        }
        match syntax {
            Syntax::Jws => read_jws(content),
            Syntax::Cose => Err(untrusted("it is a COSE envelope, which is not read here: sign with --signature-format jws")),
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

fn read_jws(json: &[u8]) -> Result<Envelope, Refuted> {
    let envelope = object(json)?;
    if envelope.len() != 4 {
        return Err(Refuted::Unreadable);
    }
    let [payload, protected, signature] =
        [text(&envelope, "payload")?, text(&envelope, "protected")?, text(&envelope, "signature")?];
    let header = envelope.get("header").and_then(Value::as_object).ok_or(Refuted::Unreadable)?;
    // Nothing else is read there; what has a meaning in JWS might be to others.
    if let Some(strange) = header.keys().find(|name| *name != "x5c" && !name.starts_with("io.cncf.notary.")) {
        return Err(untrusted(format!("its header has {strange:?}, which is not signed")));
    }
    let decode = |text: &str| URL_SAFE_NO_PAD.decode(text).map_err(|_| Refuted::Unreadable);
    let attributes = object(&decode(protected)?)?;
    Ok(Envelope {
        signed: format!("{protected}.{payload}").into_bytes(),
        signature: decode(signature)?,
        algorithm: text(&attributes, "alg")?.to_owned(),
        fields: fields(&attributes)?,
        payload: decode(payload)?,
        certificates: certificates(header.get("x5c"))?,
    })
}

/// An object of JSON that has no member twice.
pub fn object(json: &[u8]) -> Result<Map<String, Value>, Refuted> {
    match unique(json) {
        Ok(Value::Object(object)) => Ok(object),
        _ => Err(Refuted::Unreadable),
    }
}

fn text<'a>(object: &'a Map<String, Value>, name: &str) -> Result<&'a str, Refuted> {
    object.get(name).and_then(Value::as_str).ok_or(Refuted::Unreadable)
}

fn fields(attributes: &Map<String, Value>) -> Result<Fields, Refuted> {
    // The specification's own names, and those of plugins, have dots; those of JWS have none, and some change what is signed.
    let is_strange = |name: &&String| !name.contains('.') && !REGISTERED.contains(&name.as_str());
    if let Some(strange) = attributes.keys().find(is_strange) {
        return Err(untrusted(format!("its protected header has {strange:?}, which is not known here")));
    }
    let maybe = |name: &str| attributes.contains_key(name).then(|| text(attributes, name)).transpose();
    let owned = |name: &str| Ok(maybe(name)?.map(ToOwned::to_owned));
    let time = |name: &str| maybe(name)?.map(|time| time.parse::<Timestamp>().map_err(|_| Refuted::Unreadable)).transpose();
    let critical = attributes.get("crit").and_then(Value::as_array).ok_or_else(|| untrusted("it marks nothing as critical"))?;
    let critical = critical.iter().map(|name| name.as_str().map(ToOwned::to_owned).ok_or(Refuted::Unreadable));
    Ok(Fields {
        content_type: owned("cty")?,
        scheme: owned(SCHEME)?,
        signed_at: time(SIGNED_AT)?,
        authentic_signed_at: time(AUTHENTIC_SIGNED_AT)?,
        expiry: time(EXPIRY)?,
        critical: critical.collect::<Result<_, _>>()?,
        names: attributes.keys().cloned().collect(),
    })
}

fn certificates(chain: Option<&Value>) -> Result<Vec<CertificateDer<'static>>, Refuted> {
    let chain = chain.and_then(Value::as_array).ok_or_else(|| untrusted("it has no certificates"))?;
    if !(1..=MOST_CERTIFICATES).contains(&chain.len()) {
        return Err(untrusted(format!("it has {} certificates, and 1 to {MOST_CERTIFICATES} are read", chain.len())));
    }
    let read = |text: &Value| {
        let der = text.as_str().and_then(|text| STANDARD.decode(text).ok());
        der.map(CertificateDer::from).ok_or(Refuted::Unreadable)
    };
    chain.iter().map(read).collect()
}
