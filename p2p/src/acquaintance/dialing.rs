//! Whom to dial, for all blobs that are wanted.

use std::collections::BTreeSet;

use libp2p_identity::PeerId;
use rand::Rng;

use super::{
    Acquaintances, Holds,
    choosing::{Candidate, Wanted, choose},
    records::Known,
};
use crate::{locality::Nearness, moment::Moment, topic::TopicKey};

/// A blob that is wanted, or wanted by others from here.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Need {
    /// With how many connected peers it is shared now.
    pub peers: usize,
    /// How many of them are beyond what is near, by [`Acquaintances::is_beyond`].
    pub beyond: usize,
    /// Which blob.
    pub topic: TopicKey,
}

/// What is done for one blob: whom to dial, in this order, and how many of them.
struct Plan {
    wanted: usize,
    peers: std::vec::IntoIter<PeerId>,
}

impl Acquaintances {
    /// Whom to dial for these blobs: who is said to have them, the nearest first and some from beyond, one for each blob in turn,
    /// those that have the fewest peers first. Where too few are said to have one, peers that were found without a tracker are
    /// tried as well, until there are as many connections as a blob wants; and where there are hardly any connections, whoever is
    /// known.
    ///
    /// Dials of which nothing was heard for long are given up here, as failures.
    pub fn whom_to_dial(&mut self, needs: &[Need], now: Moment, rng: &mut impl Rng) -> Vec<PeerId> {
        for silent in self.links.give_up(self.settings.dial_timeout, now) {
            self.failed(silent, now, rng);
        }
        let mut room = self.settings.connections.saturating_sub(self.links.count());
        room = room.min(self.settings.dials.saturating_sub(self.links.dialing_count()));
        if room == 0 {
            return Vec::new();
        }
        let mut needs = needs.to_vec();
        needs.sort_unstable();
        let mut unsaid = Unsaid::default();
        let mut plans: Vec<_> = needs.iter().map(|need| self.plan(need, &mut unsaid, now, rng)).collect();
        let (mut chosen, mut is_on) = (Chosen::default(), true);
        while is_on {
            is_on = false;
            for plan in &mut plans {
                is_on |= chosen.add_from(plan, room);
            }
        }
        chosen.order
    }

    /// Whether a peer is beyond what is near: another rack, or another zone where this node's rack has no name.
    pub fn is_beyond(&self, nearness: Nearness) -> bool {
        nearness > self.near()
    }

    fn near(&self) -> Nearness {
        if self.own.locality.rack.is_empty() { Nearness::Zone } else { Nearness::Rack }
    }

    fn plan(&self, need: &Need, unsaid: &mut Unsaid, now: Moment, rng: &mut impl Rng) -> Plan {
        let (mut candidates, mut coming, mut coming_beyond, mut said) = (Vec::new(), 0, 0, BTreeSet::new());
        for (peer, holds) in self.holders(&need.topic, now) {
            said.insert(peer);
            let Some(known) = self.records.get(&peer) else { continue };
            let candidate = self.candidate(known, holds);
            if self.links.is_dialing(&peer) {
                coming += 1;
                coming_beyond += usize::from(self.is_beyond(candidate.nearness));
            } else if self.may_dial(known, now) {
                candidates.push(candidate);
            }
        }
        let wanted = Wanted {
            count: self.settings.peers_per_topic.saturating_sub(need.peers + coming),
            beyond: self.settings.beyond_per_topic.saturating_sub(need.beyond + coming_beyond),
            near: self.near(),
            whole_first: need.peers + coming == 0,
        };
        let mut peers = choose(candidates, wanted, rng);
        if peers.len() < wanted.count {
            let others = unsaid.get(self, now, rng);
            let fitting = others.iter().filter(|peer| !said.contains(peer)).take(wanted.count - peers.len());
            peers.extend(fitting);
        }
        Plan { wanted: wanted.count, peers: peers.into_iter() }
    }

    /// Whom to try of whom nothing is said, nearest first.
    fn unsaid(&self, now: Moment, rng: &mut impl Rng) -> Vec<PeerId> {
        let linked = self.links.count();
        let wanted =
            |most: usize| Wanted { count: most.saturating_sub(linked), beyond: 1, near: self.near(), whole_first: false };
        let fitting = |known: &&Known| self.may_dial(known, now);
        let found = wanted(self.settings.peers_per_topic);
        let mut peers = Vec::new();
        if found.count > 0 {
            let candidates = self.records.found().map(|(_, known)| known).filter(fitting);
            peers = choose(candidates.map(|known| self.candidate(known, Holds::Some)).collect(), found, rng);
        }
        let blind = wanted(self.settings.blind_connections);
        if blind.count > peers.len() {
            let others = self.records.iter().map(|(_, known)| known).filter(|known| !known.is_found).filter(fitting);
            let others = choose(others.map(|known| self.candidate(known, Holds::Some)).collect(), blind, rng);
            let missing = blind.count - peers.len();
            peers.extend(others.into_iter().take(missing));
        }
        peers
    }

    fn candidate(&self, known: &Known, holds: Holds) -> Candidate {
        let record = &known.record;
        Candidate { peer: record.peer, nearness: self.own.locality.nearness(&record.locality), holds }
    }

    fn may_dial(&self, known: &Known, now: Moment) -> bool {
        self.is_fresh(known, now) && self.is_at_peace(&known.record.peer, now)
    }
}

/// Whom to try of whom nothing is said: the same for all blobs, found when the first needs it.
#[derive(Default)]
struct Unsaid(Option<Vec<PeerId>>);

impl Unsaid {
    fn get(&mut self, book: &Acquaintances, now: Moment, rng: &mut impl Rng) -> &[PeerId] {
        self.0.get_or_insert_with(|| book.unsaid(now, rng))
    }
}

#[derive(Default)]
struct Chosen {
    order: Vec<PeerId>,
    set: BTreeSet<PeerId>,
}

impl Chosen {
    /// Adds the next of a blob that still wants one and for whom there is room; whether one was added. Whoever was chosen for
    /// another blob does for this as well.
    fn add_from(&mut self, plan: &mut Plan, room: usize) -> bool {
        while plan.wanted > 0 && self.order.len() < room {
            let Some(peer) = plan.peers.next() else { return false };
            plan.wanted -= 1;
            if self.set.insert(peer) {
                self.order.push(peer);
                return true;
            }
        }
        false
    }
}
