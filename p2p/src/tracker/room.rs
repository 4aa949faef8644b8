//! Room for one announcement more, and who gives it where there is none.
//!
//! Whoever has an address has as many keys as it likes, and whoever announces to an open fleet may announce blobs that are nowhere. So what
//! is kept is shared among networks, an address of IPv4 or a /64 of IPv6 each: where the book is full, the network that has the most gives
//! to one that has less. As long as there is room each has what it wants, be it a whole fleet behind one address.

use rand::{Rng, RngExt as _};

use super::{PeerNumber, Refusal, TopicNumber, Tracker};

/// How many are looked at for one that goes.
const EVICTION_DRAWS: usize = 8;

impl Tracker {
    /// Makes sure that there is room for a peer's announcement of a topic that it has not announced, which may be new.
    pub(super) fn make_room(&mut self, peer: PeerNumber, topic: Option<TopicNumber>, rng: &mut impl Rng) -> Result<(), Refusal> {
        let settings = &self.settings;
        let (most_topics, most_of_peer, most) = (settings.most_topics, settings.most_topics_of_peer, settings.most_announcements);
        let is_full_topic = topic.is_some_and(|topic| self.topics.get(topic).len() >= settings.most_peers_of_topic);
        if self.peers.get(peer).topics.len() >= most_of_peer {
            return Err(Refusal::ManyOfPeer(most_of_peer));
        }
        if topic.is_none() && self.topics.len() >= most_topics {
            return self.give_topic(peer, rng).ok_or(Refusal::ManyTopics(most_topics));
        }
        match topic {
            // Whoever goes makes room for both.
            Some(topic) if is_full_topic => self.evict(topic, rng),
            _ if self.expiries.len() >= most => self.give_announcement(peer, rng).ok_or(Refusal::ManyAnnouncements(most)),
            _ => Ok(()),
        }
    }

    /// A topic that was brought from the network which brought the most goes: of some drawn the one with the fewest peers, as those are that
    /// are nowhere else.
    fn give_topic(&mut self, peer: PeerNumber, rng: &mut impl Rng) -> Option<()> {
        let giver = self.brought.giver(self.peers.get(peer).network)?;
        let drawn = drawn_of(&self.peers.get(giver).brought, rng);
        let topic = drawn.into_iter().min_by_key(|topic| self.topics.get(*topic).len())?;
        for member in self.topics.get(topic).members().collect::<Vec<_>>() {
            self.totals.evicted += u64::from(self.remove(member, topic));
        }
        Some(())
    }

    /// An announcement of the network that has the most goes: of some drawn of its peer with the most, the one heard of longest ago, as in a
    /// topic that is full.
    fn give_announcement(&mut self, peer: PeerNumber, rng: &mut impl Rng) -> Option<()> {
        let giver = self.announced.giver(self.peers.get(peer).network)?;
        let drawn = drawn_of(&self.peers.get(giver).topics, rng);
        let topic = drawn.into_iter().min_by_key(|topic| self.topics.get(*topic).until(giver))?;
        self.totals.evicted += u64::from(self.remove(giver, topic));
        Some(())
    }

    /// Of some members drawn, the one that announced longest ago goes, but none that holds a stripe: it would fetch on beside whoever
    /// got it next.
    fn evict(&mut self, topic: TopicNumber, rng: &mut impl Rng) -> Result<(), Refusal> {
        let swarm = self.topics.get(topic);
        let full = Refusal::FullTopic(self.settings.most_peers_of_topic);
        let oldest = swarm
            .draw(EVICTION_DRAWS, rng)
            .into_iter()
            .filter(|drawn| !swarm.is_leaseholder(*drawn, &self.peers.get(*drawn).areas, self.now))
            .min_by_key(|drawn| (swarm.until(*drawn), *drawn))
            .ok_or(full)?;
        self.totals.evicted += u64::from(self.remove(oldest, topic));
        Ok(())
    }
}

/// Some of these, from a random place on.
fn drawn_of(topics: &std::collections::BTreeSet<TopicNumber>, rng: &mut impl Rng) -> Vec<TopicNumber> {
    let (Some(first), Some(last)) = (topics.first(), topics.last()) else { return Vec::new() };
    let from = rng.random_range(*first..=*last);
    topics.range(from..).chain(topics.range(..from)).take(EVICTION_DRAWS).copied().collect()
}
