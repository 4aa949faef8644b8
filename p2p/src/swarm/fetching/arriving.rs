//! What comes of peers.

use std::time::Duration;

use libp2p_identity::PeerId;
use longshore_oci::piece::PieceIndex;
use tokio::sync::OwnedSemaphorePermit;

use super::asking::PLACE_PAUSE;
use crate::{
    acquaintance::Why,
    locality::Nearness,
    moment::Moment,
    plane::Piece,
    swarm::{Arrival, Supplier, arrival::FetchId, input::Input, link::LinkId, task::Task},
    wire::TopicId,
};

impl Task {
    /// A peer has one piece more.
    pub(in crate::swarm) fn has(&mut self, link: LinkId, topic: TopicId, piece: PieceIndex, now: Moment) {
        let Some((id, peer)) = self.wanted_by(link, topic) else { return };
        if let Some(fetch) = self.fetches.get_mut(&id) {
            fetch.download.has(peer, piece, now);
            self.stirred.insert(id);
        }
    }

    /// More of a piece came.
    pub(in crate::swarm) fn progress(
        &mut self,
        link_id: LinkId,
        topic: TopicId,
        piece: PieceIndex,
        received_bytes: u32,
        now: Moment,
    ) {
        let Some((id, peer)) = self.wanted_by(link_id, topic) else { return };
        let Some(link) = self.links.get_mut(link_id) else { return };
        let before = link.received.insert((topic, piece), received_bytes).unwrap_or(0);
        self.book.used(&peer, now);
        let bytes = u64::from(received_bytes.saturating_sub(before));
        self.metrics.arriving.inc_by(bytes);
        if let Some(fetch) = self.fetches.get_mut(&id) {
            fetch.download.progress(peer, piece, bytes, now);
        }
    }

    /// A piece came whole, and is to be looked at.
    pub(in crate::swarm) fn piece(&mut self, link_id: LinkId, came: Piece) {
        let Some((id, peer)) = self.wanted_by(link_id, came.id) else { return };
        let Some(link) = self.links.get_mut(link_id) else { return };
        let Some(fetch) = self.fetches.get(&id) else { return };
        link.received.remove(&(came.id, came.piece));
        let (nearness, hashes, inputs) = (link.nearness, fetch.hashes.clone(), self.inputs.clone());
        tokio::spawn(async move {
            let Piece { piece, bytes, memory, .. } = came;
            let checked = tokio::task::spawn_blocking(move || hashes.is_right(piece, &bytes).then_some(bytes)).await;
            let right = checked.ok().flatten().map(|bytes| (bytes, memory));
            let _ = inputs.send(Input::Checked { fetch: id, from: (peer, nearness), piece, right }).await;
        });
    }

    /// A piece was looked at, whatever became of the connection that it came on and of the download.
    pub(in crate::swarm) fn checked(
        &mut self,
        id: FetchId,
        from: (PeerId, Nearness),
        piece: PieceIndex,
        right: Option<(Vec<u8>, OwnedSemaphorePermit)>,
        now: Moment,
    ) {
        let (peer, nearness) = from;
        let Some((bytes, memory)) = right else {
            tracing::warn!(%peer, piece = piece.0, "a peer sent a wrong piece, and is shunned for a time");
            self.metrics.banned.with_label_values(&["wrong_piece"]).inc();
            self.book.ban(peer, Why::WrongPiece, now);
            if let Some(link) = self.links.of(&peer) {
                self.part(link, "a piece was wrong", now);
            }
            return;
        };
        self.book.used(&peer, now);
        let Some(fetch) = self.fetches.get_mut(&id) else { return };
        fetch.debts.came(Some(peer), piece);
        let is_new = !fetch.download.here().contains(piece);
        let count = bytes.len() as u64;
        if is_new && !fetch.hand_on(Arrival { piece, bytes, memory, from: Supplier::Peer(peer, nearness) }, now) {
            fetch.download.refused(peer, piece, PLACE_PAUSE, now);
        } else {
            fetch.download.came(peer, piece, now);
            self.metrics.came(Some(nearness), count, is_new);
        }
        self.stirred.insert(id);
    }

    /// A piece won't come that was asked for.
    pub(in crate::swarm) fn rejected(
        &mut self,
        link_id: LinkId,
        topic: TopicId,
        piece: PieceIndex,
        retry_after: Duration,
        now: Moment,
    ) {
        let Some((id, peer)) = self.wanted_by(link_id, topic) else { return };
        if let Some(link) = self.links.get_mut(link_id) {
            link.received.remove(&(topic, piece));
        }
        if let Some(fetch) = self.fetches.get_mut(&id) {
            fetch.debts.forgive(Some(peer), piece, &mut self.intake);
            fetch.download.refused(peer, piece, retry_after, now);
            self.stirred.insert(id);
        }
    }

    /// Which download a topic is open for at a peer, and the peer.
    fn wanted_by(&self, link: LinkId, topic: TopicId) -> Option<(FetchId, PeerId)> {
        let link = self.links.get(link)?;
        Some((*link.ours.get(&topic)?, link.peer.id))
    }
}
