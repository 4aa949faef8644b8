//! The sweeper deletes what nothing needs: objects that the database has written off, uploads that nobody goes on with, records that
//! no rebuilding needs, and parts that a crash left without an upload.
//!
//! It never walks the store to find garbage: everything to be deleted was noted in the same transaction that made it garbage. Any
//! number of replicas may sweep at once; deleting twice is deleting once.

use std::{sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    error::Error,
    registry::Registry,
    storage::{ObjectKey, Unfinished},
};

/// How many objects are deleted in one call.
const BATCH: u32 = 1000;
/// How often the store is asked for parts that belong to no upload.
const STRAYS_PERIOD: Duration = Duration::from_hours(1);
/// The least time between two sweeps that were called for.
const PAUSE: Duration = Duration::from_millis(200);

/// The task that deletes.
pub struct Sweeper {
    registry: Arc<Registry>,
    interval: Duration,
    upload_idle_timeout: Duration,
}

impl Sweeper {
    /// A sweeper that looks every `interval`, and when it is woken.
    pub fn new(registry: Arc<Registry>, interval: Duration, upload_idle_timeout: Duration) -> Self {
        Self { registry, interval, upload_idle_timeout }
    }

    /// Sweeps until told to stop.
    pub async fn run(self, shutdown: CancellationToken) {
        let mut full_sweep_at = Instant::now();
        let mut strays_at = Instant::now();
        loop {
            let is_full = Instant::now() >= full_sweep_at;
            let swept = async {
                if is_full {
                    self.expire_uploads().await?;
                    self.retire_records().await?;
                }
                self.delete_garbage().await?;
                if Instant::now() >= strays_at {
                    strays_at = Instant::now() + STRAYS_PERIOD;
                    self.drop_strays().await?;
                }
                Ok::<(), Error>(())
            };
            let stopped = tokio::select! {
                () = shutdown.cancelled() => return,
                swept = swept => swept,
            };
            if let Err(error) = stopped {
                tracing::warn!(error = &error as &dyn std::error::Error, "a sweep was not finished, and will be tried again");
                tokio::select! {
                    () = shutdown.cancelled() => return,
                    () = tokio::time::sleep(self.interval) => {}
                }
            }
            if is_full {
                full_sweep_at = Instant::now() + self.interval;
            }
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep_until(full_sweep_at) => {}
                () = self.registry.garbage.notified() => tokio::time::sleep(PAUSE).await,
            }
        }
    }

    async fn expire_uploads(&self) -> Result<(), Error> {
        let idle = SignedDuration::try_from(self.upload_idle_timeout).unwrap_or(SignedDuration::MAX);
        let before = Timestamp::now().saturating_sub(idle).unwrap_or(Timestamp::MIN);
        while self.registry.state.expire_uploads(before, BATCH).await? == u64::from(BATCH) {}
        let open = self.registry.state.count_uploads().await?;
        self.registry.uploads_open.set(i64::try_from(open).unwrap_or(i64::MAX));
        Ok(())
    }

    async fn retire_records(&self) -> Result<(), Error> {
        while self.registry.state.retire_records(BATCH).await? > 0 {}
        Ok(())
    }

    async fn delete_garbage(&self) -> Result<(), Error> {
        loop {
            let due = self.registry.state.due_garbage(BATCH).await?;
            if due.is_empty() {
                return Ok(());
            }
            for garbage in &due {
                self.registry.delivery.forget(&garbage.key);
            }
            // What can't be deleted now stays for the next sweep, and does not keep the rest.
            let (in_parts, whole): (Vec<_>, Vec<_>) = due.into_iter().partition(|garbage| garbage.parts.is_some());
            let (mut gone, mut failure) = (Vec::new(), None);
            let keys: Vec<ObjectKey> = whole.iter().map(|garbage| garbage.key.clone()).collect();
            match self.registry.store.delete(&keys).await {
                Ok(()) => gone.extend(whole),
                Err(error) => failure = Some(error),
            }
            for garbage in in_parts {
                let Some(id) = &garbage.parts else { continue };
                match self.registry.store.abort(&garbage.key, id).await {
                    Ok(()) => gone.push(garbage),
                    Err(error) => failure = Some(error),
                }
            }
            self.registry.state.forget_garbage(gone).await?;
            if let Some(error) = failure {
                return Err(error.into());
            }
        }
    }

    /// Drops objects in parts whose upload is no more. An upload's row is there before its object is begun, so one that has no row
    /// never will have one.
    async fn drop_strays(&self) -> Result<(), Error> {
        let mut after: Option<Unfinished> = None;
        let mut strays = Vec::new();
        loop {
            let page = self.registry.store.list_unfinished(after.as_ref()).await?;
            let Some(last) = page.last().cloned() else { break };
            for unfinished in page {
                let ObjectKey::Blob(_, name) = &unfinished.key else { continue };
                if !self.registry.state.is_upload_open(name.upload).await? {
                    strays.push(unfinished);
                }
            }
            after = Some(last);
        }
        // Only now, since a listing goes on from an object that must still be there.
        for Unfinished { key, id } in strays {
            self.registry.store.abort(&key, &id).await?;
        }
        Ok(())
    }
}
