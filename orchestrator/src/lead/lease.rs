//! Holding the lease.

use std::time::{Duration, Instant};

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::state::{Lease, LeaseWish, SharedState, StateError};

/// The lease of a term, and the task that renews it.
pub(crate) struct Tenure {
    /// Which term.
    pub(crate) term: u64,
    /// Cancelled once the lease is lost, or may be.
    pub(crate) lost: CancellationToken,
    renewal: JoinHandle<()>,
}

impl Tenure {
    /// Takes the lead; or says who has it.
    pub(crate) async fn take(state: SharedState, wish: LeaseWish) -> Result<Result<Self, Lease>, StateError> {
        // It lasts from before it was asked for: so it is over here before it is there.
        let asked = Instant::now();
        let lease = state.lead(wish.clone()).await?;
        if lease.holder != wish.holder {
            return Ok(Err(lease));
        }
        let length = Duration::from_millis(u64::try_from(wish.length_ms).unwrap_or(0));
        let lost = CancellationToken::new();
        let term = lease.term;
        let renewal = tokio::spawn(renew(state, wish, term, asked + length, lost.clone()));
        Ok(Ok(Self { term, lost, renewal }))
    }
}

impl Drop for Tenure {
    fn drop(&mut self) {
        self.renewal.abort();
    }
}

/// Renews a lease a few times in its length, until it is lost.
async fn renew(state: SharedState, wish: LeaseWish, term: u64, mut until: Instant, lost: CancellationToken) {
    let length = Duration::from_millis(u64::try_from(wish.length_ms).unwrap_or(0));
    loop {
        tokio::time::sleep(length / 4).await;
        let asked = Instant::now();
        let left = until.saturating_duration_since(asked);
        match tokio::time::timeout(left, state.lead(wish.clone())).await {
            Ok(Ok(lease)) if lease.holder == wish.holder && lease.term == term => until = asked + length,
            Ok(Err(error)) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "the lease is not renewed yet");
            }
            // Another has it, or nobody has answered while it lasted.
            Ok(Ok(_)) | Err(_) => break,
        }
        if Instant::now() >= until {
            break;
        }
    }
    lost.cancel();
}
