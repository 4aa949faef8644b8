//! A blob's pieces: how many it has, where each lies, what each must hash to, and which are there.

use std::{ops::Range, sync::Arc};

use crate::Metainfo;

/// How long a piece is, in bytes; a blob's last may be shorter.
pub const PIECE_BYTES: u64 = 1 << 20;
/// The length of a piece's hash, in bytes.
const HASH_BYTES: usize = 32;

/// Which piece of a blob, counted from 0.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct PieceIndex(pub u32);

/// How a blob of a size falls into pieces.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Geometry {
    size_bytes: u64,
}

impl Geometry {
    /// The largest blob that has pieces, in bytes: 4 PiB.
    pub const MOST_BYTES: u64 = PIECE_BYTES * u32::MAX as u64;

    /// Of a blob that is so long; `None` where it is too long.
    pub fn new(size_bytes: u64) -> Option<Self> {
        (size_bytes <= Self::MOST_BYTES).then_some(Self { size_bytes })
    }

    /// The blob's length.
    pub fn size_bytes(self) -> u64 {
        self.size_bytes
    }

    /// How many pieces it has; none where it is empty.
    pub fn pieces(self) -> u32 {
        u32::try_from(self.size_bytes.div_ceil(PIECE_BYTES)).expect("no longer than `MOST_BYTES`")
    }

    /// Where a piece lies; empty where there is no such piece.
    pub fn bytes_of(self, piece: PieceIndex) -> Range<u64> {
        let start = (u64::from(piece.0) * PIECE_BYTES).min(self.size_bytes);
        start..(start + PIECE_BYTES).min(self.size_bytes)
    }

    /// The pieces that hold these bytes, first and past the last.
    pub fn pieces_of(self, bytes: &Range<u64>) -> Range<u32> {
        if bytes.start >= bytes.end.min(self.size_bytes) {
            return 0..0;
        }
        let index = |at: u64| u32::try_from(at).expect("no longer than `MOST_BYTES`");
        index(bytes.start / PIECE_BYTES)..index(bytes.end.min(self.size_bytes).div_ceil(PIECE_BYTES))
    }
}

/// BLAKE3 of each piece of a blob, 32 bytes each, in order.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PieceHashes(Arc<[u8]>);

impl PieceHashes {
    /// These, as they lie; `None` where they do not fall into hashes.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.len().is_multiple_of(HASH_BYTES).then(|| Self(bytes.into()))
    }

    /// Those that a metainfo has; `None` where its pieces are of another length, or its hashes are none, or not as many as its pieces.
    pub fn of(metainfo: &Metainfo) -> Option<Self> {
        let geometry = Geometry::new(metainfo.size_bytes)?;
        if metainfo.piece_size_bytes != PIECE_BYTES || metainfo.pieces.len() != usize::try_from(geometry.pieces()).ok()? {
            return None;
        }
        let mut bytes = Vec::with_capacity(metainfo.pieces.len() * HASH_BYTES);
        for piece in &metainfo.pieces {
            bytes.extend_from_slice(blake3::Hash::from_hex(piece).ok()?.as_bytes());
        }
        Some(Self(bytes.into()))
    }

    /// As they lie.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len() / HASH_BYTES
    }

    /// That of a piece; `None` where there is no such piece.
    pub fn get(&self, piece: PieceIndex) -> Option<[u8; 32]> {
        let (hashes, _) = self.0.as_chunks::<HASH_BYTES>();
        hashes.get(usize::try_from(piece.0).ok()?).copied()
    }

    /// Whether these bytes are that piece.
    pub fn is_right(&self, piece: PieceIndex, bytes: &[u8]) -> bool {
        let start = usize::try_from(piece.0).unwrap_or(usize::MAX).saturating_mul(HASH_BYTES);
        let expected = self.0.get(start..start.saturating_add(HASH_BYTES));
        expected.is_some_and(|expected| blake3::hash(bytes).as_bytes() == expected)
    }
}

/// Which pieces of a blob are there: a bit each.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PieceSet {
    words: Vec<u64>,
    of: u32,
    count: u32,
}

impl PieceSet {
    /// None of so many.
    pub fn none_of(pieces: u32) -> Self {
        let words = usize::try_from(pieces.div_ceil(64)).expect("32 bits fit");
        Self { words: vec![0; words], of: pieces, count: 0 }
    }

    /// All of so many.
    pub fn all_of(pieces: u32) -> Self {
        let mut set = Self::none_of(pieces);
        for piece in 0..pieces {
            set.insert(PieceIndex(piece));
        }
        set
    }

    /// Reads what [`Self::to_bytes`] has written of so many pieces; `None` where it is not that.
    pub fn from_bytes(pieces: u32, bytes: &[u8]) -> Option<Self> {
        let mut set = Self::none_of(pieces);
        let (words, rest) = bytes.as_chunks::<8>();
        if words.len() != set.words.len() || !rest.is_empty() {
            return None;
        }
        for (word, bytes) in set.words.iter_mut().zip(words) {
            *word = u64::from_le_bytes(*bytes);
            set.count += word.count_ones();
        }
        let past_the_end = pieces % 64;
        let is_sound = past_the_end == 0 || set.words.last().is_none_or(|last| last >> past_the_end == 0);
        is_sound.then_some(set)
    }

    /// Eight bytes for each 64 pieces, the lowest bit of the first byte for the first.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    /// Adds one; whether it was not there.
    pub fn insert(&mut self, piece: PieceIndex) -> bool {
        let is_new = piece.0 < self.of && !self.contains(piece);
        if is_new {
            self.words[place(piece)] |= bit(piece);
            self.count += 1;
        }
        is_new
    }

    /// Takes one out; whether it was there.
    pub fn remove(&mut self, piece: PieceIndex) -> bool {
        let was_there = self.contains(piece);
        if was_there {
            self.words[place(piece)] &= !bit(piece);
            self.count -= 1;
        }
        was_there
    }

    /// Whether one is there.
    pub fn contains(&self, piece: PieceIndex) -> bool {
        self.words.get(place(piece)).is_some_and(|word| word & bit(piece) != 0)
    }

    /// How many are there.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Whether all are there.
    pub fn is_full(&self) -> bool {
        self.count == self.of
    }

    /// Those that are in both, in order. It takes a step for each 64 pieces and one for each that is told.
    pub fn common<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = PieceIndex> + 'a {
        let words = self.words.iter().zip(&other.words).zip(0_u32..).map(|((one, other), word)| (word * 64, one & other));
        words.flat_map(|(first, mut both)| {
            std::iter::from_fn(move || {
                let bit = (both != 0).then(|| both.trailing_zeros())?;
                both &= both - 1;
                Some(PieceIndex(first + bit))
            })
        })
    }

    /// How many of these pieces, from the first on, are not there one after another.
    pub fn missing_from(&self, first: PieceIndex, end: u32) -> u32 {
        let run = (first.0..end.min(self.of)).take_while(|piece| !self.contains(PieceIndex(*piece)));
        u32::try_from(run.count()).expect("no more than there are")
    }
}

fn place(piece: PieceIndex) -> usize {
    usize::try_from(piece.0 / 64).expect("32 bits fit")
}

fn bit(piece: PieceIndex) -> u64 {
    1 << (piece.0 % 64)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_blob_falls_into_pieces() {
        let of = |size| Geometry::new(size).unwrap();
        assert_eq!([0, 1, PIECE_BYTES, PIECE_BYTES + 1].map(|size| of(size).pieces()), [0, 1, 1, 2]);
        let blob = of(2 * PIECE_BYTES + 5);
        assert_eq!(blob.bytes_of(PieceIndex(2)), 2 * PIECE_BYTES..2 * PIECE_BYTES + 5);
        assert!(blob.bytes_of(PieceIndex(3)).is_empty() && blob.bytes_of(PieceIndex(u32::MAX)).is_empty());
        assert_eq!(blob.pieces_of(&(PIECE_BYTES - 1..PIECE_BYTES + 1)), 0..2);
        assert_eq!(blob.pieces_of(&(PIECE_BYTES..2 * PIECE_BYTES)), 1..2);
        assert_eq!(blob.pieces_of(&(0..u64::MAX)), 0..3);
        assert!(blob.pieces_of(&(5..5)).is_empty() && blob.pieces_of(&(blob.size_bytes()..u64::MAX)).is_empty());
        assert_eq!(of(Geometry::MOST_BYTES).pieces(), u32::MAX);
        assert_eq!(Geometry::new(Geometry::MOST_BYTES + 1), None);
    }

    #[test]
    fn a_piece_is_known_by_its_hash() {
        let hashes = PieceHashes::from_bytes(&[*blake3::hash(b"one").as_bytes(), *blake3::hash(b"two").as_bytes()].concat());
        let hashes = hashes.unwrap();
        assert!(hashes.is_right(PieceIndex(0), b"one") && hashes.is_right(PieceIndex(1), b"two"));
        assert!(!hashes.is_right(PieceIndex(1), b"one") && !hashes.is_right(PieceIndex(2), b"two"));
        assert_eq!((hashes.count(), PieceHashes::from_bytes(&[0; 33])), (2, None));
    }

    proptest! {
        #[test]
        fn a_set_is_a_set(of in 0_u32..200, changes in prop::collection::vec((any::<bool>(), 0_u32..220), 0..300)) {
            let (mut set, mut model) = (PieceSet::none_of(of), BTreeSet::new());
            for (is_added, piece) in changes {
                let changed = if is_added { set.insert(PieceIndex(piece)) } else { set.remove(PieceIndex(piece)) };
                let expected = if is_added { piece < of && model.insert(piece) } else { model.remove(&piece) };
                prop_assert_eq!(changed, expected);
            }
            for piece in 0..220 {
                prop_assert_eq!(set.contains(PieceIndex(piece)), model.contains(&piece));
                let missing = (piece..of.min(210)).take_while(|piece| !model.contains(piece)).count();
                prop_assert_eq!(set.missing_from(PieceIndex(piece), 210) as usize, missing);
            }
            prop_assert_eq!((set.count() as usize, set.is_full()), (model.len(), model.len() == of as usize));
            prop_assert_eq!(PieceSet::from_bytes(of, &set.to_bytes()), Some(set));
        }

        #[test]
        fn what_two_sets_have_in_common(
            of in 0_u32..200,
            one in prop::collection::btree_set(0_u32..200, 0..150),
            other in prop::collection::btree_set(0_u32..200, 0..150),
        ) {
            let set = |pieces: &BTreeSet<u32>| {
                let mut set = PieceSet::none_of(of);
                for piece in pieces {
                    set.insert(PieceIndex(*piece));
                }
                set
            };
            let expected: Vec<_> = one.intersection(&other).filter(|piece| **piece < of).map(|piece| PieceIndex(*piece)).collect();
            prop_assert_eq!(set(&one).common(&set(&other)).collect::<Vec<_>>(), expected);
        }

        #[test]
        fn only_a_set_is_read(of in 0_u32..200, bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            if let Some(set) = PieceSet::from_bytes(of, &bytes) {
                prop_assert_eq!(set.to_bytes(), bytes);
                prop_assert!((of..of + 200).all(|piece| !set.contains(PieceIndex(piece))));
                prop_assert_eq!(set.is_full(), (0..of).all(|piece| set.contains(PieceIndex(piece))));
            }
        }
    }
}
