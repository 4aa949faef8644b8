//! Asking the origin.

use std::ops::Range;

use longshore_oci::piece::PieceIndex;

use super::{Download, Ground, Grounds, Order, RunEnd, RunId, Turn, asks::Run};
use crate::moment::Moment;

impl Download {
    /// Begins what requests to the origin there are grounds and room for.
    pub(super) fn ask_origin(&mut self, turn: &mut Turn) {
        self.give_up_stalled_runs(turn);
        let mut grounds = self.grounds(turn);
        if self.origin.rests_until > turn.now {
            turn.wake(self.origin.rests_until);
        }
        while turn.left > 0 && self.origin.may_begin(turn.now, &self.settings) && !self.origin.is_busy() {
            let Some(first) = self.first_of_a_run(&grounds) else { break };
            // One by one where the way is short: what comes whole sooner is passed on sooner.
            let ahead = Some(self.origin.in_flight()).filter(|pieces| *pieces > 1).map_or(1, |pieces| pieces * 2);
            let longer = first.0.saturating_add(ahead.min(self.settings.longest_run));
            let past = self.origin.striping.end_of_run(first).max(longer);
            let past = past.min(first.0.saturating_add(turn.left)).min(self.geometry.pieces());
            let run = (first.0..past).take_while(|piece| {
                let piece = PieceIndex(*piece);
                piece == first || (self.wanted.is_open(piece) && self.may_ask_origin(&grounds, piece))
            });
            let end = run.last().map_or(first.0, |last| last + 1);
            let Some(ground) = self.ground_of(&grounds, first) else { break };
            self.begin_run(first.0..end, ground, turn);
            (grounds.anything, grounds.place) = (false, grounds.place && Some(first) != self.place());
        }
    }

    fn first_of_a_run(&self, grounds: &Grounds) -> Option<PieceIndex> {
        if let Some(place) = self.place().filter(|place| grounds.place && self.is_new_to_the_origin(*place)) {
            return Some(place);
        }
        let start = self.place().map_or(self.origin.start, |place| place.0);
        let all = self.origin.striping.all();
        let first = self.wanted.first(if grounds.anything { all } else { grounds.leased }, grounds.taken, start);
        first.or_else(|| self.wanted.first_open(start).filter(|_| grounds.anything))
    }

    /// Whether a piece that isn't here is not asked of the origin yet, however many peers it is asked of.
    fn is_new_to_the_origin(&self, piece: PieceIndex) -> bool {
        self.asks.get(piece.0).is_none_or(|asked| asked.run.is_none())
    }

    /// Whether the origin is to be asked now for what nobody else brings into the zone.
    pub(super) fn has_to_bring(&self, grounds: &Grounds, turn: &Turn) -> bool {
        let may_ask = self.origin.may_begin(turn.now, &self.settings) && !self.origin.is_busy();
        may_ask && self.wanted.first(grounds.leased, grounds.taken, 0).is_some()
    }

    /// Asks for one piece more of the origin, where there is room.
    pub(super) fn copy_from_origin(&mut self, piece: PieceIndex, grounds: &Grounds, turn: &mut Turn) {
        if turn.left > 0
            && self.origin.may_begin(turn.now, &self.settings)
            && let Some(ground) = self.ground_of(grounds, piece)
        {
            self.begin_run(piece.0..piece.0 + 1, ground, turn);
        }
    }

    fn begin_run(&mut self, pieces: Range<u32>, ground: Ground, turn: &mut Turn) {
        let (id, now) = (RunId(self.origin.next), turn.now);
        self.origin.next += 1;
        if self.origin.runs.is_empty() {
            self.origin.pace.asked(now);
        }
        for piece in pieces.clone() {
            self.close(PieceIndex(piece));
            self.asks.add_run(piece, id);
        }
        let left = pieces.end - pieces.start;
        turn.left -= left.min(turn.left);
        let run = Run { pieces: pieces.clone(), left, since: now, heard: now, turn: now, bytes: 0, has_brought: false };
        self.origin.runs.insert(id, run);
        turn.wake(now + self.settings.origin_patience);
        self.orders.push(Order::AskOrigin { id, pieces, ground });
    }

    /// Bytes came of the origin.
    pub(super) fn run_goes_on(&mut self, id: RunId, bytes: u64, now: Moment) {
        if let Some(run) = self.origin.runs.get_mut(&id) {
            (run.heard, run.bytes) = (now, run.bytes.saturating_add(bytes));
            self.origin.pace.came(bytes, now);
        }
    }

    /// A piece came of the origin.
    pub(super) fn run_brought(&mut self, id: RunId, bytes: u64, now: Moment) {
        if let Some(run) = self.origin.runs.get_mut(&id) {
            let rest = bytes.saturating_sub(run.bytes);
            (run.heard, run.turn, run.bytes, run.has_brought) = (now, now, run.bytes.saturating_sub(bytes), true);
            self.origin.trickles = 0;
            self.origin.pace.came(rest, now);
        }
    }

    /// A piece of a request is here: the one that it brought, or another's. One that has nothing left to bring but goes on is called off.
    pub(super) fn run_lacks_one_less(&mut self, id: RunId, brought: Option<PieceIndex>) {
        let Some(run) = self.origin.runs.get_mut(&id) else { return };
        run.left -= 1;
        if run.left == 0 {
            let is_over = brought.is_some_and(|piece| piece.0 + 1 == run.pieces.end);
            self.origin.runs.remove(&id);
            if !is_over {
                self.orders.push(Order::CancelOrigin { id, has_stalled: false });
            }
        }
    }

    /// A request is over; what it did not bring is to be asked for again.
    pub(super) fn end_run(&mut self, id: RunId, end: RunEnd, now: Moment) {
        let Some(run) = self.origin.runs.remove(&id) else { return };
        for piece in run.pieces {
            if self.asks.end_run(piece, id) {
                self.reopen(PieceIndex(piece));
            }
        }
        let rest = match end {
            RunEnd::Failed { retry_after } => self.origin_rest(retry_after),
            RunEnd::Done if run.has_brought => return,
            RunEnd::Done => self.settings.least_patience,
        };
        self.origin.rests_until = self.origin.rests_until.max(now + rest);
    }

    fn give_up_stalled_runs(&mut self, turn: &mut Turn) {
        let (now, patience) = (turn.now, self.settings.origin_patience);
        let takes = self.origin.pace.answer_takes().map(|takes| takes.saturating_mul(self.settings.slack * 2).max(patience * 4));
        // It grows, so that one over a slow link comes to an end.
        let for_a_piece = takes.unwrap_or(patience * 12).saturating_mul(1 << self.origin.trickles.min(6));
        let mut stalled = Vec::new();
        for (id, run) in &self.origin.runs {
            let gives_up_at = (run.heard + patience).min(run.turn + for_a_piece);
            if now >= gives_up_at {
                stalled.push((*id, now < run.heard + patience));
            } else {
                turn.wake(gives_up_at);
            }
        }
        for (id, is_trickling) in stalled {
            self.origin.trickles = self.origin.trickles.saturating_add(u32::from(is_trickling));
            self.orders.push(Order::CancelOrigin { id, has_stalled: true });
            self.end_run(id, RunEnd::Failed { retry_after: self.settings.takeover }, now);
        }
    }
}
