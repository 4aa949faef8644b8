//! The one task that has commits reach the disk.

use std::{
    fs::File,
    io,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::sync::mpsc;

use super::{
    super::StateError,
    writer::{Fail, Reply},
};
use crate::disk::sync_folder_of;

/// How many changes may wait for the disk.
const QUEUE_LENGTH: usize = 1024;

/// A handle on the task, which ends with the last of them.
#[derive(Clone)]
pub struct Syncer {
    waiting: mpsc::Sender<(Reply, Fail)>,
    has_failed: Arc<AtomicBool>,
}

/// Starts the task for a database that is open, in WAL mode. The log is one file for as long as somebody has the database open.
pub fn start(database: &Path) -> io::Result<Syncer> {
    let mut log = database.as_os_str().to_owned();
    log.push("-wal");
    let log = File::open(log)?;
    sync_folder_of(database)?;
    let (sender, waiting) = mpsc::channel(QUEUE_LENGTH);
    let has_failed = Arc::new(AtomicBool::new(false));
    tokio::spawn(sync_all(Arc::new(log), waiting, has_failed.clone()));
    Ok(Syncer { waiting: sender, has_failed })
}

impl Syncer {
    /// Tells a caller whose change was committed, once it is on disk.
    pub async fn reply_when_synced(&self, reply: Reply, fail: Fail) {
        if let Err(mpsc::error::SendError((_, fail))) = self.waiting.send((reply, fail)).await {
            fail(StateError::Closed);
        }
    }

    /// Refuses where the disk has failed. What it then says later can't be trusted: it may have dropped what it could not write.
    pub fn require(&self) -> Result<(), StateError> {
        if self.has_failed.load(Ordering::SeqCst) { Err(StateError::Closed) } else { Ok(()) }
    }
}

async fn sync_all(log: Arc<File>, mut waiting: mpsc::Receiver<(Reply, Fail)>, has_failed: Arc<AtomicBool>) {
    let mut committed = Vec::with_capacity(QUEUE_LENGTH);
    while waiting.recv_many(&mut committed, QUEUE_LENGTH).await > 0 {
        let log = log.clone();
        let synced = tokio::task::spawn_blocking(move || log.sync_data()).await.map_err(io::Error::from).flatten();
        if let Err(error) = &synced {
            has_failed.store(true, Ordering::SeqCst);
            tracing::error!(%error, "the database's log could not be synced; nothing is changed any more until a restart");
        }
        for (reply, fail) in committed.drain(..) {
            if has_failed.load(Ordering::SeqCst) { fail(StateError::Closed) } else { reply() }
        }
    }
}
