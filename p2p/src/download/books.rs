//! How a download's parts are kept in step.

use longshore_oci::piece::PieceIndex;
use rand::RngExt;

use super::{Download, Order, RunId, Turn, asks::Ask, peer::Slot};
use crate::moment::Moment;

impl Download {
    pub(super) fn bytes_of(&self, piece: PieceIndex) -> u64 {
        let bytes = self.geometry.bytes_of(piece);
        bytes.end - bytes.start
    }

    pub(super) fn most_copies(&self) -> usize {
        usize::try_from(self.settings.most_copies.max(1)).expect("32 bits fit")
    }

    /// The first piece that the client lacks from its place on.
    pub(super) fn place(&self) -> Option<PieceIndex> {
        self.reader.as_ref().map(|reader| PieceIndex(reader.missing)).filter(|piece| piece.0 < self.geometry.pieces())
    }

    /// Since when the client has waited, if it does.
    pub(super) fn waiting_since(&self) -> Option<Moment> {
        self.reader.as_ref().filter(|reader| Some(reader.at) == self.place()).map(|reader| reader.since)
    }

    pub(super) fn move_place(&mut self) {
        if let Some(reader) = &mut self.reader {
            while self.here.contains(PieceIndex(reader.missing)) {
                reader.missing += 1;
            }
        }
    }

    /// Something comes to the zone; whether nobody here had it.
    pub(super) fn note_moved(&mut self, piece: PieceIndex, now: Moment) -> bool {
        let is_new = self.wanted.is_new_to_the_zone(piece) && !self.here.contains(piece);
        if is_new {
            self.zone_moved = now;
            self.origin.stillness.moved(self.origin.striping.of(piece), now);
        }
        is_new
    }

    /// Another node has a piece now. Of two that fetch the same stripe for the zone one is too many, and lots are drawn.
    pub(super) fn note_others(&mut self, piece: PieceIndex, is_in_zone: bool, now: Moment) {
        if is_in_zone && self.note_moved(piece, now) && self.origin.has_taken(piece) && self.rng.random() {
            self.origin.yield_stripe(piece);
        }
    }

    pub(super) fn ask(&mut self, slot: Slot, piece: PieceIndex, turn: &mut Turn) {
        let settings = self.settings;
        self.close(piece);
        self.asks.add(piece.0, Ask { slot, since: turn.now, bytes: 0 });
        let peer = self.peers.get_mut(slot);
        if peer.asked.is_empty() {
            peer.pace.asked(turn.now);
            (peer.heard, peer.turn) = (turn.now, turn.now);
            peer.look_at = turn.now + settings.least_patience;
        }
        peer.asked.push(piece.0);
        turn.wake(peer.look_at);
        turn.left = turn.left.saturating_sub(1);
        turn.left_beyond = turn.left_beyond.saturating_sub(u32::from(!peer.is_in_zone()));
        self.choices = self.choices.wrapping_add(1);
        let peer = peer.id;
        self.orders.push(Order::Ask { peer, piece });
    }

    /// A piece isn't asked of a peer any more.
    pub(super) fn end_ask(&mut self, slot: Slot, piece: PieceIndex) -> Option<Ask> {
        let (ask, is_over) = self.take_ask(slot, piece)?;
        if is_over {
            self.reopen(piece);
        }
        Some(ask)
    }

    /// The same; and whether the piece is to be opened again.
    pub(super) fn take_ask(&mut self, slot: Slot, piece: PieceIndex) -> Option<(Ask, bool)> {
        let ended = self.asks.end(piece.0, slot)?;
        self.peers.get_mut(slot).asked.retain(|asked| *asked != piece.0);
        Some(ended)
    }

    pub(super) fn close(&mut self, piece: PieceIndex) {
        if self.wanted.close(piece) {
            for peer in self.peers.iter_mut() {
                peer.useful -= u32::from(peer.has.contains(piece));
            }
        }
    }

    pub(super) fn reopen(&mut self, piece: PieceIndex) {
        if !self.here.contains(piece) && self.wanted.reopen(piece) {
            for peer in self.peers.iter_mut() {
                peer.useful += u32::from(peer.has.contains(piece));
            }
        }
    }

    /// A piece is here, of that request to the origin if of one.
    pub(super) fn arrived(&mut self, piece: PieceIndex, brought_by: Option<RunId>) {
        if !self.here.insert(piece) {
            return;
        }
        self.close(piece);
        if let Some(asked) = self.asks.remove(piece.0) {
            for ask in asked.of {
                let peer = self.peers.get_mut(ask.slot);
                peer.asked.retain(|asked| *asked != piece.0);
                let peer = peer.id;
                self.orders.push(Order::Cancel { peer, piece });
            }
            if let Some(run) = asked.run {
                self.run_lacks_one_less(run, (brought_by == Some(run)).then_some(piece));
            }
        }
        self.move_place();
    }

    /// What a peer has counts as had by somebody.
    pub(super) fn count_in(&mut self, slot: Slot, is_new_at: Option<Moment>) {
        let peer = self.peers.get_mut(slot);
        if !std::mem::replace(&mut peer.is_counted, true) {
            let (has, is_in_zone) = (peer.has.clone(), peer.is_in_zone());
            for piece in has.common(&has) {
                if let Some(now) = is_new_at {
                    self.note_others(piece, is_in_zone, now);
                }
                self.wanted.rise(piece, is_in_zone);
            }
        }
    }

    /// What a peer has counts as had by nobody.
    pub(super) fn discount(&mut self, slot: Slot) {
        let peer = self.peers.get_mut(slot);
        if std::mem::replace(&mut peer.is_counted, false) {
            let (has, is_in_zone) = (peer.has.clone(), peer.is_in_zone());
            for piece in has.common(&has) {
                self.wanted.fall(piece, is_in_zone);
            }
        }
    }
}
