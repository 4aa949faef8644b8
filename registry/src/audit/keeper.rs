use tokio_util::sync::CancellationToken;

use super::{BATCH, PAUSE};
use crate::state::{SharedState, StateError};

/// The task that puts events into the chain. Every replica has one; they take turns.
pub struct ChainKeeper {
    state: SharedState,
}

impl ChainKeeper {
    /// A keeper of this database's chain.
    pub fn new(state: SharedState) -> Self {
        Self { state }
    }

    /// Keeps it until told to stop. What then waits is for the next start.
    pub async fn run(self, stop: CancellationToken) {
        let mut is_failing = false;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(PAUSE) => {}
            }
            let kept = tokio::select! {
                () = stop.cancelled() => return,
                kept = self.keep() => kept,
            };
            if let (Err(error), false) = (&kept, is_failing) {
                tracing::warn!(error = error as &dyn std::error::Error, "the audit log does not go on, and will be tried again");
            }
            is_failing = kept.is_err();
        }
    }

    /// Gives all that waits its lines. That nothing waits costs a look at an empty index.
    async fn keep(&self) -> Result<(), StateError> {
        let batch = u32::try_from(BATCH).unwrap_or(u32::MAX);
        while self.state.is_audit_waiting().await? && self.state.chain_audit(batch).await? > 0 {}
        Ok(())
    }
}
