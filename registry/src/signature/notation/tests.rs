mod envelopes_of_cbor;
mod identities;
pub mod notary;
mod revocation;
mod signers;
pub mod stamper;
mod tampering;
mod timestamps;

use std::sync::{Arc, LazyLock};

use jiff::Timestamp;
use longshore_oci::{Algorithm as Hash, Digest};
use serde_json::{Value, json};

use super::{Syntax, Target, Trust, TrustStore};
use crate::signature::Refuted;
use notary::{Notary, authority, key, signer};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

static IMAGE: LazyLock<Digest> = LazyLock::new(|| Digest::of(Hash::Sha256, b"image"));

/// A root, and a signer whom an authority of that root has given a certificate.
struct Acme {
    root: Notary,
    signer: Notary,
}

impl Acme {
    fn new() -> Self {
        let root = Notary::root("root");
        let signer = root.vouch_for(authority("authority"), key()).vouch_for(signer("ci"), key());
        Self { root, signer }
    }
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// When the tests take place.
fn now() -> Timestamp {
    at("2026-06-01T12:00:00Z")
}

fn store(pem: &str) -> Arc<TrustStore> {
    Arc::new(TrustStore::parse("acme", pem).unwrap())
}

fn trust_in(kind: &str, pem: &str, identities: &[&str]) -> Trust {
    let identities: Vec<String> = identities.iter().map(|text| (*text).to_owned()).collect();
    Trust::new(&[format!("{kind}:acme")], &identities, |_| Some(store(pem))).unwrap()
}

/// Trust in whoever has a certificate of these.
fn trust(pem: &str) -> Trust {
    trust_in("ca", pem, &["*"])
}

fn attributes(algorithm: &str) -> Value {
    json!({
        "alg": algorithm,
        "cty": "application/vnd.cncf.notary.payload.v1+json",
        "crit": ["io.cncf.notary.signingScheme"],
        "io.cncf.notary.signingScheme": "notary.x509",
        "io.cncf.notary.signingTime": "2026-05-01T12:00:00Z",
    })
}

fn payload() -> Value {
    json!({ "targetArtifact": { "mediaType": MANIFEST, "digest": IMAGE.as_str(), "size": 1234 } })
}

fn verify_at(trust: &Trust, envelope: &str, now: Timestamp) -> Result<Timestamp, Refuted> {
    let image = Target { media_type: MANIFEST, digest: &IMAGE, size_bytes: 1234 };
    trust.verify(envelope.as_bytes(), Syntax::Jws, &image, now)
}

fn verify(trust: &Trust, envelope: &Value) -> Result<Timestamp, Refuted> {
    verify_at(trust, &envelope.to_string(), now())
}

/// That an envelope is refused, and why.
#[track_caller]
fn refused(trust: &Trust, what: &str, envelope: &str, why: &str) {
    let refuted = verify_at(trust, envelope, now()).expect_err(what);
    assert!(refuted.to_string().contains(why), "{what}: {refuted}");
}
