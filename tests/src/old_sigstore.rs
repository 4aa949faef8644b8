use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, CustomExtension, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, SanType,
};
use ring::digest::{SHA256, digest};
use serde_json::{Map, Value, json};

use crate::{
    Image, Signer, hexadecimal,
    signer::{SIMPLE_SIGNING, annotated_manifest},
};

/// What cosign 2 put together to sign without a key: an authority that gives out certificates, and a log of Rekor's first version. The
/// log's server takes a database of its own, so what it would answer is made here, with keys of the test's own.
pub struct OldSigstore {
    authority: CertifiedIssuer<'static, KeyPair>,
    log: Signer,
}

/// A payload or an envelope, and what cosign 2 wrote beside it.
#[derive(Clone)]
pub struct OldSignature {
    /// What its layer says it is.
    pub media_type: &'static str,
    /// What was signed, or the envelope of it.
    pub payload: Bytes,
    /// The annotations.
    pub annotations: Map<String, Value>,
}

/// Fulcio's extension that names the issuer (1.3.6.1.4.1.57264.1.8).
const ISSUER: &[u64] = &[1, 3, 6, 1, 4, 1, 57264, 1, 8];

impl OldSigstore {
    /// The annotation of the signature.
    pub const SIGNATURE: &str = "dev.cosignproject.cosign/signature";
    /// The annotation of the certificate.
    pub const CERTIFICATE: &str = "dev.sigstore.cosign/certificate";
    /// The annotation of the certificates above it.
    pub const CHAIN: &str = "dev.sigstore.cosign/chain";
    /// The annotation of the log's entry and its promise.
    pub const ENTRY: &str = "dev.sigstore.cosign/bundle";
    /// The annotation of a timestamp.
    pub const TIMESTAMP: &str = "dev.sigstore.cosign/rfc3161timestamp";

    /// One with new keys.
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().expect("a key can be made");
        let authority = CertifiedIssuer::self_signed(params, key).expect("a certificate can be made");
        Self { authority, log: Signer::new() }
    }

    /// What is to be trusted.
    pub fn trusted_root(&self) -> Value {
        let since = json!({ "start": "2025-01-01T00:00:00Z" });
        json!({
            "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
            "certificateAuthorities": [{
                "subject": { "organization": "tests", "commonName": "tests" },
                "uri": "http://localhost",
                "certChain": { "certificates": [{ "rawBytes": STANDARD.encode(self.authority.der()) }] },
                "validFor": since,
            }],
            "tlogs": [{
                "baseUrl": "http://localhost",
                "hashAlgorithm": "SHA2_256",
                "publicKey": {
                    "rawBytes": STANDARD.encode(self.log.public_der()),
                    "keyDetails": "PKIX_ECDSA_P256_SHA_256",
                    "validFor": since,
                },
                "logId": { "keyId": STANDARD.encode(self.log_id()) },
            }],
        })
    }

    fn log_id(&self) -> Vec<u8> {
        digest(&SHA256, &self.log.public_der()).as_ref().to_vec()
    }

    /// A payload, signed by whom an issuer knows by this address, in the log since so many seconds.
    pub fn sign(&self, payload: &Bytes, address: &str, issuer: &str, logged_before: u64) -> OldSignature {
        let (key, certificate) = self.certify(address, issuer);
        let signature = Signer::with_key(&key.serialize_der()).sign(payload);
        let body = json!({
            "apiVersion": "0.0.1",
            "kind": "hashedrekord",
            "spec": {
                "data": { "hash": sha256(payload) },
                "signature": { "content": signature, "publicKey": { "content": STANDARD.encode(&certificate) } },
            },
        });
        self.logged(SIMPLE_SIGNING, payload.clone(), signature, certificate, &body, logged_before)
    }

    /// A statement in an envelope, signed by whom an issuer knows by this address, in the log since so many seconds.
    pub fn attest(&self, statement: &Value, address: &str, issuer: &str, logged_before: u64) -> OldSignature {
        let (key, certificate) = self.certify(address, issuer);
        let statement = statement.to_string();
        let envelope = Signer::with_key(&key.serialize_der()).envelope("application/vnd.in-toto+json", &statement);
        let content = Bytes::from(envelope.to_string());
        let body = json!({
            "apiVersion": "0.0.1",
            "kind": "dsse",
            "spec": {
                "envelopeHash": sha256(&content),
                "payloadHash": sha256(statement.as_bytes()),
                "signatures": [{ "signature": envelope["signatures"][0]["sig"], "verifier": STANDARD.encode(&certificate) }],
            },
        });
        // The signature is in the envelope: the annotation is there and empty.
        self.logged("application/vnd.dsse.envelope.v1+json", content, String::new(), certificate, &body, logged_before)
    }

    fn logged(
        &self,
        media_type: &'static str,
        payload: Bytes,
        signature: String,
        certificate: String,
        body: &Value,
        logged_before: u64,
    ) -> OldSignature {
        let entry = self.promise(&STANDARD.encode(body.to_string()), now() - logged_before);
        let annotations = [
            (Self::SIGNATURE, signature),
            (Self::CERTIFICATE, certificate),
            (Self::CHAIN, self.authority.pem()),
            (Self::ENTRY, entry.to_string()),
        ];
        let annotations = annotations.map(|(name, text)| (name.to_owned(), text.into()));
        OldSignature { media_type, payload, annotations: annotations.into_iter().collect() }
    }

    /// A key, and its certificate of the last minute and the next nine, PEM.
    fn certify(&self, address: &str, issuer: &str) -> (KeyPair, String) {
        let key = KeyPair::generate().expect("a key can be made");
        let mut params = CertificateParams::default();
        let epoch = rcgen::date_time_ymd(1970, 1, 1);
        params.not_before = epoch + Duration::from_secs(now() - 60);
        params.not_after = epoch + Duration::from_secs(now() + 540);
        params.subject_alt_names.push(SanType::Rfc822Name(address.to_owned().try_into().expect("an address is ASCII")));
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning];
        let length = u8::try_from(issuer.len()).ok().filter(|length| *length < 128).expect("the issuer's URL is short");
        let utf8 = [&[0x0c, length], issuer.as_bytes()].concat();
        params.custom_extensions.push(CustomExtension::from_oid_content(ISSUER, utf8));
        let certificate = params.signed_by(&key, &*self.authority).expect("a certificate can be made").pem();
        (key, certificate)
    }

    /// What the log has promised of an entry, at a time in seconds since 1970.
    pub fn promise(&self, body: &str, integrated_at: u64) -> Value {
        let log_id = hexadecimal(&self.log_id());
        // The names are in the order in which they are signed (RFC 8785).
        let payload = format!(r#"{{"body":"{body}","integratedTime":{integrated_at},"logID":"{log_id}","logIndex":7}}"#);
        json!({
            "SignedEntryTimestamp": self.log.sign(payload.as_bytes()),
            "Payload": serde_json::from_str::<Value>(&payload).expect("it was just written"),
        })
    }
}

impl Default for OldSigstore {
    fn default() -> Self {
        Self::new()
    }
}

impl OldSignature {
    /// What lies at the image's `.sig` or `.att` tag.
    pub fn manifest(&self) -> Image {
        annotated_manifest(self.media_type, &self.payload, self.annotations.clone().into())
    }

    /// It, with another annotation in the place of one, or without.
    pub fn with(&self, name: &str, text: Option<String>) -> Self {
        let mut changed = self.clone();
        match text {
            Some(text) => drop(changed.annotations.insert(name.to_owned(), text.into())),
            None => drop(changed.annotations.remove(name)),
        }
        changed
    }

    /// An annotation.
    pub fn annotation(&self, name: &str) -> String {
        self.annotations[name].as_str().expect("annotations are texts").to_owned()
    }

    /// The log's entry and its promise.
    pub fn entry(&self) -> Value {
        serde_json::from_str(&self.annotation(OldSigstore::ENTRY)).expect("it is JSON")
    }
}

fn sha256(bytes: &[u8]) -> Value {
    json!({ "algorithm": "sha256", "value": hexadecimal(digest(&SHA256, bytes).as_ref()) })
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("it is later than 1970").as_secs()
}
