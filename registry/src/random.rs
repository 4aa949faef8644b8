//! What can't be guessed.

use ring::rand::{SecureRandom as _, SystemRandom};

/// Random bytes, of the system's.
///
/// # Panics
///
/// Where the system has no randomness to give.
pub fn random<const LENGTH: usize>() -> [u8; LENGTH] {
    let mut bytes = [0; LENGTH];
    SystemRandom::new().fill(&mut bytes).expect("the system gives randomness");
    bytes
}
