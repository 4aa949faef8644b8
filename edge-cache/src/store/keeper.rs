use std::time::Duration;

use jiff::Timestamp;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep};
use tokio_util::sync::CancellationToken;

use super::{
    Store,
    error::StoreError,
    shared::{Shared, off_runtime},
};

/// The time between two looks at what has ended: leases, idle blobs, a full disk. Requests are noted as often.
const HOUSEKEEPING: Duration = Duration::from_secs(30);
/// How long the index is left alone after it could not be written.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(5);
/// The time from the end of one background scrub to the next one's start.
const SCRUB_REST: Duration = Duration::from_hours(24);
/// How long after the start the first one begins.
const SCRUB_FIRST: Duration = Duration::from_mins(10);

/// The task that has what was written outlast a crash, and keeps the folder within its bounds.
#[derive(Debug)]
pub struct Keeper {
    store: Store,
}

impl Keeper {
    pub(super) fn new(store: Store) -> Self {
        Self { store }
    }

    /// Keeps until told to stop; then writes what is left.
    pub async fn run(self, shutdown: CancellationToken) {
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = self.write() => {}
            () = self.keep_house() => {}
            () = self.scrub() => {}
        }
        if let Err(error) = self.store.flush().await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "the cache's last pieces are not noted, and will be fetched again"
            );
        }
    }

    /// Writes in batches what has changed.
    async fn write(&self) {
        let shared = &self.store.shared;
        loop {
            shared.changed.notified().await;
            sleep(shared.settings.sync_delay).await;
            self.flush().await;
        }
    }

    async fn flush(&self) {
        if let Err(error) = self.store.flush().await {
            tracing::warn!(error = &error as &dyn std::error::Error, "the cache's index was not written; it will be tried again");
            sleep(PAUSE_AFTER_FAILURE).await;
            self.store.shared.changed.notify_one();
        }
    }

    async fn keep_house(&self) {
        let mut ticks = interval_at(Instant::now() + HOUSEKEEPING, HOUSEKEEPING);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let shared = self.store.shared.clone();
            if let Err(error) = off_runtime(move || shared.keep_house()).await {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "the cache's index was not written; it will be tried again"
                );
            }
        }
    }

    async fn scrub(&self) {
        if self.store.shared.settings.scrub_bytes_per_second == 0 {
            return std::future::pending().await;
        }
        sleep(SCRUB_FIRST).await;
        loop {
            let report = self.store.scrub().await;
            tracing::info!(
                pieces = report.pieces,
                damaged = report.damaged_pieces,
                unreadable = report.unreadable_pieces,
                "what the cache holds was read again"
            );
            sleep(SCRUB_REST).await;
        }
    }
}

impl Shared {
    /// Ends what has ended, and notes what is not noted. Blocks.
    pub(super) fn keep_house(&self) -> Result<(), StoreError> {
        self.expire_pins(Timestamp::now());
        self.forget_full_disk();
        self.sweep();
        self.make_room(0, 0);
        self.flush()
    }

    /// Ends leases that have ended by then.
    pub(super) fn expire_pins(&self, now: Timestamp) {
        let mut state = self.state();
        for (owner, digest) in state.pins.expired(now) {
            state.pins.remove(&owner, &digest);
            state.changes.note(&digest);
            state.notes.pins.insert((owner, digest), None);
        }
        state.tell_pinned();
    }
}
