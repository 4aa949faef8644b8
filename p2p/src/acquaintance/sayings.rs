//! Who is said to have what.

use std::collections::{BTreeMap, BTreeSet};

use libp2p_identity::PeerId;

use super::AcquaintanceSettings;
use crate::{moment::Moment, topic::TopicKey};

/// How much of a blob a peer is said to have.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Holds {
    /// All of it.
    All,
    /// Some, or it is just getting it.
    Some,
}

/// What is said of one peer and one blob.
#[derive(Clone, Copy, Debug)]
pub struct Saying {
    /// How much it has.
    pub holds: Holds,
    /// When that was said last.
    pub at: Moment,
}

/// What is known of who has what. Of more than there may be of one blob or one peer the oldest goes; of more in all, the blob of
/// which nothing was said for longest.
#[derive(Debug, Default)]
pub struct Sayings {
    topics: BTreeMap<TopicKey, Topic>,
    by_age: BTreeSet<(Moment, TopicKey)>,
    peers: BTreeMap<PeerId, BTreeSet<TopicKey>>,
    count: usize,
}

#[derive(Debug, Default)]
struct Topic {
    last: Moment,
    peers: BTreeMap<PeerId, Saying>,
}

impl Sayings {
    /// It is said of a peer that it has a blob.
    pub fn say(&mut self, topic: TopicKey, peer: PeerId, holds: Holds, settings: &AcquaintanceSettings, now: Moment) {
        let of_peer = self.peers.entry(peer).or_default();
        if of_peer.len() >= settings.sayings_per_peer && !of_peer.contains(&topic) {
            let at = |topic: &TopicKey| self.topics.get(topic).and_then(|topic| topic.peers.get(&peer)).map(|saying| saying.at);
            if let Some(oldest) = of_peer.iter().copied().min_by_key(at) {
                self.remove(&oldest, &peer);
            }
        }
        let of_topic = self.topics.entry(topic).or_default();
        if of_topic.peers.len() >= settings.sayings_per_topic && !of_topic.peers.contains_key(&peer) {
            let oldest = of_topic.peers.iter().min_by_key(|(_, saying)| saying.at).map(|(peer, _)| *peer);
            if let Some(oldest) = oldest {
                self.remove(&topic, &oldest);
            }
        }
        let of_topic = self.topics.entry(topic).or_default();
        self.by_age.remove(&(of_topic.last, topic));
        of_topic.last = of_topic.last.max(now);
        self.by_age.insert((of_topic.last, topic));
        if of_topic.peers.insert(peer, Saying { holds, at: now }).is_none() {
            self.peers.entry(peer).or_default().insert(topic);
            self.count += 1;
        }
        while self.count > settings.sayings {
            let Some((_, oldest)) = self.by_age.first().copied() else { break };
            self.forget_topic(&oldest);
        }
    }

    /// Nothing of this holds any more.
    pub fn remove(&mut self, topic: &TopicKey, peer: &PeerId) {
        let Some(of_topic) = self.topics.get_mut(topic) else { return };
        if of_topic.peers.remove(peer).is_none() {
            return;
        }
        self.count -= 1;
        if of_topic.peers.is_empty() {
            self.by_age.remove(&(of_topic.last, *topic));
            self.topics.remove(topic);
        }
        if let Some(of_peer) = self.peers.get_mut(peer) {
            of_peer.remove(topic);
            if of_peer.is_empty() {
                self.peers.remove(peer);
            }
        }
    }

    /// Forgets all that is said of a peer.
    pub fn forget_peer(&mut self, peer: &PeerId) {
        for topic in self.peers.get(peer).cloned().unwrap_or_default() {
            self.remove(&topic, peer);
        }
    }

    /// Who is said to have a blob, by peer.
    pub fn of(&self, topic: &TopicKey) -> impl Iterator<Item = (PeerId, Saying)> {
        let peers = self.topics.get(topic).into_iter().flat_map(|topic| &topic.peers);
        peers.map(|(peer, saying)| (*peer, *saying))
    }

    /// How much is known: pairs of a peer and a blob.
    pub fn count(&self) -> usize {
        self.count
    }

    fn forget_topic(&mut self, topic: &TopicKey) {
        let peers: Vec<_> = self.topics.get(topic).into_iter().flat_map(|topic| topic.peers.keys().copied()).collect();
        for peer in peers {
            self.remove(topic, &peer);
        }
    }
}
