//! What others want of this node: what they open and ask for, and what they are sent.

mod judging;
mod sending;

use std::collections::BTreeSet;

use longshore_oci::piece::PieceSet;

use super::{
    Kept,
    link::{LinkId, Theirs},
    task::Task,
};
use crate::{
    acquaintance::Holds,
    moment::Moment,
    plane::{Event, SendError},
    upload::Cancelled,
    wire::{Open, Opened, TopicId},
};

pub(super) use self::{judging::Judging, sending::Serving};

impl Task {
    /// A peer has said something.
    pub(super) fn said(&mut self, link: LinkId, event: Event, now: Moment) {
        match event {
            Event::Open(open) => self.open(link, open),
            Event::Close { id } => self.close(link, id),
            Event::Ask { id, piece } => self.asked(link, id, piece, now),
            Event::Cancel { id, piece } => self.cancelled(link, id, piece),
            Event::Opened { opened, .. } => {
                if !self.told_of(link, &opened, now) {
                    self.opened(link, &opened, now);
                }
            }
            Event::Refused { id } => {
                if !self.told_nothing(link, id, now) {
                    self.refused(link, id, now);
                }
            }
            Event::Have { id, piece } => self.has(link, id, piece, now),
            Event::Progress { id, piece, received_bytes } => self.progress(link, id, piece, received_bytes, now),
            Event::Piece(piece) => self.piece(link, piece),
            Event::Rejected { id, piece, retry_after } => self.rejected(link, id, piece, retry_after, now),
            Event::Introduced { id, records } => self.introduced(link, id, records, now),
        }
    }

    /// A peer opens a topic. Whether it may have it is found out first, be anything of it here or not.
    fn open(&mut self, link_id: LinkId, open: Open) {
        let Some(link) = self.links.get_mut(link_id) else { return };
        let Open { id, topic, token, want_metainfo } = open;
        let key = topic.key();
        let is_open = link.theirs.values().any(|theirs| theirs.key == key);
        let room = self.judging.room_for(link_id, link.peer.remote.ip(), &self.settings);
        if !is_open && let Err(crowd) = room {
            self.metrics.turned_away("question", crowd.name(), 1);
        }
        if is_open || room.is_err() {
            let _ = link.sender.refuse(id);
            return;
        }
        let asked = BTreeSet::new();
        let theirs =
            Theirs { topic, key, token, until: None, is_judged: false, granted: None, due: None, asked, has_some: false };
        link.theirs.insert(id, theirs);
        self.judge(link_id, id, want_metainfo);
    }

    /// What is here of what a peer has opened; `None` where nothing is, nor is on its way.
    fn kept(&self, theirs: &Theirs) -> Option<Kept> {
        if !self.shared.has(&theirs.key) {
            return None;
        }
        let coming = || {
            let fetch = self.fetches.values().find(|fetch| fetch.key == theirs.key)?;
            let geometry = fetch.geometry();
            Some(Kept { geometry, pieces: PieceSet::none_of(geometry.pieces()) })
        };
        self.holdings.kept(&theirs.topic).or_else(coming)
    }

    /// Tells a peer that may have it what is here.
    pub(super) fn answer(&mut self, link_id: LinkId, id: TopicId, metainfo: Option<bytes::Bytes>, now: Moment) {
        self.judging.end(link_id);
        let Some(link) = self.links.get(link_id) else { return };
        let Some(theirs) = link.theirs.get(&id) else { return };
        let until = theirs.granted.filter(|until| *until > now);
        let (Some(until), Some(Kept { geometry, pieces })) = (until, self.kept(theirs)) else {
            return self.refuse(link_id, id, now);
        };
        let (key, peer, record) = (theirs.key, link.peer.id, link.peer.record());
        let sent_bytes = link.sender.traffic().sent_bytes();
        let metainfo = metainfo.filter(|json| self.judging.say_metainfo(link_id, json.len() as u64, sent_bytes));
        self.metrics.metainfo_sent.inc_by(metainfo.as_ref().map_or(0, |json| json.len() as u64));
        let introduced = self.book.introduce(&key, &record, now, &mut self.rng);
        let opened = link.sender.opened(Opened { id, geometry, pieces, metainfo });
        let said = if opened.is_ok() && !introduced.is_empty() { link.sender.introduce(id, introduced) } else { Ok(()) };
        self.book.used(&peer, now);
        // Who asks for it will have it.
        self.book.says(key, peer, Holds::Some, now);
        if let Err(error) = opened {
            self.unsaid(link_id, error, now);
            return self.refuse(link_id, id, now);
        }
        if let Err(error) = said {
            self.unsaid(link_id, error, now);
        }
        // Not before it was told what is here: it would not know what a piece that comes is of.
        self.let_in(link_id, id, until, now);
        let wanting: Vec<_> = self.fetches.iter().filter(|(_, fetch)| fetch.key == key).map(|(id, _)| *id).collect();
        for fetch in wanting {
            self.open_at(fetch, link_id, now);
        }
    }

    /// Refuses a topic, or takes it back.
    fn refuse(&mut self, link_id: LinkId, id: TopicId, now: Moment) {
        let said = self.links.get(link_id).map(|link| link.sender.refuse(id));
        self.close(link_id, id);
        if let Some(Err(error)) = said {
            self.unsaid(link_id, error, now);
        }
    }

    /// Something could not be said to a peer.
    fn unsaid(&mut self, link: LinkId, error: SendError, now: Moment) {
        if matches!(error, SendError::Full | SendError::Ended) {
            self.part(link, "it takes nothing", now);
        } else {
            tracing::debug!(%error, "a peer could not be answered");
        }
    }

    /// A peer needs nothing more of a topic.
    fn close(&mut self, link_id: LinkId, id: TopicId) {
        let Some(theirs) = self.links.close(link_id, id) else { return };
        self.judging.forget(theirs.due, link_id, id);
        let Some(peer) = self.links.get(link_id).map(|link| link.peer.id) else { return };
        for piece in theirs.asked {
            if let Cancelled::Serving(serve) = self.uploads.cancel(peer, &theirs.key, piece) {
                self.stop(serve);
            }
        }
    }
}
