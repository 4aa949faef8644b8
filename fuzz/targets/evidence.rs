//! Signatures, envelopes and bundles: whatever they are, they are read to an end, and none is by a key that has signed none of them.
#![no_main]

use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use longshore_oci::{Algorithm, Digest};
use longshore_registry::{Evidence, EvidenceForm, SignatureKey, Signer};

const KEY: &str = "-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEwvHj3fkfsJtKABThq9geWxg8NH/s
NQl9R86XKynQcZ3e/8GGtMf6p/Hd15wxcKybyh4eSKzd0dsmryuascdnAQ==
-----END PUBLIC KEY-----
";

static SIGNER: LazyLock<Signer> = LazyLock::new(|| Signer::Key(Arc::new(SignatureKey::parse("key", KEY).unwrap())));

fuzz_target!(|content: &[u8]| {
    let image = Digest::of(Algorithm::Sha256, b"image");
    let bytes = || content.to_vec().into();
    let signature = String::from_utf8_lossy(content).into_owned();
    for form in [
        EvidenceForm::Simple { payload: bytes(), signature: "MEUCIQ==".to_owned() },
        EvidenceForm::Simple { payload: b"payload".to_vec().into(), signature },
        EvidenceForm::Envelope(bytes()),
        EvidenceForm::Bundle(bytes()),
    ] {
        let evidence = Evidence { manifest: image.clone(), form };
        assert!(evidence.signs(&image, &SIGNER).is_err());
        assert!(evidence.states(&image, &SIGNER, "https://example.org/review/v1").is_err());
    }
});
