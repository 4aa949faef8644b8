//! What a download is told.

use std::time::Duration;

use libp2p_identity::PeerId;
use longshore_oci::piece::{PieceIndex, PieceSet};
use rand::RngExt;

use super::{
    Download, Lease, Reader, RunEnd, RunId, fitted,
    pace::Pace,
    peer::{MOST_FRUITLESS, Peer},
};
use crate::{locality::Nearness, moment::Moment};

impl Download {
    /// A peer has opened the blob and told what it has. Whether it is taken in: not where there are too many, and not twice.
    pub fn add_peer(&mut self, peer: PeerId, nearness: Nearness, has: &PieceSet, now: Moment) -> bool {
        if self.peers.count() >= self.settings.most_peers || self.peers.slot(peer).is_some() {
            return false;
        }
        let has = fitted(has, self.geometry.pieces());
        let useful = self.wanted.open().common(&has).count();
        let slot = self.peers.insert(Peer {
            id: peer,
            nearness,
            has,
            pace: Pace::default(),
            asked: Vec::new(),
            useful: u32::try_from(useful).expect("no more than there are pieces"),
            is_counted: false,
            fruitless: 0,
            rests_until: now,
            heard: now,
            turn: now,
            brought: now,
            look_at: now,
            is_late: false,
        });
        self.count_in(slot, Some(now));
        true
    }

    /// A peer has a piece more.
    pub fn has(&mut self, peer: PeerId, piece: PieceIndex, now: Moment) {
        let Some(slot) = self.peers.slot(peer) else { return };
        let is_open = self.wanted.is_open(piece);
        let peer = self.peers.get_mut(slot);
        if peer.has.insert(piece) {
            peer.useful += u32::from(is_open);
            if peer.is_counted {
                let is_in_zone = peer.is_in_zone();
                self.note_others(piece, is_in_zone, now);
                self.wanted.rise(piece, is_in_zone);
            }
        }
    }

    /// A peer is gone, or has sent a wrong piece: what it was asked for is to be asked of others.
    pub fn drop_peer(&mut self, peer: PeerId) {
        let Some(slot) = self.peers.slot(peer) else { return };
        for piece in self.peers.get(slot).asked.clone() {
            self.end_ask(slot, PieceIndex(piece));
        }
        self.discount(slot);
        self.peers.remove(slot);
    }

    /// A peer's piece came whole and was found right.
    pub fn came(&mut self, peer: PeerId, piece: PieceIndex, now: Moment) {
        self.fed = now;
        if let Some(slot) = self.peers.slot(peer) {
            if let Some((ask, _)) = self.take_ask(slot, piece) {
                let bytes = self.bytes_of(piece).saturating_sub(ask.bytes);
                self.note_fed(bytes, now);
                self.peers.get_mut(slot).pace.came(bytes, now);
            }
            let peer = self.peers.get_mut(slot);
            (peer.heard, peer.turn, peer.brought, peer.rests_until) = (now, now, now, now);
            (peer.fruitless, peer.is_late) = (0, false);
            let is_from_outside = !peer.is_in_zone();
            self.count_in(slot, None);
            if is_from_outside {
                self.note_moved(piece, now);
            }
        }
        self.arrived(piece, None);
    }

    /// A peer won't send a piece soon.
    pub fn refused(&mut self, peer: PeerId, piece: PieceIndex, retry_after: Duration, now: Moment) {
        let Some(slot) = self.peers.slot(peer) else { return };
        if self.end_ask(slot, piece).is_none() {
            return;
        }
        let rest = retry_after.clamp(self.settings.least_patience / 4, self.settings.most_rest);
        let peer = self.peers.get_mut(slot);
        // All that it was asked for before is one refusal, and one that has others to serve is no worse for that.
        let is_fruitless = now >= peer.rests_until && now >= peer.brought + self.settings.takeover;
        peer.fruitless = peer.fruitless.saturating_add(u32::from(is_fruitless));
        peer.rests_until = peer.rests_until.max(now + rest);
        (peer.heard, peer.turn) = (now, now);
        if peer.fruitless >= MOST_FRUITLESS && peer.asked.is_empty() {
            self.discount(slot);
        }
    }

    /// So many bytes more of a peer's piece came; they are checked when it is whole. No bytes are a sign of life all the same.
    pub fn progress(&mut self, peer: PeerId, piece: PieceIndex, bytes: u64, now: Moment) {
        let Some(slot) = self.peers.slot(peer) else { return };
        let Some(ask) = self.asks.ask_mut(piece.0, slot) else { return };
        ask.bytes = ask.bytes.saturating_add(bytes);
        self.fed = now;
        self.note_fed(bytes, now);
        let peer = self.peers.get_mut(slot);
        peer.pace.came(bytes, now);
        peer.heard = now;
    }

    /// So many bytes more of a request to the origin came. No bytes are a sign of life all the same.
    pub fn origin_progress(&mut self, id: RunId, bytes: u64, now: Moment) {
        self.fed = now;
        self.run_goes_on(id, bytes, now);
    }

    /// A piece of a request to the origin came whole and was found right.
    pub fn origin_came(&mut self, id: RunId, piece: PieceIndex, now: Moment) {
        self.fed = now;
        self.run_brought(id, self.bytes_of(piece), now);
        self.note_moved(piece, now);
        self.arrived(piece, Some(id));
    }

    /// A request to the origin is over. One that brought its last piece is over by that; telling it again does no harm.
    pub fn origin_ended(&mut self, id: RunId, end: RunEnd, now: Moment) {
        self.end_run(id, end, now);
    }

    /// A piece is here that nobody was asked for, as from a disk.
    pub fn here_already(&mut self, piece: PieceIndex) {
        self.arrived(piece, None);
    }

    /// A tracker, or who stands in for it, has said which stripes this node is to fetch.
    pub fn set_lease(&mut self, lease: Lease, now: Moment) {
        let striping = self.origin.striping.into_stripes(lease.of);
        if striping.count() != self.origin.striping.count() {
            self.wanted.restripe(striping);
            self.origin.restripe(striping, now, || self.rng.random());
        }
        self.origin.set_lease(lease);
    }

    /// Where the client is that reads, or that nobody does. To be told with each step of it: since then it waits, if the piece isn't here.
    pub fn read_at(&mut self, piece: Option<PieceIndex>, now: Moment) {
        if piece != self.reader.as_ref().map(|reader| reader.at) {
            self.reader = piece.map(|at| Reader { at, since: now, missing: at.0 });
            self.move_place();
        }
    }
}
