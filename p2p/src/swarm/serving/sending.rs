//! The pieces that peers ask for, and that they are sent.

use std::time::{Duration, Instant};

use libp2p_identity::PeerId;
use longshore_oci::piece::PieceIndex;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::{
    moment::Moment,
    plane::Sent,
    swarm::{callback::answer_of, input::Input, link::LinkId, task::Task},
    topic::TopicKey,
    upload::{Asked, Asking, Cancelled, Serve, ServeId},
    wire::TopicId,
};

/// When to ask again for a piece that is not here, or not to be read.
const ABSENT_PAUSE: Duration = Duration::from_secs(1);

/// A piece that is being sent.
pub(in crate::swarm) struct Serving {
    link: LinkId,
    id: TopicId,
    piece: PieceIndex,
    cancelled: CancellationToken,
}

impl Task {
    /// A peer asks for a piece.
    pub(super) fn asked(&mut self, link_id: LinkId, id: TopicId, piece: PieceIndex, now: Moment) {
        let Some(link) = self.links.get(link_id) else { return };
        let theirs = link.theirs.get(&id).filter(|theirs| theirs.until.is_some_and(|until| until > now));
        let Some((theirs, kept)) = theirs.and_then(|theirs| Some((theirs, self.kept(theirs)?))) else {
            return self.refuse(link_id, id, now);
        };
        let (key, peer, nearness, is_newcomer) = (theirs.key, link.peer.id, link.nearness, !theirs.has_some);
        let asking = if kept.pieces.contains(piece) {
            let bytes = kept.geometry.bytes_of(piece);
            let asked = Asked { topic: key, piece, bytes: bytes.end - bytes.start, nearness, is_newcomer };
            self.uploads.ask(peer, asked, now)
        } else {
            Asking::Rejected { retry_after: ABSENT_PAUSE }
        };
        self.book.used(&peer, now);
        match asking {
            Asking::Taken => {
                if let Some(theirs) = self.links.get_mut(link_id).and_then(|link| link.theirs.get_mut(&id)) {
                    theirs.asked.insert(piece);
                }
            }
            Asking::Rejected { retry_after } => self.reject(link_id, id, piece, retry_after, now),
        }
    }

    fn reject(&mut self, link_id: LinkId, id: TopicId, piece: PieceIndex, retry_after: Duration, now: Moment) {
        if let Some(Err(error)) = self.links.get(link_id).map(|link| link.sender.reject(id, piece, retry_after)) {
            self.unsaid(link_id, error, now);
        }
    }

    /// A peer needs a piece no more, and was told that it won't come.
    pub(super) fn cancelled(&mut self, link_id: LinkId, id: TopicId, piece: PieceIndex) {
        let Some(link) = self.links.get_mut(link_id) else { return };
        let peer = link.peer.id;
        let Some(theirs) = link.theirs.get_mut(&id) else { return };
        let key = theirs.key;
        match self.uploads.cancel(peer, &key, piece) {
            Cancelled::Serving(serve) => self.stop(serve),
            Cancelled::Waiting | Cancelled::Unknown => {
                theirs.asked.remove(&piece);
            }
        }
    }

    pub(super) fn stop(&self, serve: ServeId) {
        if let Some(serving) = self.serving.get(&serve) {
            serving.cancelled.cancel();
        }
    }

    /// Sends what may be sent now.
    pub(in crate::swarm) fn serve(&mut self, now: Moment) {
        while let Some(serve) = self.uploads.next(now) {
            if !self.send(&serve, now) {
                self.uploads.served(serve.id, 0, Duration::ZERO, now);
            }
        }
    }

    fn send(&mut self, serve: &Serve, now: Moment) -> bool {
        let Some(link_id) = self.links.of(&serve.peer) else { return false };
        let Some(id) = self.links.opened(link_id, &serve.topic) else { return false };
        let Some(link) = self.links.get(link_id) else { return false };
        let Some(theirs) = link.theirs.get(&id) else { return false };
        if theirs.until.is_none_or(|until| until <= now) {
            self.refuse(link_id, id, now);
            return false;
        }
        let (topic, sender, piece, serve_id) = (theirs.topic.clone(), link.sender.clone(), serve.piece, serve.id);
        let (holdings, inputs, cancelled) = (self.holdings.clone(), self.inputs.clone(), CancellationToken::new());
        let (patience, limit) = (self.settings.callback_timeout, self.settings.upload.serve_timeout);
        self.serving.insert(serve.id, Serving { link: link_id, id, piece, cancelled: cancelled.clone() });
        tokio::spawn(async move {
            let begun = Instant::now();
            let reading = answer_of("read", patience, holdings.read(&topic, piece));
            let read = cancelled.run_until_cancelled(reading).await.flatten();
            let bytes = if let Some(bytes) = read.flatten() {
                let length = bytes.len() as u64;
                // What is not sent to its end is answered all the same.
                let sent = timeout(limit.saturating_sub(begun.elapsed()), sender.send_piece(id, piece, bytes)).await;
                if matches!(sent, Ok(Ok(Sent::Whole))) { length } else { 0 }
            } else {
                // A peer that takes nothing is found out when something is next said to it.
                let _ = sender.reject(id, piece, ABSENT_PAUSE);
                0
            };
            let _ = inputs.send(Input::Served { id: serve_id, bytes, took: begun.elapsed() }).await;
        });
        true
    }

    /// A piece was sent, or not.
    pub(in crate::swarm) fn served(&mut self, serve: ServeId, bytes: u64, took: Duration, now: Moment) {
        self.uploads.served(serve, bytes, took, now);
        let Some(Serving { link, id, piece, .. }) = self.serving.remove(&serve) else { return };
        let Some(link) = self.links.get_mut(link) else { return };
        self.metrics.sent(link.nearness, bytes);
        let peer = link.peer.id;
        if let Some(theirs) = link.theirs.get_mut(&id) {
            theirs.asked.remove(&piece);
            theirs.has_some |= bytes > 0;
        }
        self.book.used(&peer, now);
    }

    /// A peer is gone, and who sends to it stops.
    pub(in crate::swarm) fn forget_servings(&mut self, peer: PeerId) {
        for serve in self.uploads.forget_peer(peer) {
            self.stop(serve);
        }
        self.judging.retain(|link| self.links.get(link).is_some());
    }

    /// A piece is where it can be read: those who have the blob open are told.
    pub(in crate::swarm) fn landed(&mut self, topic: &TopicKey, piece: PieceIndex) {
        let now = self.clock.now();
        for (id, fetch) in self.fetches.iter_mut().filter(|(_, fetch)| fetch.key == *topic) {
            if !fetch.download.here().contains(piece) {
                fetch.download.here_already(piece);
                self.stirred.insert(*id);
            }
        }
        let may_hear = |(link, id): &(LinkId, TopicId)| {
            let theirs = self.links.get(*link).and_then(|link| link.theirs.get(id));
            theirs.and_then(|theirs| theirs.until).is_some_and(|until| until > now)
        };
        let openers: Vec<_> = self.links.openers(topic).filter(may_hear).collect();
        for (link_id, id) in openers {
            if let Some(Err(error)) = self.links.get(link_id).map(|link| link.sender.have(id, piece)) {
                self.unsaid(link_id, error, now);
            }
        }
    }
}
