//! One node's serving of others: what they ask for waits in bounded queues, and whenever a slot is free it is said who is served
//! next.
//!
//! - Nobody gets more than its share: of two peers of a kind that wait all the time, neither is more than a piece ahead.
//! - A peer that has nothing of a blob gets its first piece before others, in every second serve at most, and no more than a few
//!   pieces ahead of its share: with one piece it can serve others.
//! - Of what a peer waits for, the piece that this node has sent least goes first, so that in a flash crowd what leaves the only
//!   holder is each time another piece.
//! - Peers of the own zone go before others, who have a share of the turns and of the slots.
//!
//! There is no clock and no I/O in here: who calls it says what time it is, and sends the bytes. It tells of each [`Serve`] by
//! [`Uploads::served`], once, however it ended; it tells when a connection is gone; and after each of these, and at
//! [`Uploads::wake_at`], it calls [`Uploads::next`] until there is nothing.

pub mod limits;
mod next;
mod pace;
mod queue;
mod sent;
mod serve;
mod settings;
#[cfg(test)]
mod tests;
mod turns;

use std::{collections::BTreeMap, time::Duration};

use libp2p_identity::PeerId;
use longshore_oci::piece::PieceIndex;

use self::{
    limits::Bucket,
    pace::Pace,
    queue::{Peer, Request},
    sent::Sent,
    turns::{Place, Turns},
};
use crate::{locality::Nearness, moment::Moment, topic::TopicKey};

pub use self::{
    serve::{Asked, Asking, Cancelled, Serve, ServeId},
    settings::UploadSettings,
};

/// One peer may have this part of the room that is left in the queue, so that those who came first leave some to those who come.
const PART_OF_ROOM: usize = 64;
/// So many requests wait in any case, lest a slot idle.
const ALWAYS_QUEUED: usize = 2;

/// How much there is of what is bounded.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct UploadUsage {
    /// Pieces that are being served.
    pub serving: usize,
    /// Requests that wait.
    pub queued: usize,
    /// The bytes that they are for.
    pub queued_bytes: u64,
    /// Peers that are kept in mind.
    pub peers: usize,
    /// Pieces of which is kept in mind how often they were sent.
    pub counted_pieces: usize,
}

#[derive(Debug)]
struct Serving {
    serve: Serve,
    is_far: bool,
    is_cancelled: bool,
    /// Whether its peer was forgotten meanwhile; one that is known by the same id has nothing to do with it.
    is_left: bool,
}

impl Serving {
    fn is_of(&self, peer: PeerId, topic: &TopicKey, piece: PieceIndex) -> bool {
        let serve = &self.serve;
        !self.is_cancelled && (serve.peer, serve.topic, serve.piece) == (peer, *topic, piece)
    }
}

/// One node's serving of all blobs.
#[derive(Debug)]
pub struct Uploads {
    settings: UploadSettings,
    up: Bucket,
    border: Bucket,
    peers: BTreeMap<PeerId, Peer>,
    near: Turns,
    far: Turns,
    serving: BTreeMap<ServeId, Serving>,
    queued: usize,
    queued_bytes: u64,
    sent: Sent,
    pace: Pace,
    /// How many of the own zone were served since one of another that waits.
    near_run: u32,
    /// Whether the last that was served was a newcomer out of turn.
    was_early: bool,
    last_id: u64,
    last_order: u64,
    wake_at: Option<Moment>,
}

impl Uploads {
    /// One that serves nobody yet.
    pub fn new(settings: UploadSettings) -> Self {
        Self {
            up: Bucket::new(settings.limits.up),
            border: Bucket::new(settings.limits.border_up),
            peers: BTreeMap::new(),
            near: Turns::default(),
            far: Turns::default(),
            serving: BTreeMap::new(),
            queued: 0,
            queued_bytes: 0,
            sent: Sent::new(settings.counted_pieces),
            pace: Pace::default(),
            near_run: 0,
            was_early: false,
            last_id: 0,
            last_order: 0,
            wake_at: None,
            settings,
        }
    }

    /// A peer asks for a piece that this node has and the peer may have. What waits or is being served already is not taken
    /// twice.
    pub fn ask(&mut self, peer: PeerId, asked: Asked, now: Moment) -> Asking {
        let Asked { topic, piece, bytes, nearness, is_newcomer } = asked;
        if self.is_known(peer, &topic, piece) {
            return Asking::Taken;
        }
        // Who comes before it was told to is no better off than others.
        let not_before = self.peers.get(&peer).map_or(now, |state| state.not_before);
        if now < not_before {
            return Asking::Rejected { retry_after: not_before.since(now) };
        }
        let waiting = self.peers.get(&peer).map_or(0, Peer::waiting);
        let left = self.settings.queued.saturating_sub(self.queued);
        if left == 0 || self.is_crowded() || !self.make_room_for(peer) {
            return self.reject(peer, nearness, self.queued_bytes, now);
        }
        if waiting >= self.settings.queued_per_peer.min(left.div_ceil(PART_OF_ROOM)) {
            // As many bytes go to each of the others meanwhile.
            let others = u64::try_from(self.near.count() + self.far.count()).unwrap_or(u64::MAX);
            let bytes = self.peers.get(&peer).map_or(0, Peer::waiting_bytes);
            return self.reject(peer, nearness, bytes.saturating_mul(others.max(1)), now);
        }
        self.unlist(peer);
        let order = self.next_order();
        let state = self.peers.entry(peer).or_insert_with(|| Peer::new(nearness, now));
        let has_moved = is_far(state.nearness) != is_far(nearness);
        (state.nearness, state.last) = (nearness, now);
        if waiting == 0 || has_moved {
            let turns = if is_far(nearness) { &self.far } else { &self.near };
            let had_bytes = if has_moved { 0 } else { state.place.had_bytes };
            state.place = Place { had_bytes: turns.end_of_round(had_bytes), order };
        }
        state.push(topic, piece, bytes, is_newcomer);
        (self.queued, self.queued_bytes) = (self.queued + 1, self.queued_bytes + bytes);
        self.list(peer);
        Asking::Taken
    }

    /// A peer does not want a piece any more.
    pub fn cancel(&mut self, peer: PeerId, topic: &TopicKey, piece: PieceIndex) -> Cancelled {
        self.unlist(peer);
        let request = self.peers.get_mut(&peer).and_then(|state| state.cancel(topic, piece));
        self.left_queue(request.as_slice());
        self.list(peer);
        if request.is_some() {
            return Cancelled::Waiting;
        }
        let found = self.serving.values_mut().find(|serving| serving.is_of(peer, topic, piece));
        found.map_or(Cancelled::Unknown, |serving| {
            serving.is_cancelled = true;
            Cancelled::Serving(serving.serve.id)
        })
    }

    /// The connection to a peer is gone: what it waited for is forgotten. What is being sent to it is to stop; each holds its slot, and
    /// what it took of the limits, until [`Self::served`] says how far it came.
    pub fn forget_peer(&mut self, peer: PeerId) -> Vec<ServeId> {
        self.unlist(peer);
        let Some(state) = self.peers.remove(&peer) else { return Vec::new() };
        self.left_queue(&state.into_waiting());
        let left = self.serving.values_mut().filter(|serving| serving.serve.peer == peer && !serving.is_left);
        left.map(|serving| {
            (serving.is_cancelled, serving.is_left) = (true, true);
            serving.serve.id
        })
        .collect()
    }

    /// When to call [`Self::next`] though nothing happens: somebody waits, and only a limit holds it back.
    pub fn wake_at(&self) -> Option<Moment> {
        self.wake_at
    }

    /// How much there is of what is bounded.
    pub fn usage(&self) -> UploadUsage {
        UploadUsage {
            serving: self.serving.len(),
            queued: self.queued,
            queued_bytes: self.queued_bytes,
            peers: self.peers.len(),
            counted_pieces: self.sent.pieces(),
        }
    }

    fn is_known(&self, peer: PeerId, topic: &TopicKey, piece: PieceIndex) -> bool {
        let waits = self.peers.get(&peer).is_some_and(|state| state.waits_for(topic, piece));
        waits || self.serving.values().any(|serving| serving.is_of(peer, topic, piece))
    }

    /// Whether the peer is known or may be; the one that was idle for longest makes room for it.
    fn make_room_for(&mut self, peer: PeerId) -> bool {
        if self.peers.len() >= self.settings.peers && !self.peers.contains_key(&peer) {
            let idle = self.peers.iter().filter(|(_, state)| state.is_idle());
            let Some(longest) = idle.min_by_key(|(_, state)| state.last).map(|(peer, _)| *peer) else { return false };
            self.peers.remove(&longest);
        }
        true
    }

    /// Whether what waits takes as long as anybody is to wait.
    fn is_crowded(&self) -> bool {
        self.queued >= ALWAYS_QUEUED && self.time_of(self.queued_bytes) >= self.settings.queued_for
    }

    fn time_of(&self, bytes: u64) -> Duration {
        let most_bytes_per_s = self.up.rate().map_or(u64::MAX, |rate| rate.bytes_per_s.get());
        self.pace.time_of(bytes, self.settings.slots, most_bytes_per_s)
    }

    /// Turns a request away until half of these bytes have gone.
    fn reject(&mut self, peer: PeerId, nearness: Nearness, bytes: u64, now: Moment) -> Asking {
        let half = self.time_of(bytes / 2);
        let retry_after = half.min(self.settings.most_retry).max(self.settings.least_retry);
        if self.make_room_for(peer) {
            self.peers.entry(peer).or_insert_with(|| Peer::new(nearness, now)).not_before = now + retry_after;
        }
        Asking::Rejected { retry_after }
    }

    fn left_queue(&mut self, requests: &[Request]) {
        self.queued -= requests.len();
        self.queued_bytes -= requests.iter().map(|request| request.bytes).sum::<u64>();
    }

    /// Takes a peer out of those that wait and may be served; what decides where it stands may then be changed.
    fn unlist(&mut self, peer: PeerId) {
        if let Some(state) = self.peers.get_mut(&peer).filter(|state| state.is_listed) {
            state.is_listed = false;
            let turns = if is_far(state.nearness) { &mut self.far } else { &mut self.near };
            turns.remove(state.place, peer);
        }
    }

    /// Puts a peer back, if it waits and may be served.
    fn list(&mut self, peer: PeerId) {
        let slots = self.settings.slots_per_peer;
        if let Some(state) = self.peers.get_mut(&peer).filter(|state| state.waiting() > 0 && state.serving < slots) {
            state.is_listed = true;
            let turns = if is_far(state.nearness) { &mut self.far } else { &mut self.near };
            state.place.had_bytes = turns.now_or_later(state.place.had_bytes);
            turns.insert(state.place, peer, state.is_newcomer());
        }
    }

    fn next_order(&mut self) -> u64 {
        self.last_order += 1;
        self.last_order
    }
}

/// Whether bytes to it cross the zone's border.
fn is_far(nearness: Nearness) -> bool {
    nearness > Nearness::Zone
}
