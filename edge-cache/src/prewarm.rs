//! Prewarming: what will be asked for is here before it is.
//!
//! An operation fetches images for platforms, and pins them where that is asked for ([`work`]). Who pulls a manifest has its
//! layers fetched ahead ([`follow`]). Both go through [`Blobs`], so each piece is fetched once, whoever wants it too, and in the
//! gaps that clients leave. An operation waits for an upstream that is away for a while ([`patience`]). Operations are of this
//! process and end with it; the pins of what has come outlast it.

pub(crate) mod advice;
pub mod api;
mod contents;
mod events;
mod follow;
mod images;
pub(crate) mod leases;
mod operation;
mod operations;
mod patience;
mod platform;
mod wish;
mod work;

#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use longshore_oci::Digest;
use longshore_service::metrics::Metrics;
use prometheus::{IntCounterVec, IntGauge};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    blobs::{Background, BackgroundSettings, Blobs},
    source::SharedSource,
    store::Store,
};
pub use contents::blobs_of;
use follow::Following;
pub use images::{Image, Images, NoImage, Repository};
use leases::Leases;
pub use leases::OWNER;
pub use operation::{ImageView, Operation, OperationView, Progress, State};
pub use operations::Busy;
use operations::Operations;
pub use platform::{InvalidPlatform, WantedPlatform};
pub use wish::{InvalidWish, Wish};

/// How much is prewarmed.
#[derive(Clone, Copy, Debug)]
pub struct PrewarmSettings {
    /// Whether the layers of a manifest that is pulled are fetched ahead.
    pub follows_pulls: bool,
    /// For how many manifests at once.
    pub most_follows: usize,
    /// How many operations may run.
    pub most_running: usize,
    /// How many operations are remembered, those that run among them.
    pub most_kept: usize,
    /// How many images one may have.
    pub most_images: usize,
    /// How many images are fetched at once, of all operations together.
    pub images_at_once: usize,
    /// How many configurations and layers an image may have, over all its platforms.
    pub blobs_each: usize,
    /// How many of them are fetched at once.
    pub blobs_at_once: usize,
    /// How long an image without a deadline is waited for in all, from when its upstream first failed, while nothing of it comes.
    pub patience: Duration,
    /// How many may follow operations as events.
    pub most_watchers: usize,
    /// How such fetching keeps out of the way of clients: operations together, and beside them all that follows pulls.
    pub background: BackgroundSettings,
}

impl Default for PrewarmSettings {
    fn default() -> Self {
        Self {
            follows_pulls: true,
            most_follows: 64,
            most_running: 16,
            most_kept: 100,
            most_images: 100,
            images_at_once: 4,
            blobs_each: 20_000,
            blobs_at_once: 3,
            patience: patience::IN_ALL,
            most_watchers: 64,
            background: BackgroundSettings::default(),
        }
    }
}

/// What is counted of prewarming.
#[derive(Clone)]
pub struct PrewarmMetrics {
    /// Operations that are over, by what came of them.
    operations: IntCounterVec,
    /// Operations that run.
    running: IntGauge,
    /// Manifests whose layers were fetched ahead, or were not for want of room.
    follows: IntCounterVec,
}

impl PrewarmMetrics {
    /// Those of a daemon.
    pub fn new(metrics: &Metrics) -> Self {
        Self {
            operations: metrics.counters("longshore_edge_prewarms_total", "Prewarmings that are over.", &["state"]),
            running: metrics.gauge("longshore_edge_prewarms_running", "Prewarmings that run."),
            follows: metrics.counters(
                "longshore_edge_follows_total",
                "Pulled manifests whose layers were fetched ahead, or were not because too many were already.",
                &["result"],
            ),
        }
    }
}

/// Has fetched what will be asked for. Clones share all.
#[derive(Clone)]
pub struct Prewarm(Arc<Shared>);

struct Shared {
    settings: PrewarmSettings,
    blobs: Blobs,
    store: Store,
    images: Arc<dyn Images>,
    background: Background,
    operations: Operations,
    leases: Leases,
    following: Following,
    images_at_once: Semaphore,
    watchers: Arc<Semaphore>,
    metrics: PrewarmMetrics,
    tasks: TaskTracker,
    shutdown: CancellationToken,
}

impl Prewarm {
    /// One that fetches until `shutdown` is cancelled; that ends its operations, which are among these tasks.
    pub fn new(
        settings: PrewarmSettings,
        blobs: Blobs,
        store: Store,
        images: Arc<dyn Images>,
        metrics: PrewarmMetrics,
        tasks: TaskTracker,
        shutdown: CancellationToken,
    ) -> Self {
        let background = Background::new(settings.background);
        let permits = |count: usize| Semaphore::new(count.clamp(1, Semaphore::MAX_PERMITS));
        Self(Arc::new(Shared {
            blobs,
            store,
            images,
            operations: Operations::new(settings.most_running, settings.most_kept),
            leases: Leases::default(),
            // Whoever pulls would keep those waiting who were promised something.
            following: Following::new(settings.most_follows, background.beside()),
            background,
            images_at_once: permits(settings.images_at_once),
            watchers: Arc::new(permits(settings.most_watchers)),
            metrics,
            tasks,
            shutdown,
            settings,
        }))
    }

    /// Begins to fetch images; where the same is being done, it is that operation.
    pub fn begin(&self, wish: Wish) -> Result<Arc<Operation>, Busy> {
        let make = |wish| Operation::new(wish, Timestamp::now(), &self.0.shutdown);
        let (operation, is_new) = self.0.operations.begin(wish, make)?;
        if is_new {
            self.0.tasks.spawn(work::run(self.0.clone(), operation.clone()));
        }
        Ok(operation)
    }

    /// The operation of this id, if it runs or is remembered.
    pub fn get(&self, id: &str) -> Option<Arc<Operation>> {
        self.0.operations.get(id)
    }

    /// All operations that run or are remembered, the newest first.
    pub fn list(&self) -> Vec<Arc<Operation>> {
        self.0.operations.list()
    }

    /// Somebody pulled this manifest from there: begins to fetch what it is made of, as them. Returns at once.
    pub fn follow(&self, digest: &Digest, media_type: &str, bytes: &[u8], source: SharedSource) {
        follow::follow(&self.0, digest, media_type, bytes, source);
    }

    fn most_images(&self) -> usize {
        self.0.settings.most_images
    }

    /// Leave to follow an operation as events.
    fn room_to_watch(&self) -> Option<OwnedSemaphorePermit> {
        self.0.watchers.clone().try_acquire_owned().ok()
    }
}
