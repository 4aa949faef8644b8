//! What containerd's store holds, as far as it was last asked, and what the pieces of that hash to.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use longshore_edge_cache::store::{Store, StoreError};
use longshore_oci::{
    Digest, RepositoryName,
    piece::{Geometry, PieceHashes},
};

use super::wire::{Info, Timestamp};

/// The kind of record that pieces' hashes are, by digest.
const KIND: &str = "runtime-pieces";
/// How many blobs are known at most; of more nothing is served.
pub const MOST_BLOBS: usize = 16_384;
/// How much of hashes is kept, in bytes: those of 2 TiB of blobs.
const MOST_HASH_BYTES: usize = 64 << 20;
/// How soon it is asked once more for what was not told of a blob.
const PAUSE: Duration = Duration::from_mins(10);
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
    /// Its length.
    pub size_bytes: u64,
    /// Where containerd had it from.
    pub places: Vec<(String, RepositoryName)>,
    /// Whether its pieces' hashes are known.
    pub has_pieces: bool,
}

#[derive(Debug)]
struct Blob {
    namespace: Arc<str>,
    listed: Listed,
    is_damaged: bool,
    is_told: bool,
    retry_at: Option<Instant>,
}

#[derive(Debug, Default)]
struct State {
    blobs: HashMap<Digest, Blob>,
    /// The hashes of what is held, and at the start of what was.
    pieces: HashMap<Digest, (u64, PieceHashes)>,
    hash_bytes: usize,
    has_looked: bool,
}

impl State {
    fn forget_pieces(&mut self, digest: &Digest) -> bool {
        let Some((_, hashes)) = self.pieces.remove(digest) else { return false };
        self.hash_bytes -= hashes.as_bytes().len();
        true
    }

    fn remember_pieces(&mut self, digest: &Digest, size_bytes: u64, hashes: PieceHashes) -> bool {
        let is_sound = Geometry::new(size_bytes).is_some_and(|whole| usize::try_from(whole.pieces()) == Ok(hashes.count()));
        let after = self.hash_bytes.saturating_add(hashes.as_bytes().len());
        if !is_sound || after > MOST_HASH_BYTES || self.pieces.len() >= MOST_BLOBS || self.pieces.contains_key(digest) {
            return false;
        }
        self.hash_bytes = after;
        self.pieces.insert(digest.clone(), (size_bytes, hashes));
        true
    }

    fn sound(&self, digest: &Digest) -> Option<&Blob> {
        self.blobs.get(digest).filter(|blob| !blob.is_damaged)
    }
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
            let read = key.parse::<Digest>().ok().zip(read(&value));
            if !read.is_some_and(|(digest, (size_bytes, hashes))| state.remember_pieces(&digest, size_bytes, hashes)) {
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
            let blob = match same {
                Some(same) => Blob { namespace, ..same },
                None => Blob { namespace, listed, is_damaged: false, is_told: false, retry_at: None },
            };
            state.blobs.insert(blob.listed.digest.clone(), blob);
        }
        state.has_looked = true;
        let gone: Vec<_> = state.pieces.keys().filter(|digest| !state.blobs.contains_key(*digest)).cloned().collect();
        for digest in gone {
            state.forget_pieces(&digest);
            self.store.remove_record(KIND, digest.as_str());
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

    /// A blob whose pieces can be checked: where it is, and what they hash to.
    pub fn vouched(&self, digest: &Digest) -> Option<(Held, PieceHashes)> {
        let state = self.state();
        let blob = state.sound(digest)?;
        let (size_bytes, hashes) = state.pieces.get(digest).filter(|(size_bytes, _)| *size_bytes == blob.listed.size_bytes)?;
        Some((Held { namespace: blob.namespace.clone(), size_bytes: *size_bytes }, hashes.clone()))
    }

    /// Whether a blob is there whose pieces can be checked, or before it was first looked, was.
    pub fn may_have(&self, digest: &Digest) -> bool {
        let state = self.state();
        state.pieces.contains_key(digest) && (!state.has_looked || state.sound(digest).is_some())
    }

    /// What the pieces of a blob hash to. It is written down.
    pub fn set_pieces(&self, digest: &Digest, size_bytes: u64, hashes: PieceHashes) {
        let value = write(size_bytes, &hashes);
        if self.state().remember_pieces(digest, size_bytes, hashes) {
            self.store.put_record(KIND, digest.as_str().to_owned(), value);
        }
    }

    /// What is there is not the blob: it counts as not there until containerd has it anew. Whether that is new.
    pub fn distrust(&self, digest: &Digest) -> bool {
        let mut state = self.state();
        state.blobs.get_mut(digest).is_some_and(|blob| !std::mem::replace(&mut blob.is_damaged, true))
    }

    /// A blob is not there any more.
    pub fn remove(&self, digest: &Digest) {
        self.state().blobs.remove(digest);
    }

    /// Blobs of whose pieces' hashes nothing is known.
    pub fn without_pieces(&self) -> Vec<(Digest, u64)> {
        let state = self.state();
        let unknown = state.blobs.values().filter(|blob| !state.pieces.contains_key(&blob.listed.digest));
        unknown.map(|blob| (blob.listed.digest.clone(), blob.listed.size_bytes)).collect()
    }

    /// So many at most of the blobs of which peers were not told yet, and that are due to be looked at.
    pub fn untold(&self, most: usize, now: Instant) -> Vec<Untold> {
        let state = self.state();
        let is_due = |blob: &&Blob| {
            let of_nobody = blob.listed.places.is_empty() || blob.listed.is_manifest || blob.is_damaged;
            !of_nobody && !blob.is_told && blob.retry_at.is_none_or(|at| at <= now)
        };
        let untold = |blob: &Blob| Untold {
            digest: blob.listed.digest.clone(),
            size_bytes: blob.listed.size_bytes,
            places: blob.listed.places.clone(),
            has_pieces: state.pieces.contains_key(&blob.listed.digest),
        };
        state.blobs.values().filter(is_due).take(most).map(untold).collect()
    }

    /// Peers are told of a blob, or can't be now.
    pub fn note_told(&self, digest: &Digest, is_told: bool, now: Instant) {
        if let Some(blob) = self.state().blobs.get_mut(digest) {
            blob.is_told = is_told;
            blob.retry_at = Some(now + PAUSE);
        }
    }

    /// All that can be read there and checked: the cache need not have it.
    pub fn elsewhere(&self) -> HashSet<Digest> {
        let state = self.state();
        state.pieces.keys().filter(|digest| state.sound(digest).is_some()).cloned().collect()
    }

    /// How many blobs and manifests there are.
    pub fn count(&self) -> usize {
        self.state().blobs.len()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A blob's length, and what its pieces hash to, as they are written down.
fn write(size_bytes: u64, hashes: &PieceHashes) -> Vec<u8> {
    [&size_bytes.to_be_bytes()[..], hashes.as_bytes()].concat()
}

fn read(value: &[u8]) -> Option<(u64, PieceHashes)> {
    let (size_bytes, hashes) = value.split_first_chunk::<8>()?;
    Some((u64::from_be_bytes(*size_bytes), PieceHashes::from_bytes(hashes)?))
}
