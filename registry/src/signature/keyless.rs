//! What cosign 2 wrote beside a signature or an attestation of the old form that was made without a key: the certificate, and the entry of
//! Rekor's first log with the log's promise that it is there.
//!
//! It says what a bundle of version 0.1 says, in other words. So it is put into a bundle's words, and verified as one.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ring::digest::{SHA256, digest};
use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use serde_json::{Value, json};
use sigstore_verify::types::{Bundle, Sha256Hash};

use super::unique;

/// The certificate, PEM.
const CERTIFICATE: &str = "dev.sigstore.cosign/certificate";
/// Those between it and the authority's own, PEM.
const CHAIN: &str = "dev.sigstore.cosign/chain";
/// The log's entry, and its promise.
const ENTRY: &str = "dev.sigstore.cosign/bundle";
/// A timestamp of the signature (RFC 3161).
const TIMESTAMP: &str = "dev.sigstore.cosign/rfc3161timestamp";
/// The most certificates that are looked at.
const MOST_CERTIFICATES: usize = 10;
/// The bundles that need a log's promise and no more.
const BUNDLE: &str = "application/vnd.dev.sigstore.bundle+json;version=0.1";

/// Who has signed without a key, and what shows it: annotations of the layer that was signed, or is the envelope.
#[derive(Clone, Debug, Default)]
pub struct Keyless {
    certificate: String,
    chain: Option<String>,
    entry: Option<String>,
    timestamp: Option<String>,
}

/// Why that is no bundle.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NoBundle {
    /// There is no entry of a log.
    #[error("no entry of a log goes with its certificate")]
    NoEntry,
    /// It is not what it should be.
    #[error("{0} can't be read")]
    Unreadable(&'static str),
}

impl Keyless {
    /// What annotations say, where they have a certificate.
    pub fn of(annotations: &BTreeMap<String, String>) -> Option<Self> {
        let annotation = |name: &str| annotations.get(name).filter(|text| !text.is_empty()).cloned();
        Some(Self {
            certificate: annotation(CERTIFICATE)?,
            chain: annotation(CHAIN),
            entry: annotation(ENTRY),
            timestamp: annotation(TIMESTAMP),
        })
    }

    /// The bundle that says the same of this payload and its signature, in base64. Nothing of it is verified yet.
    pub fn message_bundle(&self, payload: &[u8], signature: &str) -> Result<Bundle, NoBundle> {
        let digest = STANDARD.encode(digest(&SHA256, payload));
        let message = json!({ "messageDigest": { "algorithm": "SHA2_256", "digest": digest }, "signature": signature });
        let stamp = self.timestamp.as_deref().map(timestamp).transpose()?;
        self.bundle("messageSignature", &message, stamp)
    }

    /// The bundle that says the same of this DSSE envelope. Nothing of it is verified yet.
    ///
    /// A timestamp goes unread: cosign had the envelope stamped, where bundles have the signature, and the log says when it was signed.
    pub fn envelope_bundle(&self, envelope: &Value) -> Result<Bundle, NoBundle> {
        self.bundle("dsseEnvelope", envelope, None)
    }

    fn bundle(&self, content_name: &str, content: &Value, stamp: Option<Value>) -> Result<Bundle, NoBundle> {
        let entry = self.entry.as_deref().ok_or(NoBundle::NoEntry)?;
        let bundle = json!({
            "mediaType": BUNDLE,
            "verificationMaterial": {
                "x509CertificateChain": { "certificates": self.certificates()? },
                "tlogEntries": [tlog_entry(entry)?],
                "timestampVerificationData": { "rfc3161Timestamps": stamp.into_iter().collect::<Vec<_>>() },
            },
            content_name: content,
        });
        Bundle::from_json(&bundle.to_string()).map_err(|_| NoBundle::Unreadable("what goes with its certificate"))
    }

    /// The signer's certificate, which is the first, and those above it.
    fn certificates(&self) -> Result<Vec<Value>, NoBundle> {
        let unreadable = NoBundle::Unreadable("its certificate");
        let mut signers = read_pem(&self.certificate).map_err(|_| unreadable)?;
        if signers.len() != 1 {
            return Err(unreadable);
        }
        signers.extend(read_pem(self.chain.as_deref().unwrap_or_default()).map_err(|_| NoBundle::Unreadable("its chain"))?);
        Ok(signers.into_iter().map(|der| json!({ "rawBytes": STANDARD.encode(der) })).collect())
    }
}

fn read_pem(pem: &str) -> Result<Vec<CertificateDer<'static>>, rustls_pki_types::pem::Error> {
    CertificateDer::pem_slice_iter(pem.as_bytes()).take(MOST_CERTIFICATES).collect()
}

/// An entry as bundles have it. What the log has promised of it is verified with it, so each part must be there: of what is left out
/// a reader would take its own.
fn tlog_entry(text: &str) -> Result<Value, NoBundle> {
    let unreadable = NoBundle::Unreadable("the entry of a log that goes with it");
    let value = unique(text.as_bytes()).map_err(|_| unreadable)?;
    let payload = &value["Payload"];
    let text = |value: &Value| value.as_str().map(str::to_owned).ok_or(unreadable);
    let number = |value: &Value| value.as_i64().filter(|number| *number >= 0).ok_or(unreadable);
    let time = number(&payload["integratedTime"])?;
    if time == 0 {
        return Err(unreadable);
    }
    let body = text(&payload["body"])?;
    let content = STANDARD.decode(&body).map_err(|_| unreadable)?;
    let said = unique(&content).map_err(|_| unreadable)?;
    let log = Sha256Hash::from_hex(&text(&payload["logID"])?).map_err(|_| unreadable)?;
    Ok(json!({
        "logIndex": number(&payload["logIndex"])?.to_string(),
        "logId": { "keyId": STANDARD.encode(log.as_bytes()) },
        "kindVersion": { "kind": text(&said["kind"])?, "version": text(&said["apiVersion"])? },
        "integratedTime": time.to_string(),
        "inclusionPromise": { "signedEntryTimestamp": text(&value["SignedEntryTimestamp"])? },
        "canonicalizedBody": body,
    }))
}

fn timestamp(text: &str) -> Result<Value, NoBundle> {
    let unreadable = NoBundle::Unreadable("the timestamp that goes with it");
    let value = unique(text.as_bytes()).map_err(|_| unreadable)?;
    let token = value["SignedRFC3161Timestamp"].as_str().ok_or(unreadable)?;
    Ok(json!({ "signedTimestamp": token }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn annotated(annotations: &[(&str, &str)]) -> Option<Keyless> {
        Keyless::of(&annotations.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect())
    }

    fn entry(change: impl FnOnce(&mut Value)) -> String {
        let body = STANDARD.encode(json!({ "kind": "hashedrekord", "apiVersion": "0.0.1" }).to_string());
        let mut entry = json!({
            "SignedEntryTimestamp": "AAAA",
            "Payload": { "body": body, "integratedTime": 1_700_000_000, "logIndex": 1, "logID": "ab".repeat(32) },
        });
        change(&mut entry);
        entry.to_string()
    }

    #[test]
    fn without_a_certificate_a_key_has_signed() {
        assert!(annotated(&[]).is_none() && annotated(&[(ENTRY, "{}")]).is_none() && annotated(&[(CERTIFICATE, "")]).is_none());
        let found = annotated(&[(CERTIFICATE, "x")]).unwrap();
        assert_eq!(found.message_bundle(b"", "").unwrap_err(), NoBundle::NoEntry);
        let stamped = annotated(&[(CERTIFICATE, "x"), (TIMESTAMP, r#"{"SignedRFC3161Timestamp":"AAAA"}"#)]).unwrap();
        assert_eq!(stamped.message_bundle(b"", "").unwrap_err(), NoBundle::NoEntry);
    }

    #[test]
    fn an_entry_lacks_nothing_and_has_nothing_twice() {
        assert!(tlog_entry(&entry(|_| ())).is_ok());
        for member in ["/Payload/body", "/Payload/integratedTime", "/Payload/logIndex", "/Payload/logID", "/SignedEntryTimestamp"]
        {
            for value in [Value::Null, json!(-1), json!(1.5), json!([])] {
                let text = entry(|entry| *entry.pointer_mut(member).unwrap() = value.clone());
                assert!(tlog_entry(&text).is_err(), "{member} {value}");
            }
        }
        assert!(tlog_entry(&entry(|entry| entry["Payload"]["integratedTime"] = json!(0))).is_err());
        let twice = entry(|_| ()).replace("\"logIndex\":1", "\"logIndex\":1,\"logIndex\":2");
        assert!(tlog_entry(&twice).is_err() && tlog_entry("").is_err());
    }
}
