use std::{fmt, sync::Arc};

use ring::hmac;

use super::Direction;

/// The least that a fleet's key has, in bytes.
const LEAST_BYTES: usize = 32;
/// What is proven: another text would be another proof.
const PURPOSE: &[u8] = b"longshore swarm fleet proof v1";

/// What a closed fleet has in common: who does not have it is none of it.
#[derive(Clone)]
pub struct FleetKey(Arc<hmac::Key>);

/// The text is too short to be a key that nobody guesses.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a fleet's key has at least {LEAST_BYTES} bytes")]
pub struct InvalidFleetKey;

impl FleetKey {
    /// The key that is a text, but for the space around it. It has to be random: proofs can be tried against guesses elsewhere.
    pub fn new(text: &str) -> Result<Self, InvalidFleetKey> {
        let text = text.trim().as_bytes();
        if text.len() < LEAST_BYTES {
            return Err(InvalidFleetKey);
        }
        Ok(Self(Arc::new(hmac::Key::new(hmac::HMAC_SHA256, text))))
    }

    /// What proves, in a TLS session that has this exporter value, that the end which has made or taken the connection has the key.
    pub(crate) fn prove(&self, session: &[u8; 32], by: Direction) -> [u8; 32] {
        let tag = hmac::sign(&self.0, &proven(session, by));
        tag.as_ref().try_into().expect("SHA-256 has as many bytes")
    }

    /// Whether that end has proven it.
    pub(crate) fn is_proven(&self, session: &[u8; 32], by: Direction, proof: Option<&[u8; 32]>) -> bool {
        proof.is_some_and(|proof| hmac::verify(&self.0, &proven(session, by), proof).is_ok())
    }
}

/// An end's own proof says nothing for the other.
fn proven(session: &[u8; 32], by: Direction) -> Vec<u8> {
    let role: &[u8] = match by {
        Direction::Dialed => b"dials",
        Direction::Accepted => b"accepts",
    };
    [PURPOSE, session, role].concat()
}

impl fmt::Debug for FleetKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("FleetKey")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_is_of_one_key_one_session_and_one_end() {
        let key = FleetKey::new(&"k".repeat(32)).unwrap();
        let proof = key.prove(&[1; 32], Direction::Dialed);
        assert!(key.is_proven(&[1; 32], Direction::Dialed, Some(&proof)));
        assert!(FleetKey::new(&format!(" {}\n", "k".repeat(32))).unwrap().is_proven(&[1; 32], Direction::Dialed, Some(&proof)));
        assert!(!key.is_proven(&[1; 32], Direction::Accepted, Some(&proof)));
        assert!(!key.is_proven(&[2; 32], Direction::Dialed, Some(&proof)));
        assert!(!key.is_proven(&[1; 32], Direction::Dialed, None));
        assert!(!FleetKey::new(&"l".repeat(32)).unwrap().is_proven(&[1; 32], Direction::Dialed, Some(&proof)));
    }

    #[test]
    fn a_short_text_is_no_key() {
        assert_eq!(FleetKey::new(&format!("  {}  ", "k".repeat(31))).unwrap_err(), InvalidFleetKey);
    }
}
