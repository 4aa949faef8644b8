//! Which of the peers that could be dialed for a blob, and in which order.

use libp2p_identity::PeerId;
use rand::{Rng, seq::SliceRandom as _};

use super::Holds;
use crate::locality::Nearness;

/// One that could be dialed.
#[derive(Clone, Copy, Debug)]
pub struct Candidate {
    /// Who.
    pub peer: PeerId,
    /// How near it is to this node.
    pub nearness: Nearness,
    /// How much of the blob it has.
    pub holds: Holds,
}

/// What is wanted for a blob.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// How many peers.
    pub count: usize,
    /// How many of them beyond what is near.
    pub beyond: usize,
    /// The farthest that is near: the rack, or the zone where racks have no names.
    pub near: Nearness,
    /// Whether one that has all of the blob is to come first.
    pub whole_first: bool,
}

/// The nearest first, equally near ones by chance. After the first of them come as many from beyond as are wanted, taken by
/// chance, every other one of another zone if there is one, so that neither racks nor zones become islands.
pub fn choose(mut candidates: Vec<Candidate>, wanted: Wanted, rng: &mut impl Rng) -> Vec<PeerId> {
    candidates.sort_unstable_by_key(|candidate| candidate.peer);
    candidates.shuffle(rng);
    let beyond = beyond(&candidates, wanted);
    candidates.sort_by_key(|candidate| candidate.nearness);
    let whole = candidates.iter().position(|candidate| candidate.holds == Holds::All).filter(|_| wanted.whole_first);
    if let Some(whole) = whole {
        candidates[..=whole].rotate_right(1);
    }
    let mut chosen: Vec<_> = candidates.first().map(|first| first.peer).into_iter().collect();
    chosen.extend(beyond.iter().filter(|peer| !chosen.contains(peer)).copied().collect::<Vec<_>>());
    let rest = candidates.iter().map(|candidate| candidate.peer).filter(|peer| !chosen.contains(peer)).collect::<Vec<_>>();
    chosen.extend(rest);
    chosen.truncate(wanted.count);
    chosen
}

fn beyond(candidates: &[Candidate], wanted: Wanted) -> Vec<PeerId> {
    let mut left: Vec<_> = candidates.iter().filter(|candidate| candidate.nearness > wanted.near).collect();
    let mut beyond = Vec::new();
    while beyond.len() < wanted.beyond && !left.is_empty() {
        let is_apart = |candidate: &&Candidate| (candidate.nearness > Nearness::Zone) == beyond.len().is_multiple_of(2);
        let at = left.iter().position(is_apart).unwrap_or(0);
        beyond.push(left.swap_remove(at).peer);
    }
    beyond
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use rand::{SeedableRng as _, rngs::StdRng};

    use super::{super::tests::peer, *};

    const WANTED: Wanted = Wanted { count: 6, beyond: 2, near: Nearness::Rack, whole_first: false };

    fn candidates() -> Vec<Candidate> {
        let nearness = |number| match number {
            0..10 => Nearness::Rack,
            10..20 => Nearness::Zone,
            20..30 => Nearness::Region,
            _ => Nearness::Elsewhere,
        };
        (0..40).map(|number| Candidate { peer: peer(number), nearness: nearness(number), holds: Holds::Some }).collect()
    }

    fn nearness_of(chosen: &[PeerId]) -> Vec<Nearness> {
        chosen.iter().map(|peer| candidates().iter().find(|candidate| candidate.peer == *peer).unwrap().nearness).collect()
    }

    #[test]
    fn the_nearest_and_some_from_beyond() {
        let mut seen = BTreeSet::new();
        for seed in 0..300 {
            let chosen = choose(candidates(), WANTED, &mut StdRng::seed_from_u64(seed));
            let nearness = nearness_of(&chosen);
            assert!(
                nearness[0] == Nearness::Rack && nearness[1] > Nearness::Zone && nearness[2] == Nearness::Zone,
                "{nearness:?}"
            );
            assert_eq!(nearness[3..], [Nearness::Rack; 3]);
            assert_eq!(chosen, choose(candidates().into_iter().rev().collect(), WANTED, &mut StdRng::seed_from_u64(seed)));
            seen.extend(chosen);
        }
        assert_eq!(seen.len(), candidates().len());
    }

    #[test]
    fn who_is_beyond_does_for_want_of_others() {
        let only = |from: usize| candidates().split_off(from);
        let mut rng = StdRng::seed_from_u64(1);
        assert_eq!(nearness_of(&choose(only(30), WANTED, &mut rng)), [Nearness::Elsewhere; 6]);
        let two_zones = [only(30), candidates()[..2].to_vec()].concat();
        let nearness = nearness_of(&choose(two_zones, WANTED, &mut rng));
        assert_eq!(nearness.iter().filter(|nearness| **nearness == Nearness::Rack).count(), 2);
        assert_eq!(choose(Vec::new(), WANTED, &mut rng), []);
        assert_eq!(choose(candidates(), Wanted { count: 0, ..WANTED }, &mut rng), []);
        let none_beyond = choose(candidates(), Wanted { beyond: 0, count: 10, ..WANTED }, &mut rng);
        assert_eq!(nearness_of(&none_beyond), [Nearness::Rack; 10]);
    }

    #[test]
    fn one_that_has_all_comes_first_where_that_is_wanted() {
        let mut all = candidates();
        (all[15].holds, all[35].holds) = (Holds::All, Holds::All);
        for seed in 0..20 {
            let rng = &mut StdRng::seed_from_u64(seed);
            assert_eq!(choose(all.clone(), Wanted { whole_first: true, ..WANTED }, rng)[0], peer(15));
            assert_ne!(choose(all.clone(), WANTED, rng)[0], peer(15));
        }
    }
}
