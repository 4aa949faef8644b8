use std::{
    collections::HashMap,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex, PoisonError},
};

/// How many directories are remembered as durable; past it all are forgotten, which only costs asking again.
const REMEMBERED: usize = 16_384;

/// Makes directories durable, and syncs them for many writers at once.
#[derive(Debug, Default)]
pub(super) struct Directories {
    durable: Mutex<HashMap<PathBuf, Arc<Syncs>>>,
}

/// The syncs of one directory. A writer shares one that starts after its own rename: a burst of writers costs two syncs, not one each.
#[derive(Debug, Default)]
struct Syncs {
    state: Mutex<State>,
    ended: Condvar,
}

#[derive(Debug, Default)]
struct State {
    is_running: bool,
    /// How many syncs have started; each has its number.
    started: u64,
    /// The last that ended.
    ended: u64,
    /// The last that failed.
    failed: u64,
}

impl Directories {
    /// Makes the directory and its parents down from `root`, each durable in its own parent.
    ///
    /// A directory found on disk is synced once too, since an earlier process may have ended between making and syncing it.
    pub(super) fn ensure(&self, root: &Path, directory: &Path) -> io::Result<()> {
        if directory == root || self.known(directory).is_some() {
            return Ok(());
        }
        let parent = directory.parent().unwrap_or(root);
        self.ensure(root, parent)?;
        match fs::create_dir(directory) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => self.sync(parent)?,
        }
        self.remember(directory);
        Ok(())
    }

    /// Syncs what was renamed, made or removed in the directory before this call.
    pub(super) fn sync(&self, directory: &Path) -> io::Result<()> {
        let syncs = self.known(directory).unwrap_or_default();
        syncs.join(|| File::open(directory)?.sync_all())
    }

    fn known(&self, directory: &Path) -> Option<Arc<Syncs>> {
        self.durable.lock().unwrap_or_else(PoisonError::into_inner).get(directory).cloned()
    }

    fn remember(&self, directory: &Path) {
        let mut durable = self.durable.lock().unwrap_or_else(PoisonError::into_inner);
        if durable.len() >= REMEMBERED {
            durable.clear();
        }
        durable.entry(directory.to_owned()).or_default();
    }
}

impl Syncs {
    /// Returns once a sync that started after this call has ended; runs it where nobody else does.
    fn join(&self, sync: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let mine = state.started + 1;
        while state.is_running && state.ended < mine {
            state = self.ended.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.ended >= mine {
            let is_failed = state.failed >= mine;
            return if is_failed { Err(io::Error::other("the sync shared with another writer failed")) } else { Ok(()) };
        }
        state.is_running = true;
        state.started += 1;
        drop(state);
        let result = sync();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.is_running = false;
        state.ended = state.started;
        if result.is_err() {
            state.failed = state.ended;
        }
        self.ended.notify_all();
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        sync::atomic::{AtomicU64, Ordering},
        thread,
    };

    #[test]
    fn a_sync_covers_only_who_came_before_it_started() {
        let (syncs, count) = (Syncs::default(), AtomicU64::new(0));
        let sync = || {
            count.fetch_add(1, Ordering::SeqCst);
            thread::yield_now();
            Ok(())
        };
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..100 {
                        let before = count.load(Ordering::SeqCst);
                        syncs.join(sync).unwrap();
                        assert!(count.load(Ordering::SeqCst) > before, "no sync started after the call");
                    }
                });
            }
        });
        assert!(count.load(Ordering::SeqCst) <= 800);
    }

    #[test]
    fn a_failed_sync_fails_only_who_shared_it() {
        let syncs = Syncs::default();
        assert!(syncs.join(|| Err(io::Error::other("no"))).is_err());
        assert!(syncs.join(|| Ok(())).is_ok());
    }

    #[test]
    fn makes_all_parents() {
        let root = tempfile::tempdir().unwrap();
        let (directories, deep) = (Directories::default(), root.path().join("a/b/c"));
        directories.ensure(root.path(), &deep).unwrap();
        directories.ensure(root.path(), &deep).unwrap();
        assert!(deep.is_dir());
    }
}
