//! What trackers are told, and what they tell.

use std::time::Duration;

use longshore_p2p::{
    acquaintance::{Holds, Source},
    download::{Lease, Stripes},
    locality::Nearness,
    tracker::{Announcement, Answer, Refusal, fallback},
};
use rand::RngExt as _;

use super::{
    agenda::{Event, MS, NEVER, Nanos, SECOND},
    post::Said,
    world::{World, moment, place, span},
};

/// How long a lease holds that a node gives itself.
const FALLBACK_TERM: Duration = Duration::from_secs(5);
/// The pause after a tracker did not answer; twice as long after each time, to the longest.
const LEAST_PAUSE: Nanos = 500 * MS;
const MOST_PAUSE: Nanos = 15 * SECOND;
/// How soon all is told again to a tracker that has forgotten it, at the latest.
const MOST_RETURN: f64 = 1.0;
/// Ways that the first connection to a tracker takes before anything is said: TCP's, TLS's and what is negotiated.
const FIRST_WAYS: Nanos = 8;

/// An announcement under way.
#[derive(Debug)]
pub struct Call {
    node: u32,
    tracker: usize,
    asked_at: Nanos,
    /// Which layers, and whether a lease was asked for with each.
    topics: Vec<(u8, bool)>,
    announcements: Vec<Announcement>,
}

impl World {
    /// The tracker that says who fetches a layer from the origin: the first that answers.
    pub(super) fn leading(&self, me: u32, topic: u8) -> Option<usize> {
        let node = &self.nodes[place(me)];
        let mut ranked = self.ranked[usize::from(topic)].iter().copied().filter(|tracker| *tracker < self.trackers.len());
        ranked.find(|tracker| node.trackers[*tracker].failures == 0)
    }

    /// Tells the trackers what is due.
    pub(super) fn announce(&mut self, me: u32) {
        for tracker in 0..self.trackers.len() {
            if self.nodes[place(me)].trackers[tracker].wakes_at() <= self.now {
                self.announce_to(me, tracker);
            }
        }
    }

    fn announce_to(&mut self, me: u32, tracker: usize) {
        let view = &self.nodes[place(me)].trackers[tracker];
        let due: Vec<u8> = (0..).zip(&view.due).filter(|(_, at)| **at <= self.now).map(|(topic, _)| topic).collect();
        let (mut topics, mut announcements) = (Vec::new(), Vec::new());
        for topic in due {
            let is_leading = self.leading(me, topic) == Some(tracker);
            let fetch = &self.nodes[place(me)].fetches[usize::from(topic)];
            let (wants, here) = (!fetch.is_over, fetch.download.here().count());
            let wants_origin = if wants && is_leading { self.shape.settings.download.stripes } else { 0 };
            let wants_peers = if wants { self.shape.settings.acquaintance.peers_per_topic } else { 0 };
            topics.push((topic, wants_origin > 0));
            announcements.push(Announcement {
                topic: fetch.key,
                holds: longshore_p2p::tracker::Holds { pieces: here, of: self.shape.pieces },
                wants_peers: u16::try_from(wants_peers).unwrap_or(u16::MAX),
                wants_origin,
            });
        }
        let host = u32::try_from(tracker).expect("there are two");
        let view = &mut self.nodes[place(me)].trackers[tracker];
        for (topic, _) in &topics {
            let due = &mut view.due[usize::from(*topic)];
            *due = if *due == 0 { self.now.max(1) } else { *due };
        }
        view.is_told = true;
        let is_first = !std::mem::replace(&mut view.is_connected, true);
        let there = self.post.heard_at(me, host, self.now);
        let first = if is_first && host != me { FIRST_WAYS * self.post.way(me, host) } else { 0 };
        let at = if host == me { self.now } else { there + first };
        let call = Call { node: me, tracker, asked_at: self.now, topics, announcements };
        self.calls.push(Some(call));
        let number = u32::try_from(self.calls.len() - 1).expect("there are fewer announcements than that");
        self.post.agenda.add(at, Event::Announced(number));
        self.counts.announcements += 1;
    }

    /// An announcement has come to its tracker.
    pub(super) fn announced(&mut self, number: u32) {
        let Some(Call { node, tracker, asked_at, topics, announcements }) = self.calls[place(number)].take() else { return };
        while self.calls.last().is_some_and(Option::is_none) {
            self.calls.pop();
        }
        let record = &self.records[place(node)];
        let now = moment(self.now);
        let state = self.trackers[tracker].as_mut();
        let answers = state.map(|state| state.announce(record, record.pieces[0].ip(), &announcements, now, &mut self.rng));
        let host = u32::try_from(tracker).expect("there are two");
        let heard = if host == node { self.now } else { self.post.heard_at(host, node, self.now) };
        self.post.put(node, node, Said::Told(tracker, asked_at, topics, answers), heard);
    }

    /// A tracker has answered, or not.
    pub(super) fn told(
        &mut self,
        me: u32,
        tracker: usize,
        asked_at: Nanos,
        topics: &[(u8, bool)],
        answers: Option<Vec<Result<Answer, Refusal>>>,
    ) {
        let now = self.now;
        let view = &mut self.nodes[place(me)].trackers[tracker];
        view.is_told = false;
        let Some(answers) = answers else {
            view.rests_until = now + (LEAST_PAUSE << view.failures.min(5)).min(MOST_PAUSE);
            view.failures = (view.failures + 1).min(16);
            for (topic, _) in topics {
                if !self.nodes[place(me)].fetches[usize::from(*topic)].is_over {
                    self.need_lease(me, *topic);
                }
            }
            return;
        };
        view.failures = 0;
        for ((topic, has_asked), answer) in topics.iter().zip(answers) {
            let Ok(answer) = answer else {
                self.counts.refused_announcements += 1;
                continue;
            };
            let due = &mut self.nodes[place(me)].trackers[tracker].due[usize::from(*topic)];
            *due = if *due == 0 { 0 } else { now + span(answer.again_in) };
            self.introduced(me, *topic, answer, has_asked.then_some(asked_at));
        }
    }

    fn introduced(&mut self, me: u32, topic: u8, answer: Answer, lease_asked_at: Option<Nanos>) {
        let now = moment(self.now);
        let node = &mut self.nodes[place(me)];
        let fetch = &mut node.fetches[usize::from(topic)];
        for told in answer.peers {
            let peer = told.record.peer;
            node.book.learn((*told.record).clone(), Source::Tracker, now);
            node.book.says(fetch.key, peer, if told.has_all { Holds::All } else { Holds::Some }, now);
            node.may_dial = true;
        }
        if fetch.is_over {
            return;
        }
        if let Some(asked_at) = lease_asked_at {
            let stripes: Stripes = answer.origin.stripes.iter().copied().collect();
            let until = moment(asked_at) + answer.origin.term;
            fetch.download.set_lease(Lease { stripes, of: answer.origin.of, until }, now);
        }
        fetch.is_stirred = true;
    }

    /// A tracker has forgotten all that it was told.
    pub(super) fn forgotten(&mut self, me: u32, tracker: usize) {
        let node = &mut self.nodes[place(me)];
        let soon = Duration::from_secs_f64(node.rng.random::<f64>() * MOST_RETURN);
        let view = &mut node.trackers[tracker];
        view.is_connected = false;
        for due in view.due.iter_mut().filter(|due| **due != NEVER && **due != 0) {
            *due = self.now + span(soon);
        }
    }

    /// A download needs a lease to ask the origin: a tracker's, or while none answers its own.
    pub(super) fn need_lease(&mut self, me: u32, topic: u8) {
        let now = moment(self.now);
        let patience = span(self.shape.settings.download.peer_patience);
        let leading = self.leading(me, topic);
        let node = &mut self.nodes[place(me)];
        let is_dialing = node.may_dial || node.book.usage().dialing > 0;
        let fetch = &mut node.fetches[usize::from(topic)];
        let is_opening = (!fetch.is_shown && !node.links.is_empty()) || fetch.at.values().any(|at| !at.is_open);
        let expects_peers = self.now - fetch.begun < patience && (is_opening || is_dialing);
        fetch.lacks_lease = false;
        if let Some(leading) = leading {
            node.trackers[leading].due[usize::from(topic)] = 0;
            return;
        }
        if expects_peers {
            fetch.lacks_lease = true;
            return;
        }
        let of = self.shape.settings.download.stripes;
        let near = node.links.iter().filter(|(_, link)| link.theirs & (1 << topic) != 0 && link.nearness <= Nearness::Zone);
        let alive: Vec<_> = near.map(|(other, _)| self.records[place(*other)].peer).collect();
        let stripes = fallback(&fetch.key, &alive, &node.id, of).into_iter().collect();
        fetch.download.set_lease(Lease { stripes, of, until: now + FALLBACK_TERM }, now);
        fetch.is_stirred = true;
    }
}
