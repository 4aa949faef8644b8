//! What trackers are told of this node, and what they tell it.

mod call;
mod dues;
mod shared;
#[cfg(test)]
mod tests;
mod trackers;

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use rand::RngExt as _;
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

pub(super) use self::{
    call::{Answers, Trackers},
    shared::Shared,
    trackers::Announcing,
};
use super::{arrival::FetchId, input::Input, link::LinkId, task::Task};
use crate::{
    acquaintance::{Holds, Source},
    control::{
        Announce, AnnouncedTopic, ControlAddress, ControlError, Holding, Introduction, MOST_WITHDRAWN, Standing, TopicAnswer,
    },
    download::{Lease, Stripes},
    locality::Nearness,
    moment::Moment,
    plane::Sender,
    record::PeerRecord,
    topic::{Topic, TopicKey},
    tracker::fallback,
    wire::TopicId,
};
use call::Call;
use dues::Telling;

/// How long a lease holds that this node gives itself while no tracker does.
const FALLBACK_TERM: Duration = Duration::from_secs(5);

/// Which tracker: one that is another's place is never taken for it.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct TrackerIndex(u64);

impl Task {
    /// Another node is at one of these.
    pub(super) fn join(&mut self, addresses: Vec<ControlAddress>, now: Moment) {
        if self.joins.add(addresses.clone()) && self.settings.trackers.is_empty() {
            self.announcing.joined(addresses);
            self.announce_anew(now);
        }
    }

    /// A registry tells of its trackers, each by the addresses at which it is reached.
    pub(super) fn found(&mut self, registry: &Arc<str>, trackers: Vec<Vec<ControlAddress>>, now: Moment) {
        if self.settings.trackers.is_empty() {
            self.announcing.found(registry, trackers);
            self.announce_anew(now);
        }
    }

    /// Has all topics announced to whom they belong now.
    fn announce_anew(&mut self, now: Moment) {
        for key in self.shared.keys() {
            self.announcing.add(&key, now);
        }
        for fetch in self.fetches.values() {
            self.announcing.hurry(&fetch.key);
        }
    }

    /// What is here of a blob may be had by others.
    pub(super) fn share(&mut self, topic: Topic, now: Moment) {
        let key = topic.key();
        self.announcing.note(&key, &topic.registry);
        if let Some(gone) = self.shared.add(topic, now) {
            self.announcing.remove(&gone);
        }
        self.announcing.add(&key, now);
        self.metrics.shared.set(super::connecting::count(self.shared.count()));
    }

    /// Tells the trackers what is due.
    pub(super) fn announce(&mut self, now: Moment) {
        for id in self.announcing.due_at(now) {
            self.announce_to(id, now);
        }
    }

    fn announce_to(&mut self, id: TrackerIndex, now: Moment) {
        let due = self.announcing.get(id).map(|tracker| tracker.due_at(now)).unwrap_or_default();
        let mut topics = Vec::with_capacity(due.len());
        for key in due {
            if let Some(announced) = self.announced(&key, id) {
                topics.push(announced);
            } else {
                self.shared.remove(&key);
                self.announcing.remove(&key);
            }
        }
        let asked = topics.iter().map(|announced| (announced.topic.key(), announced.wants_origin > 0)).collect();
        let Some(tracker) = self.announcing.get_mut(id) else { return };
        let Some(telling) = tracker.begin(asked, now) else { return };
        let withdraw = telling.withdrawn.iter().copied().collect();
        let call = Call {
            tracker: id,
            address: tracker.address().cloned(),
            announce: Announce { record: self.own.borrow().clone(), topics, withdraw },
            clock: self.clock,
            patience: self.settings.callback_timeout,
        };
        tokio::spawn(call.go(self.trackers.clone(), self.rights.clone(), self.inputs.clone()));
    }

    /// A topic as it is announced to a tracker, but for the token; `None` where nothing is here of it, nor wanted.
    fn announced(&self, key: &TopicKey, to: TrackerIndex) -> Option<AnnouncedTopic> {
        let topic = self.shared.get(key)?;
        let fetch = self.fetches.values().find(|fetch| fetch.key == *key);
        let kept = self.holdings.kept(topic);
        let held = kept.map(|kept| Holding { pieces: kept.pieces.count(), of: kept.geometry.pieces() });
        let wanted = fetch.map(|fetch| Holding { pieces: fetch.download.here().count(), of: fetch.geometry().pieces() });
        let is_asked_about = self.inquiries.is_about(key);
        // How much there is of it is not known where it is only asked about.
        let state = wanted.or(held).or(is_asked_about.then_some(Holding { pieces: 0, of: 1 }))?;
        let wants_peers = if fetch.is_some() || is_asked_about { self.settings.acquaintance.peers_per_topic } else { 0 };
        let wants_lease = fetch.is_some() && self.announcing.leading(key) == Some(to);
        let wants_origin = if wants_lease { self.settings.download.stripes } else { 0 };
        let wants_peers = u16::try_from(wants_peers).unwrap_or(u16::MAX);
        Some(AnnouncedTopic { topic: topic.clone(), token: None, state, wants_peers, wants_origin })
    }

    /// A tracker has answered, or not.
    pub(super) fn told(
        &mut self,
        id: TrackerIndex,
        asked_at: Moment,
        topics: &[TopicKey],
        outcome: Result<Answers, ControlError>,
        now: Moment,
    ) {
        let Some(tracker) = self.announcing.get_mut(id) else { return };
        let Telling { topics: asked, withdrawn: mut unheard } = tracker.end();
        let mut is_news = false;
        let (answers, failure) = match outcome {
            Ok(Answers { topics, standing, failure }) => {
                if let Some(standing) = standing.filter(|_| !tracker.is_watched()) {
                    let watching = tokio::spawn(watch(id, standing, self.inputs.clone()));
                    tracker.stands(AbortOnDropHandle::new(watching), now);
                }
                is_news = tracker.answered();
                if is_news {
                    tracing::info!(tracker = tracker.address().map(tracing::field::display), "a tracker answers again");
                }
                unheard.clear();
                (topics, failure)
            }
            Err(failure) => (Vec::new(), Some(failure)),
        };
        if let Some(error) = &failure {
            let error = error as &dyn std::error::Error;
            tracing::debug!(tracker = tracker.address().map(tracing::field::display), error, "a tracker did not answer");
            self.metrics.silent_trackers.inc();
        }
        // No lease comes of what it did not answer, nor of what it refuses.
        let mut lacking = topics[answers.len().min(topics.len())..].to_vec();
        for (key, answer) in topics.iter().zip(answers) {
            let Some(tracker) = self.announcing.get_mut(id) else { return };
            match answer {
                TopicAnswer::Told(told) => {
                    tracker.told(*key, now + Duration::from_millis(told.again_in_ms.into()));
                    let has_lease = asked.get(key).copied().unwrap_or(false);
                    self.introduced_by_tracker(*key, told, has_lease.then_some(asked_at), now);
                }
                TopicAnswer::Refused => {
                    tracker.refuses(*key, now);
                    lacking.push(*key);
                }
            }
        }
        if let Some(tracker) = self.announcing.get_mut(id).filter(|_| failure.is_some()) {
            let is_silent = tracker.failed(unheard, now);
            is_news |= is_silent;
            if let (true, Some(error)) = (is_silent, &failure) {
                let (tracker, error) = (tracker.address().map(tracing::field::display), error as &dyn std::error::Error);
                tracing::warn!(
                    tracker,
                    error,
                    "a tracker does not answer; until it does this node goes by the neighbours that it knows. It lets in nobody with \
                     another fleet key"
                );
            }
        }
        if is_news {
            // While one is silent others may be told in its place.
            self.announce_anew(now);
        }
        lacking.retain(|key| asked.get(key) == Some(&true) || self.announcing.leading(key).is_none());
        let waiting: Vec<_> = self.fetches.iter().filter(|(_, fetch)| lacking.contains(&fetch.key)).map(|(id, _)| *id).collect();
        for id in waiting {
            self.need_lease(id, now);
        }
    }

    /// A tracker has forgotten what it was told.
    pub(super) fn forgotten(&mut self, id: TrackerIndex, now: Moment) {
        let part = self.rng.random();
        if let Some(tracker) = self.announcing.get_mut(id) {
            tracker.forgot(part, now);
        }
    }

    /// A tracker tells of others in a topic; and of a lease, where it was asked for one then.
    fn introduced_by_tracker(&mut self, key: TopicKey, told: Introduction, lease_asked_at: Option<Moment>, now: Moment) {
        for peer in told.peers {
            let id = peer.record.peer;
            self.book.learn(PeerRecord::clone(&peer.record), Source::Tracker, now);
            self.book.says(key, id, if peer.has_all { Holds::All } else { Holds::Some }, now);
            self.may_dial = true;
        }
        for (id, fetch) in self.fetches.iter_mut().filter(|(_, fetch)| fetch.key == key) {
            if let Some(asked_at) = lease_asked_at {
                let until = asked_at + Duration::from_millis(told.origin.for_ms.into());
                let stripes: Stripes = told.origin.stripes.iter().copied().collect();
                fetch.download.set_lease(Lease { stripes, of: told.origin.of, until }, now);
            }
            self.stirred.insert(*id);
        }
    }

    /// A peer tells of others who have to do with a topic.
    pub(super) fn introduced(&mut self, link: LinkId, topic: TopicId, records: Vec<PeerRecord>, now: Moment) {
        let Some(link) = self.links.get(link) else { return };
        let Some(fetch) = link.ours.get(&topic).and_then(|id| self.fetches.get(id)) else { return };
        let (key, teller, by) = (fetch.key, link.peer.id, link.peer.remote.ip());
        for record in records {
            let peer = record.peer;
            self.book.learn(record.as_told(by), Source::Exchange(teller), now);
            self.book.says(key, peer, Holds::Some, now);
        }
        self.may_dial = true;
    }

    /// A download needs a lease to ask the origin: a tracker's, or while none answers its own.
    pub(super) fn need_lease(&mut self, id: FetchId, now: Moment) {
        let Some(fetch) = self.fetches.get(&id) else { return };
        let key = fetch.key;
        let expects_peers = fetch.is_new(self.settings.download.peer_patience, now) && self.expects_peers(id);
        let Some(fetch) = self.fetches.get_mut(&id) else { return };
        fetch.lacks_lease = false;
        if let Some(leading) = self.announcing.leading(&key) {
            if let Some(tracker) = self.announcing.get_mut(leading) {
                tracker.hurry(key);
            }
            return;
        }
        // Who may be found in a moment is waited for as a tracker would be; the download knows for how long.
        if expects_peers {
            fetch.lacks_lease = true;
            return;
        }
        // Of those that say they are near, the ones that have shown that they may have it, and want it.
        let near = self.links.openers(&key).filter_map(|(link, _)| self.links.get(link));
        let near: Vec<_> = near.filter(|link| link.nearness <= Nearness::Zone).collect();
        let of = self.settings.download.stripes;
        let alive = near.iter().map(|link| &link.peer.id);
        let stripes: Stripes = fallback(&key, alive, &self.endpoint.id(), of).into_iter().collect();
        if let Some(fetch) = self.fetches.get_mut(&id) {
            fetch.download.set_lease(Lease { stripes, of, until: now + FALLBACK_TERM }, now);
            self.stirred.insert(id);
        }
    }

    /// Tells all trackers that this node has nothing any more.
    pub(super) async fn withdraw_all(&mut self) {
        let mut calls = Vec::new();
        for tracker in self.announcing.iter().filter(|tracker| tracker.answers()) {
            let withdraw: Vec<_> = tracker.known().take(MOST_WITHDRAWN).collect();
            if withdraw.is_empty() {
                continue;
            }
            let announce = Announce { record: self.own.borrow().clone(), topics: Vec::new(), withdraw };
            let (control, Some(address)) = (self.control.clone(), tracker.address().cloned()) else { continue };
            calls.push(async move { control.announce(&address, announce).await });
        }
        join_all(calls).await;
    }

    /// Says good-bye to all peers, and returns when their connections have ended.
    pub(super) async fn say_good_bye(&self) {
        let senders: Vec<_> = self.links.iter().map(|(_, link)| link.sender.clone()).collect();
        for sender in &senders {
            sender.leave("leaving");
        }
        join_all(senders.iter().map(Sender::ended)).await;
    }
}

/// Tells the task when a tracker has forgotten what it was told.
async fn watch(tracker: TrackerIndex, standing: Standing, inputs: mpsc::Sender<Input>) {
    standing.ended().await;
    let _ = inputs.send(Input::Forgotten(tracker)).await;
}
