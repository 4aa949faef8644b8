//! Hash states: one that was laid down is gone on with, and bytes that are none do no harm. The first byte chooses the algorithm
//! and whether the rest is a state or content.
#![no_main]

use libfuzzer_sys::fuzz_target;
use longshore_oci::{Algorithm, Digest, HashState, Hasher};

fuzz_target!(|input: &[u8]| {
    let Some((&first, bytes)) = input.split_first() else { return };
    let algorithm = if first & 1 == 0 { Algorithm::Sha256 } else { Algorithm::Sha512 };
    if first & 2 == 0 { check_state(algorithm, bytes) } else { check_content(algorithm, bytes, first >> 2) }
});

/// Bytes that are taken as a state make a hasher that works.
fn check_state(algorithm: Algorithm, bytes: &[u8]) {
    let Ok(mut hasher) = Hasher::resume(algorithm, &HashState(bytes.to_vec())) else { return };
    assert_eq!(hasher.algorithm(), algorithm);
    let digest = hasher.digest();
    assert_eq!(digest.algorithm(), algorithm);
    let again = Hasher::resume(algorithm, &hasher.state()).expect("what was laid down can be taken up");
    assert_eq!(again.digest(), digest);
    hasher.update(&[0; 300]);
    assert_ne!(hasher.digest(), digest);
}

/// Content hashed with pauses has the digest of content hashed in one go.
fn check_content(algorithm: Algorithm, content: &[u8], step: u8) {
    let mut hasher = Hasher::new(algorithm);
    for chunk in content.chunks(usize::from(step) + 1) {
        hasher.update(chunk);
        let state = hasher.state();
        hasher = Hasher::resume(algorithm, &state).expect("what was laid down can be taken up");
        assert_eq!(hasher.state(), state);
    }
    assert_eq!(hasher.digest(), Digest::of(algorithm, content));
}
