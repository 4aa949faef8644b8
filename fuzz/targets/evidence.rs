//! Signatures, envelopes and bundles, cosign's and Notation's: whatever they are, they are read to an end, and none is by a key that has signed none of them.
#![no_main]

use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock},
};

use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;
use longshore_oci::{Algorithm, Digest};
use longshore_registry::{
    EnvelopeSyntax, Evidence, EvidenceForm, Keyless, NotationTrust, SignatureKey, SignatureTarget, Signer, TrustStore,
    TrustedAuthority,
};

const KEY: &str = "-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEwvHj3fkfsJtKABThq9geWxg8NH/s
NQl9R86XKynQcZ3e/8GGtMf6p/Hd15wxcKybyh4eSKzd0dsmryuascdnAQ==
-----END PUBLIC KEY-----
";

/// An entry of a log, as cosign 2 wrote it.
const ENTRY: &str = r#"{"SignedEntryTimestamp":"MEUCIQ==","Payload":{"body":"eyJraW5kIjoiaGFzaGVkcmVrb3JkIiwiYXBpVmVyc2lvbiI6IjAuMC4xIn0=",
"integratedTime":1700000000,"logIndex":1,"logID":"c0d23d6ad406973f9559f3ba2d1ca01f84147d8ffc5b8445c224f98b9591801d"}}"#;

/// Of a signer who has signed other images.
const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----
MIIBuDCCAV6gAwIBAgIUN+CMcv/MgtBMYaK3CJAOdpr1e3AwCgYIKoZIzj0EAwIw
ODELMAkGA1UEBhMCVVMxCzAJBgNVBAgMAldBMQ0wCwYDVQQKDARhY21lMQ0wCwYD
VQQDDARmdXp6MB4XDTI2MTEyMTIxNTc1MVoXDTM2MTExODIxNTc1MVowODELMAkG
A1UEBhMCVVMxCzAJBgNVBAgMAldBMQ0wCwYDVQQKDARhY21lMQ0wCwYDVQQDDARm
dXp6MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEq5j1EiINBxGM8tK4wV4HW7UZ
PGqvXonawKgAAU2yfxWRB5qFdIw3j1BujrDEpi/TgkAZryUUMxvYVYoam3wSsKNG
MEQwDgYDVR0PAQH/BAQDAgeAMBMGA1UdJQQMMAoGCCsGAQUFBwMDMB0GA1UdDgQW
BBRAvuIhxTlPPq1rpCHWaRl42oZcazAKBggqhkjOPQQDAgNIADBFAiAciQdI5uAS
x1p9udYuXg8y2jLCrragKSxwwuBHkDnegAIhAK5P+vOKg0IQltdJIjt2rhpYvaTP
1P6STd6RpIreM+fX
-----END CERTIFICATE-----
";

static NOTARY: LazyLock<Signer> = LazyLock::new(|| {
    let store = Arc::new(TrustStore::parse("store", CERTIFICATE).unwrap());
    let [stores, identities] = ["ca:store", "x509.subject: C=US, ST=WA, O=acme"].map(|text| [text.to_owned()]);
    Signer::Notation(Arc::new(NotationTrust::new(&stores, &identities, |_| Some(store.clone())).unwrap()))
});

/// Somebody whom an authority vouches for that has vouched for nobody yet, by a log that has taken nothing.
static PERSON: LazyLock<Signer> = LazyLock::new(|| {
    let [certificate, key] = [CERTIFICATE, KEY].map(|pem| pem.lines().filter(|line| !line.starts_with('-')).collect::<String>());
    let root = format!(
        r#"{{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1","certificateAuthorities":[{{"subject":{{}},"uri":"",
        "certChain":{{"certificates":[{{"rawBytes":"{certificate}"}}]}},"validFor":{{"start":"2025-01-01T00:00:00Z"}}}}],
        "tlogs":[{{"baseUrl":"","hashAlgorithm":"SHA2_256","logId":{{"keyId":"wNI9atQGlz+VWfO6LRygH4QUfY/8W4RFwiT5i5WRgB0="}},
        "publicKey":{{"rawBytes":"{key}","keyDetails":"PKIX_ECDSA_P256_SHA_256","validFor":{{"start":"2020-01-01T00:00:00Z"}}}}}}]}}"#
    );
    let authority = Arc::new(TrustedAuthority::parse("root", &root).unwrap());
    let [identity, issuer] = ["*", "*"].map(|text| text.to_owned().try_into().unwrap());
    Signer::Identity { authority, identity, issuer }
});

static SIGNER: LazyLock<Signer> = LazyLock::new(|| Signer::Key(Arc::new(SignatureKey::parse("key", KEY).unwrap())));

fuzz_target!(|content: &[u8]| {
    let image = Digest::of(Algorithm::Sha256, b"image");
    let bytes = || content.to_vec().into();
    let signature = String::from_utf8_lossy(content).into_owned();
    let beside = |certificate: &str, entry: &str| {
        let annotation = |name: &str, text: &str| (format!("dev.sigstore.cosign/{name}"), text.to_owned());
        Keyless::of(&BTreeMap::from([annotation("certificate", certificate), annotation("bundle", entry)])).map(Box::new)
    };
    let payload = || b"payload".to_vec().into();
    for form in [
        EvidenceForm::Simple { payload: bytes(), signature: "MEUCIQ==".to_owned(), keyless: None },
        EvidenceForm::Simple { payload: payload(), signature: signature.clone(), keyless: beside(CERTIFICATE, ENTRY) },
        EvidenceForm::Simple { payload: payload(), signature: "MEUCIQ==".to_owned(), keyless: beside(CERTIFICATE, &signature) },
        EvidenceForm::Simple { payload: payload(), signature: "MEUCIQ==".to_owned(), keyless: beside(&signature, ENTRY) },
        EvidenceForm::Envelope { envelope: bytes(), keyless: None },
        EvidenceForm::Envelope { envelope: bytes(), keyless: beside(CERTIFICATE, ENTRY) },
        EvidenceForm::Bundle(bytes()),
        EvidenceForm::Notation { envelope: bytes(), syntax: EnvelopeSyntax::Jws },
        EvidenceForm::Notation { envelope: bytes(), syntax: EnvelopeSyntax::Cose },
    ] {
        let evidence = Evidence { manifest: image.clone(), form };
        for signer in [&*SIGNER, &*NOTARY, &*PERSON] {
            let target =
                SignatureTarget { media_type: "application/vnd.oci.image.manifest.v1+json", digest: &image, size_bytes: 1 };
            let now = Timestamp::constant(1_800_000_000, 0);
            assert!(evidence.signs(&target, signer, now).is_err());
            assert!(evidence.states(&image, signer, "https://example.org/review/v1").is_err());
        }
    }
});
