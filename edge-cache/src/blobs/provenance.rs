//! Who has brought what is kept, or has shown that they have it: what one upstream brought is served to callers of another only where
//! that one has it too, and only where its bytes are known to be those of the digest.

use std::sync::Arc;

use longshore_oci::Digest;
use serde::{Deserialize, Serialize};

use crate::store::{Store, StoreError};

/// The kind of record that this is written down as.
const KIND: &str = "edge-provenance";
/// Of how many sources it is remembered that they have the same blob.
const MOST_SOURCES: usize = 16;

/// Of how many blobs it is remembered who has them, where so many are kept: it is noted before one is there, and forgotten after one was
/// dropped, of which there may be many at once.
pub fn most_known(max_entries: usize) -> usize {
    max_entries.saturating_add(max_entries / 16).saturating_add(4096)
}

/// Of a blob that is kept.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Known {
    /// Whether all of it was hashed and is what its digest says. Otherwise it is what its pieces' hashes say, by the word of its sources.
    is_whole_checked: bool,
    /// The addresses of who has it.
    sources: Vec<String>,
}

/// Who has what is kept.
pub struct Provenance {
    known: moka::sync::Cache<Digest, Arc<Known>>,
    store: Store,
}

impl Provenance {
    /// As it is written down.
    pub fn new(store: Store) -> Result<Self, StoreError> {
        let most = u64::try_from(most_known(store.max_entries())).unwrap_or(u64::MAX);
        let listener = store.clone();
        let forgotten = move |digest: Arc<Digest>, _, cause| {
            if cause != moka::notification::RemovalCause::Replaced {
                listener.remove_record(KIND, digest.as_str());
            }
        };
        let known = moka::sync::Cache::builder().max_capacity(most).eviction_listener(forgotten).build();
        for (name, value) in store.records(KIND)? {
            match (name.parse::<Digest>(), serde_json::from_slice::<Known>(&value)) {
                (Ok(digest), Ok(read)) if store.peek(&digest).is_some() => known.insert(digest, Arc::new(read)),
                _ => store.remove_record(KIND, &name),
            }
        }
        Ok(Self { known, store })
    }

    /// Whether a source is known to have what is kept of a blob.
    pub fn is_of(&self, digest: &Digest, source: &str) -> bool {
        self.known.get(digest).is_some_and(|known| known.sources.iter().any(|known| known == source))
    }

    /// The names of the sources that are known to have a blob.
    pub fn sources(&self, digest: &Digest) -> Vec<String> {
        let known = self.known.get(digest);
        // An address begins with the name.
        let name = |source: &String| source.split_once(' ').map_or(source.as_str(), |(name, _)| name).to_owned();
        known.map(|known| known.sources.iter().map(name).collect()).unwrap_or_default()
    }

    /// Whether all that is kept of a blob is known to be that of its digest.
    pub fn is_whole_checked(&self, digest: &Digest) -> bool {
        self.known.get(digest).is_some_and(|known| known.is_whole_checked)
    }

    /// Notes that all of what is kept was hashed, and is what its digest says.
    pub fn set_whole_checked(&self, digest: &Digest) {
        let Some(known) = self.known.get(digest) else { return };
        self.write(digest, Known { is_whole_checked: true, ..Known::clone(&known) });
    }

    /// Whether anything is known of who has a blob.
    pub fn is_known(&self, digest: &Digest) -> bool {
        self.known.contains_key(digest)
    }

    /// Notes that what is kept from now on is by this source alone.
    pub fn set(&self, digest: &Digest, source: &str, is_whole_checked: bool) {
        self.write(digest, Known { is_whole_checked, sources: vec![source.to_owned()] });
    }

    /// Blobs of which something is known, and nothing is here. Looks at all of them.
    pub fn of_nothing(&self) -> Vec<Arc<Digest>> {
        self.known.iter().map(|(digest, _)| digest).filter(|digest| self.store.peek(digest).is_none()).collect()
    }

    /// Forgets who has a blob: what is kept of it is nobody's.
    pub fn forget(&self, digest: &Digest) {
        self.known.invalidate(digest);
    }

    /// Notes that a source has shown that it has the very same.
    pub fn add(&self, digest: &Digest, source: &str) {
        let Some(known) = self.known.get(digest) else { return };
        if known.sources.len() < MOST_SOURCES && !known.sources.iter().any(|known| known == source) {
            let mut known = Known::clone(&known);
            known.sources.push(source.to_owned());
            self.write(digest, known);
        }
    }

    fn write(&self, digest: &Digest, known: Known) {
        let written = serde_json::to_vec(&known).expect("texts are always JSON");
        self.store.put_record(KIND, digest.as_str().to_owned(), written);
        self.known.insert(digest.clone(), Arc::new(known));
    }
}
