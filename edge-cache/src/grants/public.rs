//! What anybody could have, written down: so it is served after a restart, too, while its upstream is down. What those could have who show
//! a credential is not.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use longshore_oci::{Digest, RepositoryName};
use moka::{notification::RemovalCause, sync::Cache};
use serde::{Deserialize, Serialize};

use super::{Now, Place};
use crate::store::{Store, StoreError};

/// The kind of their records.
const KIND: &str = "edge-public";
/// How many are remembered at most; each manifest of a repository is one, and so is the repository.
const MOST: u64 = 50_000;
/// How long it is not written down again that something could be had, at most.
const NOTED: Duration = Duration::from_hours(1);
/// The same as a part of how long it is believed.
const NOTED_PART: u32 = 10;

/// A repository, or one of its manifests.
type Key = (Place, Option<Digest>);

/// When anybody could have something.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Seen {
    /// When the upstream was last asked, and said so, as far as that is written down.
    at: Timestamp,
    /// When it was first asked since it last said otherwise.
    since: Timestamp,
    /// From when on it does not count any more, where the upstream has said so of a manifest.
    pub until: Option<Timestamp>,
}

impl Seen {
    /// Whether it is believed, for no longer than this.
    fn is_believed(&self, limit: Duration, now: Now) -> bool {
        now.is_within(self.at, limit) && self.until.is_none_or(|until| now.time < until)
    }
}

/// As it is written down.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Written {
    upstream: String,
    repository: String,
    manifest: Option<Digest>,
    seen_at: Timestamp,
    since: Timestamp,
    #[serde(default)]
    until: Option<Timestamp>,
}

/// All that is remembered. Time is handed in.
pub struct Public {
    known: Cache<Key, Seen>,
    /// How long it is believed.
    limit: Duration,
    /// Where it is written down; nowhere in a test.
    store: Option<Store>,
}

impl Public {
    /// What is written down, and believed now; never more than so many.
    pub fn new(store: Option<Store>, most: u64, limit: Duration, now: Now) -> Result<Self, StoreError> {
        let mut known = Cache::builder().max_capacity(most.min(MOST));
        if let Some(store) = store.clone() {
            known = known.eviction_listener(move |key: Arc<Key>, _, cause| {
                if cause != RemovalCause::Replaced {
                    store.remove_record(KIND, &name(&key));
                }
            });
        }
        let known = known.build();
        let written = store.as_ref().map_or(Ok(Vec::new()), |store| store.records(KIND))?;
        for (name, value) in written {
            match read(&value).filter(|(_, seen)| seen.is_believed(limit, now)) {
                Some((key, seen)) => known.insert(key, seen),
                None => store.iter().for_each(|store| store.remove_record(KIND, &name)),
            }
        }
        Ok(Self { known, limit, store })
    }

    /// Whether anybody could have a manifest of a repository, or pull from it where that is `None`, lately and after `reset`.
    pub fn holds(&self, place: &Place, manifest: Option<&Digest>, reset: Option<Timestamp>, now: Now) -> bool {
        self.seen(place, manifest, reset, now).is_some()
    }

    /// The same, and when that was.
    pub fn seen(&self, place: &Place, manifest: Option<&Digest>, reset: Option<Timestamp>, now: Now) -> Option<Seen> {
        let seen = |manifest: Option<&Digest>| {
            let seen = self.known.get(&(place.clone(), manifest.cloned()))?;
            (seen.is_believed(self.limit, now) && is_after(seen.at, reset)).then_some(seen)
        };
        let repository = seen(None)?;
        let Some(digest) = manifest else { return Some(repository) };
        // What was seen before the repository was closed, or changed, says nothing.
        seen(Some(digest)).filter(|seen| seen.at >= repository.since)
    }

    /// Notes that the upstream, asked at a time, let anybody pull from a repository, and have this manifest of it, until then where it has
    /// said so. What is from before `reset` does not count any more.
    pub fn add(
        &self,
        place: &Place,
        manifest: Option<&Digest>,
        until: Option<Timestamp>,
        reset: Option<Timestamp>,
        asked_at: Now,
    ) {
        if self.limit.is_zero() {
            return;
        }
        let since = self.note((place.clone(), None), None, reset, asked_at);
        if let Some(digest) = manifest {
            self.note((place.clone(), Some(digest.clone())), until, reset.max(Some(since)), asked_at);
        }
    }

    /// Notes that the upstream says otherwise of a manifest, or of all that a repository has where that is `None`.
    pub fn remove(&self, place: &Place, manifest: Option<&Digest>) {
        self.known.invalidate(&(place.clone(), manifest.cloned()));
    }

    /// Since when it could be had. Where that was noted lately, after `reset`, it is not again, unless it ends earlier than was noted.
    fn note(&self, key: Key, until: Option<Timestamp>, reset: Option<Timestamp>, asked_at: Now) -> Timestamp {
        let known = self.known.get(&key);
        let since = known.map_or(asked_at.time, |known| known.since.min(asked_at.time));
        let noted = NOTED.min(self.limit / NOTED_PART);
        let is_noted = |known: &Seen| {
            let is_recent = asked_at.is_within(known.at, noted) && is_after(known.at, reset);
            known.since == since && is_recent && !is_earlier(until, known.until)
        };
        match known.filter(is_noted) {
            Some(known) if known.until == until => {}
            // It ends later: that counts at once, and is written down when it is its time.
            Some(known) => self.known.insert(key, Seen { until, ..known }),
            None => {
                let seen = Seen { at: asked_at.time, since, until };
                if let Some(store) = &self.store {
                    store.put_record(KIND, name(&key), write(&key, seen));
                }
                self.known.insert(key, seen);
            }
        }
        since
    }
}

/// Whether what ends then ends before what ends at another time, or never.
fn is_earlier(until: Option<Timestamp>, other: Option<Timestamp>) -> bool {
    until.is_some_and(|until| other.is_none_or(|other| until < other))
}

fn is_after(seen_at: Timestamp, reset: Option<Timestamp>) -> bool {
    reset.is_none_or(|reset| seen_at > reset)
}

/// What a record is called.
fn name((place, manifest): &Key) -> String {
    let manifest = manifest.as_ref().map(Digest::as_str).unwrap_or_default();
    format!("{} {} {manifest}", place.upstream, place.repository)
}

fn write((place, manifest): &Key, seen: Seen) -> Vec<u8> {
    let written = Written {
        upstream: place.upstream.to_string(),
        repository: place.repository.to_string(),
        manifest: manifest.clone(),
        seen_at: seen.at,
        since: seen.since,
        until: seen.until,
    };
    serde_json::to_vec(&written).expect("texts and times are always JSON")
}

fn read(value: &[u8]) -> Option<(Key, Seen)> {
    let Written { upstream, repository, manifest, seen_at, since, until } = serde_json::from_slice(value).ok()?;
    let repository: RepositoryName = repository.parse().ok()?;
    let place = Place { upstream: upstream.into(), repository };
    Some(((place, manifest), Seen { at: seen_at, since, until }))
}

#[cfg(test)]
mod tests;
