//! Who is told of whom.
//!
//! Near ones first, and yet the swarm holds together: where there are enough, half are of the own rack and an eighth of other zones.
//! Of each area half have all, as far as those drawn allow, and half are fellow downloaders. All are chosen from a few times as many
//! that are drawn at random, whatever the swarm's size. So the work is bounded; and a lone seed among thousands, or a lone peer of
//! another zone, is told to few of them rather than to all, who would run it down: a piece of it gets around all the same.

use rand::Rng;

use super::{
    PeerNumber,
    pool::{Card, Pool},
    swarm::Swarm,
};

/// How many are drawn from an area for each that is told.
const DRAWN_FOR_EACH: usize = 2;
/// Who hears of fewer than that hears of the nearest alone.
const LEAST_WITH_FAR: usize = 4;
/// Of how many told one is of another zone.
const NEAR_FOR_EACH_FAR: usize = 8;

/// Whom of a swarm a member hears of, at most `wants` of them: no one twice, and not itself. Who has all hears of downloaders alone. In
/// the order in which they were drawn.
pub fn whom(swarm: &Swarm, asker: PeerNumber, wants: usize, rng: &mut impl Rng) -> Vec<Card> {
    let mut pools = swarm.pools_of(asker);
    let (Some((_, all)), Some((region_number, region)), Some((zone_number, zone))) = (pools.next(), pools.next(), pools.next())
    else {
        return Vec::new();
    };
    let rack = pools.next();
    let has_all = swarm.holds(asker).has_all();
    let mut hearing = Hearing { asker, has_all, wants, told: Vec::with_capacity(wants) };
    if let Some((_, rack)) = rack {
        hearing.add(rack, wants.div_ceil(2), rng);
    }
    let far = if wants < LEAST_WITH_FAR { 0 } else { wants.div_ceil(NEAR_FOR_EACH_FAR) };
    let near = hearing.told.len();
    if all.len() > region.len() {
        let most = if region.len() > zone.len() { far / 2 } else { far };
        hearing.add_those(all, most, |card| card.region != region_number, rng);
    }
    if region.len() > zone.len() {
        let most = far - (hearing.told.len() - near);
        hearing.add_those(region, most, |card| card.zone != zone_number, rng);
    }
    for area in [zone, region, all] {
        hearing.add(area, wants, rng);
    }
    hearing.told
}

struct Hearing {
    asker: PeerNumber,
    has_all: bool,
    wants: usize,
    told: Vec<Card>,
}

impl Hearing {
    /// Adds at most so many of an area, half of them seeds where enough of either are drawn.
    fn add(&mut self, area: &Pool, most: usize, rng: &mut impl Rng) {
        let most = most.min(self.wants - self.told.len());
        // Those known already and the asker may be drawn again.
        self.choose(area.draw(DRAWN_FOR_EACH * most + self.told.len() + 1, rng), most);
    }

    /// The same of those in it that are meant. As few may be, as many are drawn as for all that are told.
    fn add_those(&mut self, area: &Pool, most: usize, is_meant: impl Fn(&Card) -> bool, rng: &mut impl Rng) {
        self.choose(area.draw(DRAWN_FOR_EACH * self.wants + self.told.len() + 1, rng).filter(is_meant), most);
    }

    fn choose(&mut self, drawn: impl Iterator<Item = Card>, most: usize) {
        if most == 0 {
            return;
        }
        let is_new = |card: &Card| card.peer != self.asker && !self.told.iter().any(|told| told.peer == card.peer);
        let (mut seeds, mut fellows): (Vec<_>, Vec<_>) = drawn.filter(is_new).partition(|card| card.has_all);
        if self.has_all {
            seeds.clear();
        }
        seeds.truncate(most.div_ceil(2).max(most.saturating_sub(fellows.len())));
        fellows.truncate(most - seeds.len());
        self.told.extend(seeds.into_iter().chain(fellows));
    }
}
