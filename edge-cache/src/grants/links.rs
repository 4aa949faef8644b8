//! What each repository has, as its upstream has said: for content that is cached once, the repositories that it may be had through.

use jiff::Timestamp;
use longshore_oci::{Digest, RepositoryName};
use moka::{notification::RemovalCause, sync::Cache};
use serde::{Deserialize, Serialize};

use super::{Place, What};
use crate::store::{Store, StoreError};

/// The kind of their records.
const KIND: &str = "edge-link";

/// That a repository has something.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Link {
    /// When the upstream last said so.
    pub seen_at: Timestamp,
    /// How long it is, in bytes, where that was told.
    pub size_bytes: Option<u64>,
}

/// As it is written down.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Written {
    upstream: String,
    repository: String,
    is_manifest: bool,
    digest: Digest,
    seen_at: Timestamp,
    size_bytes: Option<u64>,
}

type Key = (Place, What);

/// All that are remembered.
pub struct Links {
    known: Cache<Key, Link>,
    /// Where they are written down; nowhere in a test.
    store: Option<Store>,
}

impl Links {
    /// Those that are written down; never more than so many.
    pub fn new(store: Option<Store>, most: u64) -> Result<Self, StoreError> {
        let mut known = Cache::builder().max_capacity(most);
        if let Some(store) = store.clone() {
            known = known.eviction_listener(move |key: std::sync::Arc<Key>, _, cause| {
                if cause != RemovalCause::Replaced {
                    store.remove_record(KIND, &name(&key));
                }
            });
        }
        let known = known.build();
        let written = store.as_ref().map_or(Ok(Vec::new()), |store| store.records(KIND))?;
        for (name, value) in written {
            match read(&value) {
                Some((key, link)) => known.insert(key, link),
                None => store.iter().for_each(|store| store.remove_record(KIND, &name)),
            }
        }
        Ok(Self { known, store })
    }

    /// What is known of this.
    pub fn get(&self, place: &Place, what: &What) -> Option<Link> {
        self.known.get(&(place.clone(), what.clone()))
    }

    /// Notes that a repository has something.
    pub fn add(&self, place: &Place, what: &What, link: Link) {
        let key = (place.clone(), what.clone());
        if let Some(store) = &self.store {
            store.put_record(KIND, name(&key), write(&key, link));
        }
        self.known.insert(key, link);
    }

    /// Notes that a repository does not have something.
    pub fn remove(&self, place: &Place, what: &What) {
        self.known.invalidate(&(place.clone(), what.clone()));
    }
}

/// What a record is called.
fn name((place, what): &Key) -> String {
    let kind = if matches!(what, What::Manifest(_)) { "manifest" } else { "blob" };
    format!("{} {} {kind} {}", place.upstream, place.repository, what.digest())
}

fn write((place, what): &Key, link: Link) -> Vec<u8> {
    let written = Written {
        upstream: place.upstream.to_string(),
        repository: place.repository.to_string(),
        is_manifest: matches!(what, What::Manifest(_)),
        digest: what.digest().clone(),
        seen_at: link.seen_at,
        size_bytes: link.size_bytes,
    };
    serde_json::to_vec(&written).expect("texts and numbers are always JSON")
}

fn read(value: &[u8]) -> Option<(Key, Link)> {
    let written: Written = serde_json::from_slice(value).ok()?;
    let repository: RepositoryName = written.repository.parse().ok()?;
    let what = if written.is_manifest { What::Manifest(written.digest) } else { What::Blob(written.digest) };
    let place = Place { upstream: written.upstream.into(), repository };
    Some(((place, what), Link { seen_at: written.seen_at, size_bytes: written.size_bytes }))
}

#[cfg(test)]
mod tests {
    use longshore_oci::Algorithm;

    use super::*;

    #[test]
    fn a_link_is_read_as_it_was_written() {
        let digest = Digest::of(Algorithm::Sha256, b"1");
        let place = Place { upstream: "a http://a".into(), repository: "team/app".parse().unwrap() };
        let link = Link { seen_at: Timestamp::from_second(1_000).unwrap(), size_bytes: Some(3) };
        let (manifest, blob) = (What::Manifest(digest.clone()), What::Blob(digest));
        for what in [&manifest, &blob] {
            let key = (place.clone(), what.clone());
            assert_eq!(read(&write(&key, link)), Some((key, link)));
        }
        assert_ne!(name(&(place.clone(), manifest)), name(&(place, blob)));
        assert_eq!(read(b"{}"), None);
    }
}
