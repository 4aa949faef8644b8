//! Drops what was kept for long enough: events, answers of operations, ended operations, and lines of the audit log.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::{
    config::Retention,
    orchestrator::now,
    state::{Micros, SharedState, Sweep},
};

/// How many rows of each kind go in one transaction.
const BATCH: u32 = 1_000;
/// How many transactions follow one another until others get their turn.
const AT_ONCE: usize = 20;

/// Looks now and then for what is past its time.
pub(crate) struct Sweeper {
    state: SharedState,
    retention: Retention,
}

impl Sweeper {
    /// One of a database.
    pub(crate) fn new(state: SharedState, retention: Retention) -> Self {
        Self { state, retention }
    }

    /// Sweeps until told to stop.
    pub(crate) async fn run(self, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(self.retention.interval.get()) => {}
            }
            for _ in 0..AT_ONCE {
                match self.state.sweep(&self.sweep(now())).await {
                    Ok(dropped) if dropped >= u64::from(BATCH) => {}
                    Ok(_) => break,
                    Err(error) => {
                        tracing::warn!(error = &error as &dyn std::error::Error, "what is past its time can't be dropped now");
                        break;
                    }
                }
            }
        }
    }

    fn sweep(&self, now: Micros) -> Sweep {
        let before = |kept: Duration| now.saturating_sub(i64::try_from(kept.as_micros()).unwrap_or(i64::MAX));
        Sweep {
            events_before: before(self.retention.events.get()),
            events_kept: self.retention.max_events,
            answers_before: before(self.retention.answers.get()),
            operations_before: before(self.retention.operations.get()),
            audit_before: before(self.retention.audit.get()),
            most: BATCH,
        }
    }
}
