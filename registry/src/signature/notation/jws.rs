use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use jiff::Timestamp;
use rustls_pki_types::CertificateDer;
use serde_json::{Map, Value};

use super::{
    attributes::{AUTHENTIC_SIGNED_AT, EXPIRY, Fields, OWN, SCHEME, SIGNED_AT, TIMESTAMP},
    envelope::{Envelope, object, require_count},
    untrusted,
};
use crate::signature::Refuted;

/// The members of JWS in the protected header that have a meaning here.
const REGISTERED: [&str; 3] = ["alg", "cty", "crit"];

/// Reads a flattened JWS.
pub fn read(json: &[u8]) -> Result<Envelope, Refuted> {
    let envelope = object(json)?;
    if envelope.len() != 4 {
        return Err(Refuted::Unreadable);
    }
    let [payload, protected, signature] =
        [text(&envelope, "payload")?, text(&envelope, "protected")?, text(&envelope, "signature")?];
    let header = envelope.get("header").and_then(Value::as_object).ok_or(Refuted::Unreadable)?;
    // Nothing else is read there; what has a meaning in JWS might be to others.
    if let Some(strange) = header.keys().find(|name| *name != "x5c" && !name.starts_with(OWN)) {
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
        timestamp: header.get(TIMESTAMP).map(bytes).transpose()?,
    })
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
    require_count(chain.len())?;
    chain.iter().map(|text| bytes(text).map(CertificateDer::from)).collect()
}

fn bytes(text: &Value) -> Result<Vec<u8>, Refuted> {
    text.as_str().and_then(|text| STANDARD.decode(text).ok()).ok_or(Refuted::Unreadable)
}
