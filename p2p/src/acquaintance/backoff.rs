//! Who could not be reached, and how long it is let be.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use libp2p_identity::PeerId;
use rand::{Rng, RngExt as _};

use crate::moment::Moment;

/// How often one after another a peer could not be reached, or did not stay.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Failure {
    times: u32,
    until: Moment,
}

/// The failures of late. Of more than are kept, the one that is over first is forgotten.
#[derive(Debug)]
pub struct Failures {
    least: Duration,
    most: Duration,
    bound: usize,
    by_peer: BTreeMap<PeerId, Failure>,
    by_end: BTreeSet<(Moment, PeerId)>,
}

impl Failures {
    /// None; each makes a pause between these, and so many are kept.
    pub fn new(least: Duration, most: Duration, bound: usize) -> Self {
        Self { least, most, bound: bound.max(1), by_peer: BTreeMap::new(), by_end: BTreeSet::new() }
    }

    /// A peer could not be reached: until when it is let be.
    pub fn add(&mut self, peer: PeerId, now: Moment, rng: &mut impl Rng) -> Moment {
        let times = self.times(&peer).saturating_add(1);
        let before = self.remove(&peer);
        let until = before.map_or(now, |failure| failure.until).max(now + pause(times, self.least, self.most, rng));
        while self.by_peer.len() >= self.bound {
            let Some((_, first)) = self.by_end.pop_first() else { break };
            self.by_peer.remove(&first);
        }
        self.by_peer.insert(peer, Failure { times, until });
        self.by_end.insert((until, peer));
        until
    }

    /// It was reached, and stayed.
    pub fn clear(&mut self, peer: &PeerId) {
        self.remove(peer);
    }

    /// How often it failed one time after another.
    pub fn times(&self, peer: &PeerId) -> u32 {
        self.by_peer.get(peer).map_or(0, |failure| failure.times)
    }

    /// Whether it is to be let be.
    pub fn holds(&self, peer: &PeerId, now: Moment) -> bool {
        self.by_peer.get(peer).is_some_and(|failure| now < failure.until)
    }

    /// How many are kept.
    pub fn count(&self) -> usize {
        self.by_peer.len()
    }

    fn remove(&mut self, peer: &PeerId) -> Option<Failure> {
        let failure = self.by_peer.remove(peer)?;
        self.by_end.remove(&(failure.until, *peer));
        Some(failure)
    }
}

/// After so many failures one after another: `least`, twice as much after each, up to `most`; of that some part between half and
/// all, so that many who lost the same peer don't come back together.
fn pause(failures: u32, least: Duration, most: Duration, rng: &mut impl Rng) -> Duration {
    let doubled = 1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX);
    let half = least.saturating_mul(doubled).min(most) / 2;
    half + half.mul_f64(rng.random_range(0.0..=1.0))
}

#[cfg(test)]
mod tests {
    use rand::{SeedableRng as _, rngs::StdRng};

    use super::{super::tests::peer, *};

    #[test]
    fn it_doubles_up_to_the_longest_and_is_not_the_same_for_all() {
        let (least, most) = (Duration::from_millis(200), Duration::from_secs(30));
        let mut rng = StdRng::seed_from_u64(1);
        for (failures, longest) in [(1, 200), (2, 400), (3, 800), (8, 25_600), (9, 30_000), (33, 30_000), (u32::MAX, 30_000)] {
            let pauses: Vec<_> = (0..100).map(|_| pause(failures, least, most, &mut rng)).collect();
            let longest = Duration::from_millis(longest);
            assert!(pauses.iter().all(|pause| (longest / 2..=longest).contains(pause)), "{failures}: {pauses:?}");
            assert!(pauses.iter().any(|pause| *pause < longest * 6 / 10) && pauses.iter().any(|pause| *pause > longest * 9 / 10));
        }
    }

    #[test]
    fn failures_are_of_a_peer_and_bounded() {
        let mut rng = StdRng::seed_from_u64(1);
        let mut failures = Failures::new(Duration::from_millis(200), Duration::from_secs(30), 2);
        let now = Moment(Duration::from_secs(5));
        for _ in 0..5 {
            failures.add(peer(1), now, &mut rng);
        }
        let until = failures.add(peer(2), now, &mut rng);
        assert!(failures.holds(&peer(2), now) && !failures.holds(&peer(2), until) && failures.holds(&peer(1), until));
        failures.add(peer(3), now, &mut rng);
        assert_eq!([1, 2, 3].map(|who| failures.times(&peer(who))), [5, 0, 1]);
        failures.clear(&peer(1));
        assert_eq!((failures.times(&peer(1)), failures.count(), failures.by_end.len()), (0, 1, 1));
    }
}
