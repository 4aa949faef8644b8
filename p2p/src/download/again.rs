//! Asking once more for what is late, and evening out what waits.

use std::time::Duration;

use longshore_oci::piece::PieceIndex;

use super::{
    Download, Grounds, Turn,
    peer::{Peer, Slot},
};

impl Download {
    /// Where a peer of the zone has nothing left to do, gives it what waits behind other requests at another.
    pub(super) fn even_out(&mut self, turn: &mut Turn) {
        let is_idle = |peer: &Peer| {
            peer.asked.is_empty()
                && peer.useful == 0
                && peer.is_in_zone()
                && !peer.is_late
                && peer.has_room(turn.now, &self.settings)
        };
        let idle: Vec<_> = self.peers.iter().filter(|(_, peer)| is_idle(peer)).map(|(slot, _)| slot).collect();
        if idle.is_empty() {
            return;
        }
        let waiting = self.asks.iter().filter(|(_, asked)| asked.copies() == 1).filter_map(|(piece, asked)| {
            let ask = asked.of.first().filter(|ask| ask.bytes == 0)?;
            let queue = &self.peers.get(ask.slot).asked;
            // Which of them it sends next is its choice, so the oldest may go as well.
            (queue.len() > 1).then_some((queue.len(), ask.slot, piece))
        });
        // The longest queues first.
        let mut waiting: Vec<_> = waiting.collect();
        waiting.sort_unstable_by(|one, other| other.cmp(one));
        for slot in idle {
            let has = &self.peers.get(slot).has;
            let may_go =
                |(_, from, piece): &(usize, Slot, u32)| has.contains(PieceIndex(*piece)) && self.peers.get(*from).asked.len() > 1;
            if let Some(at) = waiting.iter().position(may_go) {
                let (_, from, piece) = waiting.remove(at);
                self.take_back(from, PieceIndex(piece), turn);
                self.ask(slot, PieceIndex(piece), turn);
            }
        }
    }

    /// Asks once more for the piece that a client waits for, where it is late; at the end for each that is.
    pub(super) fn ask_again(&mut self, grounds: &Grounds, turn: &mut Turn) {
        if let Some(place) = self.waiting_since().and(self.place()) {
            self.copy_if_late(place, self.settings.least_patience, grounds, turn);
        }
        // What late and resting peers have or hold is not waited for.
        let is_more_to_be_had = self.peers.iter().any(|(_, peer)| peer.is_fit(turn.now) && peer.useful > 0);
        let missing = self.wanted.open().count() + self.asked_of_fit();
        if !is_more_to_be_had && missing <= self.settings.endgame {
            let asked: Vec<_> = self.asks.iter().map(|(piece, _)| PieceIndex(piece)).collect();
            for piece in asked {
                self.copy_if_late(piece, self.settings.least_patience / 4, grounds, turn);
            }
        }
    }

    /// How many pieces are asked of others than late peers alone.
    fn asked_of_fit(&self) -> u32 {
        let is_fit = |slot: Slot| !self.peers.get(slot).is_late;
        let asked = self.asks.iter().filter(|(_, asked)| asked.run.is_some() || asked.of.iter().any(|ask| is_fit(ask.slot)));
        u32::try_from(asked.count()).unwrap_or(u32::MAX)
    }

    /// Late is what takes twice as long as was to be expected of whom it is asked, or what another would bring in less than half of what
    /// is left of that; but nothing before `least`.
    fn copy_if_late(&mut self, piece: PieceIndex, least: Duration, grounds: &Grounds, turn: &mut Turn) {
        let Some(asked) = self.asks.get(piece.0) else { return };
        if asked.copies() >= self.most_copies() {
            // Peers that bring nothing don't keep it from the origin.
            if grounds.anything && asked.run.is_none() {
                self.copy_from_origin(piece, grounds, turn);
            }
            return;
        }
        let by_peers = asked.of.iter().map(|ask| {
            let peer = self.peers.get(ask.slot);
            let queue = u32::try_from(peer.asked.len()).unwrap_or(u32::MAX);
            (ask.since, peer.pace.answer_takes().filter(|_| peer.is_counted).map(|takes| takes.saturating_mul(queue)))
        });
        let by_origin = asked.run.and_then(|run| self.origin.runs.get(&run)).map(|run| {
            (
                run.since.max(run.heard),
                self.origin.pace.answer_takes().map(|takes| takes.saturating_mul(self.settings.origin_run)),
            )
        });
        let Some((since, expected)) = by_peers.chain(by_origin).last() else { return };
        let (soonest, expected) = (since + least, expected.unwrap_or_default().min(self.settings.most_patience));
        if turn.now < soonest {
            turn.wake(soonest);
            return;
        }
        let other = self.alternative(piece, grounds, turn);
        let others = other.and_then(|other| self.peers.get(other).pace.answer_takes());
        let due = soonest.max(since + expected.saturating_mul(2));
        let left = (since + expected).since(turn.now);
        let is_late = turn.now >= due || others.is_some_and(|others| left > others.saturating_mul(2));
        if !is_late {
            turn.wake(due);
        } else if let Some(other) = other {
            if turn.left > 0 {
                self.ask(other, piece, turn);
            }
        } else if asked.run.is_none() && self.may_ask_origin(grounds, piece) {
            self.copy_from_origin(piece, grounds, turn);
        } else {
            self.wake_when_rested(piece, turn);
        }
    }

    /// The best other peer to ask for a piece now.
    pub(super) fn alternative(&self, piece: PieceIndex, grounds: &Grounds, turn: &Turn) -> Option<Slot> {
        let asked = self.asks.get(piece.0);
        let others = self.peers.iter().filter(|(slot, peer)| {
            !peer.is_late
                && peer.has.contains(piece)
                && peer.has_room(turn.now, &self.settings)
                && asked.is_none_or(|asked| !asked.is_of(*slot))
                && (peer.is_in_zone() || turn.left_beyond > 0 && self.may_cross(piece, grounds, turn))
        });
        let best = others.min_by_key(|(_, peer)| (peer.nearness, peer.asked.len(), peer.pace.answer_takes()));
        best.map(|(slot, _)| slot)
    }

    /// Whether a piece that is late may be asked for across the zone's border: where the zone has nobody, or nobody who has it.
    fn may_cross(&self, piece: PieceIndex, grounds: &Grounds, turn: &Turn) -> bool {
        let is_ours =
            grounds.leased.contains(self.origin.striping.of(piece)) || turn.now >= self.zone_moved + self.border_patience;
        let is_waited_for = grounds.place && self.place() == Some(piece);
        (is_ours && self.wanted.is_new_to_the_zone(piece)) || is_waited_for || self.is_alone_in_the_zone()
    }

    /// Looks again when somebody who has a piece has rested.
    fn wake_when_rested(&self, piece: PieceIndex, turn: &mut Turn) {
        let resting = self.peers.iter().filter(|(_, peer)| !peer.is_late && peer.has.contains(piece));
        resting.for_each(|(_, peer)| turn.wake(peer.rests_until));
    }
}
