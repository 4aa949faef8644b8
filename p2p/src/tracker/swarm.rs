//! The peers of one topic.

use std::collections::BTreeMap;

use rand::Rng;

use super::{
    Holds, PeerNumber, TrackerSettings,
    area::{Area, Areas, LEVELS},
    book::Book,
    origin::{Given, Origin, Question},
    pool::{Card, Pool},
};
use crate::moment::Moment;

/// Who announced one topic: by peer, by area, and what each zone gets from the origin.
#[derive(Debug)]
pub struct Swarm {
    members: BTreeMap<PeerNumber, Member>,
    pools: Book<Area, Pool>,
    zones: BTreeMap<Area, Zone>,
}

#[derive(Debug)]
struct Member {
    holds: Holds,
    until: Moment,
    /// How often its zone's seeds had been doubted when it came to have what it has, all or not.
    doubts: u64,
    /// Its seat in the pool of its area of each level.
    seats: [Option<Seat>; LEVELS],
}

#[derive(Clone, Copy, Debug)]
struct Seat {
    pool: u32,
    place: u32,
}

#[derive(Debug, Default)]
struct Zone {
    seeds: u32,
    downloaders: u32,
    /// How many of the seeds came since the zone's were last found idle. The others may be dead or lie: they end no leases any more.
    believed: u32,
    /// How often the seeds were found idle.
    doubts: u64,
    origin: Origin,
}

impl Zone {
    /// Counts one in; the number of doubts that it came after.
    fn enter(&mut self, holds: Holds) -> u64 {
        if holds.has_all() {
            (self.seeds, self.believed) = (self.seeds + 1, self.believed + 1);
        } else {
            self.downloaders += 1;
        }
        self.doubts
    }

    /// Counts one out that came after so many doubts.
    fn exit(&mut self, holds: Holds, doubts: u64) {
        if holds.has_all() {
            self.seeds -= 1;
            self.believed -= u32::from(doubts == self.doubts);
        } else {
            self.downloaders -= 1;
        }
    }
}

impl Swarm {
    /// One without members.
    pub fn new() -> Self {
        Self { members: BTreeMap::new(), pools: Book::new(), zones: BTreeMap::new() }
    }

    /// How many peers there are.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Who they are.
    pub fn members(&self) -> impl Iterator<Item = PeerNumber> {
        self.members.keys().copied()
    }

    /// Until when a member's announcement holds; `None` where it is no member.
    pub fn until(&self, peer: PeerNumber) -> Option<Moment> {
        self.members.get(&peer).map(|member| member.until)
    }

    /// What a member has; nothing where it is no member.
    pub fn holds(&self, peer: PeerNumber) -> Holds {
        self.members.get(&peer).map(|member| member.holds).unwrap_or_default()
    }

    /// The pools of a member's areas, the widest first; none where it is no member.
    pub fn pools_of(&self, peer: PeerNumber) -> impl Iterator<Item = (u32, &Pool)> {
        let seats = self.members.get(&peer).map(|member| member.seats).into_iter().flatten().flatten();
        seats.map(|seat| (seat.pool, self.pools.get(seat.pool)))
    }

    /// So many members, at random.
    pub fn draw(&self, count: usize, rng: &mut impl Rng) -> Vec<PeerNumber> {
        let all = self.pools.number(&Area::all()).map(|all| self.pools.get(all).draw(count, rng));
        all.into_iter().flatten().map(|card| card.peer).collect()
    }

    /// Whether a member holds a stripe.
    pub fn is_leaseholder(&self, peer: PeerNumber, areas: &Areas, now: Moment) -> bool {
        self.zones.get(areas.zone()).is_some_and(|zone| zone.origin.is_held_by(peer, now))
    }

    /// Adds a member that is none yet.
    pub fn join(&mut self, peer: PeerNumber, areas: &Areas, holds: Holds, until: Moment) {
        let mut numbers = [0; LEVELS];
        for area in areas.iter() {
            let known = self.pools.number(area);
            numbers[area.level()] = known.unwrap_or_else(|| self.pools.add(area.clone(), Pool::default()));
        }
        let [_, region, zone, _] = numbers;
        let card = Card { peer, region, zone, has_all: holds.has_all() };
        let mut seats = [None; LEVELS];
        for level in areas.iter().map(Area::level) {
            let pool = numbers[level];
            seats[level] = Some(Seat { pool, place: self.pools.get_mut(pool).add(card) });
        }
        let doubts = self.zones.entry(areas.zone().clone()).or_default().enter(holds);
        self.members.insert(peer, Member { holds, until, doubts, seats });
    }

    /// A member, which is one, announces: what it has now, until when that holds, and what it would fetch from the origin. What it may
    /// fetch.
    pub fn renew(
        &mut self,
        (peer, areas): (PeerNumber, &Areas),
        holds: Holds,
        wants: u8,
        now: Moment,
        settings: &TrackerSettings,
    ) -> Given {
        let member = self.members.get_mut(&peer).expect("who announces has joined");
        let zone = self.zones.get_mut(areas.zone()).expect("each member is in its zone");
        let has_moved = holds.pieces > member.holds.pieces;
        if holds.has_all() != member.holds.has_all() {
            zone.exit(member.holds, member.doubts);
            member.doubts = zone.enter(holds);
            for seat in member.seats.iter().flatten() {
                self.pools.get_mut(seat.pool).mark(seat.place, holds.has_all());
            }
        }
        (member.holds, member.until) = (holds, now + settings.lease);
        if has_moved {
            zone.origin.moved(now);
        }
        let given = if wants == 0 || holds.has_all() {
            Given::nothing(zone.origin.leave(peer, now), settings)
        } else {
            zone.origin.ask(Question { peer, wants, has_moved, is_seeded: zone.believed > 0 }, now, settings)
        };
        if given.are_seeds_idle {
            (zone.believed, zone.doubts) = (0, zone.doubts + 1);
        }
        given
    }

    /// Takes a member out; what it had, and until when it had announced that.
    pub fn leave(&mut self, peer: PeerNumber, areas: &Areas, now: Moment) -> Option<(Holds, Moment)> {
        let member = self.members.remove(&peer)?;
        for (level, seat) in member.seats.iter().enumerate() {
            let Some(Seat { pool: number, place }) = *seat else { continue };
            let pool = self.pools.get_mut(number);
            if let Some(moved) = pool.remove(place).and_then(|moved| self.members.get_mut(&moved)) {
                moved.seats[level] = *seat;
            }
            if pool.is_empty() {
                self.pools.remove(number);
            }
        }
        if let Some(zone) = self.zones.get_mut(areas.zone()) {
            zone.exit(member.holds, member.doubts);
            zone.origin.leave(peer, now);
            if zone.seeds + zone.downloaders == 0 {
                self.zones.remove(areas.zone());
            }
        }
        Some((member.holds, member.until))
    }
}
