//! Peers of which some are drawn at random, whatever their number.

use std::collections::BTreeMap;

use rand::{Rng, RngExt as _};

use super::PeerNumber;

/// The peers of one area that announced one topic. Who keeps one knows the place of each in it.
#[derive(Debug, Default)]
pub struct Pool {
    cards: Vec<Card>,
}

/// What choosing among peers takes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Card {
    /// Who it is.
    pub peer: PeerNumber,
    /// The pool of its region.
    pub region: u32,
    /// The pool of its zone.
    pub zone: u32,
    /// Whether it has all.
    pub has_all: bool,
}

impl Pool {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.cards.is_empty()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.cards.len()
    }

    /// Adds one, and says at which place.
    pub fn add(&mut self, card: Card) -> u32 {
        self.cards.push(card);
        u32::try_from(self.cards.len() - 1).expect("topics are bounded far below 2^32 peers")
    }

    /// Takes out the one at a place; who has that place instead, if anybody.
    pub fn remove(&mut self, place: u32) -> Option<PeerNumber> {
        let place = index(place);
        self.cards.swap_remove(place);
        self.cards.get(place).map(|card| card.peer)
    }

    /// The one at a place has all, or no more.
    pub fn mark(&mut self, place: u32, has_all: bool) {
        self.cards[index(place)].has_all = has_all;
    }

    /// So many different ones at random, in random order; where there are fewer, all of them. It is the beginning of a shuffle (Fisher and
    /// Yates) of which only what has moved is written down, so it takes no longer in a large pool than in a small one.
    pub fn draw<'a>(&'a self, count: usize, rng: &'a mut impl Rng) -> impl Iterator<Item = Card> + 'a {
        let mut moved = BTreeMap::new();
        (0..count.min(self.cards.len())).map(move |next| {
            let drawn = rng.random_range(next..self.cards.len());
            let displaced = moved.get(&next).copied().unwrap_or(next);
            let place = if drawn == next { displaced } else { moved.insert(drawn, displaced).unwrap_or(drawn) };
            self.cards[place]
        })
    }
}

fn index(place: u32) -> usize {
    usize::try_from(place).expect("32 bits fit")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::{SeedableRng as _, rngs::StdRng};

    use super::*;

    fn card(peer: PeerNumber) -> Card {
        Card { peer, region: 0, zone: 0, has_all: false }
    }

    fn pool(peers: PeerNumber) -> Pool {
        Pool { cards: (0..peers).map(card).collect() }
    }

    #[test]
    fn each_is_drawn_as_often_as_any_other_and_at_any_place() {
        let (pool, mut rng) = (pool(10), StdRng::seed_from_u64(1));
        let mut drawn = [[0_u32; 3]; 10];
        for _ in 0..10_000 {
            for (place, card) in pool.draw(3, &mut rng).enumerate() {
                drawn[index(card.peer)][place] += 1;
            }
        }
        // 1,000 each, give or take five standard deviations of a fair draw.
        assert!(drawn.as_flattened().iter().all(|times| times.abs_diff(1_000) < 150), "{drawn:?}");
    }

    proptest! {
        #[test]
        fn none_is_drawn_twice_and_all_are_if_so_many_are_drawn(peers in 0_u32..50, count in 0_usize..60, seed: u64) {
            let mut drawn: Vec<_> = pool(peers).draw(count, &mut StdRng::seed_from_u64(seed)).map(|card| card.peer).collect();
            prop_assert_eq!(drawn.len(), count.min(peers.try_into().unwrap()));
            drawn.sort_unstable();
            drawn.dedup();
            prop_assert_eq!(drawn.len(), count.min(peers.try_into().unwrap()));
            prop_assert!(drawn.iter().all(|peer| *peer < peers));
        }

        #[test]
        fn places_are_kept_up(changes in prop::collection::vec((any::<bool>(), 0_usize..20), 0..100)) {
            let (mut pool, mut places) = (Pool::default(), BTreeMap::new());
            for (number, (is_added, which)) in (0..).zip(changes) {
                if is_added {
                    places.insert(number, pool.add(card(number)));
                } else if let Some((peer, place)) = places.iter().nth(which).map(|(peer, place)| (*peer, *place)) {
                    places.remove(&peer);
                    if let Some(moved) = pool.remove(place) {
                        places.insert(moved, place);
                    }
                }
                prop_assert_eq!((pool.len(), pool.is_empty()), (places.len(), places.is_empty()));
                for (peer, place) in &places {
                    pool.mark(*place, peer % 3 == 0);
                }
                for (peer, place) in &places {
                    prop_assert_eq!(pool.cards[index(*place)], Card { has_all: peer % 3 == 0, ..card(*peer) });
                }
            }
        }
    }
}
