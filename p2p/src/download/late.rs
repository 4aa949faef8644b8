//! Passing late peers by: what they were asked for is asked of others.

use std::time::Duration;

use longshore_oci::piece::{PIECE_BYTES, PieceIndex};

use super::{Download, Grounds, Order, Turn, Why, peer::Slot};
use crate::moment::Moment;

impl Download {
    /// Takes what silent and slow peers were asked for to others.
    pub(super) fn pass_by(&mut self, grounds: &Grounds, turn: &mut Turn) {
        let busy: Vec<_> = self.peers.iter().filter(|(_, peer)| !peer.asked.is_empty()).map(|(slot, _)| slot).collect();
        for slot in busy {
            let settings = self.settings;
            let peer = self.peers.get_mut(slot);
            if turn.now >= peer.look_at {
                match peer.lateness(turn.now, turn.strangers_patience, &settings) {
                    Err(at) => peer.look_at = at,
                    Ok(Why::Silent) => self.pass_silent(slot, grounds, turn),
                    Ok(Why::Slow) => self.pass_slow(slot, grounds, turn),
                }
            }
            let peer = self.peers.get(slot);
            if !peer.asked.is_empty() {
                turn.wake(peer.look_at);
            }
        }
    }

    /// What others can bring now is asked of them; the rest stays, since a queue's place is worth something, but not for ever.
    fn pass_silent(&mut self, slot: Slot, grounds: &Grounds, turn: &mut Turn) {
        let peer = self.peers.get_mut(slot);
        let mute_at = peer.heard + peer.patience(turn.strangers_patience, &self.settings).max(self.settings.takeover);
        peer.is_late = true;
        peer.look_at = mute_at.min(turn.now + self.settings.least_patience);
        let is_mute = turn.now >= mute_at;
        let mut has_moved = false;
        for piece in self.peers.get(slot).asked.clone().into_iter().map(PieceIndex) {
            let has_copy = self.asks.get(piece.0).is_some_and(|asked| asked.copies() > 1);
            let other = if has_copy { None } else { self.alternative(piece, grounds, turn) };
            if other.is_some() || has_copy || is_mute || self.origin_can_take(piece, grounds, turn) {
                self.take_back(slot, piece, turn);
                has_moved = true;
            }
            if let Some(other) = other {
                self.ask(other, piece, turn);
            }
        }
        if has_moved {
            self.note_passed(slot, Why::Silent, turn);
        }
        if is_mute {
            self.discount(slot);
        }
    }

    /// What others would bring much sooner is asked of them. Who is far slower than others counts no more: what anybody else has or may
    /// have is taken from it, though nobody has room for it now.
    fn pass_slow(&mut self, slot: Slot, grounds: &Grounds, turn: &mut Turn) {
        let now = turn.now;
        let peer = self.peers.get_mut(slot);
        let lately = peer.pace.lately(now);
        peer.pace.settle(now);
        peer.look_at = now + peer.patience(turn.strangers_patience, &self.settings) / 2;
        let Some(takes) = peer.pace.piece_takes().max(lately) else { return };
        let typical = self.typical_answer(Some(slot));
        let soon = [typical, self.origin.pace.answer_takes()].into_iter().flatten().min();
        let is_hopeless = soon.is_some_and(|soon| takes > soon.saturating_mul(self.settings.poor_part));
        if is_hopeless {
            self.peers.get_mut(slot).is_late = true;
            self.discount(slot);
        }
        let mut has_moved = false;
        for piece in self.peers.get(slot).asked.clone().into_iter().map(PieceIndex) {
            let came = self.asks.ask_mut(piece.0, slot).map_or(0, |ask| ask.bytes);
            let left = takes.mul_f64(1.0 - fraction(came));
            let other = self.alternative(piece, grounds, turn).filter(|other| {
                let others = self.peers.get(*other).pace.answer_takes().or(typical);
                others.is_some_and(|others| left > others.saturating_mul(2))
            });
            let is_to_go = is_hopeless && (!self.wanted.is_nobodys(piece) || self.origin_can_take(piece, grounds, turn));
            if other.is_some() || is_to_go {
                self.take_back(slot, piece, turn);
                has_moved = true;
            }
            if let Some(other) = other {
                self.ask(other, piece, turn);
            }
        }
        if has_moved {
            self.note_passed(slot, Why::Slow, turn);
        }
    }

    fn origin_can_take(&self, piece: PieceIndex, grounds: &Grounds, turn: &Turn) -> bool {
        self.may_ask_origin(grounds, piece) && self.origin.may_begin(turn.now, &self.settings)
    }

    fn note_passed(&mut self, slot: Slot, why: Why, turn: &Turn) {
        let settings = self.settings;
        let peer = self.peers.get_mut(slot);
        peer.was_passed_by(turn.now, &settings);
        let peer = peer.id;
        self.orders.push(Order::PassBy { peer, why });
    }

    /// How long a peer may be silent that hasn't shown its pace: a multiple of what others take; where nobody has shown it, the least, and
    /// that multiple of it while something comes.
    pub(super) fn strangers_patience(&self, now: Moment) -> Duration {
        let least = self.settings.least_patience;
        let is_fed = now < self.fed + least;
        let takes = self.typical_answer(None).or(is_fed.then_some(least));
        takes.map_or(least, |takes| takes.saturating_mul(self.settings.slack))
    }

    /// What an answer takes on the average of those that have shown it, but for one.
    fn typical_answer(&self, but: Option<Slot>) -> Option<Duration> {
        let others = self.peers.iter().filter(|(slot, _)| Some(*slot) != but);
        let shown = others.filter_map(|(_, peer)| peer.pace.answer_takes());
        let (all, count) = shown.fold((Duration::ZERO, 0_u32), |(all, count), takes| (all.saturating_add(takes), count + 1));
        all.checked_div(count)
    }

    /// Tells a peer that a piece isn't wanted of it any more.
    pub(super) fn take_back(&mut self, slot: Slot, piece: PieceIndex, turn: &mut Turn) {
        let peer = self.peers.get(slot).id;
        self.orders.push(Order::Cancel { peer, piece });
        self.end_ask(slot, piece);
        // What it would have held is free again.
        turn.left = turn.left.saturating_add(1);
    }
}

#[expect(clippy::cast_precision_loss, reason = "a piece's bytes are far fewer than a float tells apart")]
fn fraction(came: u64) -> f64 {
    (came as f64 / PIECE_BYTES as f64).min(1.0)
}
