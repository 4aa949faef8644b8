//! What one tracker is to be told when, and what it made of it.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use libp2p_identity::PeerId;
use tokio_util::task::AbortOnDropHandle;

use super::TrackerIndex;
use crate::{
    control::{ControlAddress, MOST_WITHDRAWN},
    moment::Moment,
    topic::TopicKey,
};

/// The most topics of one announcement: with tokens as they are usual they fit into a message.
const MOST_AT_ONCE: usize = 128;
/// How soon a topic is announced again that a tracker has refused.
const REFUSED_PAUSE: Duration = Duration::from_secs(15);
/// The pause after a tracker did not answer; twice as long after each time, to the longest.
const LEAST_PAUSE: Duration = Duration::from_millis(500);
const MOST_PAUSE: Duration = Duration::from_secs(15);
/// How soon all is told again to a tracker that has forgotten it, at the latest; twice as long where it forgets soon again.
const MOST_RETURN: Duration = Duration::from_secs(1);
/// A tracker that knows for as long what it was told is a steady one.
const STEADY: Duration = Duration::from_mins(1);
/// After how many calls in a row that were not answered it is said: one may be lost, and the next be answered.
const TOLD_AFTER: u32 = 2;
/// When a topic is due that goes before all others.
const AT_ONCE: Moment = Moment(Duration::ZERO);

/// A tracker, and what it is to be told.
#[derive(Debug)]
pub(super) struct Tracker {
    pub(super) id: TrackerIndex,
    /// What it goes by among others: all nodes have the same for it.
    pub(super) name: String,
    /// The registry that told of it, whose topics alone it is told of.
    pub(super) registry: Option<Arc<str>>,
    /// Where it is, the one to be tried next first; nowhere for this node itself.
    addresses: Vec<ControlAddress>,
    /// When each topic is to be announced.
    due: HashMap<TopicKey, Moment>,
    by_time: BTreeSet<(Moment, TopicKey)>,
    withdrawn: BTreeSet<TopicKey>,
    /// What it is being told.
    telling: Option<Telling>,
    /// The topics that it refused when it last was told of them.
    refused: BTreeSet<TopicKey>,
    failures: u32,
    /// Whether it was asked anything, and answered or not.
    was_asked: bool,
    rests_until: Moment,
    standing: Option<Standing>,
    /// How often in a row it forgot soon what it was told.
    lapses: u32,
    /// Whether it has forgotten all and was told nothing since.
    is_blank: bool,
}

/// What a tracker is being told.
#[derive(Debug, Default)]
pub(super) struct Telling {
    /// The topics, and whether a lease was asked for with each.
    pub(super) topics: BTreeMap<TopicKey, bool>,
    /// What is withdrawn.
    pub(super) withdrawn: BTreeSet<TopicKey>,
}

/// What waits until a tracker has forgotten what it was told.
#[derive(Debug)]
struct Standing {
    since: Moment,
    _watching: AbortOnDropHandle<()>,
}

impl Tracker {
    /// One that is reached at these addresses, all of the same peer.
    pub(super) fn new(id: TrackerIndex, registry: Option<Arc<str>>, addresses: Vec<ControlAddress>) -> Self {
        let name = addresses.first().map(ControlAddress::identity).unwrap_or_default();
        Self::of(id, name, registry, addresses)
    }

    /// This node, which others know as that; as nothing where nobody is told of it.
    pub(super) fn itself(id: TrackerIndex, named: Option<&ControlAddress>) -> Self {
        Self::of(id, named.map(ControlAddress::identity).unwrap_or_default(), None, Vec::new())
    }

    fn of(id: TrackerIndex, name: String, registry: Option<Arc<str>>, addresses: Vec<ControlAddress>) -> Self {
        Self {
            id,
            name,
            registry,
            addresses,
            due: HashMap::new(),
            by_time: BTreeSet::new(),
            withdrawn: BTreeSet::new(),
            telling: None,
            refused: BTreeSet::new(),
            failures: 0,
            was_asked: false,
            rests_until: Moment::default(),
            standing: None,
            lapses: 0,
            is_blank: false,
        }
    }

    /// Where it is asked next; `None` for this node itself.
    pub(super) fn address(&self) -> Option<&ControlAddress> {
        self.addresses.first()
    }

    pub(super) fn is_itself(&self) -> bool {
        self.addresses.is_empty()
    }

    /// Whether it is this node, and others are not known to go by it.
    pub(super) fn is_unnamed(&self) -> bool {
        self.is_itself() && self.name.is_empty()
    }

    /// Who should be there.
    pub(super) fn peer(&self) -> Option<PeerId> {
        self.address()?.peer()
    }

    /// It is reached there now; where that is elsewhere it is asked there at once.
    pub(super) fn moved(&mut self, addresses: Vec<ControlAddress>) {
        if addresses.iter().any(|address| !self.addresses.contains(address)) {
            self.rests_until = Moment::default();
            self.addresses = addresses;
        }
    }

    /// Whether it answered when it was last asked; `None` where it was not yet.
    pub(super) fn answered_last(&self) -> Option<bool> {
        self.was_asked.then(|| self.answers())
    }

    /// Whether it answered when it was last asked, or was not yet.
    pub(super) fn answers(&self) -> bool {
        self.failures == 0
    }

    /// Whether it has not answered for a while.
    pub(super) fn is_silent(&self) -> bool {
        self.failures >= TOLD_AFTER
    }

    /// Whether it says who is in a topic, as far as is known.
    pub(super) fn answers_for(&self, key: &TopicKey) -> bool {
        self.answers() && !self.refused.contains(key)
    }

    /// Whether it is being asked about a topic, or is about to be.
    pub(super) fn is_asked(&self, key: &TopicKey) -> bool {
        let is_told = self.telling.as_ref().is_some_and(|telling| telling.topics.contains_key(key));
        let has_another = self.has_another_place();
        let is_next = self.due.get(key).is_some_and(|at| *at == AT_ONCE || self.is_blank || has_another);
        (self.answers() || has_another) && (is_told || is_next)
    }

    /// Whether it did not answer, but was not asked at each of its addresses yet.
    fn has_another_place(&self) -> bool {
        let tried = usize::try_from(self.failures).unwrap_or(usize::MAX);
        tried > 0 && tried < self.addresses.len()
    }

    /// Whether a topic is announced to it.
    pub(super) fn has(&self, key: &TopicKey) -> bool {
        self.due.contains_key(key)
    }

    /// All that it may know of this node.
    pub(super) fn known(&self) -> impl Iterator<Item = TopicKey> {
        self.due.keys().chain(&self.withdrawn).copied()
    }

    pub(super) fn set_due(&mut self, key: TopicKey, at: Moment) {
        if let Some(before) = self.due.insert(key, at) {
            self.by_time.remove(&(before, key));
        }
        self.by_time.insert((at, key));
        self.withdrawn.remove(&key);
    }

    /// A topic goes before all others.
    pub(super) fn hurry(&mut self, key: TopicKey) {
        self.set_due(key, AT_ONCE);
    }

    pub(super) fn remove(&mut self, key: &TopicKey) {
        self.refused.remove(key);
        let Some(at) = self.due.remove(key) else { return };
        self.by_time.remove(&(at, *key));
        self.withdraw(*key);
    }

    fn withdraw(&mut self, key: TopicKey) {
        if self.withdrawn.len() < MOST_WITHDRAWN && !self.due.contains_key(&key) {
            self.withdrawn.insert(key);
        }
    }

    /// When it is to be told something next; `None` while it is being told.
    pub(super) fn wake_at(&self) -> Option<Moment> {
        if self.telling.is_some() {
            return None;
        }
        let first = if self.withdrawn.is_empty() { self.by_time.first().map(|(at, _)| *at)? } else { AT_ONCE };
        Some(first.max(self.rests_until))
    }

    /// The topics that are due, as many as fit into an announcement.
    pub(super) fn due_at(&self, now: Moment) -> Vec<TopicKey> {
        self.by_time.iter().take_while(|(at, _)| *at <= now).map(|(_, key)| *key).take(MOST_AT_ONCE).collect()
    }

    /// It is being told of these topics, of each whether with a question for a lease. What it is told to forget; nothing is being told where
    /// that is nothing either.
    pub(super) fn begin(&mut self, topics: BTreeMap<TopicKey, bool>, now: Moment) -> Option<&Telling> {
        let withdrawn = std::mem::take(&mut self.withdrawn);
        if topics.is_empty() && withdrawn.is_empty() {
            return None;
        }
        // What is hurried from now on needs another announcement.
        for key in topics.keys().filter(|key| self.due.get(*key) == Some(&AT_ONCE)).copied().collect::<Vec<_>>() {
            self.set_due(key, now.max(Moment(Duration::from_nanos(1))));
        }
        Some(self.telling.insert(Telling { topics, withdrawn }))
    }

    /// It is not being told anything any more; what that was.
    pub(super) fn end(&mut self) -> Telling {
        self.telling.take().unwrap_or_default()
    }

    /// It has answered; whether that is news, after it was said that it does not.
    pub(super) fn answered(&mut self) -> bool {
        let was_silent = self.is_silent();
        (self.failures, self.is_blank, self.was_asked) = (0, false, true);
        was_silent
    }

    /// It has not answered. What it was to forget it is told again. Whether it is to be said that it does not.
    pub(super) fn failed(&mut self, unheard: BTreeSet<TopicKey>, now: Moment) -> bool {
        let pause = LEAST_PAUSE.saturating_mul(1_u32.checked_shl(self.failures).unwrap_or(u32::MAX)).min(MOST_PAUSE);
        self.failures = self.failures.saturating_add(1).min(16);
        self.rests_until = if self.has_another_place() { now } else { now + pause };
        self.was_asked = true;
        if self.addresses.len() > 1 {
            self.addresses.rotate_left(1);
        }
        for key in unheard {
            self.withdraw(key);
        }
        self.failures == TOLD_AFTER
    }

    /// It has told of a topic, and wants to hear of it then.
    pub(super) fn told(&mut self, key: TopicKey, again_at: Moment) {
        self.refused.remove(&key);
        self.put_off(key, again_at);
    }

    /// It has refused a topic.
    pub(super) fn refuses(&mut self, key: TopicKey, now: Moment) {
        if self.has(&key) {
            self.refused.insert(key);
        }
        self.put_off(key, now + REFUSED_PAUSE);
    }

    /// Unless the topic was withdrawn or hurried meanwhile.
    fn put_off(&mut self, key: TopicKey, at: Moment) {
        if self.due.get(&key).is_some_and(|due| *due != AT_ONCE) {
            self.set_due(key, at);
        }
    }

    /// Whether it is waited for that it forgets what it was told.
    pub(super) fn is_watched(&self) -> bool {
        self.standing.is_some()
    }

    /// It knows what it was told from now on, and it is being waited for that it does not.
    pub(super) fn stands(&mut self, watching: AbortOnDropHandle<()>, now: Moment) {
        self.standing = Some(Standing { since: now, _watching: watching });
    }

    /// It has forgotten what it was told, as one that began anew; not all tell it again at the same moment: this one after `part` (0 to 1) of
    /// the time.
    pub(super) fn forgot(&mut self, part: f64, now: Moment) {
        let stood = self.standing.take().map_or(Duration::ZERO, |standing| now.since(standing.since));
        self.lapses = if stood >= STEADY { 0 } else { (self.lapses + 1).min(16) };
        let most = MOST_RETURN.saturating_mul(1 << self.lapses.saturating_sub(1)).min(MOST_PAUSE);
        let at = now + most.mul_f64(part);
        self.is_blank = true;
        self.withdrawn.clear();
        for key in self.due.keys().copied().collect::<Vec<_>>() {
            self.put_off(key, at);
        }
    }
}
