//! Leases to ask the origin: which stripes of a blob a node may fetch from outside.

use longshore_oci::piece::PieceIndex;

use super::DownloadSettings;
use crate::moment::Moment;

/// Some of a blob's stripes. Piece `p` is of stripe `(p / origin_run) % stripes`, so a run of pieces goes to one holder, and the holders
/// advance through the blob side by side.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[must_use]
pub struct Stripes(u64);

impl Stripes {
    /// How many stripes a blob has at most.
    pub const MOST: u8 = 64;

    /// The first so many.
    pub fn all(stripes: u8) -> Self {
        (0..stripes).collect()
    }

    /// Whether it is among them.
    pub fn contains(self, stripe: u8) -> bool {
        stripe < Self::MOST && self.0 & (1 << stripe) != 0
    }

    /// Adds one; those past the most are none.
    pub fn insert(&mut self, stripe: u8) {
        if stripe < Self::MOST {
            self.0 |= 1 << stripe;
        }
    }

    /// Takes one out.
    pub fn remove(&mut self, stripe: u8) {
        if stripe < Self::MOST {
            self.0 &= !(1 << stripe);
        }
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Those of both.
    pub fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Those of either.
    pub fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Those that the other has not.
    pub fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Each, the least first.
    pub fn iter(self) -> impl Iterator<Item = u8> {
        (0..Self::MOST).filter(move |stripe| self.contains(*stripe))
    }
}

impl FromIterator<u8> for Stripes {
    fn from_iter<I: IntoIterator<Item = u8>>(stripes: I) -> Self {
        let mut all = Self::default();
        stripes.into_iter().for_each(|stripe| all.insert(stripe));
        all
    }
}

/// A right to ask the origin for some stripes, for a time. One of no stripes says that others fetch them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Lease {
    /// Which.
    pub stripes: Stripes,
    /// Of how many: who gives leases says into how many the blob falls.
    pub of: u8,
    /// Until then, by the node's own clock.
    pub until: Moment,
}

/// How a blob falls into stripes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Striping {
    run: u32,
    stripes: u8,
}

impl Striping {
    pub(super) fn new(settings: &DownloadSettings) -> Self {
        Self { run: settings.origin_run.max(1), stripes: settings.stripes.clamp(1, Stripes::MOST) }
    }

    /// With another number of stripes.
    pub(super) fn into_stripes(self, stripes: u8) -> Self {
        Self { stripes: stripes.clamp(1, Stripes::MOST), ..self }
    }

    pub(super) fn count(self) -> u8 {
        self.stripes
    }

    pub(super) fn run(self) -> u32 {
        self.run
    }

    pub(super) fn all(self) -> Stripes {
        Stripes::all(self.stripes)
    }

    pub(super) fn of(self, piece: PieceIndex) -> u8 {
        u8::try_from(piece.0 / self.run % u32::from(self.stripes)).expect("less than the number of stripes")
    }

    /// Past the last piece of the run that a piece is of.
    pub(super) fn end_of_run(self, piece: PieceIndex) -> u32 {
        (piece.0 / self.run).saturating_add(1).saturating_mul(self.run)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_go_round_the_stripes() {
        let striping = Striping::new(&DownloadSettings { origin_run: 2, stripes: 3, ..DownloadSettings::default() });
        let stripes: Vec<_> = (0..8).map(|piece| striping.of(PieceIndex(piece))).collect();
        assert_eq!(stripes, [0, 0, 1, 1, 2, 2, 0, 0]);
        assert_eq!([0, 1, 2, u32::MAX].map(|piece| striping.end_of_run(PieceIndex(piece))), [2, 2, 4, u32::MAX]);
        let none = Striping::new(&DownloadSettings { origin_run: 0, stripes: 0, ..DownloadSettings::default() });
        assert_eq!((none.of(PieceIndex(5)), none.end_of_run(PieceIndex(5)), none.count()), (0, 6, 1));
    }

    #[test]
    fn stripes_are_a_set() {
        let some: Stripes = [0, 3, 63, 64, 255].into_iter().collect();
        assert_eq!(some.iter().collect::<Vec<_>>(), [0, 3, 63]);
        assert!(!some.contains(64) && !some.contains(1) && Stripes::all(0).is_empty());
        assert_eq!(Stripes::all(4).and(some).iter().collect::<Vec<_>>(), [0, 3]);
        assert_eq!(Stripes::all(4).without(some).or(Stripes::all(1)).iter().collect::<Vec<_>>(), [0, 1, 2]);
        let mut less = some;
        less.remove(3);
        less.remove(200);
        assert_eq!(less.iter().collect::<Vec<_>>(), [0, 63]);
        assert_eq!(Stripes::all(255), Stripes::all(64));
    }
}
