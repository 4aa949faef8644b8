use std::{sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;

use super::{PERIOD, Policies};
use crate::state::SharedState;

/// How long the database may take to be asked.
const LOOK_TIMEOUT: Duration = Duration::from_secs(5);

/// The task that takes over the documents that are applied elsewhere. While the database does not answer, those last seen stay.
pub struct Follower {
    policies: Arc<Policies>,
    state: SharedState,
}

impl Follower {
    /// One for these policies, whose documents lie in this database.
    pub fn new(policies: Arc<Policies>, state: SharedState) -> Self {
        Self { policies, state }
    }

    /// Follows until told to stop.
    pub async fn run(self, shutdown: CancellationToken) {
        let mut is_failing = false;
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(PERIOD) => {}
            }
            let outcome = tokio::time::timeout(LOOK_TIMEOUT, self.policies.follow(&self.state)).await;
            match &outcome {
                Ok(Ok(true)) => tracing::info!("the applied policies changed, and are in force"),
                Ok(Err(error)) if !is_failing => {
                    let error = error as &dyn std::error::Error;
                    tracing::warn!(error, "the applied policies could not be looked at, and stay as they were");
                }
                _ => {}
            }
            is_failing = !matches!(outcome, Ok(Ok(_)));
        }
    }
}
