//! What a node does when it has heard what there was: it decides by the product's code, and what that orders is done.

use std::{ops::Range, time::Duration};

use longshore_p2p::download::{Order, RunId};

use super::{
    agenda::{Event, MS, NEVER, Nanos},
    network::By,
    post::Said,
    shape::Kind,
    world::{World, moment, nanos, place},
};

/// How often a node looks for what ends by itself.
const TICK: Nanos = 500 * MS;
/// How many pieces one decision asks for at most.
const MOST_AT_ONCE: u32 = 32;
/// How often a node decides at once before it waits for the next beat.
const MOST_ROUNDS: usize = 3;

impl World {
    /// Does what there is to do now, and says when to look again.
    pub(super) fn act(&mut self, me: u32) {
        for _ in 0..MOST_ROUNDS {
            let node = &mut self.nodes[place(me)];
            if self.now >= node.tick_at {
                node.tick_at = self.now + TICK;
                self.tick(me);
            }
            if std::mem::take(&mut self.nodes[place(me)].may_dial) {
                self.seek(me);
            }
            self.go_on_all(me);
            self.serve(me);
            self.announce(me);
            let node = &self.nodes[place(me)];
            if !node.may_dial && node.fetches.iter().all(|fetch| !fetch.is_stirred) {
                break;
            }
        }
        let node = &self.nodes[place(me)];
        let is_unsettled = node.may_dial || node.fetches.iter().any(|fetch| fetch.is_stirred);
        let going = node.fetches.iter().filter(|fetch| !fetch.is_over);
        let downloads = going.filter_map(|fetch| fetch.download.wake_at()).map(nanos).min().unwrap_or(NEVER);
        let uploads = node.uploads.wake_at().map_or(NEVER, nanos);
        let trackers = node.trackers[..self.trackers.len()].iter().map(super::node::TrackerView::wakes_at).min().unwrap_or(NEVER);
        // Who has all and nobody to serve only renews what it announced.
        let tick = if node.wanted() > 0 || !node.links.is_empty() { node.tick_at } else { NEVER };
        let wakes = downloads.min(uploads).min(trackers).min(tick).max(self.now + 1);
        self.post.attend(me, if is_unsettled { self.now + 1 } else { wakes });
    }

    fn go_on_all(&mut self, me: u32) {
        let now = moment(self.now);
        for topic in 0..self.shape.layers {
            let fetch = &mut self.nodes[place(me)].fetches[usize::from(topic)];
            if fetch.is_over {
                fetch.is_stirred = false;
                continue;
            }
            fetch.is_stirred |= fetch.download.wake_at().is_some_and(|at| at <= now);
            if fetch.lacks_lease {
                self.need_lease(me, topic);
            }
        }
        for topic in 0..self.shape.layers {
            if std::mem::take(&mut self.nodes[place(me)].fetches[usize::from(topic)].is_stirred) {
                self.go_on(me, topic);
            }
        }
    }

    fn go_on(&mut self, me: u32, topic: u8) {
        let settings = &self.shape.settings;
        let node = &mut self.nodes[place(me)];
        let count = u32::try_from(node.wanted()).unwrap_or(u32::MAX).max(1);
        let share = (settings.in_flight / count).max(settings.least_in_flight);
        let fetch = &mut node.fetches[usize::from(topic)];
        if fetch.download.is_done() {
            return self.end(me, topic);
        }
        let room = share.saturating_sub(fetch.download.in_flight());
        self.counts.decisions += 1;
        for order in fetch.download.decide(moment(self.now), room.min(MOST_AT_ONCE)) {
            self.carry_out(me, topic, order);
        }
    }

    fn carry_out(&mut self, me: u32, topic: u8, order: Order) {
        match order {
            Order::Ask { peer, piece } => {
                let other = Self::number_of(&peer);
                let fetch = &mut self.nodes[place(me)].fetches[usize::from(topic)];
                if fetch.at.get(&other).is_none_or(|at| !at.is_open) {
                    let pause = Duration::from_millis(100);
                    return fetch.download.refused(peer, piece, pause, moment(self.now));
                }
                self.post.say(me, other, Said::Ask(topic, piece.0), self.now);
            }
            Order::Cancel { peer, piece } => {
                let other = Self::number_of(&peer);
                self.post.say(me, other, Said::Cancel(topic, piece.0), self.now);
                if let Some(link) = self.nodes[place(other)].links.get(&me) {
                    self.post.network.drop_piece(link.pipe, topic, piece.0);
                }
            }
            Order::AskOrigin { id, pieces, .. } => self.ask_origin(me, topic, id, pieces),
            Order::CancelOrigin { id, .. } => {
                if let Some((pipe, _)) = self.nodes[place(me)].fetches[usize::from(topic)].runs.remove(&id) {
                    self.post.network.close(pipe);
                }
            }
            Order::PassBy { .. } => self.counts.passed_by += 1,
            Order::NeedLease => self.need_lease(me, topic),
        }
    }

    fn ask_origin(&mut self, me: u32, topic: u8, id: RunId, pieces: Range<u32>) {
        let origin = self.shape.nodes;
        let answers_at = self.post.heard_at(me, origin, self.now) + self.shape.origin_delay;
        let pipe = self.post.network.open(origin, me, self.post.way(origin, me));
        let last = pieces.end.saturating_sub(1);
        for piece in pieces {
            let parcel = Self::parcel(topic, piece, By::Origin(id.0), false);
            self.post.network.send(pipe, parcel, Self::piece_bytes(), answers_at);
        }
        self.post.agenda.add(answers_at, Event::Answers(pipe));
        self.nodes[place(me)].fetches[usize::from(topic)].runs.insert(id, (pipe, last));
        self.counts.origin_requests += 1;
    }

    /// Sends what may be sent now.
    fn serve(&mut self, me: u32) {
        let now = moment(self.now);
        loop {
            let node = &mut self.nodes[place(me)];
            let Some(serve) = node.uploads.next(now) else { return };
            let other = Self::number_of(&serve.peer);
            let topic = self.keys.iter().position(|key| *key == serve.topic).and_then(|topic| u8::try_from(topic).ok());
            let link = node.links.get(&other);
            let (Some(topic), Some(link)) = (topic, link) else {
                node.uploads.served(serve.id, 0, Duration::ZERO, now);
                continue;
            };
            let parcel = Self::parcel(topic, serve.piece.0, By::Peer(serve.id), node.kind == Kind::Liar);
            let pipe = link.pipe;
            node.serving.insert(serve.id, (other, topic, serve.piece.0));
            self.post.network.send(pipe, parcel, Self::piece_bytes(), self.now);
            self.post.pump(pipe, self.now);
        }
    }

    /// All of a layer is here: nothing more is wanted of it.
    fn end(&mut self, me: u32, topic: u8) {
        let node = &mut self.nodes[place(me)];
        let fetch = &mut node.fetches[usize::from(topic)];
        fetch.is_over = true;
        for (other, _) in std::mem::take(&mut fetch.at) {
            self.post.say(me, other, Said::Close(topic), self.now);
        }
        for (_, (pipe, _)) in std::mem::take(&mut fetch.runs) {
            self.post.network.close(pipe);
        }
        (fetch.is_shown, fetch.lacks_lease) = (false, false);
        node.may_dial = true;
        if node.wanted() == 0 && node.done.is_none() {
            node.done = Some(self.now);
            self.unfinished -= 1;
        }
    }

    /// How many pieces of a layer are at a node.
    #[cfg(test)]
    pub(super) fn here(&self, me: u32, topic: u8) -> u32 {
        self.nodes[place(me)].fetches[usize::from(topic)].download.here().count()
    }
}
