//! Whose turn it is among the peers that wait: the one that had the least, by bytes.
//!
//! Each waiting peer stands at how many bytes it had, on a clock that all of them share; who stands lowest is next, and the clock
//! is where who was served last stood. All that wait stand within one piece of the clock, so of two that wait all the time
//! neither is ever more than a piece ahead of the other. This is a round robin by bytes with a closer bound than one by deficits
//! has where pieces differ in length (Goyal, Vin and Cheng, "Start-time Fair Queueing", 1996); who comes joins at the end of the
//! round, so that comers and goers can't keep those who wait from their turn.

use std::collections::BTreeSet;

use libp2p_identity::PeerId;
use longshore_oci::piece::PIECE_BYTES;

/// Where a peer stands.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct Place {
    /// How many bytes it had, by the clock.
    pub had_bytes: u64,
    /// Which of those that had as much comes first.
    pub order: u64,
}

/// Those of one kind that wait and may be served.
#[derive(Debug, Default)]
pub struct Turns {
    clock: u64,
    waiting: BTreeSet<(Place, PeerId)>,
    /// Those of them that wait for the first piece of something.
    newcomers: BTreeSet<(Place, PeerId)>,
}

impl Turns {
    /// Where one that had nothing to wait for joins: at the end of the round.
    pub fn end_of_round(&self, had_bytes: u64) -> u64 {
        had_bytes.max(self.clock + PIECE_BYTES)
    }

    /// Where one goes on that could not be served for a while: nobody saves up turns.
    pub fn now_or_later(&self, had_bytes: u64) -> u64 {
        had_bytes.max(self.clock)
    }

    /// Adds one that waits.
    pub fn insert(&mut self, place: Place, peer: PeerId, is_newcomer: bool) {
        self.waiting.insert((place, peer));
        if is_newcomer {
            self.newcomers.insert((place, peer));
        }
    }

    /// Takes one out.
    pub fn remove(&mut self, place: Place, peer: PeerId) {
        self.waiting.remove(&(place, peer));
        self.newcomers.remove(&(place, peer));
    }

    /// Who is next by right.
    pub fn first(&self) -> Option<PeerId> {
        self.waiting.first().map(|(_, peer)| *peer)
    }

    /// The newcomer that had the least, unless it is so many bytes ahead of its share by first pieces.
    pub fn first_newcomer(&self, most_lead_bytes: u64) -> Option<PeerId> {
        let (place, peer) = self.newcomers.first()?;
        (place.had_bytes < self.clock + PIECE_BYTES + most_lead_bytes).then_some(*peer)
    }

    /// One is served by right: the clock goes to where it stands.
    pub fn advance(&mut self, place: Place) {
        self.clock = self.clock.max(place.had_bytes);
    }

    /// How many wait and may be served.
    pub fn count(&self) -> usize {
        self.waiting.len()
    }
}
