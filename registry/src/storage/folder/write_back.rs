//! Syncing a file's bytes while more of them come, so that little is left to wait for at its end.

use std::{
    collections::{HashMap, hash_map::Entry},
    fs::File,
    io,
    sync::{
        Mutex, PoisonError,
        mpsc::{Receiver, sync_channel},
    },
};

/// The syncs under way, at most one a file.
#[derive(Debug, Default)]
pub(super) struct WriteBack(Mutex<HashMap<String, Receiver<io::Result<()>>>>);

impl WriteBack {
    /// Begins to sync a file on another thread, once the sync before has ended: who writes faster than the disk waits here.
    ///
    /// Called from a thread that may block, of a runtime. An error of the sync before is the answer; the file's bytes are then lost.
    pub(super) fn begin(&self, key: &str, file: &File) -> io::Result<()> {
        let file = file.try_clone()?;
        let (done, outcome) = sync_channel(1);
        loop {
            self.settle(key)?;
            if let Entry::Vacant(vacant) = self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(key.to_owned()) {
                vacant.insert(outcome);
                break;
            }
        }
        tokio::task::spawn_blocking(move || {
            // Nobody waits for a file that was dropped meanwhile.
            done.send(file.sync_data()).ok();
        });
        Ok(())
    }

    /// Waits for the sync under way, if there is one, and answers with what it came to. Each failure is told once, and must not be lost:
    /// the kernel, too, tells it once.
    pub(super) fn settle(&self, key: &str) -> io::Result<()> {
        let under_way = self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
        under_way.map_or(Ok(()), |outcome| outcome.recv().map_err(io::Error::other)?)
    }
}
