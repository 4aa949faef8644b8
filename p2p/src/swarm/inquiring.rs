//! What peers are asked about: topics of which nothing is here, not even how they fall into pieces.
//!
//! A topic is opened as for a download, at the same peers and by the same right, but its metainfo is wanted with it; when that has come, or
//! was refused, it is closed again. A few are asked at once, as each may send much.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use libp2p_identity::PeerId;
use tokio::sync::mpsc;

use super::{Told, fetching::Shown, input::Input, link::LinkId, task::Task};
use crate::{
    acquaintance::Holds,
    moment::Moment,
    plane::SendError,
    topic::{Topic, TopicKey},
    wire::{Opened, Token, TopicId},
};

/// How much is asked about at once, at most; of more nobody says anything.
const MOST_INQUIRIES: usize = 256;
/// How many peers are asked about one thing at once.
const ASKED_AT_ONCE: usize = 2;
/// How long somebody may turn up who is to be asked, at least: a tracker that was just told is about to tell of others.
const LEAST_PATIENCE: Duration = Duration::from_millis(400);

/// Which.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) struct InquiryId(pub(super) u64);

/// Where a topic is open for one, since when, and how it is called there.
#[derive(Clone, Copy, Debug)]
struct At {
    id: TopicId,
    since: Moment,
}

/// Something that is asked about.
#[derive(Debug)]
struct Inquiry {
    topic: Topic,
    key: TopicKey,
    out: mpsc::Sender<Told>,
    /// What is shown to peers; `None` before that is known.
    shown: Option<Shown>,
    at: BTreeMap<LinkId, At>,
    /// Who was asked.
    asked: BTreeSet<PeerId>,
    begun: Moment,
    until: Moment,
    has_come: bool,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Inquiries(BTreeMap<InquiryId, Inquiry>);

impl Inquiries {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a topic is asked about.
    pub(super) fn is_about(&self, key: &TopicKey) -> bool {
        self.0.values().any(|inquiry| inquiry.key == *key)
    }

    /// Whether a topic is asked about over a connection: a peer takes it once.
    pub(super) fn is_asked_at(&self, key: &TopicKey, link: LinkId) -> bool {
        self.0.values().any(|inquiry| inquiry.key == *key && inquiry.at.contains_key(&link))
    }

    /// How many peers were asked, and about what.
    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, TopicKey)> {
        self.0.values().map(|inquiry| (inquiry.asked.len(), inquiry.key))
    }

    /// A connection is gone.
    pub(super) fn lose(&mut self, link: LinkId) {
        for inquiry in self.0.values_mut() {
            inquiry.at.remove(&link);
        }
    }
}

impl Task {
    /// Begins to ask.
    pub(super) fn ask_about(&mut self, id: InquiryId, topic: Topic, patience: Duration, out: mpsc::Sender<Told>, now: Moment) {
        if self.inquiries.0.len() >= MOST_INQUIRIES {
            self.metrics.inquiries.with_label_values(&["too_many"]).inc();
            return;
        }
        let key = topic.key();
        self.find_token(topic.clone(), move |token| Input::ShownFor { inquiry: id, token });
        let (at, asked) = (BTreeMap::new(), BTreeSet::new());
        let inquiry = Inquiry {
            topic: topic.clone(),
            key,
            out,
            shown: None,
            at,
            asked,
            begun: now,
            until: now + patience,
            has_come: false,
        };
        self.inquiries.0.insert(id, inquiry);
        self.share(topic, now);
        self.announcing.hurry(&key);
    }

    /// It is known what to show for what is asked about.
    pub(super) fn shown_for(&mut self, id: InquiryId, token: Option<Token>) {
        if let Some(inquiry) = self.inquiries.0.get_mut(&id) {
            inquiry.shown = Some(Shown(token));
            self.may_dial = true;
        }
    }

    /// Asks those who may know, as far as they are connected.
    pub(super) fn ask_all(&mut self, now: Moment) {
        for id in self.inquiries.0.keys().copied().collect::<Vec<_>>() {
            let Some(inquiry) = self.inquiries.0.get(&id).filter(|inquiry| inquiry.shown.is_some()) else { continue };
            for link in self.links_to_holders(&inquiry.key, std::iter::empty(), now) {
                self.inquire_at(id, link, now);
            }
        }
    }

    /// Asks over one connection, where that was not done and not enough are asked.
    fn inquire_at(&mut self, id: InquiryId, link_id: LinkId, now: Moment) {
        let (Some(inquiry), Some(link)) = (self.inquiries.0.get(&id), self.links.get(link_id)) else { return };
        let Some(Shown(token)) = inquiry.shown.clone() else { return };
        let (peer, key) = (link.peer.id, inquiry.key);
        let is_done = inquiry.at.len() >= ASKED_AT_ONCE || inquiry.asked.contains(&peer);
        // A peer takes a topic once.
        let is_got = link.ours.values().any(|fetch| self.fetches.get(fetch).is_some_and(|fetch| fetch.key == key));
        if is_done || is_got || self.inquiries.is_asked_at(&key, link_id) {
            return;
        }
        let (Some(inquiry), Some(link)) = (self.inquiries.0.get_mut(&id), self.links.get_mut(link_id)) else { return };
        match link.sender.open(inquiry.topic.clone(), token, true) {
            Ok(topic) => {
                link.inquired.insert(topic, id);
                inquiry.at.insert(link_id, At { id: topic, since: now });
                inquiry.asked.insert(peer);
            }
            Err(SendError::Full) => self.part(link_id, "it takes nothing", now),
            Err(error) => tracing::debug!(topic = %inquiry.topic, %error, "a peer could not be asked about something"),
        }
    }

    /// A peer tells of what it was asked about; whether it was asked so.
    pub(super) fn told_of(&mut self, link_id: LinkId, opened: &Opened, now: Moment) -> bool {
        let Some(link) = self.links.get_mut(link_id) else { return false };
        let Some(id) = link.inquired.remove(&opened.id) else { return false };
        let by = link.peer.id;
        // Where that can't be said the connection is about to end.
        let _ = link.sender.close(opened.id);
        self.may_dial = true;
        self.book.used(&by, now);
        let Some(inquiry) = self.inquiries.0.get_mut(&id) else { return true };
        inquiry.at.remove(&link_id);
        let holds = if opened.pieces.is_full() { Holds::All } else { Holds::Some };
        self.book.says(inquiry.key, by, holds, now);
        if let Some(metainfo) = opened.metainfo.clone() {
            // Who takes none of many is told of no more.
            inquiry.has_come |= inquiry.out.try_send(Told { by, metainfo }).is_ok();
        }
        true
    }

    /// A peer does not tell of what it was asked about; whether it was asked so.
    pub(super) fn told_nothing(&mut self, link_id: LinkId, topic: TopicId, now: Moment) -> bool {
        let Some(link) = self.links.get_mut(link_id) else { return false };
        let Some(id) = link.inquired.remove(&topic) else { return false };
        let peer = link.peer.id;
        self.may_dial = true;
        self.book.used(&peer, now);
        if let Some(inquiry) = self.inquiries.0.get_mut(&id) {
            inquiry.at.remove(&link_id);
            self.book.unsay(&inquiry.key, &peer);
        }
        true
    }

    /// Nothing more is to be known.
    pub(super) fn stop_asking(&mut self, id: InquiryId) {
        let Some(inquiry) = self.inquiries.0.remove(&id) else { return };
        self.metrics.inquiries.with_label_values(&[if inquiry.has_come { "told" } else { "untold" }]).inc();
        for (link, at) in inquiry.at {
            self.stop_asking_at(link, at.id);
        }
        // A download of the same may go on there.
        self.may_dial = true;
    }

    /// Closes at a peer what it was asked about.
    fn stop_asking_at(&mut self, link: LinkId, topic: TopicId) {
        if let Some(link) = self.links.get_mut(link) {
            link.inquired.remove(&topic);
            // Where that can't be said the connection is about to end.
            let _ = link.sender.close(topic);
        }
    }

    /// Ends what nobody listens to any more, what takes too long, and what nobody is left to be asked about; and gives the places of peers
    /// that don't answer to others.
    pub(super) fn end_inquiries(&mut self, now: Moment) {
        let is_meeting = self.book.usage().dialing > 0 || self.joins.are_asked();
        let answer_timeout = self.settings.open_timeout;
        for id in self.inquiries.0.keys().copied().collect::<Vec<_>>() {
            let Some(inquiry) = self.inquiries.0.get_mut(&id) else { continue };
            let is_overdue = |at: &At| now.since(at.since) >= answer_timeout;
            let overdue: Vec<_> = inquiry.at.extract_if(.., |_, at| is_overdue(at)).collect();
            let may_come = inquiry.shown.is_none()
                || !inquiry.at.is_empty()
                || !overdue.is_empty()
                || is_meeting
                || now.since(inquiry.begun) < LEAST_PATIENCE
                || self.announcing.is_asking(&inquiry.key);
            let is_over = inquiry.out.is_closed() || now >= inquiry.until || !may_come;
            for (link, at) in overdue {
                self.stop_asking_at(link, at.id);
            }
            if is_over {
                self.stop_asking(id);
            }
        }
    }
}
