//! At which peers a blob is opened, and what they answer.
//!
//! Whom it is opened at learns what is wanted here, and by what right. So that is not whoever connects, but those who are said to have
//! the blob, those who were found without a tracker and of whom nobody may say it, and while no tracker answers those of whom one told
//! before.

use libp2p_identity::PeerId;

use crate::{
    acquaintance::Holds,
    moment::Moment,
    plane::SendError,
    swarm::{arrival::FetchId, callback::answer_of, input::Input, link::LinkId, task::Task},
    topic::{Topic, TopicKey},
    wire::{Opened, Token, TopicId},
};

/// What this node shows for a blob, if anything.
#[derive(Clone, Debug)]
pub(in crate::swarm) struct Shown(pub(in crate::swarm) Option<Token>);

/// The topic at a peer.
#[derive(Clone, Copy, Debug)]
pub(super) struct At {
    pub(super) id: TopicId,
    pub(super) is_open: bool,
    /// Since when an answer is waited for.
    since: Moment,
}

impl Task {
    /// Finds out what to show to peers.
    pub(super) fn show(&mut self, id: FetchId) {
        let Some(fetch) = self.fetches.get_mut(&id) else { return };
        if std::mem::replace(&mut fetch.is_showing, true) {
            return;
        }
        let topic = fetch.topic.clone();
        self.find_token(topic, move |token| Input::Shown { fetch: id, token });
    }

    /// Finds out what to show to peers for a topic. Where that hangs or breaks nothing is shown; it is found out anew when a peer has refused
    /// that.
    pub(in crate::swarm) fn find_token(&self, topic: Topic, found: impl FnOnce(Option<Token>) -> Input + Send + 'static) {
        let (rights, inputs, patience) = (self.rights.clone(), self.inputs.clone(), self.settings.callback_timeout);
        tokio::spawn(async move {
            let token = answer_of("token", patience, rights.token(&topic)).await.flatten();
            let _ = inputs.send(found(token)).await;
        });
    }

    pub(in crate::swarm) fn shown(&mut self, id: FetchId, token: Option<Token>) {
        let Some(fetch) = self.fetches.get_mut(&id) else { return };
        (fetch.shown, fetch.is_showing) = (Some(Shown(token)), false);
        self.may_dial = true;
    }

    /// Opens all that is wanted at the peers that may know of it, as far as these are connected.
    pub(in crate::swarm) fn open_all(&mut self, now: Moment) {
        for id in self.fetches.keys().copied().collect::<Vec<_>>() {
            self.open_anywhere(id, now);
        }
    }

    /// Opens a blob at the peers that may know of it, as far as these are connected.
    pub(super) fn open_anywhere(&mut self, id: FetchId, now: Moment) {
        for link in self.links_for(id, now) {
            self.open_at(id, link, now);
        }
    }

    /// The connections over which a blob is to be opened, those first that are the likeliest to have it.
    fn links_for(&mut self, id: FetchId, now: Moment) -> Vec<LinkId> {
        let most = self.settings.download.most_peers;
        let Some(fetch) = self.fetches.get(&id).filter(|fetch| fetch.shown.is_some() && fetch.at.len() < most) else {
            return Vec::new();
        };
        let links = self.links_to_holders(&fetch.key, fetch.again.iter().copied(), now);
        links.into_iter().filter(|link| !fetch.at.contains_key(link)).collect()
    }

    /// The connections to the peers that may know of a blob: those first that are said to, then these, then all who may though nobody says
    /// it.
    pub(in crate::swarm) fn links_to_holders(
        &self,
        key: &TopicKey,
        and: impl Iterator<Item = PeerId>,
        now: Moment,
    ) -> Vec<LinkId> {
        let is_silent = self.announcing.leading(key).is_none();
        let mut said: Vec<_> = self.book.holders(key, now).map(|(peer, holds)| (holds, peer)).collect();
        said.sort_unstable();
        let said = said.into_iter().map(|(_, peer)| peer).chain(and);
        let may_know = |peer: &PeerId| self.book.is_found(peer) || (is_silent && self.book.is_tracked(peer));
        let others = self.links.iter().filter(|(_, link)| may_know(&link.peer.id)).map(|(link, _)| link);
        said.filter_map(|peer| self.links.of(&peer)).chain(others).collect()
    }

    /// Opens a blob at a peer that may know of it, where that was not done and there is room for one peer more.
    pub(in crate::swarm) fn open_at(&mut self, id: FetchId, link_id: LinkId, now: Moment) {
        let most = self.settings.download.most_peers;
        let (Some(fetch), Some(link)) = (self.fetches.get(&id), self.links.get_mut(link_id)) else { return };
        let Some(Shown(token)) = fetch.shown.clone() else { return };
        let (peer, key) = (link.peer.id, fetch.key);
        // Who has refused is asked again when it is known anew what to show.
        let has_refused = fetch.refused.contains_key(&peer) || (fetch.is_showing && fetch.again.contains(&peer));
        if has_refused || fetch.at.contains_key(&link_id) || fetch.at.len() >= most || fetch.download.is_done() {
            return;
        }
        // A peer takes a topic once; what another download gets of it is here for this one as well.
        let is_got = self.fetches.values().any(|other| other.key == key && other.at.contains_key(&link_id));
        if is_got || self.inquiries.is_asked_at(&key, link_id) {
            return;
        }
        let Some(fetch) = self.fetches.get_mut(&id) else { return };
        match link.sender.open(fetch.topic.clone(), token, false) {
            Ok(topic) => {
                link.ours.insert(topic, id);
                fetch.at.insert(link_id, At { id: topic, is_open: false, since: now });
                fetch.again.remove(&peer);
            }
            Err(SendError::Full) => self.part(link_id, "it takes nothing", now),
            Err(error) => tracing::debug!(topic = %fetch.topic, %error, "a blob could not be asked for at a peer"),
        }
    }

    /// A peer has a blob, and tells what of it.
    pub(in crate::swarm) fn opened(&mut self, link_id: LinkId, opened: &Opened, now: Moment) {
        let Some(link) = self.links.get_mut(link_id) else { return };
        let Some(id) = link.ours.get(&opened.id).copied() else { return };
        let Some(fetch) = self.fetches.get_mut(&id) else { return };
        let peer = link.peer.id;
        let is_same = opened.geometry == fetch.geometry;
        if !is_same || !fetch.download.add_peer(peer, link.nearness, &opened.pieces, now) {
            return self.give_up_at(id, link_id, now);
        }
        if let Some(at) = fetch.at.get_mut(&link_id) {
            at.is_open = true;
        }
        let holds = if opened.pieces.is_full() { Holds::All } else { Holds::Some };
        self.book.used(&peer, now);
        self.book.says(fetch.key, peer, holds, now);
        self.stirred.insert(id);
    }

    /// A peer does not have a blob, or not for this node.
    pub(in crate::swarm) fn refused(&mut self, link_id: LinkId, topic: TopicId, now: Moment) {
        let Some(link) = self.links.get_mut(link_id) else { return };
        link.received.retain(|(id, _), _| *id != topic);
        let (peer, Some(id)) = (link.peer.id, link.ours.remove(&topic)) else { return };
        let Some(fetch) = self.fetches.get_mut(&id) else { return };
        fetch.lose(link_id, peer, &mut self.intake);
        fetch.refused.insert(peer, now + self.settings.refused_for);
        self.book.unsay(&fetch.key, &peer);
        self.stirred.insert(id);
        // There is room for another.
        self.may_dial = true;
    }

    /// Closes a blob at a peer that is of no use for it now.
    fn give_up_at(&mut self, id: FetchId, link_id: LinkId, now: Moment) {
        let (Some(fetch), Some(link)) = (self.fetches.get_mut(&id), self.links.get_mut(link_id)) else { return };
        let Some(at) = fetch.at.remove(&link_id) else { return };
        link.ours.remove(&at.id);
        // Where that can't be said the connection is about to end.
        let _ = link.sender.close(at.id);
        fetch.refused.insert(link.peer.id, now + self.settings.refused_for);
        self.may_dial = true;
    }

    /// Gives the places of peers that don't answer to others.
    pub(super) fn give_up_unanswered(&mut self, id: FetchId, now: Moment) {
        let Some(fetch) = self.fetches.get(&id) else { return };
        let answer_timeout = self.settings.open_timeout;
        let is_overdue = |at: &At| !at.is_open && now.since(at.since) >= answer_timeout;
        let overdue: Vec<_> = fetch.at.iter().filter(|(_, at)| is_overdue(at)).map(|(link, _)| *link).collect();
        for link in overdue {
            self.give_up_at(id, link, now);
        }
    }

    /// Asks those once more who have refused a while ago, by what there is to show now: the right that they were shown may have ended, or
    /// what was shown was nothing.
    pub(super) fn ask_refusers_again(&mut self, id: FetchId, now: Moment) {
        let Some(fetch) = self.fetches.get_mut(&id) else { return };
        let lapsed: Vec<_> = fetch.refused.extract_if(.., |_, until| *until <= now).map(|(peer, _)| peer).collect();
        fetch.again.extend(&lapsed);
        fetch.again.retain(|peer| self.links.of(peer).is_some());
        if lapsed.iter().any(|peer| fetch.again.contains(peer)) {
            self.show(id);
        }
    }
}
