use std::{
    fs,
    os::unix::fs::MetadataExt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use jiff::Timestamp;
use longshore_oci::Digest;
use tokio::{
    sync::{Notify, broadcast},
    time::Instant,
};

use super::{
    changes::Changes,
    entry::Entry,
    error::StoreError,
    folder::Folder,
    index::{Batch, Index},
    metrics::{StoreMetrics, gauged},
    settings::StoreSettings,
    state::{Slot, State},
};
use crate::seldom::Seldom;

/// What all handles of a store share.
///
/// Locks are taken in this order, and none is held across an await: `names`, `flushes`, an entry's gate, `commits`, `state`, an
/// entry's pieces. All but the last two are taken off the runtime only; on it an entry's gate may be tried, and is not waited
/// for.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) settings: StoreSettings,
    pub(super) metrics: StoreMetrics,
    pub(super) folder: Folder,
    pub(super) index: Index,
    state: Mutex<State>,
    /// Held by who puts a blob's file in its place, or takes it away.
    pub(super) names: Mutex<()>,
    /// Held by who syncs what was written.
    pub(super) flushes: Mutex<()>,
    /// Held from taking what is to be written to the index until it is.
    pub(super) commits: Mutex<()>,
    /// Wakes the keeper: there is something to be written.
    pub(super) changed: Notify,
    /// Which blobs changed last.
    pub(super) changes: Arc<Changes>,
    /// Tells of blobs that were dropped.
    pub(super) dropped: broadcast::Sender<Digest>,
    /// That the disk was full, told once in a while.
    pub(super) full_disk: Seldom,
    /// When the next piece may be scrubbed, by whomever.
    pub(super) next_scrub: Mutex<Option<Instant>>,
}

/// How many dropped blobs are told of that nobody has taken note of yet.
const MOST_DROPPED: usize = 1024;
/// The unit that a file system counts a file's blocks in, in bytes.
const SECTOR_BYTES: u64 = 512;

impl Shared {
    /// Takes the folder up as an earlier process has left it.
    pub(super) fn open(settings: StoreSettings, metrics: StoreMetrics) -> Result<Arc<Self>, StoreError> {
        let folder = Folder::open(&settings.folder)?;
        let index = Index::open(folder.index(), settings.max_records)?;
        folder.sync_root()?;
        let changes = Arc::new(Changes::default());
        let state = Mutex::new(State::new(settings.quota_bytes, metrics.clone(), changes.clone()));
        let (names, flushes, commits) = (Mutex::new(()), Mutex::new(()), Mutex::new(()));
        let (dropped, _) = broadcast::channel(MOST_DROPPED);
        let shared = Arc::new(Self {
            settings,
            metrics,
            folder,
            index,
            state,
            names,
            flushes,
            commits,
            changed: Notify::new(),
            changes,
            dropped,
            full_disk: Seldom::default(),
            next_scrub: Mutex::new(None),
        });
        shared.take_up()?;
        Ok(shared)
    }

    fn take_up(self: &Arc<Self>) -> Result<(), StoreError> {
        let now = Timestamp::now();
        let mut loaded = self.index.load(now)?;
        let mut state = self.state();
        for found in loaded.entries {
            let file = fs::symlink_metadata(self.folder.blob(&found.digest)).ok().filter(fs::Metadata::is_file);
            if found.present.count() > 0 && file.is_none() {
                loaded.gone.push(found.digest);
                continue;
            }
            let entry = Entry::found(self, &found);
            if file.is_some_and(|file| file.blocks() * SECTOR_BYTES > entry.disk_bytes()) {
                // Pieces were written that were not noted before a crash: nobody counts them.
                entry.clear_missing(self);
            }
            state.charge(entry.disk_bytes());
            state.entries.insert(found.digest, Slot { entry: Arc::new(entry), used: found.used });
        }
        for pin in loaded.pins {
            state.pins.insert(pin);
        }
        state.tell_pinned();
        let (entries, disk_bytes) = (state.entries.len(), state.disk_bytes);
        self.metrics.entries.set(gauged(entries));
        let strays = self.folder.drop_strays(|digest| state.entries.contains_key(digest))?;
        drop(state);
        if !loaded.gone.is_empty() {
            self.index.commit(&Batch { gone: loaded.gone, ..Batch::default() })?;
        }
        tracing::info!(folder = %self.folder.root().display(), entries, disk_bytes, strays, "the cache's folder is open");
        // The quota may be less than it was.
        if !self.make_room(0, 0) {
            tracing::warn!(disk_bytes, quota_bytes = self.settings.quota_bytes, "the cache holds more than its quota, pinned");
        }
        Ok(())
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        locked(&self.state)
    }
}

/// Locks, whether or not another thread panicked with it: what is under these locks is whole at any time.
pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Does work with files off the runtime's own threads. It goes on to its end even where nobody waits for it any more.
pub(super) async fn off_runtime<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(stopped) if stopped.is_panic() => std::panic::resume_unwind(stopped.into_panic()),
        // The runtime is going down, and this task with it.
        Err(_) => std::future::pending().await,
    }
}
