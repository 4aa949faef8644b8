//! Answers that are passed on: read at the upstream's pace, whatever that of who they are for, who so holds none of its places.

use std::time::Duration;

use bytes::Bytes;
use longshore_oci::Route;
use longshore_service::budget::Budget;
use tokio::sync::OwnedSemaphorePermit;

use super::{Answer, Upstream, UpstreamError, metainfo};

/// The longest answer that is passed on, in bytes: a list of as many tags or images as registries have.
const MOST_BYTES: usize = 8 << 20;
/// What all that are passed on at once may take of memory, in bytes; one that needs more is passed on alone.
const ROOM_BYTES: u64 = 64 << 20;
/// How long one waits for that.
const ROOM_PATIENCE: Duration = Duration::from_secs(10);
/// How long a body may take to come.
const READ_PATIENCE: Duration = Duration::from_mins(1);

/// Memory for what an upstream's answers are that are passed on.
pub(super) fn room() -> Budget {
    Budget::new(ROOM_BYTES, ROOM_PATIENCE)
}

impl Upstream {
    /// The body of an answer to a question, and the memory that it takes, which is to be held for as long. An error where it is longer
    /// than 8 MiB, or what a metainfo may be, or is not here within a minute.
    pub async fn read_to_pass(&self, answer: Answer, asked: &Route) -> Result<(Bytes, OwnedSemaphorePermit), UpstreamError> {
        let most = if let Route::Metainfo(..) = asked { metainfo::MOST_BYTES } else { MOST_BYTES };
        let told = answer.told_bytes();
        if told.is_some_and(|told| told > most) {
            let reason = format!("its answer is longer than {most} bytes, which is the most that is passed on");
            return Err(UpstreamError::Malformed { upstream: self.name.clone(), reason });
        }
        let most = told.unwrap_or(MOST_BYTES);
        let mut room = self.passing.take(most as u64).await.map_err(|_| self.busy())?;
        let body = answer.read_within(most, READ_PATIENCE).await?;
        let taken = body.len().div_ceil(1024).max(1);
        drop(room.split(room.num_permits().saturating_sub(taken)));
        Ok((body, room))
    }
}
