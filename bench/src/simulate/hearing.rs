//! What a node makes of what it hears: as the product's task does, with the same decisions.

use std::time::Duration;

use longshore_oci::piece::{PIECE_BYTES, PieceIndex, PieceSet};
use longshore_p2p::{
    acquaintance::{Holds, Source, Why},
    download::{RunEnd, RunId},
    locality::Nearness,
    record::PeerRecord,
    upload::{Asked, Asking, Cancelled, ServeId},
};

use super::{
    agenda::Nanos,
    network::{By, Parcel},
    post::{Letter, Said},
    shape::Kind,
    world::{World, moment, place},
};

/// When to ask again for a piece that is not here.
const ABSENT_PAUSE: Duration = Duration::from_secs(1);

impl World {
    pub(super) fn hear(&mut self, me: u32, letter: Letter) {
        let from = letter.from;
        match letter.said {
            Said::Connected => self.nodes[place(me)].may_dial = true,
            Said::Unreached => self.unreached(me, from),
            Said::Gone => self.lost(me, from),
            Said::Open(topic) => self.opens(me, from, topic),
            Said::Opened(topic, pieces, records) => self.opened(me, from, topic, &pieces, records),
            Said::Close(topic) => self.closes(me, from, topic),
            Said::Have(topic, piece) => self.has(me, from, topic, piece),
            Said::Ask(topic, piece) => self.asked(me, from, topic, piece),
            Said::Cancel(topic, piece) => self.cancelled(me, from, topic, piece),
            Said::Rejected(topic, piece, retry_after) => {
                let (peer, now) = (self.records[place(from)].peer, moment(self.now));
                let fetch = &mut self.nodes[place(me)].fetches[usize::from(topic)];
                if !fetch.is_over {
                    fetch.download.refused(peer, PieceIndex(piece), retry_after, now);
                    fetch.is_stirred = true;
                }
            }
            Said::Served(serve, bytes, took) => self.served(me, serve, bytes, took),
            Said::Checked(parcel) => self.checked(me, from, parcel),
            Said::Shown(topic) => {
                let node = &mut self.nodes[place(me)];
                node.fetches[usize::from(topic)].is_shown = true;
                node.may_dial = true;
            }
            Said::Told(tracker, asked_at, topics, answers) => self.told(me, tracker, asked_at, &topics, answers),
            Said::Forgotten(tracker) => self.forgotten(me, tracker),
        }
    }

    /// A peer opens a layer here.
    fn opens(&mut self, me: u32, from: u32, topic: u8) {
        let (now, peer) = (moment(self.now), self.records[place(from)].peer);
        let node = &mut self.nodes[place(me)];
        let Some(link) = node.links.get_mut(&from) else { return };
        link.theirs |= 1 << topic;
        let fetch = &node.fetches[usize::from(topic)];
        let pieces = if node.kind == Kind::Liar { PieceSet::all_of(self.shape.pieces) } else { fetch.download.here().clone() };
        let introduced = node.book.introduce(&fetch.key, &self.records[place(from)], now, &mut node.rng);
        node.book.used(&peer, now);
        node.book.says(fetch.key, peer, Holds::Some, now);
        // It is judged first whether the peer may have it.
        let at = self.now + self.shape.rights;
        let heard = self.post.heard_at(me, from, self.now).max(at + self.post.way(me, from));
        self.post.put(from, me, Said::Opened(topic, Box::new(pieces), introduced), heard);
        self.open_at(me, from, topic);
    }

    fn opened(&mut self, me: u32, from: u32, topic: u8, pieces: &PieceSet, introduced: Vec<PeerRecord>) {
        let (now, peer) = (moment(self.now), self.records[place(from)].peer);
        let node = &mut self.nodes[place(me)];
        let Some(link) = node.links.get(&from) else { return };
        let fetch = &mut node.fetches[usize::from(topic)];
        if fetch.is_over || !fetch.at.contains_key(&from) {
            return;
        }
        if !fetch.download.add_peer(peer, link.nearness, pieces, now) {
            return self.give_up_at(me, from, topic);
        }
        if let Some(at) = fetch.at.get_mut(&from) {
            at.is_open = true;
        }
        fetch.is_stirred = true;
        node.book.used(&peer, now);
        node.book.says(fetch.key, peer, if pieces.is_full() { Holds::All } else { Holds::Some }, now);
        for record in introduced {
            let told = record.peer;
            node.book.learn(record, Source::Exchange(peer), now);
            node.book.says(fetch.key, told, Holds::Some, now);
            node.may_dial = true;
        }
    }

    /// A peer needs nothing more of a layer.
    fn closes(&mut self, me: u32, from: u32, topic: u8) {
        let node = &mut self.nodes[place(me)];
        let Some(link) = node.links.get_mut(&from) else { return };
        link.theirs &= !(1 << topic);
        let asked: Vec<_> =
            node.serving.iter().filter(|(_, (to, of, _))| (*to, *of) == (from, topic)).map(|(id, _)| *id).collect();
        for serve in asked {
            self.stop(me, from, serve);
        }
        let (node, peer) = (&mut self.nodes[place(me)], self.records[place(from)].peer);
        for piece in 0..self.shape.pieces {
            node.uploads.cancel(peer, &self.keys[usize::from(topic)], PieceIndex(piece));
        }
    }

    fn has(&mut self, me: u32, from: u32, topic: u8, piece: u32) {
        let fetch = &mut self.nodes[place(me)].fetches[usize::from(topic)];
        if !fetch.is_over && fetch.at.get(&from).is_some_and(|at| at.is_open) {
            fetch.download.has(self.records[place(from)].peer, PieceIndex(piece), moment(self.now));
            fetch.is_stirred = true;
        }
    }

    fn asked(&mut self, me: u32, from: u32, topic: u8, piece: u32) {
        let (now, peer) = (moment(self.now), self.records[place(from)].peer);
        let node = &mut self.nodes[place(me)];
        let Some(link) = node.links.get(&from).filter(|link| link.theirs & (1 << topic) != 0) else { return };
        node.book.used(&peer, now);
        if node.kind == Kind::FreeRider {
            return;
        }
        let is_here = node.kind == Kind::Liar || node.fetches[usize::from(topic)].download.here().contains(PieceIndex(piece));
        let asking = if is_here {
            let is_newcomer = link.served & (1 << topic) == 0;
            let (topic, piece) = (self.keys[usize::from(topic)], PieceIndex(piece));
            let asked = Asked { topic, piece, bytes: PIECE_BYTES, nearness: link.nearness, is_newcomer };
            node.uploads.ask(peer, asked, now)
        } else {
            Asking::Rejected { retry_after: ABSENT_PAUSE }
        };
        if let Asking::Rejected { retry_after } = asking {
            self.post.say(me, from, Said::Rejected(topic, piece, retry_after), self.now);
        }
    }

    fn cancelled(&mut self, me: u32, from: u32, topic: u8, piece: u32) {
        let peer = self.records[place(from)].peer;
        let node = &mut self.nodes[place(me)];
        if let Cancelled::Serving(serve) = node.uploads.cancel(peer, &self.keys[usize::from(topic)], PieceIndex(piece)) {
            self.stop(me, from, serve);
        }
    }

    /// Stops a serve, where that is not its socket's affair already.
    pub(super) fn stop(&mut self, me: u32, to: u32, serve: ServeId) {
        let link = self.nodes[place(me)].links.get(&to);
        let is_stopped = link.is_none_or(|link| self.post.network.stop(link.pipe, serve));
        if is_stopped {
            self.post.put(me, me, Said::Served(serve, 0, 0), self.now);
        }
    }

    fn served(&mut self, me: u32, serve: ServeId, bytes: u64, took: Nanos) {
        let now = moment(self.now);
        let node = &mut self.nodes[place(me)];
        let Some((to, topic, _)) = node.serving.remove(&serve) else { return };
        node.uploads.served(serve, bytes.min(PIECE_BYTES), Duration::from_nanos(took), now);
        if let Some(link) = node.links.get_mut(&to)
            && bytes > 0
        {
            link.served |= 1 << topic;
        }
        node.book.used(&self.records[place(to)].peer, now);
    }

    /// A piece was looked at.
    fn checked(&mut self, me: u32, from: u32, parcel: Parcel) {
        let now = moment(self.now);
        let Parcel { topic, piece, by, is_wrong } = parcel;
        let piece = PieceIndex(piece);
        if is_wrong {
            self.counts.wrong_pieces += 1;
            let peer = self.records[place(from)].peer;
            self.nodes[place(me)].book.ban(peer, Why::WrongPiece, now);
            self.counts.bans += 1;
            return self.part(me, from);
        }
        let node = &mut self.nodes[place(me)];
        let fetch = &mut node.fetches[usize::from(topic)];
        let is_new = !fetch.is_over && !fetch.download.here().contains(piece);
        match by {
            By::Peer(_) => {
                let peer = self.records[place(from)].peer;
                node.book.used(&peer, now);
                let is_near = node.links.get(&from).is_none_or(|link| link.nearness <= Nearness::Zone);
                if is_new {
                    *(if is_near { &mut self.counts.near } else { &mut self.counts.far }) += PIECE_BYTES;
                }
                if !fetch.is_over {
                    fetch.download.came(peer, piece, now);
                }
            }
            By::Origin(run) => {
                if is_new {
                    self.counts.origin_new += PIECE_BYTES;
                }
                if !fetch.is_over {
                    fetch.download.origin_came(RunId(run), piece, now);
                    self.end_run_if_brought(me, topic, RunId(run), piece.0);
                }
            }
        }
        let node = &mut self.nodes[place(me)];
        node.fetches[usize::from(topic)].is_stirred = true;
        if is_new {
            let landed = self.now + self.shape.landing;
            for (other, link) in &node.links {
                if link.theirs & (1 << topic) != 0 {
                    self.post.say(me, *other, Said::Have(topic, piece.0), landed);
                }
            }
        }
    }

    /// A run is over that has brought its last piece.
    fn end_run_if_brought(&mut self, me: u32, topic: u8, run: RunId, piece: u32) {
        let now = moment(self.now);
        let fetch = &mut self.nodes[place(me)].fetches[usize::from(topic)];
        if let Some((pipe, last)) = fetch.runs.get(&run).copied()
            && piece == last
        {
            self.post.network.close(pipe);
            fetch.runs.remove(&run);
            fetch.download.origin_ended(run, RunEnd::Done, now);
        }
    }
}
