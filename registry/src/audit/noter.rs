use std::{sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{Audit, BATCH, PAUSE};
use crate::state::{Event, NotedBatch, SharedState, StateError};

/// The time between two attempts of which the first failed.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// The task that writes what was noted into the outbox.
pub struct Noter {
    state: SharedState,
    audit: Arc<Audit>,
    /// Its name, unlike all others'.
    name: String,
    /// How many batches it has handed over.
    batches: u64,
}

impl Noter {
    /// A noter of what is noted there.
    pub fn new(state: SharedState, audit: Arc<Audit>) -> Self {
        Self { state, audit, name: Uuid::new_v4().to_string(), batches: 0 }
    }

    /// Writes until told to stop, and then what is left.
    pub async fn run(mut self, stop: CancellationToken) {
        let audit = self.audit.clone();
        let woken = async || {
            audit.woken.notified().await;
            tokio::time::sleep(PAUSE).await;
        };
        loop {
            let is_last = tokio::select! {
                () = stop.cancelled() => true,
                () = woken() => false,
            };
            let events = audit.queue.lock().expect("nobody panics with it").take();
            for batch in events.chunks(BATCH) {
                if self.write(batch).await {
                    audit.settle(batch.len(), true);
                    continue;
                }
                // One that the database will not have takes no other with it.
                for event in batch.chunks(1) {
                    let is_written = self.write(event).await;
                    audit.settle(1, is_written);
                }
            }
            if is_last {
                return;
            }
        }
    }

    /// Writes until it is written; false where the database will not have it. How long that may take at the end is for whoever waits for
    /// it.
    async fn write(&mut self, events: &[Event]) -> bool {
        self.batches += 1;
        let batch = NotedBatch { noter: self.name.clone(), number: self.batches, events: events.to_vec() };
        let mut is_failing = false;
        while let Err(error) = self.state.note_events(batch.clone()).await {
            if !is_failing {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, lines = events.len(), "lines of the audit log could not be written");
            }
            if matches!(error, StateError::Refused(_)) && !error.is_conflict() {
                return false;
            }
            is_failing = true;
            tokio::time::sleep(RETRY_PAUSE).await;
        }
        true
    }
}
