//! The connections to peers, and what is open over each.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use libp2p_identity::PeerId;
use longshore_oci::piece::PieceIndex;

use super::{arrival::FetchId, inquiring::InquiryId};
use crate::{
    locality::Nearness,
    moment::Moment,
    plane::{Direction, Peer, Sender},
    topic::{Topic, TopicKey},
    wire::{Token, TopicId},
};

/// Which connection.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) struct LinkId(u64);

#[cfg(test)]
impl LinkId {
    /// Different ones.
    pub(super) fn some() -> impl Iterator<Item = Self> {
        (1..).map(Self)
    }
}

/// A connection to a peer.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) peer: Peer,
    pub(super) sender: Sender,
    pub(super) nearness: Nearness,
    /// What is open there for downloads here.
    pub(super) ours: BTreeMap<TopicId, FetchId>,
    /// What is asked about there.
    pub(super) inquired: BTreeMap<TopicId, InquiryId>,
    /// How much there is of pieces that are on their way, in bytes.
    pub(super) received: HashMap<(TopicId, PieceIndex), u32>,
    /// What the peer has opened here.
    pub(super) theirs: BTreeMap<TopicId, Theirs>,
}

/// A topic that a peer has opened.
#[derive(Debug)]
pub(super) struct Theirs {
    pub(super) topic: Topic,
    pub(super) key: TopicKey,
    /// By what right.
    pub(super) token: Option<Token>,
    /// Till when it may have it, as far as is known; `None` before that is.
    pub(super) until: Option<Moment>,
    /// Whether it is being found out whether it may.
    pub(super) is_judged: bool,
    /// Till when it may, where it was not told so yet.
    pub(super) granted: Option<Moment>,
    /// When its right is to be seen to; see [`Judging`](super::serving::Judging).
    pub(super) due: Option<Moment>,
    /// The pieces that it asks for.
    pub(super) asked: BTreeSet<PieceIndex>,
    /// Whether a piece of it was sent to the peer.
    pub(super) has_some: bool,
}

/// All connections, one a peer.
#[derive(Debug, Default)]
pub(super) struct Links {
    all: BTreeMap<LinkId, Link>,
    by_peer: BTreeMap<PeerId, LinkId>,
    last: u64,
    /// Who is told which piece of a topic is here.
    openers: HashMap<TopicKey, BTreeMap<LinkId, TopicId>>,
}

impl Links {
    pub(super) fn get(&self, id: LinkId) -> Option<&Link> {
        self.all.get(&id)
    }

    pub(super) fn get_mut(&mut self, id: LinkId) -> Option<&mut Link> {
        self.all.get_mut(&id)
    }

    pub(super) fn of(&self, peer: &PeerId) -> Option<LinkId> {
        self.by_peer.get(peer).copied()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (LinkId, &Link)> {
        self.all.iter().map(|(id, link)| (*id, link))
    }

    /// Whether a new connection to a peer takes the place of the one that there is, where two have dialed each other: both ends keep that
    /// which the one of the lower id has made. Of two that the same end has made the older is dead, as far as that end knows.
    pub(super) fn is_better(&self, own: &PeerId, new: &Peer) -> bool {
        let Some(known) = self.of(&new.id).and_then(|id| self.get(id)) else { return true };
        let is_by_lower = |peer: &Peer| (peer.direction == Direction::Dialed) == (own.to_bytes() < peer.id.to_bytes());
        new.direction == known.peer.direction || is_by_lower(new)
    }

    pub(super) fn add(&mut self, peer: Peer, sender: Sender, nearness: Nearness) -> LinkId {
        self.last += 1;
        let id = LinkId(self.last);
        self.by_peer.insert(peer.id, id);
        let (ours, inquired, received, theirs) = (BTreeMap::new(), BTreeMap::new(), HashMap::new(), BTreeMap::new());
        self.all.insert(id, Link { peer, sender, nearness, ours, inquired, received, theirs });
        id
    }

    /// Forgets a connection.
    pub(super) fn remove(&mut self, id: LinkId) -> Option<Link> {
        let link = self.all.remove(&id)?;
        if self.by_peer.get(&link.peer.id) == Some(&id) {
            self.by_peer.remove(&link.peer.id);
        }
        for theirs in link.theirs.values() {
            self.forget_opener(&theirs.key, id);
        }
        Some(link)
    }

    /// A peer may have a topic that it has opened until then.
    pub(super) fn let_at(&mut self, id: LinkId, topic: TopicId, until: Moment) {
        if let Some(theirs) = self.all.get_mut(&id).and_then(|link| link.theirs.get_mut(&topic)) {
            theirs.until = Some(until);
            self.openers.entry(theirs.key).or_default().insert(id, topic);
        }
    }

    /// Forgets what a peer has opened.
    pub(super) fn close(&mut self, id: LinkId, topic: TopicId) -> Option<Theirs> {
        let theirs = self.all.get_mut(&id)?.theirs.remove(&topic)?;
        if self.openers.get(&theirs.key).and_then(|openers| openers.get(&id)) == Some(&topic) {
            self.forget_opener(&theirs.key, id);
        }
        Some(theirs)
    }

    /// Who has a topic open here and may have it, and by which id.
    pub(super) fn openers(&self, topic: &TopicKey) -> impl Iterator<Item = (LinkId, TopicId)> {
        self.openers.get(topic).into_iter().flatten().map(|(link, id)| (*link, *id))
    }

    /// By which id a peer has a topic open.
    pub(super) fn opened(&self, link: LinkId, topic: &TopicKey) -> Option<TopicId> {
        self.openers.get(topic)?.get(&link).copied()
    }

    fn forget_opener(&mut self, topic: &TopicKey, link: LinkId) {
        if let Some(openers) = self.openers.get_mut(topic) {
            openers.remove(&link);
            if openers.is_empty() {
                self.openers.remove(topic);
            }
        }
    }
}
