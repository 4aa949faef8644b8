use sha2::digest::common::hazmat::{DeserializeStateError, SerializableState};
use sha2::{Digest as _, Sha256, Sha512};

use crate::{Algorithm, Digest};

/// More blocks than any content has. Past the algorithms' own limits, which are higher, counting them would overflow.
const MAX_BLOCKS: u128 = 1 << 54;

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
        if state.blocks(algorithm).is_none_or(|blocks| blocks > MAX_BLOCKS) {
            return Err(InvalidHashState);
        }
        Ok(match algorithm {
            Algorithm::Sha256 => Self::Sha256(restore(&state.0)?),
            Algorithm::Sha512 => Self::Sha512(restore(&state.0)?),
        })
    }
}

impl HashState {
    /// How many blocks were taken in, which stands after the chaining value, the least byte first.
    fn blocks(&self, algorithm: Algorithm) -> Option<u128> {
        let count = match algorithm {
            Algorithm::Sha256 => self.0.get(32..40)?,
            Algorithm::Sha512 => self.0.get(64..80)?,
        };
        Some(count.iter().rev().fold(0, |blocks, &byte| (blocks << 8) | u128::from(byte)))
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
        fn knows_how_much_it_has_seen(blocks in 0_usize..100, long: bool) {
            let (algorithm, block_bytes) = if long { (Algorithm::Sha512, 128) } else { (Algorithm::Sha256, 64) };
            let mut hasher = Hasher::new(algorithm);
            hasher.update(&vec![0; blocks * block_bytes + 1]);
            prop_assert_eq!(hasher.state().blocks(algorithm), Some(blocks as u128));
        }

        #[test]
        fn refuses_what_is_no_state(bytes: Vec<u8>) {
            let _ = Hasher::resume(Algorithm::Sha256, &HashState(bytes));
        }
    }

    #[test]
    fn refuses_a_state_that_has_seen_more_than_can_be_counted() {
        for (algorithm, last_of_count) in [(Algorithm::Sha256, 39), (Algorithm::Sha512, 79)] {
            let mut state = Hasher::new(algorithm).state();
            state.0[last_of_count] = 128;
            assert_eq!(Hasher::resume(algorithm, &state).err(), Some(InvalidHashState));
        }
    }
}
