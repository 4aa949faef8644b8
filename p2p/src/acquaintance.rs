//! A node's book of peers: who is known and where, who is said to have what, whom to dial, whom to shun, and what to tell others.
//!
//! - What is known is bounded, and holds for a time: a peer of which nobody spoke for long is not dialed.
//! - Hearsay, what a peer tells of another, never takes the place of what is known better, and goes no further than one hop:
//!   others are told only of peers with whom this node has spoken itself, or of whom a tracker did. So the dead are not passed on
//!   for ever.
//! - A peer that lied is shunned for a time, whatever connection it comes on. Those of whom it told are not.
//! - Whom to dial is decided by how near peers are, with some from beyond, so that no rack and no zone becomes an island.
//!
//! Who has it dials whom [`Acquaintances::whom_to_dial`] names and [`Acquaintances::dialing`] allows, closes what
//! [`Acquaintances::connected`] and [`Acquaintances::whom_to_drop`] say, and tells of the end of each dial and each connection. Records
//! are handed in with addresses as they can be reached from here, each peer's own first thing on a connection.

mod backoff;
mod bans;
mod choosing;
mod dialing;
mod links;
mod records;
mod sayings;
mod settings;
#[cfg(test)]
mod tests;

use libp2p_identity::PeerId;
use rand::{Rng, seq::SliceRandom as _};

use self::{backoff::Failures, bans::Bans, links::Links, records::Records, sayings::Sayings};
use crate::{locality::Nearness, moment::Moment, record::PeerRecord, topic::TopicKey};

pub use self::{
    bans::{Ban, BanReport, Why},
    dialing::Need,
    records::Source,
    sayings::Holds,
    settings::AcquaintanceSettings,
};

/// How much there is of what is bounded.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct AcquaintanceUsage {
    /// Records of peers.
    pub records: usize,
    /// What is known of who has what: pairs of a peer and a blob.
    pub sayings: usize,
    /// Connections.
    pub connected: usize,
    /// Dials.
    pub dialing: usize,
    /// Bans that are remembered, those among them that are over.
    pub bans: usize,
    /// Peers that could not be reached of late.
    pub failures: usize,
}

/// A node's book of peers.
#[derive(Debug)]
pub struct Acquaintances {
    own: PeerRecord,
    settings: AcquaintanceSettings,
    records: Records,
    sayings: Sayings,
    links: Links,
    failures: Failures,
    bans: Bans,
}

impl Acquaintances {
    /// An empty book of the node that this is.
    pub fn new(own: PeerRecord, settings: AcquaintanceSettings) -> Self {
        let failures = Failures::new(settings.least_backoff, settings.most_backoff, settings.records);
        let (records, sayings, links, bans) = (Records::default(), Sayings::default(), Links::default(), Bans::default());
        Self { own, settings, records, sayings, links, failures, bans }
    }

    /// Learns where a peer is; whether that was taken. It is not of this node, nor without an address that can be dialed, nor
    /// told by one who is banned, nor hearsay where more is known or there is no room.
    pub fn learn(&mut self, record: PeerRecord, from: Source, now: Moment) -> bool {
        let is_of_liar = matches!(from, Source::Exchange(teller) if self.is_banned(&teller, now));
        if record.peer == self.own.peer || is_of_liar {
            return false;
        }
        let peer = record.peer;
        let is_doubtful = self.failures.times(&peer) > 0;
        let (is_taken, gone) = self.records.learn(record, from, is_doubtful, &self.settings, now);
        if let Some(gone) = gone {
            self.sayings.forget_peer(&gone);
        }
        if is_taken && self.links.has(&peer) {
            self.records.pin(&peer);
        }
        is_taken
    }

    /// A peer is said to have a blob; whether that was taken: only of peers that are known or connected, and not shunned. It
    /// holds for a time, and while the peer is connected.
    pub fn says(&mut self, topic: TopicKey, peer: PeerId, holds: Holds, now: Moment) -> bool {
        let is_known = self.records.get(&peer).is_some() || self.links.is_connected(&peer);
        let is_taken = is_known && peer != self.own.peer && !self.is_banned(&peer, now);
        if is_taken {
            self.records.used(&peer);
            self.sayings.say(topic, peer, holds, &self.settings, now);
        }
        is_taken
    }

    /// A peer turned out not to have a blob, or not for this node.
    pub fn unsay(&mut self, topic: &TopicKey, peer: &PeerId) {
        self.sayings.remove(topic, peer);
    }

    /// A peer is about to be dialed; whether it may be: it is not dialed again before [`Self::connected`] or [`Self::failed`] is
    /// told of it, or a time-out.
    #[must_use = "who may not be dialed is not to be"]
    pub fn dialing(&mut self, peer: PeerId, now: Moment) -> bool {
        let has_room = self.links.dialing_count() < self.settings.dials && self.links.count() < self.settings.connections;
        let may_dial = has_room && peer != self.own.peer && self.is_at_peace(&peer, now);
        if may_dial {
            self.links.dialing(peer, now);
            self.records.pin(&peer);
        }
        may_dial
    }

    /// There is a connection to a peer, whoever made it. Whether it may stay: not where the peer is banned, or there are too
    /// many.
    #[must_use = "what may not stay is to be closed"]
    pub fn connected(&mut self, peer: PeerId, now: Moment) -> bool {
        if self.links.dialed(&peer) {
            self.records.confirm(&peer, now);
        }
        let has_room = self.links.is_connected(&peer) || self.links.connected_count() < self.settings.connections;
        let may_stay = peer != self.own.peer && has_room && !self.is_banned(&peer, now);
        if may_stay {
            self.links.connect(peer, now);
            self.records.pin(&peer);
        } else if !self.links.is_connected(&peer) {
            self.records.unpin(&peer);
        }
        may_stay
    }

    /// The connection to a peer was of use: bytes of a piece went over it, or a blob was opened at one of its ends.
    pub fn used(&mut self, peer: &PeerId, now: Moment) {
        self.links.used(peer, now);
    }

    /// A peer could not be reached: it is let be for a time, twice as long after each failure.
    pub fn failed(&mut self, peer: PeerId, now: Moment, rng: &mut impl Rng) {
        self.links.dialed(&peer);
        self.failures.add(peer, now, rng);
        if !self.links.is_connected(&peer) {
            self.records.unpin(&peer);
        }
    }

    /// The connection to a peer is gone. One that did not live long counts as a failure: who closes at once is not dialed at
    /// once.
    pub fn lost(&mut self, peer: PeerId, now: Moment, rng: &mut impl Rng) {
        let Some(link) = self.links.disconnect(&peer) else { return };
        if now.since(link.since) < self.settings.steady_after {
            self.failures.add(peer, now, rng);
        } else {
            self.failures.clear(&peer);
        }
        self.records.left(&peer, now);
        if !self.links.has(&peer) {
            self.records.unpin(&peer);
        }
    }

    /// Which connections to close: those of banned peers, and idle ones, that of longest ago first. Where there is no room for
    /// another, some that are idle for a shorter time go as well.
    pub fn whom_to_drop(&self, now: Moment) -> Vec<PeerId> {
        let is_banned = |peer: &PeerId| self.is_banned(peer, now);
        let mut drops: Vec<_> = self.links.connections().map(|(peer, _)| *peer).filter(is_banned).collect();
        let mut idle: Vec<_> = self.links.connections().filter(|(peer, _)| !is_banned(peer)).collect();
        idle.sort_by_key(|(_, link)| link.used);
        let is_full = self.links.count() >= self.settings.connections;
        let room = if is_full { self.settings.connections.div_ceil(16) } else { 0 };
        for (place, (peer, link)) in idle.into_iter().enumerate() {
            let idle_for = now.since(link.used);
            let makes_room = place < room && idle_for >= self.settings.idle_when_full;
            if idle_for >= self.settings.idle_after || makes_room {
                drops.push(*peer);
            }
        }
        drops
    }

    /// Shuns a peer for a time; until when, which is no later where it was shunned already. Its connection is to be closed. What it told
    /// of others stays.
    pub fn ban(&mut self, peer: PeerId, why: Why, now: Moment) -> Moment {
        self.bans.ban(peer, why, &self.settings, now)
    }

    /// Whether a peer is shunned.
    pub fn is_banned(&self, peer: &PeerId, now: Moment) -> bool {
        self.bans.is_banned(peer, now)
    }

    /// The bans, for metrics and for who asks.
    pub fn report(&self, now: Moment) -> BanReport {
        self.bans.report(now)
    }

    /// Of whom to tell a peer that has opened a blob (which is its right to have been checked before): others that have it,
    /// nearest to it first, equally near ones by chance. Only such as are known otherwise than by hearsay, and connected or never
    /// failed.
    pub fn introduce(&self, topic: &TopicKey, to: &PeerRecord, now: Moment, rng: &mut impl Rng) -> Vec<PeerRecord> {
        let may_tell = |peer: &PeerId| {
            let known = self.records.get(peer)?;
            let is_there = self.links.is_connected(peer) || self.is_fresh(known, now) && self.failures.times(peer) == 0;
            let is_other = *peer != to.peer && !self.is_banned(peer, now);
            // That the peer is here says nothing of the address that another told.
            (is_other && is_there && known.teller.is_none()).then_some(&known.record)
        };
        let mut told: Vec<_> = self.holders(topic, now).filter_map(|(peer, _)| may_tell(&peer)).collect();
        told.shuffle(rng);
        told.sort_by_key(|record| to.locality.nearness(&record.locality));
        told.into_iter().take(self.settings.introduced).cloned().collect()
    }

    /// Where a peer is.
    pub fn record(&self, peer: &PeerId) -> Option<&PeerRecord> {
        self.records.get(peer).map(|known| &known.record)
    }

    /// How near a peer is, as far as it is known.
    pub fn nearness(&self, peer: &PeerId) -> Option<Nearness> {
        self.record(peer).map(|record| self.own.locality.nearness(&record.locality))
    }

    /// Whether a peer was found without a tracker, by the operator's list or in the local network: nobody may have said what it has.
    pub fn is_found(&self, peer: &PeerId) -> bool {
        self.records.get(peer).is_some_and(|known| known.is_found)
    }

    /// Whether a tracker told of a peer, of whichever blob.
    pub fn is_tracked(&self, peer: &PeerId) -> bool {
        self.records.get(peer).is_some_and(|known| known.tracked_at.is_some())
    }

    /// How much there is of what is bounded.
    pub fn usage(&self) -> AcquaintanceUsage {
        AcquaintanceUsage {
            records: self.records.count(),
            sayings: self.sayings.count(),
            connected: self.links.connected_count(),
            dialing: self.links.dialing_count(),
            bans: self.bans.count(),
            failures: self.failures.count(),
        }
    }

    /// Whether a peer is neither connected, nor being dialed, nor let be, nor shunned.
    fn is_at_peace(&self, peer: &PeerId, now: Moment) -> bool {
        !self.links.has(peer) && !self.failures.holds(peer, now) && !self.is_banned(peer, now)
    }

    fn is_fresh(&self, known: &records::Known, now: Moment) -> bool {
        known.is_fresh(self.settings.record_for, now)
    }

    /// Who has a blob, as was said of late, or of one that is connected or was of late.
    pub fn holders(&self, topic: &TopicKey, now: Moment) -> impl Iterator<Item = (PeerId, Holds)> {
        self.sayings
            .of(topic)
            .filter(move |(peer, saying)| {
                let seen = self.records.get(peer).and_then(|known| known.seen);
                let last = seen.map_or(saying.at, |seen| seen.max(saying.at));
                self.links.is_connected(peer) || now.since(last) < self.settings.saying_for
            })
            .map(|(peer, saying)| (peer, saying.holds))
    }
}
