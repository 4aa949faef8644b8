//! What names of pods are drawn from.

use longshore_fleet::PodId;
use uuid::Uuid;

use crate::schedule::Millis;

/// A stream of numbers that follows from its seed (`SplitMix64`).
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A UUID of version 7, of this moment.
    fn uuid(&mut self, now: Millis) -> Uuid {
        let mut bytes = [0; 10];
        bytes[..8].copy_from_slice(&self.next().to_le_bytes());
        bytes[8..].copy_from_slice(&self.next().to_le_bytes()[..2]);
        uuid::Builder::from_unix_timestamp_millis(u64::try_from(now).unwrap_or_default(), &bytes).into_uuid()
    }

    pub(crate) fn pod(&mut self, now: Millis) -> PodId {
        PodId(self.uuid(now))
    }

    pub(crate) fn stream(&mut self, now: Millis) -> longshore_fleet::StreamId {
        longshore_fleet::StreamId(self.uuid(now))
    }
}

/// The letters of a pod's suffix: none that is taken for another, no vowels that make words.
const LETTERS: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";

/// So many letters that follow from a number.
pub(crate) fn letters(mut number: u64, count: usize) -> String {
    let base = LETTERS.len() as u64;
    (0..count)
        .map(|_| {
            let letter = LETTERS[usize::try_from(number % base).unwrap_or(0)];
            number /= base;
            char::from(letter)
        })
        .collect()
}
