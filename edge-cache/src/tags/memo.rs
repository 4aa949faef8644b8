//! What tags named when it was last asked.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use jiff::Timestamp;
use longshore_oci::{Digest, Tag};
use moka::{notification::RemovalCause, sync::Cache};
use serde::{Deserialize, Serialize};

use crate::{
    grants::Place,
    store::{Store, StoreError},
};

/// The kind of their records.
const KIND: &str = "edge-tag";
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
}

impl Kept {
    /// Of an answer's `ETag`, where it is one that can be sent again.
    pub fn new(digest: Digest, etag: Option<&str>, checked_at: Timestamp) -> Self {
        Self { digest, etag: etag.filter(|etag| etag.len() <= MOST_ETAG_BYTES).map(str::to_owned), checked_at }
    }

    /// How long ago the upstream said so; `None` where the clock was set back since.
    pub fn age(&self, now: Timestamp) -> Option<Duration> {
        Duration::try_from(now.duration_since(self.checked_at)).ok()
    }

    /// Whether it is believed without asking.
    pub fn is_fresh(&self, now: Timestamp, ttl: Duration) -> bool {
        self.age(now).is_some_and(|age| age < ttl)
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
}

type Key = (Place, Tag);

/// All that are remembered.
pub struct Memo {
    kept: Cache<Key, Kept>,
    /// When tags changed, as far back as one may be believed.
    changed: Cache<Key, Timestamp>,
    /// When any tag of an upstream may have.
    all_changed: RwLock<HashMap<Arc<str>, Timestamp>>,
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
        Ok(Self { kept, changed, all_changed: RwLock::default(), store })
    }

    /// What a tag named.
    pub fn get(&self, place: &Place, tag: &Tag) -> Option<Kept> {
        self.kept.get(&(place.clone(), tag.clone()))
    }

    /// Notes what a tag names.
    pub fn put(&self, place: &Place, tag: &Tag, kept: Kept) {
        let key = (place.clone(), tag.clone());
        if let Some(store) = &self.store {
            store.put_record(KIND, name(&key), write(&key, &kept));
        }
        self.kept.insert(key, kept);
    }

    /// Notes that a tag changed.
    pub fn outdate(&self, place: &Place, tag: &Tag) {
        self.changed.insert((place.clone(), tag.clone()), Timestamp::now());
    }

    /// Notes that any tag of an upstream may have.
    pub fn outdate_all(&self, upstream: &Arc<str>) {
        self.all_changed.write().unwrap_or_else(PoisonError::into_inner).insert(upstream.clone(), Timestamp::now());
    }

    /// Whether a tag changed since its upstream was asked for this.
    pub fn is_outdated(&self, place: &Place, tag: &Tag, kept: &Kept) -> bool {
        let all = || self.all_changed.read().unwrap_or_else(PoisonError::into_inner).get(&place.upstream).copied();
        let changed = self.changed.get(&(place.clone(), tag.clone()));
        [changed, all()].into_iter().flatten().any(|changed| kept.checked_at <= changed)
    }

    /// Notes that there is no such tag.
    pub fn remove(&self, place: &Place, tag: &Tag) {
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
    };
    serde_json::to_vec(&written).expect("texts are always JSON")
}

fn read(value: &[u8]) -> Option<(Key, Kept)> {
    let Written { upstream, repository, tag, digest, etag, checked_at } = serde_json::from_slice(value).ok()?;
    let place = Place { upstream: upstream.into(), repository: repository.parse().ok()? };
    Some(((place, tag.parse().ok()?), Kept { digest, etag, checked_at }))
}

#[cfg(test)]
mod tests {
    use longshore_oci::Algorithm;

    use super::*;

    #[test]
    fn a_tag_is_believed_for_its_time_and_not_from_the_future() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let kept = Kept::new(Digest::of(Algorithm::Sha256, b"1"), Some("\"e\""), at(1_000));
        let ttl = Duration::from_secs(30);
        assert!(kept.is_fresh(at(1_029), ttl) && !kept.is_fresh(at(1_030), ttl));
        assert!(!kept.is_fresh(at(999), ttl) && kept.age(at(999)).is_none());
        assert!(!kept.is_fresh(at(1_000), Duration::ZERO));
        let long = Kept::new(kept.digest.clone(), Some(&"x".repeat(MOST_ETAG_BYTES + 1)), at(0));
        assert_eq!(long.etag, None);
    }

    #[test]
    fn a_tag_is_read_as_it_was_written() {
        let place = Place { upstream: "a http://a".into(), repository: "team/app".parse().unwrap() };
        let key = (place, "v1".parse::<Tag>().unwrap());
        let kept = Kept::new(Digest::of(Algorithm::Sha512, b"1"), Some("W/\"e\""), Timestamp::from_second(5).unwrap());
        assert_eq!(read(&write(&key, &kept)), Some((key, kept)));
        assert_eq!(read(b"{}"), None);
    }
}
