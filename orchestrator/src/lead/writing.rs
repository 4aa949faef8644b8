//! Writing down what was decided.

use std::{sync::Arc, time::Duration};

use futures_util::future::{BoxFuture, FutureExt as _};

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

/// Has a batch committed: the position of its last event.
type Commit = Box<dyn Fn(Arc<Batch>) -> BoxFuture<'static, Result<u64, StateError>> + Send>;

/// Writes one batch, again and again while the database does not answer; ends when another leads.
pub(crate) async fn write(state: State, term: u64, number: u64, output: Output, now_ms: i64) -> Result<Written, StateError> {
    let commit: Commit = Box::new(move |batch| {
        let state = state.clone();
        async move { state.commit(term, &batch).await }.boxed()
    });
    write_by(commit, number, output, now_ms).await
}

async fn write_by(commit: Commit, number: u64, mut output: Output, now_ms: i64) -> Result<Written, StateError> {
    let (writes, events) = (std::mem::take(&mut output.writes), std::mem::take(&mut output.events));
    if writes.is_empty() && events.is_empty() {
        return Ok(Written { output, events: None });
    }
    let count = events.len();
    let batch = Arc::new(Batch { number, writes, events, now: now_ms.saturating_mul(1_000) });
    let (mut pause, mut is_first) = (FIRST_PAUSE, true);
    loop {
        match commit(batch.clone()).await {
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

    use longshore_fleet::api::{Change, EventKind};

    use super::*;
    use crate::state::NewEvent;

    fn output() -> Output {
        let event = NewEvent {
            kind: EventKind::Pod,
            change: Change::Added,
            id: "pod".to_owned(),
            namespace: None,
            name: "web".to_owned(),
            reason: "Created".to_owned(),
            message: String::new(),
            author: None,
            object: None,
        };
        Output { events: vec![event.clone(), event], ..Output::default() }
    }

    /// Answers with this position, after so many times without an answer.
    fn commit(position: u64, unanswered: u32) -> Commit {
        let tries = Arc::new(AtomicU32::new(0));
        Box::new(move |_| {
            let is_answered = tries.fetch_add(1, Relaxed) >= unanswered;
            let answer = if is_answered { Ok(position) } else { Err(StateError::Unavailable(sqlx::Error::PoolTimedOut)) };
            std::future::ready(answer).boxed()
        })
    }

    #[tokio::test]
    async fn what_was_written_without_an_answer_may_have_others_after_it() {
        let written = write_by(commit(9, 0), 1, output(), 0).await.unwrap();
        assert_eq!(written.events, Some((9, 2)), "it knows which are its own");
        let written = write_by(commit(9, 2), 1, output(), 0).await.unwrap();
        assert_eq!(written.events, None, "a caller may have written the ninth");
    }
}
