//! The trackers, and which of them is told of what.

use super::{TrackerIndex, dues::Tracker};
use crate::{control::ControlAddress, moment::Moment, swarm::SwarmSettings, topic::TopicKey, tracker::trackers_of};

/// The trackers, and what each is to be told when.
#[derive(Debug)]
pub(in crate::swarm) struct Announcing {
    trackers: Vec<Tracker>,
    names: Vec<String>,
    per_topic: usize,
    last: u64,
}

impl Announcing {
    /// Those of the settings; where these name neither trackers nor nodes to join, this node itself, if it is one.
    pub(in crate::swarm) fn new(settings: &SwarmSettings, is_tracker: bool) -> Self {
        let mut announcing = Self { trackers: Vec::new(), names: Vec::new(), per_topic: settings.trackers_per_topic, last: 0 };
        let joins = if settings.trackers.is_empty() { &settings.joins[..] } else { &[] };
        for address in settings.trackers.iter().chain(joins) {
            announcing.add_tracker(Some(address.clone()));
        }
        if announcing.trackers.is_empty() && is_tracker {
            announcing.add_tracker(None);
        }
        announcing
    }

    pub(super) fn add_tracker(&mut self, address: Option<ControlAddress>) {
        self.last += 1;
        self.names.push(address.as_ref().map(ToString::to_string).unwrap_or_default());
        self.trackers.push(Tracker::new(TrackerIndex(self.last), address));
    }

    /// Another node is a tracker, and this one none to itself any more: of two that know nothing of each other both would have their way.
    pub(super) fn replace_itself(&mut self, address: ControlAddress) {
        if self.names.first().is_some_and(String::is_empty) {
            self.trackers.remove(0);
            self.names.remove(0);
        }
        self.add_tracker(Some(address));
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

    /// The trackers of a topic, the first first.
    fn of(&self, key: &TopicKey) -> impl Iterator<Item = &Tracker> {
        let ranked = trackers_of(&self.names, key, self.per_topic).into_iter();
        let place = |name: &String| self.names.iter().position(|known| known == name);
        ranked.filter_map(move |name| self.trackers.get(place(name)?))
    }

    fn each_of(&mut self, key: &TopicKey, act: impl Fn(&mut Tracker)) {
        let ids: Vec<_> = self.of(key).map(|tracker| tracker.id).collect();
        self.trackers.iter_mut().filter(|tracker| ids.contains(&tracker.id)).for_each(act);
    }

    /// The tracker of a topic that says who fetches what from the origin: the first that answers. All nodes that can reach the same ones go by
    /// the same, and no two of them lease the same stripe to two nodes.
    pub(in crate::swarm) fn leading(&self, key: &TopicKey) -> Option<TrackerIndex> {
        self.of(key).find(|tracker| tracker.answers_for(key)).map(|tracker| tracker.id)
    }

    /// Has a topic announced at once.
    pub(in crate::swarm) fn hurry(&mut self, key: &TopicKey) {
        self.each_of(key, |tracker| tracker.hurry(*key));
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
        self.trackers.iter_mut().for_each(|tracker| tracker.remove(key));
    }

    /// Whether a tracker of a topic is being asked, or about to be.
    pub(in crate::swarm) fn is_asking(&self, key: &TopicKey) -> bool {
        self.trackers.iter().any(|tracker| tracker.is_asked(key))
    }

    /// Addresses, and whether the last call was answered.
    pub(in crate::swarm) fn status(&self) -> impl Iterator<Item = (&ControlAddress, bool)> {
        self.trackers.iter().filter_map(|tracker| Some((tracker.address.as_ref()?, tracker.answers())))
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
