//! Connections: whom to dial, at whom to open what, and what happens when one ends.

use longshore_p2p::acquaintance::{Need, Source};

use super::{
    agenda::{Event, MS},
    node::{At, Link},
    post::Said,
    world::{World, moment, place, span},
};

/// What both ends of a handshake compute, together.
const HANDSHAKE: u64 = 2 * MS;
/// Ways that a connection takes: TCP's, TLS's, and the greeting's, there and back.
const WAYS: u64 = 3;
/// How long a dial to one that is silent takes to fail.
const CONNECT_TIMEOUT: u64 = 5_000 * MS;

impl World {
    /// Opens what is wanted at those who may have it, and dials more of them.
    pub(super) fn seek(&mut self, me: u32) {
        for topic in 0..self.shape.layers {
            self.open_anywhere(me, topic);
        }
        let now = moment(self.now);
        let node = &mut self.nodes[place(me)];
        let is_beyond = |other: &u32| node.links.get(other).is_some_and(|link| node.book.is_beyond(link.nearness));
        let going = node.fetches.iter().filter(|fetch| !fetch.is_over);
        let need = |fetch: &super::node::Fetch| Need {
            peers: fetch.at.len(),
            beyond: fetch.at.keys().filter(|other| is_beyond(other)).count(),
            topic: fetch.key,
        };
        let needs: Vec<_> = going.map(need).collect();
        if needs.is_empty() {
            return;
        }
        for peer in node.book.whom_to_dial(&needs, now, &mut node.rng) {
            if !self.nodes[place(me)].book.dialing(peer, now) {
                continue;
            }
            self.counts.dials += 1;
            let other = Self::number_of(&peer);
            let there = self.post.heard_at(me, other, self.now);
            let back = self.post.heard_at(other, me, self.now);
            let round = there + back - 2 * self.now;
            let is_silent = !self.nodes[place(other)].is_alive;
            let takes = if is_silent { CONNECT_TIMEOUT } else { WAYS * round + HANDSHAKE };
            self.post.agenda.add(self.now + takes, Event::Greets { from: me, to: other });
        }
    }

    /// A node that was dialed greets, or does not.
    pub(super) fn greets(&mut self, from: u32, to: u32) {
        let now = moment(self.now);
        if !self.nodes[place(from)].is_alive {
            return;
        }
        if !self.nodes[place(to)].is_alive {
            return self.post.put(from, to, Said::Unreached, self.now);
        }
        let (one, other) = (self.records[place(from)].peer, self.records[place(to)].peer);
        let is_kept = self.nodes[place(from)].book.connected(other, now);
        let is_taken = self.nodes[place(to)].book.connected(one, now);
        let is_known = self.nodes[place(from)].links.contains_key(&to);
        if is_known {
            // Two have dialed each other: one connection is enough.
            return;
        }
        for (me, you, stays) in [(from, to, is_kept), (to, from, is_taken)] {
            let (peer, record) = (self.records[place(you)].peer, self.records[place(you)].clone());
            let node = &mut self.nodes[place(me)];
            if !(is_kept && is_taken) {
                if stays {
                    node.book.lost(peer, now, &mut node.rng);
                }
                self.post.put(me, you, Said::Connected, self.now);
                continue;
            }
            let nearness = self.records[place(me)].locality.nearness(&record.locality);
            node.book.learn(record, Source::Itself, now);
            let pipe = self.post.network.open(me, you, self.post.way(me, you));
            node.links.insert(you, Link { nearness, theirs: 0, served: 0, pipe });
            self.post.put(me, you, Said::Connected, self.now);
        }
    }

    pub(super) fn unreached(&mut self, me: u32, other: u32) {
        let now = moment(self.now);
        let node = &mut self.nodes[place(me)];
        node.book.failed(self.records[place(other)].peer, now, &mut node.rng);
        node.may_dial = true;
        self.counts.failed_dials += 1;
    }

    /// A connection has ended.
    pub(super) fn lost(&mut self, me: u32, other: u32) {
        if !self.nodes[place(me)].links.contains_key(&other) {
            return;
        }
        self.forget_link(me, other);
        let now = moment(self.now);
        let node = &mut self.nodes[place(me)];
        node.book.lost(self.records[place(other)].peer, now, &mut node.rng);
        node.may_dial = true;
    }

    /// Ends a connection.
    pub(super) fn part(&mut self, me: u32, other: u32) {
        if self.nodes[place(me)].links.contains_key(&other) {
            self.lost(me, other);
            self.post.say(me, other, Said::Gone, self.now);
        }
    }

    fn forget_link(&mut self, me: u32, other: u32) {
        let peer = self.records[place(other)].peer;
        let node = &mut self.nodes[place(me)];
        let Some(link) = node.links.remove(&other) else { return };
        self.post.network.close(link.pipe);
        for fetch in &mut node.fetches {
            if fetch.at.remove(&other).is_some_and(|at| at.is_open) {
                fetch.download.drop_peer(peer);
            }
            fetch.is_stirred = true;
        }
        for serve in node.uploads.forget_peer(peer) {
            self.post.put(me, me, Said::Served(serve, 0, 0), self.now);
        }
    }

    /// Opens a layer at the peers that may know of it, as far as these are connected.
    pub(super) fn open_anywhere(&mut self, me: u32, topic: u8) {
        let now = moment(self.now);
        let most = self.shape.settings.download.most_peers;
        let is_silent = self.leading(me, topic).is_none();
        let node = &self.nodes[place(me)];
        let fetch = &node.fetches[usize::from(topic)];
        if fetch.is_over || !fetch.is_shown || fetch.at.len() >= most {
            return;
        }
        let mut said: Vec<_> = node.book.holders(&fetch.key, now).map(|(peer, holds)| (holds, peer)).collect();
        said.sort_unstable();
        let said = said.into_iter().map(|(_, peer)| Self::number_of(&peer)).chain(fetch.again.iter().copied());
        let tracked = |other: &u32| is_silent && node.book.is_tracked(&self.records[place(*other)].peer);
        let others = node.links.keys().copied().filter(tracked);
        let may_know = said.filter(|other| node.links.contains_key(other)).chain(others);
        let fitting: Vec<_> = may_know.filter(|other| !fetch.at.contains_key(other)).collect();
        for other in fitting {
            self.open_at(me, other, topic);
        }
    }

    /// Opens a layer at a peer, where that was not done and there is room for one peer more.
    pub(super) fn open_at(&mut self, me: u32, other: u32, topic: u8) {
        let most = self.shape.settings.download.most_peers;
        let node = &mut self.nodes[place(me)];
        let fetch = &mut node.fetches[usize::from(topic)];
        let has_no_room = fetch.at.contains_key(&other) || fetch.at.len() >= most || fetch.refused.contains_key(&other);
        if has_no_room || fetch.is_over || !fetch.is_shown || !node.links.contains_key(&other) {
            return;
        }
        fetch.at.insert(other, At { is_open: false, since: self.now });
        fetch.again.remove(&other);
        self.post.say(me, other, Said::Open(topic), self.now);
    }

    /// Closes a layer at a peer that is of no use for it now.
    pub(super) fn give_up_at(&mut self, me: u32, other: u32, topic: u8) {
        let node = &mut self.nodes[place(me)];
        let fetch = &mut node.fetches[usize::from(topic)];
        if fetch.at.remove(&other).is_none() {
            return;
        }
        fetch.refused.insert(other, self.now + span(self.shape.settings.refused_for));
        node.may_dial = true;
        self.post.say(me, other, Said::Close(topic), self.now);
    }

    /// What comes to an end by itself.
    pub(super) fn tick(&mut self, me: u32) {
        let (now, patience) = (moment(self.now), span(self.shape.settings.open_timeout));
        for topic in 0..self.shape.layers {
            let node = &mut self.nodes[place(me)];
            let fetch = &mut node.fetches[usize::from(topic)];
            if fetch.is_over {
                continue;
            }
            let lapsed: Vec<_> = fetch.refused.extract_if(.., |_, until| *until <= self.now).map(|(other, _)| other).collect();
            fetch.again.extend(lapsed.into_iter().filter(|other| node.links.contains_key(other)));
            let is_overdue = |at: &At| !at.is_open && self.now - at.since >= patience;
            let overdue: Vec<_> = fetch.at.iter().filter(|(_, at)| is_overdue(at)).map(|(other, _)| *other).collect();
            for other in overdue {
                self.give_up_at(me, other, topic);
            }
        }
        for peer in self.nodes[place(me)].book.whom_to_drop(now) {
            self.part(me, Self::number_of(&peer));
        }
        let node = &mut self.nodes[place(me)];
        node.may_dial |= node.wanted() > 0;
    }
}
