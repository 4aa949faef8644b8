//! What tags named when it was last asked.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use longshore_oci::{Digest, Tag};
use moka::{notification::RemovalCause, sync::Cache};
use serde::{Deserialize, Serialize};

use crate::{
    grants::{Place, Resets},
    store::{Store, StoreError},
};

/// The kind of their records.
const KIND: &str = "edge-tag";
/// The kind of the records of when any tag of an upstream may have changed.
const RESET_KIND: &str = "edge-tag-reset";
/// The longest entity tag that is remembered, in bytes.
const MOST_ETAG_BYTES: usize = 512;

/// How long it may take to ask what a tag names.
const LONGEST_ASKING: Duration = Duration::from_mins(10);

/// What a tag named.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Kept {
    /// The manifest.
    pub digest: Digest,
    /// The upstream's entity tag of it.
    pub etag: Option<String>,
    /// When the upstream was asked for it.
    pub checked_at: Timestamp,
    /// Whether the upstream has told since that it changed.
    pub is_outdated: bool,
}

impl Kept {
    /// Of an answer's `ETag`, where it is one that can be sent again.
    pub fn new(digest: Digest, etag: Option<&str>, checked_at: Timestamp) -> Self {
        let etag = etag.filter(|etag| etag.len() <= MOST_ETAG_BYTES).map(str::to_owned);
        Self { digest, etag, checked_at, is_outdated: false }
    }

    /// How long ago the upstream said so; `None` where the clock was set back since.
    pub fn age(&self, now: Timestamp) -> Option<Duration> {
        Duration::try_from(now.duration_since(self.checked_at)).ok()
    }

    /// Whether it is believed without asking.
    pub fn is_fresh(&self, now: Timestamp, ttl: Duration) -> bool {
        !self.is_outdated && self.age(now).is_some_and(|age| age < ttl)
    }
}

/// As it is written down.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Written {
    upstream: String,
    repository: String,
    tag: String,
    digest: Digest,
    etag: Option<String>,
    checked_at: Timestamp,
    #[serde(default)]
    is_outdated: bool,
}

type Key = (Place, Tag);

/// All that are remembered.
pub struct Memo {
    kept: Cache<Key, Kept>,
    /// When tags changed, as far back as one may be believed.
    changed: Cache<Key, Timestamp>,
    /// When any tag of an upstream may have.
    resets: Resets,
    /// Held while what is remembered of a tag changes, so that no answer that was asked for before a change takes the place of its note.
    changing: Mutex<()>,
    /// Where they are written down; nowhere in a test.
    store: Option<Store>,
}

impl Memo {
    /// Those that are written down; never more than so many.
    pub fn new(store: Option<Store>, most: u64, ttl: Duration) -> Result<Self, StoreError> {
        let mut kept = Cache::builder().max_capacity(most);
        if let Some(store) = store.clone() {
            kept = kept.eviction_listener(move |key: Arc<Key>, _, cause| {
                if cause != RemovalCause::Replaced {
                    store.remove_record(KIND, &name(&key));
                }
            });
        }
        let kept = kept.build();
        let written = store.as_ref().map_or(Ok(Vec::new()), |store| store.records(KIND))?;
        for (name, value) in written {
            match read(&value) {
                Some((key, tag)) => kept.insert(key, tag),
                None => store.iter().for_each(|store| store.remove_record(KIND, &name)),
            }
        }
        let changed = Cache::builder().max_capacity(most).time_to_live(ttl.saturating_add(LONGEST_ASKING)).build();
        let resets = Resets::new(store.clone(), RESET_KIND)?;
        Ok(Self { kept, changed, resets, changing: Mutex::default(), store })
    }

    /// What a tag named.
    pub fn get(&self, place: &Place, tag: &Tag) -> Option<Kept> {
        self.kept.get(&(place.clone(), tag.clone()))
    }

    /// Notes what a tag names.
    pub fn put(&self, place: &Place, tag: &Tag, kept: Kept) {
        let _changing = self.changing();
        let is_outdated = self.is_outdated(place, tag, &kept);
        self.keep((place.clone(), tag.clone()), Kept { is_outdated, ..kept });
    }

    /// Notes that a tag changed, which holds over a restart: whoever tells of changes does not tell of it again.
    pub fn outdate(&self, place: &Place, tag: &Tag) {
        let key = (place.clone(), tag.clone());
        let _changing = self.changing();
        self.changed.insert(key.clone(), Timestamp::now());
        if let Some(kept) = self.kept.get(&key).filter(|kept| !kept.is_outdated) {
            self.keep(key, Kept { is_outdated: true, ..kept });
        }
    }

    fn keep(&self, key: Key, kept: Kept) {
        if let Some(store) = &self.store {
            store.put_record(KIND, name(&key), write(&key, &kept));
        }
        self.kept.insert(key, kept);
    }

    fn changing(&self) -> MutexGuard<'_, ()> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that any tag of an upstream may have.
    pub fn outdate_all(&self, upstream: &Arc<str>) {
        self.resets.note(upstream);
    }

    /// Whether a tag changed since its upstream was asked for this.
    pub fn is_outdated(&self, place: &Place, tag: &Tag, kept: &Kept) -> bool {
        let changed = self.changed.get(&(place.clone(), tag.clone()));
        let all = self.resets.last(&place.upstream).map(|reset| reset.time);
        kept.is_outdated || changed.into_iter().chain(all).any(|changed| kept.checked_at <= changed)
    }

    /// Notes that there is no such tag.
    pub fn remove(&self, place: &Place, tag: &Tag) {
        let _changing = self.changing();
        self.kept.invalidate(&(place.clone(), tag.clone()));
    }
}

/// What a record is called.
fn name((place, tag): &Key) -> String {
    format!("{} {} {tag}", place.upstream, place.repository)
}

fn write((place, tag): &Key, kept: &Kept) -> Vec<u8> {
    let written = Written {
        upstream: place.upstream.to_string(),
        repository: place.repository.to_string(),
        tag: tag.to_string(),
        digest: kept.digest.clone(),
        etag: kept.etag.clone(),
        checked_at: kept.checked_at,
        is_outdated: kept.is_outdated,
    };
    serde_json::to_vec(&written).expect("texts are always JSON")
}

fn read(value: &[u8]) -> Option<(Key, Kept)> {
    let Written { upstream, repository, tag, digest, etag, checked_at, is_outdated } = serde_json::from_slice(value).ok()?;
    let place = Place { upstream: upstream.into(), repository: repository.parse().ok()? };
    Some(((place, tag.parse().ok()?), Kept { digest, etag, checked_at, is_outdated }))
}

#[cfg(test)]
mod tests;
