//! What is asked of peers, and how much at once.

use std::time::Duration;

use libp2p_identity::PeerId;
use longshore_oci::piece::PieceIndex;
use tokio::sync::OwnedSemaphorePermit;

use crate::{
    download::Order,
    locality::Nearness,
    moment::Moment,
    plane::SendError,
    swarm::{
        arrival::{FetchId, MOST_ARRIVALS},
        task::Task,
    },
    upload::limits::Provider,
};

/// How soon memory, or a place to put pieces, is looked for again that there was none of.
const MEMORY_PAUSE: Duration = Duration::from_millis(10);
/// How long a piece is let be that there was no place for.
pub(super) const PLACE_PAUSE: Duration = Duration::from_millis(100);
/// How many pieces one decision asks for at most.
const MOST_AT_ONCE: u32 = 32;

const NEAR: Provider = Provider::Peer(Nearness::Zone);
const FAR: Provider = Provider::Peer(Nearness::Region);

impl Task {
    /// Has all of them decide that are to.
    pub(in crate::swarm) fn go_on_all(&mut self, now: Moment) {
        let due = self.fetches.iter().filter(|(_, fetch)| fetch.wake_at().is_some_and(|at| at <= now)).map(|(id, _)| *id);
        self.stirred.extend(due);
        let lacking: Vec<_> = self.fetches.iter().filter(|(_, fetch)| fetch.lacks_lease).map(|(id, _)| *id).collect();
        for id in lacking {
            self.need_lease(id, now);
        }
        // Those that something is to be done about once more have their turn when all others had theirs.
        for id in std::mem::take(&mut self.stirred) {
            self.go_on(id, now);
        }
    }

    fn go_on(&mut self, id: FetchId, now: Moment) {
        let count = u32::try_from(self.fetches.len()).unwrap_or(u32::MAX).max(1);
        let share = (self.settings.in_flight / count).max(self.settings.least_in_flight);
        let share = share.min(u32::try_from(MOST_ARRIVALS).unwrap_or(u32::MAX));
        let Some(fetch) = self.fetches.get_mut(&id) else { return };
        if fetch.download.is_done() || fetch.out.is_closed() {
            return self.end(id);
        }
        // What waits to be taken holds memory as what is on its way does, and has a place in the queue that must not be promised twice.
        let (bytes, waiting) = (fetch.piece_bytes(), fetch.waiting());
        let room = share.saturating_sub(fetch.download.in_flight()).saturating_sub(waiting);
        let (allowed, border) = (self.intake.may_ask(NEAR, bytes, now), self.intake.may_ask(FAR, bytes, now));
        let may = room.min(MOST_AT_ONCE).min(allowed);
        let mut memory = Vec::new();
        memory.extend((0..may).map_while(|_| fetch.memory.try_take(bytes)));
        let got = u32::try_from(memory.len()).unwrap_or(u32::MAX);
        let is_held = got < may || (room == 0 && waiting > 0);
        let pauses = [
            is_held.then(|| now + MEMORY_PAUSE),
            (allowed == 0).then(|| self.intake.ready_at(NEAR, bytes, now)),
            (border == 0).then(|| self.intake.ready_at(FAR, bytes, now)),
        ];
        fetch.starved_until = pauses.into_iter().flatten().min();
        fetch.download.limit_border(border);
        for order in fetch.download.decide(now, got) {
            self.carry_out(id, order, &mut memory, now);
        }
        if self.fails(id, now) {
            // Whom it may be opened at grows when trackers fall silent.
            self.open_anywhere(id, now);
            if self.fails(id, now) {
                self.fail(id);
            }
        }
    }

    fn carry_out(&mut self, id: FetchId, order: Order, memory: &mut Vec<OwnedSemaphorePermit>, now: Moment) {
        match order {
            Order::Ask { peer, piece } => self.ask(id, peer, piece, memory, now),
            Order::Cancel { peer, piece } => self.cancel(id, peer, piece, now),
            Order::AskOrigin { id: run, pieces, ground } => {
                if self.ask_origin(id, run, pieces, memory, now) {
                    self.metrics.asks_origin(ground);
                }
            }
            Order::CancelOrigin { id: run, has_stalled } => self.cancel_origin(id, run, has_stalled, now),
            Order::PassBy { peer, why } => {
                tracing::debug!(%peer, ?why, "a peer is passed by");
                self.metrics.passed_by.inc();
            }
            Order::NeedLease => self.need_lease(id, now),
        }
    }

    fn ask(&mut self, id: FetchId, peer: PeerId, piece: PieceIndex, memory: &mut Vec<OwnedSemaphorePermit>, now: Moment) {
        let Some(fetch) = self.fetches.get_mut(&id) else { return };
        let bytes = fetch.piece_bytes();
        let link = self.links.of(&peer).and_then(|link| Some((link, self.links.get(link)?)));
        let at = link.and_then(|(link, _)| fetch.at.get(&link)).filter(|at| at.is_open);
        // What a cancelled piece had is free again, but elsewhere.
        let room = memory.pop().or_else(|| fetch.memory.try_take(bytes));
        let (Some((link_id, link)), Some(at), Some(room)) = (link, at, room) else {
            return fetch.download.refused(peer, piece, PLACE_PAUSE, now);
        };
        let from = Provider::Peer(link.nearness);
        self.intake.charge(from, bytes, now);
        fetch.debts.owes(Some(peer), piece, from, bytes);
        match link.sender.ask(at.id, piece, room) {
            Ok(()) => {}
            Err(SendError::Full | SendError::Ended) => self.part(link_id, "it takes nothing", now),
            // As when its cancelling was not answered yet.
            Err(_) => {
                fetch.debts.forgive(Some(peer), piece, &mut self.intake);
                fetch.download.refused(peer, piece, PLACE_PAUSE, now);
                self.stirred.insert(id);
            }
        }
    }

    fn cancel(&mut self, id: FetchId, peer: PeerId, piece: PieceIndex, now: Moment) {
        let Some((link_id, at)) = self.links.of(&peer).and_then(|link| Some((link, *self.fetches.get(&id)?.at.get(&link)?)))
        else {
            return;
        };
        let Some(link) = self.links.get_mut(link_id) else { return };
        link.received.remove(&(at.id, piece));
        if let Some(fetch) = self.fetches.get_mut(&id) {
            fetch.debts.forgive(Some(peer), piece, &mut self.intake);
        }
        if let Err(SendError::Full | SendError::Ended) = link.sender.cancel(at.id, piece) {
            self.part(link_id, "it takes nothing", now);
        }
    }
}
