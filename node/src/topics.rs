//! The blobs of which neighbours may know that they are here, and by which places: written down, so that a restart shares them again.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use longshore_client::LayerPlace;
use longshore_edge_cache::store::{Store, StoreError};
use longshore_oci::{Digest, RepositoryName};
use longshore_p2p::topic::{Topic, TopicKey};
use tokio::sync::broadcast::error::RecvError;

use crate::runtime::Runtime;

/// The kind of record that they are.
const KIND: &str = "swarm-topic";
/// How many are remembered at most; of more none is, until some go.
const MOST: usize = 65_536;

/// How often the swarm is told again of one that is asked for.
const TOLD_FOR: Duration = Duration::from_secs(30);

/// All of them.
pub struct Topics {
    store: Store,
    /// What is here besides what the cache has.
    runtime: Option<Arc<Runtime>>,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    by_digest: HashMap<Digest, HashMap<TopicKey, Remembered>>,
    count: usize,
}

/// A topic of a blob, by what it is called, and when the swarm was told of it last.
struct Remembered {
    told: Option<Instant>,
    registry: Arc<str>,
    repository: RepositoryName,
}

/// What there is to do about a topic that was asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Asked {
    /// It is new.
    New,
    /// The swarm has not been told of it for a while.
    Again,
    /// Nothing.
    Lately,
}

impl Topics {
    /// Reads what was written down, and tells of each that is still here: in the cache, which `is_here` says, or in containerd's store as
    /// far as that is known. Blocks.
    pub fn open(
        store: Store,
        runtime: Option<Arc<Runtime>>,
        is_here: impl Fn(&Topic) -> bool,
    ) -> Result<(Self, Vec<Topic>), StoreError> {
        let topics = Self { store, runtime, known: Mutex::default() };
        let mut all = Vec::new();
        for (key, value) in topics.store.records(KIND)? {
            match serde_json::from_slice::<Topic>(&value) {
                Ok(topic) if is_here(&topic) || topics.is_in_runtime(&topic.digest) => {
                    if topics.remember(&topic, None) == Asked::New {
                        all.push(topic);
                    }
                }
                _ => topics.store.remove_record(KIND, &key),
            }
        }
        Ok((topics, all))
    }

    /// One was asked for. Of one for which there is no room it is known for the moment only.
    pub fn asked(&self, topic: &Topic) -> Asked {
        let asked = self.remember(topic, Some(Instant::now()));
        if asked == Asked::New {
            let value = serde_json::to_vec(topic).expect("a topic is always JSON");
            self.store.put_record(KIND, name(topic.key()), value);
        }
        asked
    }

    /// The registries and repositories by which neighbours may know of a blob.
    pub fn places(&self, digest: &Digest) -> Vec<LayerPlace> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let place = |topic: &Remembered| LayerPlace {
            registry: topic.registry.to_string(),
            repository: Some(topic.repository.to_string()),
        };
        known.by_digest.get(digest).map(|topics| topics.values().map(place).collect()).unwrap_or_default()
    }

    /// Notes that the swarm is told of one now; `None` of one that containerd may not say yet that it holds, and of which it is told again.
    fn remember(&self, topic: &Topic, told: Option<Instant>) -> Asked {
        let key = topic.key();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = known.by_digest.get_mut(&topic.digest).and_then(|keys| keys.get_mut(&key)) {
            let is_due = found.told.is_none_or(|told| told.elapsed() >= TOLD_FOR);
            if is_due {
                found.told = told;
            }
            return if is_due { Asked::Again } else { Asked::Lately };
        }
        if known.count >= MOST {
            self.sweep(&mut known);
        }
        if known.count >= MOST {
            return Asked::Again;
        }
        known.count += 1;
        let remembered = Remembered { told, registry: topic.registry.clone(), repository: topic.repository.clone() };
        known.by_digest.entry(topic.digest.clone()).or_default().insert(key, remembered);
        Asked::New
    }

    /// Forgets those of which nothing is here, as of what was passed on and not kept.
    fn sweep(&self, known: &mut Known) {
        let gone: Vec<_> = known.by_digest.keys().filter(|digest| !self.is_here(digest)).cloned().collect();
        for digest in gone {
            self.forget_in(known, &digest);
        }
    }

    fn is_here(&self, digest: &Digest) -> bool {
        self.store.peek(digest).is_some() || self.is_in_runtime(digest)
    }

    fn is_in_runtime(&self, digest: &Digest) -> bool {
        self.runtime.as_ref().is_some_and(|runtime| runtime.may_have(digest))
    }

    fn forget(&self, digest: &Digest) {
        self.forget_in(&mut self.known.lock().unwrap_or_else(PoisonError::into_inner), digest);
    }

    fn forget_in(&self, known: &mut Known, digest: &Digest) {
        for key in known.by_digest.remove(digest).into_iter().flat_map(HashMap::into_keys) {
            known.count -= 1;
            self.store.remove_record(KIND, &name(key));
        }
    }

    /// Forgets what the cache drops, until the store is closed.
    pub async fn follow(&self) {
        let mut dropped = self.store.dropped();
        loop {
            match dropped.recv().await {
                Ok(digest) if self.is_in_runtime(&digest) => {}
                Ok(digest) => {
                    // It may have been begun anew meanwhile; then whoever asks for it next shares it again.
                    self.forget(&digest);
                }
                // What was missed is found when there is no room, or at the next start.
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return,
            }
        }
    }
}

fn name(key: TopicKey) -> String {
    format!("{key:?}")
}
