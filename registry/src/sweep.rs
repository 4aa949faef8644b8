//! The sweeper deletes what nothing needs: objects that the database has written off, uploads that nobody goes on with, records of
//! changes that were never made or that no rebuilding needs, parts that a crash left without an upload, and what is kept for a time
//! only.
//!
//! It never walks the store to find garbage: everything to be deleted was noted in the same transaction that made it garbage. Any
//! number of replicas may sweep at once; deleting twice is deleting once.

use std::{sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    config::Config,
    error::Error,
    registry::Registry,
    state::StateError,
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
    retention: Retention,
}

/// How often to sweep, and how long things stay.
#[derive(Clone, Copy, Debug)]
pub struct Retention {
    /// The time between two sweeps.
    interval: Duration,
    /// An upload that nobody goes on with.
    idle_upload: Duration,
    /// A change that was begun and not ended.
    pending_change: Duration,
    /// The outbox.
    events: Duration,
    /// The history of tags.
    tag_history: Duration,
    /// The audit log.
    audit: Duration,
}

impl Retention {
    /// As the configuration says.
    pub fn of(config: &Config) -> Self {
        Self {
            interval: config.sweep.interval.get(),
            idle_upload: config.uploads.idle_timeout.get(),
            pending_change: config.sweep.change_timeout.get(),
            events: config.sweep.events_retention.get(),
            tag_history: config.sweep.tag_history_retention.get(),
            audit: config.audit.retention.get(),
        }
    }
}

impl Sweeper {
    /// A sweeper that looks now and then, and when it is woken.
    pub fn new(registry: Arc<Registry>, retention: Retention) -> Self {
        Self { registry, retention }
    }

    /// Sweeps until told to stop.
    pub async fn run(self, shutdown: CancellationToken) {
        let mut full_sweep_at = Instant::now();
        let mut strays_at = Instant::now();
        loop {
            let is_full = Instant::now() >= full_sweep_at;
            let swept = async {
                if is_full {
                    if self.expire().await? > 0 {
                        // Of an upload that a crash cut off as it began an object in parts, only the store knows which.
                        strays_at = Instant::now();
                    }
                    self.retire_records().await?;
                    // What another replica left unwritten when it was killed.
                    self.registry.links.notify_one();
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
                    () = tokio::time::sleep(self.retention.interval) => {}
                }
            }
            if is_full {
                full_sweep_at = Instant::now() + self.retention.interval;
            }
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep_until(full_sweep_at) => {}
                () = self.registry.garbage.notified() => tokio::time::sleep(PAUSE).await,
            }
        }
    }

    /// Ends what has rested for too long; how many uploads.
    async fn expire(&self) -> Result<u64, Error> {
        let (state, retention) = (&self.registry.state, &self.retention);
        let expired = in_batches(|| state.expire_uploads(ago(retention.idle_upload), BATCH)).await?;
        in_batches(|| state.abandon_changes(ago(retention.pending_change), BATCH)).await?;
        let is_audited = self.registry.audit.is_some();
        in_batches(|| state.expire_events(ago(retention.events), is_audited, BATCH)).await?;
        in_batches(|| state.expire_audit(ago(retention.audit), BATCH)).await?;
        in_batches(|| state.expire_tag_history(ago(retention.tag_history), BATCH)).await?;
        let open = state.count_uploads().await?;
        self.registry.uploads_open.set(i64::try_from(open).unwrap_or(i64::MAX));
        Ok(expired)
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
            // What made it garbage must not be undone by a power failure once it is gone.
            self.registry.state.sync().await?;
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
        if !strays.is_empty() {
            self.registry.state.sync().await?;
        }
        // Only now, since a listing goes on from an object that must still be there.
        for Unfinished { key, id } in strays {
            self.registry.store.abort(&key, &id).await?;
        }
        Ok(())
    }
}

/// Goes on while batches are full; how many in all.
async fn in_batches<F: Future<Output = Result<u64, StateError>>>(mut batch: impl FnMut() -> F) -> Result<u64, StateError> {
    let mut total = 0;
    loop {
        let count = batch().await?;
        total += count;
        if count < u64::from(BATCH) {
            return Ok(total);
        }
    }
}

/// So long before now.
pub fn ago(time: Duration) -> Timestamp {
    let time = SignedDuration::try_from(time).unwrap_or(SignedDuration::MAX);
    Timestamp::now().saturating_sub(time).unwrap_or(Timestamp::MIN)
}
