//! Writing down what was decided.

use std::time::{Duration, Instant};

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
    /// The position of the last event, and how many events there were.
    pub(crate) events: Option<(u64, usize)>,
    /// How long it took.
    pub(crate) took: Duration,
    /// How many rows and events were written.
    pub(crate) changes: usize,
}

/// Writes one batch, again and again while the database does not answer; ends when another leads.
pub(crate) async fn write(state: State, term: u64, number: u64, mut output: Output, now_ms: i64) -> Result<Written, StateError> {
    let (writes, events) = (std::mem::take(&mut output.writes), std::mem::take(&mut output.events));
    if writes.is_empty() && events.is_empty() {
        return Ok(Written { output, events: None, took: Duration::ZERO, changes: 0 });
    }
    let count = events.len();
    let (began, changes) = (Instant::now(), writes.len() + count);
    let batch = Batch { number, writes, events, now: now_ms.saturating_mul(1_000) };
    let mut pause = FIRST_PAUSE;
    loop {
        match state.commit(term, &batch).await {
            // What was written by a try before this stands somewhere: it is read as if it were another's.
            Ok(position) => {
                let events = position.map(|position| (position, count));
                return Ok(Written { output, events, took: began.elapsed(), changes });
            }
            Err(error) if error.is_uncertain() => {
                tracing::warn!(error = &error as &dyn std::error::Error, "what was decided is not written yet");
            }
            Err(error) => return Err(error),
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}
