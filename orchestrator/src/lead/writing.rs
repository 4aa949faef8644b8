//! Writing down what was decided.

use std::time::Duration;

use super::State;
use crate::{
    control::Output,
    state::{Batch, StateError},
};

/// How long is waited until a batch is written again that may not have been: at first, and at most.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// What was written, and what is to be done now.
pub(crate) struct Written {
    pub(crate) output: Output,
    /// The position of the last event, and how many events there were; `None` where it is not certain which they are.
    pub(crate) events: Option<(u64, usize)>,
}

/// Writes one batch, again and again while the database does not answer; ends when another leads.
pub(crate) async fn write(state: State, term: u64, number: u64, mut output: Output, now_ms: i64) -> Result<Written, StateError> {
    let (writes, events) = (std::mem::take(&mut output.writes), std::mem::take(&mut output.events));
    if writes.is_empty() && events.is_empty() {
        return Ok(Written { output, events: None });
    }
    let count = events.len();
    let batch = Batch { number, writes, events, now: now_ms.saturating_mul(1_000) };
    let (mut pause, mut is_first) = (FIRST_PAUSE, true);
    loop {
        match state.commit(term, &batch).await {
            // What was written before without an answer is not written again, and callers may have written since: the last events are then
            // theirs, and whoever took them for its own would never hear of them.
            Ok(position) => return Ok(Written { output, events: is_first.then_some((position, count)) }),
            Err(error) if error.is_uncertain() => {
                is_first = false;
                tracing::warn!(error = &error as &dyn std::error::Error, "what was decided is not written yet");
            }
            Err(error) => return Err(error),
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}
