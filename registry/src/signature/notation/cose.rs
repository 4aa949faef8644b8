use coset::{
    Algorithm, ContentType, CoseSign1, Header, Label, RegisteredLabelWithPrivate, TaggedCborSerializable as _, cbor::Value, iana,
};
use jiff::Timestamp;
use rustls_pki_types::CertificateDer;

use super::{
    attributes::{AUTHENTIC_SIGNED_AT, EXPIRY, Fields, OWN, SCHEME, SIGNED_AT, TIMESTAMP},
    envelope::{Envelope, require_count},
    untrusted,
};
use crate::signature::Refuted;

/// The header of a chain of certificates (RFC 9360).
const X5CHAIN: Label = Label::Int(33);
/// The tag of a time in seconds (RFC 8949, section 3.4.2).
const EPOCH_TIME: u64 = 1;

/// Reads a tagged `COSE_Sign1`. `coset` takes no label of a header twice.
pub fn read(cbor: &[u8]) -> Result<Envelope, Refuted> {
    let mut envelope = CoseSign1::from_tagged_slice(cbor).map_err(|_| Refuted::Unreadable)?;
    let signed = envelope.tbs_data(&[]);
    let unprotected = std::mem::take(&mut envelope.unprotected);
    let (certificates, timestamp) = unsigned(unprotected)?;
    let protected = envelope.protected.header;
    Ok(Envelope {
        signed,
        signature: envelope.signature,
        algorithm: name(protected.alg.as_ref().ok_or(Refuted::Unreadable)?),
        fields: fields(protected)?,
        payload: envelope.payload.ok_or(Refuted::Unreadable)?,
        certificates,
        timestamp,
    })
}

/// An algorithm's name, which is that of JWS where both have it (RFC 9053).
fn name(algorithm: &Algorithm) -> String {
    match algorithm {
        RegisteredLabelWithPrivate::Assigned(assigned) => format!("{assigned:?}"),
        RegisteredLabelWithPrivate::PrivateUse(number) => number.to_string(),
        RegisteredLabelWithPrivate::Text(text) => text.clone(),
    }
}

fn fields(header: Header) -> Result<Fields, Refuted> {
    let mut fields = Fields::default();
    let Header { alg: _, crit, content_type, rest, .. } = plain(header)?;
    if let Some(ContentType::Text(text)) = content_type {
        fields.content_type = Some(text);
    }
    fields.critical = crit.into_iter().map(critical).collect();
    if fields.critical.is_empty() {
        return Err(untrusted("it marks nothing as critical"));
    }
    for (label, value) in rest {
        let Label::Text(name) = label else {
            return Err(untrusted(format!("its protected header has {label:?}, which is not known here")));
        };
        match name.as_str() {
            SCHEME => fields.scheme = Some(value.into_text().map_err(|_| Refuted::Unreadable)?),
            SIGNED_AT => fields.signed_at = Some(time(value)?),
            AUTHENTIC_SIGNED_AT => fields.authentic_signed_at = Some(time(value)?),
            EXPIRY => fields.expiry = Some(time(value)?),
            _ => {}
        }
        fields.names.push(name);
    }
    Ok(fields)
}

fn critical(label: RegisteredLabelWithPrivate<iana::HeaderParameter>) -> String {
    match label {
        RegisteredLabelWithPrivate::Text(name) => name,
        other => format!("{other:?}"),
    }
}

/// A header without what no header of Notation's has: keys' names, initialization vectors, signatures of signatures.
fn plain(header: Header) -> Result<Header, Refuted> {
    let Header { key_id, iv, partial_iv, counter_signatures, .. } = &header;
    let is_plain = key_id.is_empty() && iv.is_empty() && partial_iv.is_empty() && counter_signatures.is_empty();
    if is_plain { Ok(header) } else { Err(untrusted("its headers have more than is known here")) }
}

fn time(value: Value) -> Result<Timestamp, Refuted> {
    let Value::Tag(EPOCH_TIME, seconds) = value else { return Err(Refuted::Unreadable) };
    let seconds = seconds.as_integer().and_then(|seconds| i64::try_from(seconds).ok());
    seconds.and_then(|seconds| Timestamp::from_second(seconds).ok()).ok_or(Refuted::Unreadable)
}

/// The chain and the timestamp in what is not signed; nothing else is read there.
fn unsigned(header: Header) -> Result<(Vec<CertificateDer<'static>>, Option<Vec<u8>>), Refuted> {
    let header = plain(header)?;
    if header.alg.is_some() || header.content_type.is_some() || !header.crit.is_empty() {
        return Err(untrusted("its header has attributes that are not signed"));
    }
    let (mut chain, mut timestamp) = (None, None);
    for (label, value) in header.rest {
        match label {
            X5CHAIN => chain = Some(value),
            Label::Text(name) if name == TIMESTAMP => timestamp = Some(value.into_bytes().map_err(|_| Refuted::Unreadable)?),
            Label::Text(name) if name.starts_with(OWN) => {}
            other => return Err(untrusted(format!("its header has {other:?}, which is not signed"))),
        }
    }
    let chain = match chain {
        Some(Value::Array(chain)) => chain,
        Some(one @ Value::Bytes(_)) => vec![one],
        _ => return Err(untrusted("it has no certificates")),
    };
    require_count(chain.len())?;
    let read = |certificate: Value| certificate.into_bytes().map(CertificateDer::from).map_err(|_| Refuted::Unreadable);
    Ok((chain.into_iter().map(read).collect::<Result<_, _>>()?, timestamp))
}
