//! Who is served next, and what a serve that has ended leaves.

use std::time::Duration;

use libp2p_identity::PeerId;

use super::{Serve, ServeId, Serving, Uploads, is_far, queue::Request, turns::Turns};
use crate::moment::Moment;

/// Who could be next.
#[derive(Clone, Copy)]
struct Candidate {
    peer: PeerId,
    /// Which of its requests: where that lies in its queue.
    at: usize,
    request: Request,
    /// Whether it goes before who is next by right, as a newcomer.
    is_early: bool,
}

impl Uploads {
    /// What to send next, where a slot is free, somebody waits and the limits allow it. To be called until there is nothing,
    /// after whatever happened and at [`Self::wake_at`].
    pub fn next(&mut self, now: Moment) -> Option<Serve> {
        self.wake_at = None;
        if self.serving.len() >= self.settings.slots {
            return None;
        }
        let near = self.candidate(&self.near);
        let has_far_slot = self.serving.values().filter(|serving| serving.is_far).count() < self.settings.far_slots;
        let far = self.candidate(&self.far).filter(|_| has_far_slot);
        // Who is held back at the border holds nobody back who doesn't cross it.
        let far_at = far.map(|far| self.border.ready_at(far.request.bytes, now));
        let far = far.filter(|_| far_at.is_some_and(|at| at <= now));
        let is_fars_turn = self.near_run.saturating_add(1) >= self.settings.far_every;
        let Some(chosen) = (if is_fars_turn { far.or(near) } else { near.or(far) }) else {
            self.wake_at = far_at;
            return None;
        };
        // Whose turn it is waits for the limit, lest shorter pieces use it up each time.
        let up_at = self.up.ready_at(chosen.request.bytes, now);
        if up_at > now {
            self.wake_at = Some(up_at);
            return None;
        }
        Some(self.serve(chosen, now))
    }

    /// A serve has ended, after so many bytes of the piece (none, or not all, where it was cancelled or failed) and so long. Of
    /// the peer's share it takes a whole piece all the same, lest one that asks and cancels be next for ever.
    pub fn served(&mut self, id: ServeId, bytes: u64, took: Duration, now: Moment) {
        let Some(Serving { serve, is_far, is_left, .. }) = self.serving.remove(&id) else { return };
        let missing = serve.bytes.saturating_sub(bytes);
        self.pace.saw(bytes, took);
        self.up.give_back(missing);
        if is_far {
            self.border.give_back(missing);
        }
        if bytes == 0 {
            self.sent.take_back(&serve.topic, serve.piece);
        }
        if is_left {
            return;
        }
        let order = self.next_order();
        self.unlist(serve.peer);
        if let Some(state) = self.peers.get_mut(&serve.peer) {
            (state.serving, state.last) = (state.serving - 1, now);
            if missing > 0 {
                state.ungreet(&serve.topic);
            }
            state.place.order = order;
        }
        self.list(serve.peer);
    }

    fn candidate(&self, turns: &Turns) -> Option<Candidate> {
        let by_right = turns.first()?;
        let newcomer = turns.first_newcomer(self.settings.newcomer_lead_bytes).filter(|_| !self.was_early);
        let peer = newcomer.unwrap_or(by_right);
        let (at, request) = self.peers.get(&peer)?.choose(&self.sent, newcomer.is_some())?;
        Some(Candidate { peer, at, request, is_early: peer != by_right })
    }

    fn serve(&mut self, chosen: Candidate, now: Moment) -> Serve {
        let Candidate { peer, at, request, is_early } = chosen;
        let order = self.next_order();
        self.last_id += 1;
        let serve = Serve { id: ServeId(self.last_id), peer, topic: request.topic, piece: request.piece, bytes: request.bytes };
        self.unlist(peer);
        let state = self.peers.get_mut(&peer).expect("who is chosen is known");
        let is_far = is_far(state.nearness);
        if !is_early {
            let turns = if is_far { &mut self.far } else { &mut self.near };
            turns.advance(state.place);
        }
        state.take(at, now);
        state.place.order = order;
        self.left_queue(&[request]);
        self.list(peer);
        self.sent.add(serve.topic, serve.piece);
        self.up.take(serve.bytes, now);
        if is_far {
            self.border.take(serve.bytes, now);
        }
        self.was_early = is_early;
        // Nobody of another zone gains a turn while none waits.
        self.near_run = if is_far || self.far.count() == 0 { 0 } else { self.near_run.saturating_add(1) };
        self.serving.insert(serve.id, Serving { serve, is_far, is_cancelled: false, is_left: false });
        serve
    }
}
