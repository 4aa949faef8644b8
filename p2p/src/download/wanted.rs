//! What is still to be asked for, the rarest first.
//!
//! The pieces lie in one row, sorted by how many peers have them. One peer more or less moves a piece by one level, which is one swap.

use longshore_oci::piece::{PieceIndex, PieceSet};
use rand::{Rng, RngExt, seq::SliceRandom};

use super::{Stripes, lease::Striping};

/// The pieces that are missing and asked of nobody ("open"), and how many peers have each piece.
#[derive(Debug)]
pub(super) struct Wanted {
    striping: Striping,
    open: PieceSet,
    /// Open ones that no peer of the zone has, by stripe.
    bare: Vec<PieceSet>,
    /// Open ones that no peer has, by stripe.
    nobodys: Vec<PieceSet>,
    peers: Vec<u16>,
    zone_peers: Vec<u16>,
    row: Vec<u32>,
    places: Vec<usize>,
    /// Where each level begins in the row, and past the last one its end.
    starts: Vec<usize>,
}

impl Wanted {
    pub(super) fn new(pieces: u32, here: &PieceSet, striping: Striping, most_peers: usize, rng: &mut impl Rng) -> Self {
        let none = PieceSet::none_of(pieces);
        let by_stripe = vec![none.clone(); usize::from(striping.count())];
        let mut wanted = Self {
            striping,
            open: none,
            bare: by_stripe.clone(),
            nobodys: by_stripe,
            peers: vec![0; at(pieces)],
            zone_peers: vec![0; at(pieces)],
            row: Vec::new(),
            places: vec![usize::MAX; at(pieces)],
            starts: vec![0; most_peers + 2],
        };
        let mut missing: Vec<_> = (0..pieces).map(PieceIndex).filter(|piece| !here.contains(*piece)).collect();
        missing.shuffle(rng);
        for piece in missing {
            wanted.reopen(piece);
        }
        wanted
    }

    /// The blob falls into other stripes.
    pub(super) fn restripe(&mut self, striping: Striping) {
        let none = PieceSet::none_of(u32::try_from(self.peers.len()).expect("a blob's pieces are counted in 32 bits"));
        let by_stripe = vec![none; usize::from(striping.count())];
        (self.striping, self.bare, self.nobodys) = (striping, by_stripe.clone(), by_stripe);
        for place in 0..self.row.len() {
            self.sort_in(PieceIndex(self.row[place]));
        }
    }

    pub(super) fn is_open(&self, piece: PieceIndex) -> bool {
        self.open.contains(piece)
    }

    /// Whether no peer has it, be it open or not.
    pub(super) fn is_nobodys(&self, piece: PieceIndex) -> bool {
        self.peers.get(at(piece.0)) == Some(&0)
    }

    pub(super) fn open(&self) -> &PieceSet {
        &self.open
    }

    /// The first open piece from a place on, or else the first of all, among those of some stripes that no peer of the zone has and
    /// those of others that no peer has.
    pub(super) fn first(&self, bare: Stripes, nobodys: Stripes, start: u32) -> Option<PieceIndex> {
        let sets = in_stripes(&self.bare, bare).chain(in_stripes(&self.nobodys, nobodys));
        sets.filter_map(|set| first_in(set, start)).min_by_key(|piece| (piece.0 < start, *piece))
    }

    /// The same among all open ones.
    pub(super) fn first_open(&self, start: u32) -> Option<PieceIndex> {
        first_in(&self.open, start)
    }

    /// Whether no peer of the zone has it, be it open or not.
    pub(super) fn is_new_to_the_zone(&self, piece: PieceIndex) -> bool {
        self.zone_peers.get(at(piece.0)) == Some(&0)
    }

    /// The stripes of open pieces that no peer of the zone has, and of those that no peer has.
    pub(super) fn stripes(&self) -> (Stripes, Stripes) {
        let of = |sets: &[PieceSet]| (0..).zip(sets).filter(|(_, set)| set.count() > 0).map(|(stripe, _)| stripe).collect();
        (of(&self.bare), of(&self.nobodys))
    }

    /// It is here, or asked of somebody; whether it was open.
    pub(super) fn close(&mut self, piece: PieceIndex) -> bool {
        if !self.open.remove(piece) {
            return false;
        }
        for level in self.level(piece)..self.starts.len() - 1 {
            self.swap(piece, self.starts[level + 1] - 1);
            self.starts[level + 1] -= 1;
        }
        self.row.pop();
        self.places[at(piece.0)] = usize::MAX;
        self.sort_in(piece);
        true
    }

    /// It is asked of nobody any more; whether it was closed.
    pub(super) fn reopen(&mut self, piece: PieceIndex) -> bool {
        if !self.open.insert(piece) {
            return false;
        }
        self.places[at(piece.0)] = self.row.len();
        self.row.push(piece.0);
        let top = self.starts.len() - 1;
        self.starts[top] += 1;
        for level in (self.level(piece) + 1..top).rev() {
            self.swap(piece, self.starts[level]);
            self.starts[level] += 1;
        }
        self.sort_in(piece);
        true
    }

    /// One peer more has it.
    pub(super) fn rise(&mut self, piece: PieceIndex, is_in_zone: bool) {
        let level = self.level(piece);
        if self.open.contains(piece) {
            self.swap(piece, self.starts[level + 1] - 1);
            self.starts[level + 1] -= 1;
        }
        self.peers[at(piece.0)] += 1;
        self.zone_peers[at(piece.0)] += u16::from(is_in_zone);
        self.sort_in(piece);
    }

    /// One peer less has it.
    pub(super) fn fall(&mut self, piece: PieceIndex, is_in_zone: bool) {
        let level = self.level(piece);
        if self.open.contains(piece) {
            self.swap(piece, self.starts[level]);
            self.starts[level] += 1;
        }
        self.peers[at(piece.0)] -= 1;
        self.zone_peers[at(piece.0)] -= u16::from(is_in_zone);
        self.sort_in(piece);
    }

    /// One of the rarest open pieces among those that a peer has, any of them as likely as another; `useful` is how many of these there
    /// are.
    pub(super) fn rarest_of(&self, has: &PieceSet, useful: u32, rng: &mut impl Rng) -> Option<PieceIndex> {
        // Where it has many of them, the row soon meets one; else all of them are soon gone through.
        if useful >= self.open.count() / 8 {
            for level in 1..self.starts.len() - 1 {
                let pieces = &self.row[self.starts[level]..self.starts[level + 1]];
                if pieces.is_empty() {
                    continue;
                }
                let (before, after) = pieces.split_at(rng.random_range(0..pieces.len()));
                if let Some(piece) = after.iter().chain(before).find(|piece| has.contains(PieceIndex(**piece))) {
                    return Some(PieceIndex(*piece));
                }
            }
        }
        self.rarest(self.open.common(has), rng)
    }

    /// One of the rarest among open pieces of some stripes that a peer has and nobody in the zone.
    pub(super) fn rarest_bare_of(&self, has: &PieceSet, stripes: Stripes, rng: &mut impl Rng) -> Option<PieceIndex> {
        self.rarest(in_stripes(&self.bare, stripes).flat_map(|set| set.common(has)), rng)
    }

    /// Any open piece that a peer has, though it doesn't count, and nobody else.
    pub(super) fn any_nobodys_of(&self, has: &PieceSet, rng: &mut impl Rng) -> Option<PieceIndex> {
        self.rarest(self.nobodys.iter().flat_map(|set| set.common(has)), rng)
    }

    fn rarest(&self, pieces: impl Iterator<Item = PieceIndex>, rng: &mut impl Rng) -> Option<PieceIndex> {
        let (mut best, mut alike) = (None, 0_u32);
        for piece in pieces {
            let level = self.level(piece);
            alike = match best {
                Some((least, _)) if level > least => continue,
                Some((least, _)) if level == least => alike + 1,
                _ => 1,
            };
            // Each of so many alike stays with the same chance.
            if alike == 1 || rng.random_range(0..alike) == 0 {
                best = Some((level, piece));
            }
        }
        best.map(|(_, piece)| piece)
    }

    fn level(&self, piece: PieceIndex) -> usize {
        usize::from(self.peers[at(piece.0)])
    }

    fn swap(&mut self, piece: PieceIndex, to: usize) {
        let from = self.places[at(piece.0)];
        self.row.swap(from, to);
        self.places[at(self.row[from])] = from;
        self.places[at(self.row[to])] = to;
    }

    fn sort_in(&mut self, piece: PieceIndex) {
        let (is_open, stripe) = (self.open.contains(piece), usize::from(self.striping.of(piece)));
        let sorted = [(&mut self.bare, self.zone_peers[at(piece.0)]), (&mut self.nobodys, self.peers[at(piece.0)])];
        for (sets, peers) in sorted {
            if is_open && peers == 0 {
                sets[stripe].insert(piece);
            } else {
                sets[stripe].remove(piece);
            }
        }
    }
}

fn in_stripes(sets: &[PieceSet], stripes: Stripes) -> impl Iterator<Item = &PieceSet> {
    (0..).zip(sets).filter(move |(stripe, _)| stripes.contains(*stripe)).map(|(_, set)| set)
}

fn first_in(set: &PieceSet, start: u32) -> Option<PieceIndex> {
    let mut pieces = set.common(set);
    let first = pieces.next()?;
    let later = if first.0 >= start { Some(first) } else { pieces.find(|piece| piece.0 >= start) };
    later.or(Some(first))
}

fn at(piece: u32) -> usize {
    usize::try_from(piece).expect("32 bits fit")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;
    use rand::{SeedableRng, rngs::Xoshiro256PlusPlus};

    use super::*;
    use crate::download::DownloadSettings;

    const PEERS: usize = 5;

    fn wanted(pieces: u32) -> (Wanted, Xoshiro256PlusPlus) {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
        let striping = Striping::new(&DownloadSettings::default());
        (Wanted::new(pieces, &PieceSet::none_of(pieces), striping, PEERS, &mut rng), rng)
    }

    #[test]
    fn those_alike_are_as_likely() {
        for all in [true, false] {
            let (mut wanted, mut rng) = wanted(64);
            let mut has = if all { PieceSet::all_of(64) } else { PieceSet::none_of(64) };
            for piece in [3, 17, 40, 41] {
                has.insert(PieceIndex(piece));
            }
            for piece in (0..64).map(PieceIndex) {
                wanted.rise(piece, true);
                if ![3, 17, 40, 41].contains(&piece.0) {
                    wanted.rise(piece, true);
                }
            }
            let mut seen = [0; 64];
            for _ in 0..4_000 {
                seen[at(wanted.rarest_of(&has, has.count(), &mut rng).unwrap().0)] += 1;
            }
            assert_eq!(seen.iter().sum::<u32>(), [3, 17, 40, 41].iter().map(|piece| seen[*piece]).sum::<u32>());
            assert!([3, 17, 40, 41].iter().all(|piece| seen[*piece].abs_diff(1_000) < 150), "{seen:?}");
        }
    }

    proptest! {
        #[test]
        fn the_rarest_is_the_rarest(
            changes in prop::collection::vec((0_usize..PEERS, 0_u32..40, 0_u8..4), 0..400),
            seed: u64,
        ) {
            let (mut wanted, _) = wanted(40);
            let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
            let mut open: BTreeSet<u32> = (0..40).collect();
            let mut sets = vec![PieceSet::none_of(40); PEERS];
            for (peer, piece, change) in changes {
                let piece = PieceIndex(piece);
                match change {
                    0 if sets[peer].insert(piece) => wanted.rise(piece, peer < 2),
                    1 if sets[peer].remove(piece) => wanted.fall(piece, peer < 2),
                    2 => prop_assert_eq!(wanted.close(piece), open.remove(&piece.0)),
                    3 => prop_assert_eq!(wanted.reopen(piece), open.insert(piece.0)),
                    _ => {}
                }
            }
            let of = |piece: u32, sets: &[PieceSet]| sets.iter().filter(|set| set.contains(PieceIndex(piece))).count();
            for set in &sets {
                let useful = open.iter().filter(|piece| set.contains(PieceIndex(**piece)));
                let least = useful.clone().map(|piece| of(*piece, &sets)).min();
                let count = u32::try_from(useful.count()).unwrap();
                let chosen = wanted.rarest_of(set, count, &mut rng);
                prop_assert_eq!(chosen.map(|piece| of(piece.0, &sets)), least);
                prop_assert!(chosen.is_none_or(|piece| set.contains(piece) && open.contains(&piece.0)));
                let bare = wanted.rarest_bare_of(set, Stripes::all(2), &mut rng);
                let is_of = |piece: u32| wanted.striping.of(PieceIndex(piece)) < 2;
                let expected = open.iter().filter(|piece| is_of(**piece) && set.contains(PieceIndex(**piece)));
                let expected = expected.filter(|piece| of(**piece, &sets[..2]) == 0).map(|piece| of(*piece, &sets)).min();
                prop_assert_eq!(bare.map(|piece| of(piece.0, &sets)), expected);
            }
            for stripes in [4, 7, 1] {
                wanted.restripe(wanted.striping.into_stripes(stripes));
                let stripe = |piece: u32| wanted.striping.of(PieceIndex(piece));
                let lacked_by = |sets: &[PieceSet]| open.iter().copied().filter(|piece| of(*piece, sets) == 0).collect::<Vec<_>>();
                let (bare, nobodys) = (lacked_by(&sets[..2]), lacked_by(&sets));
                let stripes = |pieces: &[u32]| pieces.iter().map(|piece| stripe(*piece)).collect::<Stripes>();
                prop_assert_eq!(wanted.stripes(), (stripes(&bare), stripes(&nobodys)));
                let of_these = |piece: &u32| stripe(*piece) == 0 && bare.contains(piece) || stripe(*piece) == 1 && nobodys.contains(piece);
                for start in [0, 17] {
                    let first = open.iter().copied().filter(of_these).min_by_key(|piece| (*piece < start, *piece));
                    let (one, other) = (Stripes::all(1), Stripes::all(2).without(Stripes::all(1)));
                    prop_assert_eq!(wanted.first(one, other, start).map(|piece| piece.0), first);
                }
            }
        }
    }
}
