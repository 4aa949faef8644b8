use sha2::digest::common::hazmat::{DeserializeStateError, SerializableState};
use sha2::{Digest as _, Sha256, Sha512};

use crate::{Algorithm, Digest};

/// A digest in the making, which can be laid down and taken up again elsewhere.
#[derive(Clone, Debug)]
pub enum Hasher {
    /// SHA-256.
    Sha256(Sha256),
    /// SHA-512.
    Sha512(Sha512),
}

/// A [`Hasher`] laid down as bytes: an algorithm's state after some content.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HashState(pub Vec<u8>);

/// The bytes are no state of the algorithm's.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not a hash state of that algorithm")]
pub struct InvalidHashState;

impl Hasher {
    /// A hasher that has seen nothing.
    pub fn new(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Sha256 => Self::Sha256(Sha256::new()),
            Algorithm::Sha512 => Self::Sha512(Sha512::new()),
        }
    }

    /// Its hash function.
    pub fn algorithm(&self) -> Algorithm {
        match self {
            Self::Sha256(_) => Algorithm::Sha256,
            Self::Sha512(_) => Algorithm::Sha512,
        }
    }

    /// Takes in the content's next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(hasher) => hasher.update(bytes),
            Self::Sha512(hasher) => hasher.update(bytes),
        }
    }

    /// The digest of what was taken in so far; the hasher can go on.
    pub fn digest(&self) -> Digest {
        match self.clone() {
            Self::Sha256(hasher) => Digest::from_hash(Algorithm::Sha256, &hasher.finalize()),
            Self::Sha512(hasher) => Digest::from_hash(Algorithm::Sha512, &hasher.finalize()),
        }
    }

    /// Lays the hasher down.
    pub fn state(&self) -> HashState {
        HashState(match self {
            Self::Sha256(hasher) => hasher.serialize().to_vec(),
            Self::Sha512(hasher) => hasher.serialize().to_vec(),
        })
    }

    /// Takes up a hasher that was laid down.
    pub fn resume(algorithm: Algorithm, state: &HashState) -> Result<Self, InvalidHashState> {
        fn restore<H: SerializableState>(bytes: &[u8]) -> Result<H, InvalidHashState> {
            let state = bytes.try_into().map_err(|_| InvalidHashState)?;
            H::deserialize(&state).map_err(|DeserializeStateError| InvalidHashState)
        }
        Ok(match algorithm {
            Algorithm::Sha256 => Self::Sha256(restore(&state.0)?),
            Algorithm::Sha512 => Self::Sha512(restore(&state.0)?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn goes_on_where_it_was_laid_down(content: Vec<u8>, cut: usize, long: bool) {
            let algorithm = if long { Algorithm::Sha512 } else { Algorithm::Sha256 };
            let (head, tail) = content.split_at(cut % (content.len() + 1));
            let mut first = Hasher::new(algorithm);
            first.update(head);
            let mut second = Hasher::resume(algorithm, &first.state()).unwrap();
            second.update(tail);
            prop_assert_eq!(second.digest(), Digest::of(algorithm, &content));
        }

        #[test]
        fn refuses_what_is_no_state(bytes: Vec<u8>) {
            let _ = Hasher::resume(Algorithm::Sha256, &HashState(bytes));
        }
    }
}
