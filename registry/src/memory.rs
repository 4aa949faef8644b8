//! What the database said, remembered for as long as it is certainly still so.
//!
//! Each repository has a counter of changes (several may share one). What is remembered carries the counter as it was before the
//! database was asked, and is good only while that has not moved; whoever changes a repository moves it after the commit and before
//! the answer. So a read that starts after a push was acknowledged never sees what was there before, and nothing has to be found and
//! thrown out. This holds in one process; with several on one database nothing is remembered.

use std::{
    hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher, Hash},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use longshore_oci::{Digest, Reference, RepositoryName};
use moka::sync::Cache;

use crate::state::{EvidenceIndex, SharedState, StateError, StoredBlob, StoredManifest};

/// How many counters the repositories share.
const COUNTERS: usize = 1024;
/// What an entry costs besides its content, in bytes.
const ENTRY_BYTES: u64 = 512;

/// A memory in front of the database.
pub struct Memory {
    state: SharedState,
    changes: Box<[AtomicU64]>,
    manifests: Option<Remembered<Reference, StoredManifest>>,
    blobs: Option<Remembered<Digest, StoredBlob>>,
    evidence: Option<Remembered<Digest, EvidenceIndex>>,
}

type Remembered<K, V> = Cache<(RepositoryName, K), (u64, Arc<V>)>;

impl Memory {
    /// A memory of at most about `size_bytes` for manifests, and as much for where blobs are, and for what is about images.
    pub fn new(state: SharedState, size_bytes: u64) -> Self {
        let is_exclusive = state.is_exclusive();
        let changes = (0..COUNTERS).map(|_| AtomicU64::new(0)).collect();
        let manifests = is_exclusive.then(|| remembered(size_bytes, |manifest: &StoredManifest| manifest.content.len()));
        let blobs = is_exclusive.then(|| remembered(size_bytes, |blob: &StoredBlob| blob.pieces.len()));
        let evidence =
            is_exclusive.then(|| remembered(size_bytes, |index: &EvidenceIndex| 100 * (index.about.len() + index.listing.len())));
        Self { state, changes, manifests, blobs, evidence }
    }

    /// A manifest by tag or digest.
    pub async fn manifest(&self, key: (RepositoryName, Reference)) -> Result<Option<Arc<StoredManifest>>, StateError> {
        let Some(manifests) = &self.manifests else {
            return Ok(self.state.manifest(&key.0, &key.1).await?.map(Arc::new));
        };
        let changes = self.changes(&key.0).load(Ordering::SeqCst);
        if let Some(manifest) = recall(manifests, &key, changes) {
            return Ok(Some(manifest));
        }
        let manifest = self.state.manifest(&key.0, &key.1).await?.map(Arc::new);
        if let Some(manifest) = &manifest {
            manifests.insert(key, (changes, manifest.clone()));
        }
        Ok(manifest)
    }

    /// A blob of a repository.
    pub async fn blob(&self, key: (RepositoryName, Digest)) -> Result<Option<Arc<StoredBlob>>, StateError> {
        let Some(blobs) = &self.blobs else {
            return Ok(self.state.blob(&key.0, &key.1).await?.map(Arc::new));
        };
        let changes = self.changes(&key.0).load(Ordering::SeqCst);
        if let Some(blob) = recall(blobs, &key, changes) {
            return Ok(Some(blob));
        }
        let blob = self.state.blob(&key.0, &key.1).await?.map(Arc::new);
        if let Some(blob) = &blob {
            blobs.insert(key, (changes, blob.clone()));
        }
        Ok(blob)
    }

    /// What may show that an image is signed.
    pub async fn evidence(&self, key: (RepositoryName, Digest)) -> Result<Arc<EvidenceIndex>, StateError> {
        let Some(evidence) = &self.evidence else {
            return Ok(Arc::new(self.state.evidence(&key.0, &key.1).await?));
        };
        let changes = self.changes(&key.0).load(Ordering::SeqCst);
        if let Some(index) = recall(evidence, &key, changes) {
            return Ok(index);
        }
        let index = Arc::new(self.state.evidence(&key.0, &key.1).await?);
        evidence.insert(key, (changes, index.clone()));
        Ok(index)
    }

    /// Notes that something in a repository changed. Called after the change was committed and before it is acknowledged; also where
    /// it is not known whether it was.
    pub fn changed(&self, repository: &RepositoryName) {
        self.changes(repository).fetch_add(1, Ordering::SeqCst);
    }

    /// Notes that something changed which any repository may have.
    pub fn all_changed(&self) {
        for changes in &self.changes {
            changes.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn changes(&self, repository: &RepositoryName) -> &AtomicU64 {
        let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(repository);
        &self.changes[usize::try_from(hash % COUNTERS as u64).unwrap_or_default()]
    }
}

fn remembered<K, V>(size_bytes: u64, content_length: fn(&V) -> usize) -> Remembered<K, V>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    Cache::builder()
        .max_capacity(size_bytes)
        .weigher(move |_, (_, value): &(u64, Arc<V>)| {
            u32::try_from(content_length(value) as u64 + ENTRY_BYTES).unwrap_or(u32::MAX)
        })
        .build()
}

fn recall<K, V>(cache: &Remembered<K, V>, key: &(RepositoryName, K), changes: u64) -> Option<Arc<V>>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    cache.get(key).filter(|(seen, _)| *seen == changes).map(|(_, value)| value)
}
