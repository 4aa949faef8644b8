//! What whoever has the blobs is asked.

use std::{panic::AssertUnwindSafe, time::Duration};

use futures_util::FutureExt as _;
use tokio::time::timeout;

/// What a callback answers; `None` where it takes too long or panics, as what waits for it is to go on all the same.
pub(super) async fn answer_of<T>(name: &'static str, patience: Duration, callback: impl Future<Output = T>) -> Option<T> {
    match timeout(patience, AssertUnwindSafe(callback).catch_unwind()).await {
        Ok(Ok(answer)) => Some(answer),
        Ok(Err(_)) => {
            tracing::error!(callback = name, "a callback panicked");
            None
        }
        Err(_) => {
            tracing::warn!(callback = name, ?patience, "a callback took too long");
            None
        }
    }
}
