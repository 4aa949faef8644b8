//! What containerd's store holds, as far as it was last asked, and what the pieces of that hash to.

mod state;

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use longshore_edge_cache::store::{Store, StoreError};
use longshore_oci::{Digest, RepositoryName, piece::PieceHashes};
use state::{Blob, Shown, State, name, read, write};

use super::wire::{Info, Timestamp};

/// The kind of record that pieces' hashes are, by digest.
const KIND: &str = "runtime-pieces";
/// How many blobs are known at most; of more nothing is served.
pub const MOST_BLOBS: usize = 16_384;
/// How soon it is asked once more for what peers may not be told of.
const PAUSE: Duration = Duration::from_mins(10);
/// The same where a registry could not say.
const PAUSE_UNKNOWN: Duration = Duration::from_secs(30);
/// How many places one blob is shared by at most.
const MOST_PLACES: usize = 8;

/// What containerd notes at content with where it came from, before the registry's name (containerd, `labels`).
const SOURCE_LABEL: &str = "containerd.io/distribution.source.";
/// What it notes at a manifest, before what that refers to.
const CHILD_LABEL: &str = "containerd.io/gc.ref.content";

/// A blob or a manifest as containerd lists it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Listed {
    /// It.
    pub digest: Digest,
    /// Its length.
    pub size_bytes: u64,
    /// Which of several, where it was removed and came again.
    created_at: Option<Timestamp>,
    /// The registries and repositories that containerd had it from.
    pub places: Vec<(String, RepositoryName)>,
    /// Whether it is known to be a manifest.
    is_manifest: bool,
}

impl Listed {
    /// What is said of it; `None` where that can't be understood.
    pub fn of(info: &Info) -> Option<Self> {
        let places =
            info.labels.iter().filter_map(|(label, repositories)| Some((label.strip_prefix(SOURCE_LABEL)?, repositories)));
        let places = places.flat_map(|(registry, repositories)| repositories.split(',').map(move |name| (registry, name)));
        let places = places.filter_map(|(registry, name)| Some((registry.to_owned(), name.parse().ok()?)));
        let mut places: Vec<_> = places.take(MOST_PLACES).collect();
        places.sort();
        Some(Self {
            digest: info.digest.parse().ok()?,
            size_bytes: info.size.try_into().ok()?,
            created_at: info.created_at,
            places,
            is_manifest: info.labels.keys().any(|label| label.starts_with(CHILD_LABEL)),
        })
    }
}

/// A blob that containerd holds.
#[derive(Clone, Debug)]
pub struct Held {
    /// In which namespace it is read.
    pub namespace: Arc<str>,
    /// How long it is.
    pub size_bytes: u64,
}

/// A blob of which peers may be told once it is known by which places.
#[derive(Clone, Debug)]
pub struct Untold {
    /// The blob.
    pub digest: Digest,
    /// Where containerd had it from.
    pub places: Vec<(String, RepositoryName)>,
}

/// What came of telling peers of a blob.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Telling {
    /// They are told, by each place that it is in.
    Told,
    /// It is in none of its places, or none has shown to have it.
    Denied,
    /// One of its places at least could not be asked.
    Unknown,
}

/// What containerd's store holds.
#[derive(Debug)]
pub struct Stock {
    state: Mutex<State>,
    store: Store,
}

impl Stock {
    /// Nothing yet; hashes are as they were written down. Blocks.
    pub fn open(store: Store) -> Result<Self, StoreError> {
        let mut state = State::default();
        for (key, value) in store.records(KIND)? {
            if !read(&key, &value).is_some_and(|(digest, shown)| state.remember_shown(&digest, shown)) {
                store.remove_record(KIND, &key);
            }
        }
        Ok(Self { state: Mutex::new(state), store })
    }

    /// It is this, by namespace, which is looked at in this order.
    pub fn set(&self, listed: Vec<(Arc<str>, Listed)>) {
        let mut state = self.state();
        let mut before = std::mem::take(&mut state.blobs);
        for (namespace, listed) in listed.into_iter().take(MOST_BLOBS) {
            if state.blobs.contains_key(&listed.digest) {
                continue;
            }
            let same = before.remove(&listed.digest).filter(|blob| blob.listed == listed);
            if same.is_none() {
                // It is there anew, and may be right now: who said what it was not may say so again.
                for upstream in state.forget_refuted(&listed.digest) {
                    self.store.remove_record(KIND, &name(&listed.digest, &upstream));
                }
            }
            let blob = match same {
                Some(same) => Blob { namespace, ..same },
                None => Blob { namespace, listed, is_damaged: false, is_told: false, retry_at: None },
            };
            state.blobs.insert(blob.listed.digest.clone(), blob);
        }
        state.has_looked = true;
        let gone: Vec<_> = state.shown.keys().filter(|digest| !state.blobs.contains_key(*digest)).cloned().collect();
        for digest in gone {
            for shown in state.forget_shown(&digest) {
                self.store.remove_record(KIND, &name(&digest, &shown.upstream));
            }
        }
    }

    /// Nobody knows what it is; what its pieces hash to is remembered.
    pub fn clear(&self) {
        self.state().blobs.clear();
    }

    /// A blob as far as it can be read, whoever checks it.
    pub fn get(&self, digest: &Digest) -> Option<Held> {
        let state = self.state();
        let blob = state.sound(digest)?;
        Some(Held { namespace: blob.namespace.clone(), size_bytes: blob.listed.size_bytes })
    }

    /// A blob whose pieces can be checked by the word of the registry with this key, which was found to be true: where it is, and what
    /// they hash to. Of no other registry's word anything is told: it need not have the blob.
    pub fn vouched(&self, digest: &Digest, upstream: &str) -> Option<(Held, PieceHashes)> {
        self.told(digest, upstream, |shown| shown.is_proven)
    }

    /// The same where it may be that nobody knows yet whether it is true: nobody is to be told that the blob is here.
    pub fn said(&self, digest: &Digest, upstream: &str) -> Option<(Held, PieceHashes)> {
        self.told(digest, upstream, |_| true)
    }

    fn told(&self, digest: &Digest, upstream: &str, is_enough: impl Fn(&Shown) -> bool) -> Option<(Held, PieceHashes)> {
        let state = self.state();
        let (blob, shown) = state.said(digest, upstream).filter(|(_, shown)| is_enough(shown))?;
        Some((Held { namespace: blob.namespace.clone(), size_bytes: shown.size_bytes }, shown.hashes.clone()))
    }

    /// Whether a blob is there whose pieces can be checked, or before it was first looked, was.
    pub fn may_have(&self, digest: &Digest) -> bool {
        let state = self.state();
        if state.has_looked { state.is_shown(digest) } else { state.shown.contains_key(digest) }
    }

    /// What the pieces of a blob that is here hash to, by the word of the registry with this key, which has had it. It is written down.
    pub fn set_shown(&self, digest: &Digest, upstream: &Arc<str>, size_bytes: u64, hashes: PieceHashes) {
        let shown = Shown { upstream: upstream.clone(), size_bytes, hashes, is_proven: true, is_refuted: false };
        let value = write(&shown);
        if self.remember(digest, shown) {
            self.store.put_record(KIND, name(digest, upstream), value);
        }
    }

    /// The same by its word alone, of which it counts for nothing until [`Self::prove`].
    pub fn set_said(&self, digest: &Digest, upstream: &Arc<str>, size_bytes: u64, hashes: PieceHashes) {
        let shown = Shown { upstream: upstream.clone(), size_bytes, hashes, is_proven: false, is_refuted: false };
        self.remember(digest, shown);
    }

    fn remember(&self, digest: &Digest, shown: Shown) -> bool {
        let mut state = self.state();
        let is_here = state.blobs.get(digest).is_some_and(|blob| blob.listed.size_bytes == shown.size_bytes);
        is_here && state.remember_shown(digest, shown)
    }

    /// A piece of what is here is as this registry says, so it has had the blob. It is written down.
    pub fn prove(&self, digest: &Digest, upstream: &str) {
        let mut state = self.state();
        let mut shown = state.shown.get_mut(digest).into_iter().flatten();
        let unproven = shown.find(|shown| &*shown.upstream == upstream && !shown.is_proven && !shown.is_refuted);
        if let Some(shown) = unproven {
            shown.is_proven = true;
            self.store.put_record(KIND, name(digest, upstream), write(shown));
        }
    }

    /// What is there is not the blob: it counts as not there until containerd has it anew. Whether that is new.
    pub fn distrust(&self, digest: &Digest) -> bool {
        let mut state = self.state();
        state.blobs.get_mut(digest).is_some_and(|blob| !std::mem::replace(&mut blob.is_damaged, true))
    }

    /// What is there is not what this registry says of it: likewise, but for that registry alone, which may be the one that is wrong.
    pub fn refute(&self, digest: &Digest, upstream: &str) -> bool {
        let mut state = self.state();
        let mut shown = state.shown.get_mut(digest).into_iter().flatten();
        shown.find(|shown| &*shown.upstream == upstream).is_some_and(|shown| !std::mem::replace(&mut shown.is_refuted, true))
    }

    /// A blob is not there any more.
    pub fn remove(&self, digest: &Digest) {
        self.state().blobs.remove(digest);
    }

    /// All blobs that are there, and how long they are.
    pub fn all(&self) -> Vec<(Digest, u64)> {
        let state = self.state();
        state.blobs.values().map(|blob| (blob.listed.digest.clone(), blob.listed.size_bytes)).collect()
    }

    /// Those of them that are known to be no manifests, and are right as far as is known.
    pub fn layers(&self) -> Vec<(Digest, u64)> {
        let state = self.state();
        let layers = state.blobs.values().filter(|blob| !blob.listed.is_manifest && !blob.is_damaged);
        layers.map(|blob| (blob.listed.digest.clone(), blob.listed.size_bytes)).collect()
    }

    /// So many at most of the blobs of which peers were not told yet, and that are due to be looked at.
    pub fn untold(&self, most: usize, now: Instant) -> Vec<Untold> {
        let state = self.state();
        let is_due = |blob: &&Blob| {
            let of_nobody = blob.listed.places.is_empty() || blob.listed.is_manifest || blob.is_damaged;
            !of_nobody && !blob.is_told && blob.retry_at.is_none_or(|at| at <= now)
        };
        let untold = |blob: &Blob| Untold { digest: blob.listed.digest.clone(), places: blob.listed.places.clone() };
        state.blobs.values().filter(is_due).take(most).map(untold).collect()
    }

    /// Notes what came of telling peers of a blob.
    pub fn note_told(&self, digest: &Digest, telling: Telling, now: Instant) {
        if let Some(blob) = self.state().blobs.get_mut(digest) {
            blob.is_told = telling == Telling::Told;
            blob.retry_at = Some(now + if telling == Telling::Unknown { PAUSE_UNKNOWN } else { PAUSE });
        }
    }

    /// All that can be read there and checked: the cache need not have it.
    pub fn elsewhere(&self) -> HashSet<Digest> {
        let state = self.state();
        state.shown.keys().filter(|digest| state.is_shown(digest)).cloned().collect()
    }

    /// How many blobs and manifests there are.
    pub fn count(&self) -> usize {
        self.state().blobs.len()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
