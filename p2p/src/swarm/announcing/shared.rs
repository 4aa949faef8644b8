//! The blobs of which others may know that they are here.

use std::collections::{BTreeSet, HashMap, HashSet};

use longshore_oci::Digest;

use crate::{
    moment::Moment,
    topic::{Topic, TopicKey},
};

/// The blobs of which others may know that they are here, a bounded number.
#[derive(Debug)]
pub(in crate::swarm) struct Shared {
    most: usize,
    topics: HashMap<TopicKey, (Topic, Moment)>,
    by_use: BTreeSet<(Moment, TopicKey)>,
}

impl Shared {
    pub(in crate::swarm) fn new(most: usize) -> Self {
        Self { most: most.max(1), topics: HashMap::new(), by_use: BTreeSet::new() }
    }

    pub(in crate::swarm) fn has(&self, key: &TopicKey) -> bool {
        self.topics.contains_key(key)
    }

    pub(in crate::swarm) fn count(&self) -> usize {
        self.topics.len()
    }

    /// What they are, each once.
    pub(in crate::swarm) fn digests(&self) -> Vec<Digest> {
        self.topics.values().map(|(topic, _)| topic.digest.clone()).collect::<HashSet<_>>().into_iter().collect()
    }

    pub(super) fn keys(&self) -> Vec<TopicKey> {
        self.topics.keys().copied().collect()
    }

    pub(super) fn get(&self, key: &TopicKey) -> Option<&Topic> {
        self.topics.get(key).map(|(topic, _)| topic)
    }

    /// Adds one, or notes that it was asked for again. What has to go for it.
    pub(super) fn add(&mut self, topic: Topic, now: Moment) -> Option<TopicKey> {
        let key = topic.key();
        if let Some((_, before)) = self.topics.insert(key, (topic, now)) {
            self.by_use.remove(&(before, key));
        }
        self.by_use.insert((now, key));
        let goes = (self.topics.len() > self.most).then(|| self.by_use.first().map(|(_, key)| *key)).flatten();
        goes.inspect(|key| self.remove(key))
    }

    pub(super) fn remove(&mut self, key: &TopicKey) {
        if let Some((_, at)) = self.topics.remove(key) {
            self.by_use.remove(&(at, *key));
        }
    }
}
