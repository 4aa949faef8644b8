//! The trackers, and which of them is told of what.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use super::{TrackerIndex, dues::Tracker};
use crate::{
    control::ControlAddress,
    moment::Moment,
    swarm::{SwarmSettings, TrackerStatus},
    topic::TopicKey,
    tracker::trackers_of,
};

/// The most trackers that are kept in mind of those that a registry told of, over time: each of its replicas may be one.
const MOST_FOUND: usize = 16;

/// The trackers, and what each is to be told when.
#[derive(Debug)]
pub(in crate::swarm) struct Announcing {
    trackers: Vec<Tracker>,
    /// Of which registry each topic is that is announced.
    registries: HashMap<TopicKey, Arc<str>>,
    per_topic: usize,
    last: u64,
}

impl Announcing {
    /// Those of the settings, and this node itself, if it is one; among the others by what the settings name it, where they do.
    pub(in crate::swarm) fn new(settings: &SwarmSettings, is_tracker: bool, named: &[ControlAddress]) -> Self {
        let per_topic = settings.trackers_per_topic;
        let mut announcing = Self { trackers: Vec::new(), registries: HashMap::new(), per_topic, last: 0 };
        let joins = if settings.trackers.is_empty() { &settings.joins[..] } else { &[] };
        for address in settings.trackers.iter().chain(joins).filter(|address| !named.contains(address)) {
            announcing.add_tracker(None, vec![address.clone()]);
        }
        if is_tracker {
            let itself = announcing.next();
            announcing.trackers.push(Tracker::itself(itself, named.first()));
        }
        announcing
    }

    fn add_tracker(&mut self, registry: Option<Arc<str>>, addresses: Vec<ControlAddress>) {
        let id = self.next();
        self.trackers.push(Tracker::new(id, registry, addresses));
    }

    fn next(&mut self) -> TrackerIndex {
        self.last += 1;
        TrackerIndex(self.last)
    }

    /// Another node is a tracker. One that is known already, and was restarted, is where it is now.
    pub(super) fn joined(&mut self, addresses: Vec<ControlAddress>) {
        let peer = addresses.first().and_then(ControlAddress::peer);
        let known = self.trackers.iter_mut().find(|known| known.registry.is_none() && peer.is_some() && known.peer() == peer);
        match known {
            Some(known) => known.moved(addresses),
            None => self.add_tracker(None, addresses),
        }
    }

    /// A registry tells of these trackers now, each by its addresses. They come before all others for its topics. One that it told of before
    /// stays as long as it answers: of replicas each tells of itself alone.
    pub(super) fn found(&mut self, registry: &Arc<str>, named: Vec<Vec<ControlAddress>>) {
        let identities: BTreeSet<_> = named.iter().filter_map(|addresses| Some(addresses.first()?.identity())).collect();
        let is_of = |tracker: &Tracker| tracker.registry.as_ref() == Some(registry);
        let stays = |tracker: &Tracker| identities.contains(&tracker.name) || tracker.answered_last() != Some(false);
        self.trackers.retain(|tracker| !is_of(tracker) || stays(tracker));
        for addresses in named {
            let Some(identity) = addresses.first().map(ControlAddress::identity) else { continue };
            if let Some(known) = self.trackers.iter_mut().find(|known| is_of(known) && known.name == identity) {
                known.moved(addresses);
            } else if self.trackers.iter().filter(|tracker| is_of(tracker)).count() < MOST_FOUND {
                self.add_tracker(Some(registry.clone()), addresses);
            }
        }
    }

    pub(super) fn get(&self, id: TrackerIndex) -> Option<&Tracker> {
        self.trackers.iter().find(|tracker| tracker.id == id)
    }

    pub(super) fn get_mut(&mut self, id: TrackerIndex) -> Option<&mut Tracker> {
        self.trackers.iter_mut().find(|tracker| tracker.id == id)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Tracker> {
        self.trackers.iter()
    }

    /// The trackers of a topic, the first first: of those that its registry told of, and while all of these are silent, or it told of none,
    /// of all others; this node itself last, by whose book whoever tells it of what they have is found, unless it is named like the others.
    fn of(&self, key: &TopicKey) -> impl Iterator<Item = &Tracker> {
        let registry = self.registries.get(key);
        let own = |tracker: &&Tracker| registry.is_some() && tracker.registry.as_ref() == registry;
        let own: Vec<_> = self.trackers.iter().filter(own).collect();
        let needs_others = own.iter().all(|tracker| tracker.is_silent());
        let others = self.trackers.iter().filter(|tracker| needs_others && tracker.registry.is_none());
        let (unnamed, others): (Vec<_>, Vec<_>) = others.partition(|tracker| tracker.is_unnamed());
        self.ranked(&own, key).chain(self.ranked(&others, key)).chain(unnamed)
    }

    /// Those of these that are responsible for a topic.
    fn ranked<'a>(&self, able: &[&'a Tracker], key: &TopicKey) -> impl Iterator<Item = &'a Tracker> + use<'a> {
        let ranked = trackers_of(able.iter().map(|tracker| &tracker.name), key, self.per_topic);
        let found = ranked.into_iter().filter_map(|name| able.iter().find(|tracker| tracker.name == *name).copied());
        found.collect::<Vec<_>>().into_iter()
    }

    fn each_of(&mut self, key: &TopicKey, act: impl Fn(&mut Tracker)) {
        let ids: Vec<_> = self.of(key).map(|tracker| tracker.id).collect();
        self.trackers.iter_mut().filter(|tracker| ids.contains(&tracker.id)).for_each(act);
    }

    /// The tracker of a topic that says who fetches what from the origin: the first that answers. All nodes that can reach the same ones go by
    /// the same, and no two of them lease the same stripe to two nodes. This node is none to itself while there might be another, unless all
    /// name it as one: it would lease all to itself, as others would.
    pub(in crate::swarm) fn leading(&self, key: &TopicKey) -> Option<TrackerIndex> {
        let may_be = |tracker: &&Tracker| !tracker.is_unnamed() || self.of(key).all(Tracker::is_unnamed);
        self.of(key).filter(may_be).find(|tracker| tracker.answers_for(key)).map(|tracker| tracker.id)
    }

    /// Has a topic announced at once.
    pub(in crate::swarm) fn hurry(&mut self, key: &TopicKey) {
        self.each_of(key, |tracker| tracker.hurry(*key));
    }

    /// Notes of which registry a topic is.
    pub(super) fn note(&mut self, key: &TopicKey, registry: &Arc<str>) {
        self.registries.entry(*key).or_insert_with(|| registry.clone());
    }

    /// Has a topic announced that may not have been, and withdrawn where it does not belong any more.
    pub(super) fn add(&mut self, key: &TopicKey, now: Moment) {
        let ids: Vec<_> = self.of(key).map(|tracker| tracker.id).collect();
        for tracker in &mut self.trackers {
            match (ids.contains(&tracker.id), tracker.has(key)) {
                (true, false) => tracker.set_due(*key, now),
                (false, true) => tracker.remove(key),
                _ => {}
            }
        }
    }

    pub(super) fn remove(&mut self, key: &TopicKey) {
        self.registries.remove(key);
        self.trackers.iter_mut().for_each(|tracker| tracker.remove(key));
    }

    /// Whether a tracker of a topic is being asked, or about to be.
    pub(in crate::swarm) fn is_asking(&self, key: &TopicKey) -> bool {
        self.trackers.iter().any(|tracker| tracker.is_asked(key))
    }

    /// How each tracker is but this node itself.
    pub(in crate::swarm) fn status(&self) -> impl Iterator<Item = TrackerStatus> {
        self.trackers.iter().filter_map(|tracker| {
            Some(TrackerStatus {
                address: tracker.address()?.to_string(),
                peer: tracker.peer(),
                registry: tracker.registry.clone(),
                answers: tracker.answered_last(),
            })
        })
    }

    /// The trackers that are to be told something now.
    pub(super) fn due_at(&self, now: Moment) -> Vec<TrackerIndex> {
        let is_due = |tracker: &&Tracker| tracker.wake_at().is_some_and(|at| at <= now);
        self.trackers.iter().filter(is_due).map(|tracker| tracker.id).collect()
    }

    pub(in crate::swarm) fn wake_at(&self) -> Option<Moment> {
        self.trackers.iter().filter_map(Tracker::wake_at).min()
    }
}
