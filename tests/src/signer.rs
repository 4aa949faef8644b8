use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use longshore_oci::Digest;
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use serde_json::{Value, json};

use crate::{Image, descriptor, image::media_type};

/// What comes before the point of a P-256 public key in DER (RFC 5480).
const SPKI: &[u8] = &[
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03,
    0x01, 0x07, 0x03, 0x42, 0x00,
];

/// The media type of a payload of the old form.
pub const SIMPLE_SIGNING: &str = "application/vnd.dev.cosign.simplesigning.v1+json";

/// Somebody who signs images as cosign does, and whatever else a test wants signed.
pub struct Signer(EcdsaKeyPair);

impl Signer {
    /// One with a new key, ECDSA on P-256.
    pub fn new() -> Self {
        let random = SystemRandom::new();
        let document =
            EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random).expect("the system gives randomness");
        Self(EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, document.as_ref(), &random).expect("it was just made"))
    }

    /// One with a key that was made elsewhere, in PKCS #8.
    pub fn with_key(pkcs8: &[u8]) -> Self {
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, pkcs8, &SystemRandom::new());
        Self(key.expect("it is a key on P-256"))
    }

    /// The public half, in DER (RFC 5280, `SubjectPublicKeyInfo`).
    pub fn public_der(&self) -> Vec<u8> {
        [SPKI, self.0.public_key().as_ref()].concat()
    }

    /// The public half, in PEM.
    pub fn public_key(&self) -> String {
        format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", STANDARD.encode(self.public_der()))
    }

    /// The signature of bytes, in base64.
    pub fn sign(&self, message: &[u8]) -> String {
        STANDARD.encode(self.0.sign(&SystemRandom::new(), message).expect("the system gives randomness"))
    }

    /// A signature of the old form: what lies at an image's `.sig` tag.
    pub fn simple(&self, image: &Digest) -> Image {
        let payload = simple_payload(image);
        simple_manifest(&payload, &self.sign(&payload))
    }

    /// A DSSE envelope around a payload of this type.
    pub fn envelope(&self, payload_type: &str, payload: &str) -> Value {
        let pae = format!("DSSEv1 {} {payload_type} {} {payload}", payload_type.len(), payload.len());
        json!({
            "payloadType": payload_type,
            "payload": STANDARD.encode(payload),
            "signatures": [{ "sig": self.sign(pae.as_bytes()) }],
        })
    }

    /// A bundle that states something of an image.
    pub fn bundle(&self, image: &Digest, predicate_type: &str, predicate: &Value) -> Value {
        bundle_of(&self.envelope("application/vnd.in-toto+json", &statement(image, predicate_type, predicate).to_string()))
    }
}

impl Default for Signer {
    fn default() -> Self {
        Self::new()
    }
}

/// What is signed in the old form.
pub fn simple_payload(image: &Digest) -> Bytes {
    let payload = json!({
        "critical": {
            "identity": { "docker-reference": "example.org/app" },
            "image": { "docker-manifest-digest": image.as_str() },
            "type": "cosign container image signature",
        },
        "optional": null,
    });
    payload.to_string().into()
}

/// The manifest of a payload and its signature.
pub fn simple_manifest(payload: &Bytes, signature: &str) -> Image {
    annotated_manifest(SIMPLE_SIGNING, payload, json!({ "dev.cosignproject.cosign/signature": signature }))
}

/// The manifest of a payload, of this media type, and what its layer's annotations say of it.
pub fn annotated_manifest(layer_type: &str, payload: &Bytes, annotations: Value) -> Image {
    let mut layer = descriptor(layer_type, payload);
    layer["annotations"] = annotations;
    let config = Bytes::from_static(b"{}");
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": media_type::MANIFEST,
        "config": descriptor(media_type::CONFIG, &config),
        "layers": [layer],
    });
    Image::from_json(media_type::MANIFEST, &manifest, vec![config, payload.clone()])
}

/// An in-toto statement about an image.
pub fn statement(image: &Digest, predicate_type: &str, predicate: &Value) -> Value {
    let (algorithm, digits) = image.as_str().split_once(':').expect("a digest has a colon");
    json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{ "name": "app", "digest": { algorithm: digits } }],
        "predicateType": predicate_type,
        "predicate": predicate,
    })
}

/// A bundle around an envelope that a key has signed.
pub fn bundle_of(envelope: &Value) -> Value {
    json!({
        "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
        "verificationMaterial": { "publicKey": { "hint": "" }, "tlogEntries": [] },
        "dsseEnvelope": envelope,
    })
}

/// The manifest of a bundle, which refers to an image.
pub fn bundle_manifest(subject: &Value, bundle: &str) -> Image {
    let (config, content) = (Bytes::from_static(b"{}"), Bytes::from(bundle.to_owned()));
    let kind = "application/vnd.dev.sigstore.bundle.v0.3+json";
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": media_type::MANIFEST,
        "artifactType": kind,
        "config": descriptor(media_type::EMPTY, &config),
        "layers": [descriptor(kind, &content)],
        "subject": subject,
    });
    Image::from_json(media_type::MANIFEST, &manifest, vec![config, content])
}
