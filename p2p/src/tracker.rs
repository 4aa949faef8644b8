//! The state of a tracker: who has or fetches which blob, who is told of whom, and who of a zone may ask the origin.
//!
//! A registry or an edge runs it. It is pure: whoever has it brings it the announcements, after checking that the peer may pull what
//! it announces, and tells it when a connection broke. A topic's trackers are the first few by [`trackers_of`].
//!
//! Promises:
//! - An announcement holds for [`TrackerSettings::lease`], unless it is renewed; it goes at once when it is withdrawn or when the peer's
//!   connection breaks.
//! - All that is kept is bounded, and counted ([`Tracker::usage`]). What would pass a bound is refused, and says why; but in a
//!   topic that is full the newcomer takes the place of one that was heard of longer ago, and where there are all the topics or
//!   announcements that there may be, the network that has the most of them gives to one that has less.
//! - An answer costs as much in a topic of ten thousand peers as in one of a hundred.
//! - A stripe of a topic is leased to at most one peer of a zone at any time, as this tracker sees time.
//! - The same calls with the same randomness get the same answers.
//!
//! A tracker advises and nothing hangs on it. One that restarts begins empty and is filled by the renewals, within a third of a lease;
//! until then it tells of fewer. A stripe that it leased before may be leased to another at once, so for one term two may fetch
//! it. The same holds where a peer lost its connection to the tracker and not that to the origin, where an answer is lost on its way,
//! and where a topic's trackers differ, as they know nothing of each other. That costs the origin bytes, and nobody a wrong one. While
//! there is no tracker at all, nodes go by [`fallback`].

use std::{collections::BTreeSet, net::IpAddr, sync::Arc};

use libp2p_identity::PeerId;
use rand::{Rng, RngExt as _};

use crate::{
    moment::Moment,
    network::network_of,
    record::{MOST_ADDRESSES, PeerRecord},
    topic::TopicKey,
};

mod announcement;
mod area;
mod book;
mod origin;
mod pool;
mod rendezvous;
mod room;
mod settings;
mod shares;
mod swarm;
mod told;
mod usage;

#[cfg(test)]
mod tests;

pub use self::{
    announcement::{Announcement, Answer, Holds, Lease, Refusal, Told},
    rendezvous::{fallback, trackers_of},
    settings::TrackerSettings,
    usage::{Totals, Usage},
};
use self::{area::Areas, book::Book, shares::Shares, swarm::Swarm};

type PeerNumber = u32;
type TopicNumber = u32;

/// See the [module](self).
#[derive(Debug)]
pub struct Tracker {
    settings: TrackerSettings,
    now: Moment,
    peers: Book<PeerId, Peer>,
    topics: Book<TopicKey, Swarm>,
    /// All announcements, by when they are over.
    expiries: BTreeSet<(Moment, TopicNumber, PeerNumber)>,
    /// Announcements, by whose they are.
    announced: Shares,
    /// Topics, by who brought them.
    brought: Shares,
    totals: Totals,
}

#[derive(Debug)]
struct Peer {
    record: Arc<PeerRecord>,
    areas: Areas,
    /// Where it announces from.
    network: IpAddr,
    topics: BTreeSet<TopicNumber>,
    /// Those of them that it brought, or has taken over of who did.
    brought: BTreeSet<TopicNumber>,
}

impl Tracker {
    /// One that knows nobody yet.
    pub fn new(settings: TrackerSettings) -> Self {
        let (peers, topics) = (Book::new(), Book::new());
        let (announced, brought) = (Shares::default(), Shares::default());
        let (now, expiries, totals) = (Moment::default(), BTreeSet::new(), Totals::default());
        Self { settings, now, peers, topics, expiries, announced, brought, totals }
    }

    /// A peer announces some blobs from an address, or renews what it announced; the answers are in their order. The record takes the
    /// place of what was known of the peer.
    pub fn announce(
        &mut self,
        record: &PeerRecord,
        from: IpAddr,
        announcements: &[Announcement],
        now: Moment,
        rng: &mut impl Rng,
    ) -> Vec<Result<Answer, Refusal>> {
        self.expire(now);
        if announcements.is_empty() {
            return Vec::new();
        }
        let answers: Vec<_> = match self.admit(record, network_of(from)) {
            Ok(peer) => {
                let answers = announcements.iter().map(|announcement| self.announce_one(peer, announcement, rng)).collect();
                self.forget_if_idle(peer);
                answers
            }
            Err(refusal) => vec![Err(refusal); announcements.len()],
        };
        self.totals.refused += count(answers.iter().filter(|answer| answer.is_err()));
        answers
    }

    /// A peer takes back what it announced of a topic.
    pub fn withdraw(&mut self, peer: &PeerId, topic: &TopicKey, now: Moment) {
        self.expire(now);
        if let (Some(peer), Some(topic)) = (self.peers.number(peer), self.topics.number(topic)) {
            self.totals.withdrawn += u64::from(self.remove(peer, topic));
        }
    }

    /// The connection to a peer broke: all that it announced goes.
    pub fn gone(&mut self, peer: &PeerId, now: Moment) {
        self.expire(now);
        let Some(peer) = self.peers.number(peer) else { return };
        for topic in self.peers.get(peer).topics.clone() {
            self.totals.broken_off += u64::from(self.remove(peer, topic));
        }
    }

    /// Lets go of the announcements that are over. All else does so too; this is for a tracker of which nothing else is asked.
    pub fn expire(&mut self, now: Moment) {
        self.now = self.now.max(now);
        while let Some((until, topic, peer)) = self.expiries.first().copied()
            && until <= self.now
        {
            self.totals.expired += u64::from(self.remove(peer, topic));
        }
    }

    /// When [`Self::expire`] next has something to do.
    pub fn wake_at(&self) -> Option<Moment> {
        self.expiries.first().map(|(until, _, _)| *until)
    }

    /// How much is kept.
    pub fn usage(&self) -> Usage {
        Usage { topics: self.topics.len(), peers: self.peers.len(), announcements: self.expiries.len() }
    }

    /// What was done so far.
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// The number of a peer, which is new or has its record renewed.
    fn admit(&mut self, record: &PeerRecord, network: IpAddr) -> Result<PeerNumber, Refusal> {
        if is_too_large(record) {
            return Err(Refusal::LargeRecord);
        }
        let Some(number) = self.peers.number(&record.peer) else {
            if self.peers.len() >= self.settings.most_peers {
                return Err(Refusal::ManyPeers(self.settings.most_peers));
            }
            let areas = Areas::of(&record.locality);
            let (record, topics, brought) = (Arc::new(record.clone()), BTreeSet::new(), BTreeSet::new());
            return Ok(self.peers.add(record.peer, Peer { record, areas, network, topics, brought }));
        };
        let peer = self.peers.get_mut(number);
        let before = std::mem::replace(&mut peer.network, network);
        if before != network {
            for (shares, count) in [(&mut self.announced, peer.topics.len()), (&mut self.brought, peer.brought.len())] {
                shares.change(before, number, count, 0);
                shares.change(network, number, 0, count);
            }
        }
        if *peer.record == *record {
            return Ok(number);
        }
        peer.record = Arc::new(record.clone());
        let areas = Areas::of(&record.locality);
        if peer.areas != areas {
            for topic in &peer.topics {
                let swarm = self.topics.get_mut(*topic);
                if let Some((holds, until)) = swarm.leave(number, &peer.areas, self.now) {
                    swarm.join(number, &areas, holds, until);
                }
            }
            peer.areas = areas;
        }
        Ok(number)
    }

    fn announce_one(&mut self, peer: PeerNumber, announcement: &Announcement, rng: &mut impl Rng) -> Result<Answer, Refusal> {
        let topic = self.join(peer, announcement, rng)?;
        let (swarm, areas, now) = (self.topics.get_mut(topic), &self.peers.get(peer).areas, self.now);
        let given = swarm.renew((peer, areas), announcement.holds, announcement.wants_origin, now, &self.settings);
        self.totals.leased += given.new;
        self.totals.released += given.lost;

        let wants = announcement.wants_peers.min(self.settings.most_told);
        let mut told: Vec<_> = told::whom(swarm, peer, wants.into(), rng)
            .into_iter()
            .map(|other| Told { record: self.peers.get(other.peer).record.clone(), has_all: other.has_all })
            .collect();
        let here = &self.peers.get(peer).record.locality;
        told.sort_by_key(|told| here.nearness(&told.record.locality));
        self.totals.told += count(told.iter());
        let again_in = rng.random_range(given.again_in);
        let origin = Lease { stripes: given.stripes, of: self.settings.stripes, term: self.settings.origin_term };
        Ok(Answer { peers: told, origin, again_in })
    }

    /// Makes a peer a member of a topic for a lease from now, if it is none.
    fn join(&mut self, peer: PeerNumber, announcement: &Announcement, rng: &mut impl Rng) -> Result<TopicNumber, Refusal> {
        let until = self.now + self.settings.lease;
        let known = self.topics.number(&announcement.topic);
        if let Some(topic) = known
            && let Some(before) = self.topics.get(topic).until(peer)
        {
            self.expiries.remove(&(before, topic, peer));
            self.expiries.insert((until, topic, peer));
            self.totals.renewed += 1;
            return Ok(topic);
        }
        self.make_room(peer, known, rng)?;
        // Even the one that made room may have been the topic's last.
        let known = self.topics.number(&announcement.topic);
        let topic = known.unwrap_or_else(|| self.topics.add(announcement.topic, Swarm::new()));
        if known.is_none() {
            self.bring(peer, topic);
        }
        let entry = self.peers.get_mut(peer);
        self.announced.change(entry.network, peer, entry.topics.len(), entry.topics.len() + 1);
        entry.topics.insert(topic);
        self.topics.get_mut(topic).join(peer, &entry.areas, announcement.holds, until);
        self.expiries.insert((until, topic, peer));
        self.totals.announced += 1;
        Ok(topic)
    }

    /// Takes a member out of a topic, and forgets of both what nothing is left of; whether it was one.
    fn remove(&mut self, peer: PeerNumber, topic: TopicNumber) -> bool {
        let (swarm, entry) = (self.topics.get_mut(topic), self.peers.get_mut(peer));
        let Some((_, until)) = swarm.leave(peer, &entry.areas, self.now) else { return false };
        self.expiries.remove(&(until, topic, peer));
        self.announced.change(entry.network, peer, entry.topics.len(), entry.topics.len() - 1);
        entry.topics.remove(&topic);
        if entry.brought.remove(&topic) {
            self.brought.change(entry.network, peer, entry.brought.len() + 1, entry.brought.len());
            let heir = swarm.members().next();
            match heir {
                Some(heir) => self.bring(heir, topic),
                None => self.topics.remove(topic),
            }
        }
        self.forget_if_idle(peer);
        true
    }

    /// A topic is one that this peer brought, which is counted to its network.
    fn bring(&mut self, peer: PeerNumber, topic: TopicNumber) {
        let entry = self.peers.get_mut(peer);
        self.brought.change(entry.network, peer, entry.brought.len(), entry.brought.len() + 1);
        entry.brought.insert(topic);
    }

    fn forget_if_idle(&mut self, peer: PeerNumber) {
        if self.peers.get(peer).topics.is_empty() {
            self.peers.remove(peer);
        }
    }
}

fn is_too_large(record: &PeerRecord) -> bool {
    record.pieces.len() > MOST_ADDRESSES || !record.locality.has_short_names()
}

fn count<T>(those: impl Iterator<Item = T>) -> u64 {
    those.map(|_| 1).sum()
}
