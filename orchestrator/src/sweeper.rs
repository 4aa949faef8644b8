//! Drops what was kept for long enough: events, answers of operations, ended operations, and lines of the audit log.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::{
    config::Retention,
    orchestrator::now,
    state::{Micros, SharedState, StateError, Sweep},
};

/// How many rows of each kind go in one transaction.
const BATCH: u32 = 1_000;

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
            if let Err(error) = self.sweep_all(&stop).await {
                tracing::warn!(error = &error as &dyn std::error::Error, "what is past its time can't be dropped now");
            }
        }
    }

    /// Sweeps until less than a batch was dropped, however much there is: what comes in is bounded by nothing else. Which layers no node has is
    /// looked for once, since every node's are read for that.
    async fn sweep_all(&self, stop: &CancellationToken) -> Result<(), StateError> {
        let mut sweep = Sweep { unnamed_layers: true, ..self.sweep(now()) };
        while !stop.is_cancelled() && self.state.sweep(&sweep).await? >= u64::from(BATCH) {
            sweep = self.sweep(now());
            // Others have their turn.
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    fn sweep(&self, now: Micros) -> Sweep {
        let before = |kept: Duration| now.saturating_sub(i64::try_from(kept.as_micros()).unwrap_or(i64::MAX));
        Sweep {
            events_before: before(self.retention.events.get()),
            events_kept: self.retention.max_events,
            answers_before: before(self.retention.answers.get()),
            operations_before: before(self.retention.operations.get()),
            audit_before: before(self.retention.audit.get()),
            audit_kept: self.retention.max_audit,
            unnamed_layers: false,
            most: BATCH,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::state::{AuditLine, SqliteState, State as _};

    #[tokio::test]
    async fn what_is_past_its_time_goes_however_much_there_is() {
        let folder = tempfile::tempdir().unwrap();
        let state = Arc::new(SqliteState::open(&folder.path().join("o.db"), 2).await.unwrap());
        let line = AuditLine {
            at: 1,
            account: "ann".into(),
            address: None,
            request: "GET /".into(),
            subject: "/".into(),
            outcome: "401".into(),
            request_id: None,
        };
        let lines = vec![line; 25 * BATCH as usize];
        state.note(&lines).await.unwrap();
        let sweeper = Sweeper::new(state.clone(), Retention::default());
        sweeper.sweep_all(&CancellationToken::new()).await.unwrap();
        assert_eq!(state.audit(None, 1).await.unwrap(), [], "more than came in since it was looked before");
        state.note(&lines[..2]).await.unwrap();
        let stopped = CancellationToken::new();
        stopped.cancel();
        sweeper.sweep_all(&stopped).await.unwrap();
        assert_eq!(state.audit(None, 9).await.unwrap().len(), 2, "it was told to stop");
    }
}
