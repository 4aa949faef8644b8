//! Manifests by their digests: bytes in memory and in the store, fetched once.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use longshore_oci::{Digest, Reference, RepositoryName, Route};
use moka::{notification::RemovalCause, sync::Cache};
use prometheus::IntCounterVec;
use serde::{Deserialize, Serialize};

use super::manifest_bytes::{self, MOST_BYTES};
use crate::{
    error::Error,
    grants::{Denied, MANIFESTS, Place},
    piece::PieceIndex,
    single::Single,
    site::{self, Site},
    store::{Store, StoreError},
    turns::Turns,
    upstream::{Ask, Identity, Upstream},
};

/// What it takes to hold a manifest in memory, beside its own, in bytes.
const BESIDE_BYTES: usize = 256;
/// How many media types are remembered.
pub const MOST_KINDS: u64 = 200_000;
/// How many manifests are fetched at once of an upstream.
const MOST_FETCHED: usize = 256;
/// How often one joins others who fetch the same before one fetches it for oneself.
const MOST_TRIES: u32 = 8;
/// The kind of the records of media types.
const KIND: &str = "edge-manifest";

/// A manifest.
#[derive(Clone, Debug)]
pub struct Manifest {
    /// Its bytes, which its digest names.
    pub bytes: Bytes,
    /// What it is.
    pub media_type: Arc<str>,
    /// Whether it was here.
    pub was_here: bool,
}

type Key = (Place, Digest);

/// As a media type is written down. Of the same bytes two upstreams may say different things, where the bytes say none.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Written {
    upstream: String,
    repository: String,
    digest: Digest,
    media_type: String,
}

/// All that are here. Who may see one is asked before.
pub struct Manifests {
    shelf: Arc<Shelf>,
    /// What is being fetched, and as whom.
    fetching: Single<Key, (Identity, Result<Manifest, Error>)>,
    turns: Arc<Turns>,
    /// The other edges, which are asked before an upstream is.
    site: Option<Arc<Site>>,
}

struct Shelf {
    store: Store,
    hot: Cache<Digest, Bytes>,
    kinds: Cache<Key, Arc<str>>,
    /// Counts what an upstream has sent wrong.
    wrong: IntCounterVec,
}

impl Manifests {
    /// Those that are in a store, and of which so many bytes are in memory; others come from the other edges of a site first.
    pub fn new(store: Store, site: Option<Arc<Site>>, hot_bytes: u64, wrong: IntCounterVec) -> Result<Self, StoreError> {
        let listener = store.clone();
        let kinds = Cache::builder().max_capacity(MOST_KINDS).eviction_listener(move |key: Arc<Key>, _, cause| {
            if cause != RemovalCause::Replaced {
                listener.remove_record(KIND, &name(&key));
            }
        });
        let kinds = kinds.build();
        for (name, value) in store.records(KIND)? {
            match read(&value) {
                Some((key, kind)) => kinds.insert(key, kind),
                None => store.remove_record(KIND, &name),
            }
        }
        let weigh = |_: &Digest, bytes: &Bytes| u32::try_from(bytes.len().saturating_add(BESIDE_BYTES)).unwrap_or(u32::MAX);
        let hot = Cache::builder().max_capacity(hot_bytes).weigher(weigh).build();
        let turns = Arc::new(Turns::new(MOST_FETCHED));
        Ok(Self { shelf: Arc::new(Shelf { store, hot, kinds, wrong }), fetching: Single::default(), turns, site })
    }

    /// Forgets a manifest's bytes, which were dropped from the store.
    pub fn forget(&self, digest: &Digest) {
        self.shelf.hot.invalidate(digest);
    }

    /// How long a manifest is that is here, in bytes.
    pub fn size_bytes(&self, place: &Place, digest: &Digest) -> Option<u64> {
        self.shelf.kinds.get(&(place.clone(), digest.clone()))?;
        let entry = self.shelf.store.peek(digest).filter(|entry| entry.is_complete())?;
        Some(entry.geometry().size_bytes())
    }

    /// A manifest that is here.
    pub async fn held(&self, place: &Place, digest: &Digest) -> Option<Manifest> {
        self.shelf.get(&(place.clone(), digest.clone())).await
    }

    /// Keeps a manifest that came from elsewhere and was found right.
    pub async fn take(&self, place: &Place, digest: &Digest, bytes: &Bytes, came_as: &str) {
        let media_type: Arc<str> = manifest_bytes::media_type(bytes, came_as).into();
        self.shelf.keep(&(place.clone(), digest.clone()), bytes, &media_type).await;
    }

    /// A manifest that its asker may see, from here or else from its upstream.
    pub async fn get(
        &self,
        upstream: &Arc<Upstream>,
        repository: &RepositoryName,
        digest: &Digest,
        identity: &Identity,
    ) -> Result<Manifest, Error> {
        self.get_by(self.site.as_ref(), upstream, repository, digest, identity).await
    }

    /// The same for another edge of the site: nobody but the upstream is asked for what is not here.
    pub async fn get_for_member(
        &self,
        upstream: &Arc<Upstream>,
        repository: &RepositoryName,
        digest: &Digest,
        identity: &Identity,
    ) -> Result<Manifest, Error> {
        self.get_by(None, upstream, repository, digest, identity).await
    }

    async fn get_by(
        &self,
        site: Option<&Arc<Site>>,
        upstream: &Arc<Upstream>,
        repository: &RepositoryName,
        digest: &Digest,
        identity: &Identity,
    ) -> Result<Manifest, Error> {
        let key = (Place::new(upstream, repository.clone()), digest.clone());
        let fetch = || {
            let (manifests, key, upstream, identity) = (self.shelf.clone(), key.clone(), upstream.clone(), identity.clone());
            let (turns, site) = (self.turns.clone(), site.cloned());
            async move {
                let Some(_turn) = turns.take(&key.0.upstream) else { return Err(Error::Overloaded) };
                if let Some(site) = site
                    && let Some(manifest) = manifests.fetch_from(&site, &key, &upstream, &identity).await
                {
                    return Ok(manifest);
                }
                manifests.fetch(key, &upstream, &identity).await
            }
        };
        for _ in 0..MOST_TRIES {
            if let Some(manifest) = self.shelf.get(&key).await {
                return Ok(manifest);
            }
            let mut is_own = false;
            let lead = || {
                is_own = true;
                let (asker, fetched) = (identity.clone(), fetch());
                async move { (asker, fetched.await) }
            };
            let (asker, fetched) = self.fetching.run_once(key.clone(), lead).await.ok_or(Error::Overloaded)?;
            match fetched {
                // Whoever asked first was not let in, or asks too often, which says nothing of who asks now.
                Err(Error::Denied(denied)) if asker != *identity && denied.is_of_the_asker() => {}
                // Nor does it that their request went round in a circle.
                Err(Error::Denied(Denied::Upstream(error))) if !is_own && error.is_loop() => {}
                outcome => return outcome,
            }
        }
        fetch().await
    }
}

impl Shelf {
    async fn get(&self, key: &Key) -> Option<Manifest> {
        let media_type = self.kinds.get(key)?;
        if let Some(bytes) = self.hot.get(&key.1) {
            // Which notes that it was asked for: what is served from memory alone would be dropped from the disk as idle.
            self.store.entry(&key.1);
            return Some(Manifest { bytes, media_type, was_here: true });
        }
        let bytes = self.read(&key.1).await?;
        self.hot.insert(key.1.clone(), bytes.clone());
        Some(Manifest { bytes, media_type, was_here: true })
    }

    /// The bytes in the store, where they are all there and small enough; each piece is checked as it is read.
    async fn read(&self, digest: &Digest) -> Option<Bytes> {
        let entry = self.store.entry(digest)?;
        let geometry = entry.geometry();
        if !entry.is_complete() || usize::try_from(geometry.size_bytes()).is_ok_and(|size| size > MOST_BYTES) {
            return None;
        }
        let mut bytes = BytesMut::new();
        for piece in 0..geometry.pieces() {
            bytes.extend_from_slice(&entry.read(PieceIndex(piece)).await.ok()?);
        }
        (Digest::of(digest.algorithm(), &bytes) == *digest).then(|| bytes.freeze())
    }

    /// What another edge of the site has.
    async fn fetch_from(&self, site: &Site, key: &Key, upstream: &Upstream, identity: &Identity) -> Option<Manifest> {
        let (place, digest) = key;
        let place = site::SiteRepository::new(upstream, place.repository.clone());
        let found = site.manifest(&place, digest, identity).await?;
        let media_type: Arc<str> = manifest_bytes::media_type(&found.bytes, &found.content_type).into();
        self.keep(key, &found.bytes, &media_type).await;
        Some(Manifest { bytes: found.bytes, media_type, was_here: false })
    }

    async fn fetch(&self, key: Key, upstream: &Upstream, identity: &Identity) -> Result<Manifest, Error> {
        let (place, digest) = &key;
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static(MANIFESTS));
        let route = Route::Manifest(place.repository.clone(), Reference::Digest(digest.clone()));
        let ask = Ask { method: Method::GET, route, query: None, headers };
        let answer = upstream.ask(identity, ask).await.map_err(Denied::Upstream)?;
        if answer.status != StatusCode::OK {
            let reason = format!("it answered a manifest with {}", answer.status);
            return Err(Denied::NotARegistry { upstream: upstream.name().to_owned(), reason }.into());
        }
        let content_type = answer.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let content_type = content_type.to_owned();
        let bytes = answer.read(MOST_BYTES).await.map_err(Denied::Upstream)?;
        let actual = Digest::of(digest.algorithm(), &bytes);
        if actual != *digest {
            self.wrong.with_label_values(&[upstream.name()]).inc();
            return Err(Error::ManifestDamaged { upstream: upstream.name().to_owned(), expected: digest.clone(), actual });
        }
        let media_type: Arc<str> = manifest_bytes::media_type(&bytes, &content_type).into();
        self.keep(&key, &bytes, &media_type).await;
        Ok(Manifest { bytes, media_type, was_here: false })
    }

    /// Keeps a manifest that was found right. One that the store has no room for is passed on all the same.
    async fn keep(&self, key: &Key, bytes: &Bytes, media_type: &Arc<str>) {
        let digest = &key.1;
        self.hot.insert(digest.clone(), bytes.clone());
        self.store.put_record(KIND, name(key), write(key, media_type));
        self.kinds.insert(key.clone(), media_type.clone());
        if self.store.peek(digest).is_some_and(|entry| entry.is_complete()) {
            return;
        }
        let kept = async {
            let mut receiving = self.store.receive(digest, bytes.len() as u64).await?;
            receiving.append(bytes.clone()).await?;
            receiving.finish().await
        };
        if let Err(error) = kept.await {
            tracing::debug!(%digest, error = &error as &dyn std::error::Error, "a manifest is not kept");
        }
    }
}

/// What a record is called.
fn name((place, digest): &Key) -> String {
    format!("{} {} {digest}", place.upstream, place.repository)
}

fn write((place, digest): &Key, media_type: &str) -> Vec<u8> {
    let written = Written {
        upstream: place.upstream.to_string(),
        repository: place.repository.to_string(),
        digest: digest.clone(),
        media_type: media_type.to_owned(),
    };
    serde_json::to_vec(&written).expect("texts are always JSON")
}

fn read(value: &[u8]) -> Option<(Key, Arc<str>)> {
    let Written { upstream, repository, digest, media_type } = serde_json::from_slice(value).ok()?;
    let place = Place { upstream: upstream.into(), repository: repository.parse().ok()? };
    Some(((place, digest), media_type.into()))
}

#[cfg(test)]
mod tests;
