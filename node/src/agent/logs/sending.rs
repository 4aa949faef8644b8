//! Sends what pods write to whoever asked for it.

use std::{io, path::Path, sync::Arc, time::Duration};

use bytes::Bytes;
use longshore_fleet::{LogsWanted, Phase, PodState};
use tokio::sync::{Semaphore, mpsc};

use super::reading::Reading;
use crate::agent::hands::Hands;

/// How many read at once. Each has a thread while it does.
const MOST_READERS: usize = 32;
/// How many parts wait for the reader at the other end.
const WAITING: usize = 4;
/// How soon it is looked whether more was written.
const PAUSE: Duration = Duration::from_millis(200);

/// Where what was read goes.
type Sender = mpsc::Sender<Bytes>;

/// Reads logs for those who want them.
pub struct Desk {
    hands: Arc<Hands>,
    readers: Arc<Semaphore>,
}

impl Desk {
    /// Of the pods of an agent.
    pub fn new(hands: Arc<Hands>) -> Self {
        Self { hands, readers: Arc::new(Semaphore::new(MOST_READERS)) }
    }

    /// What was asked for, as it is read. Where it can't be, that says why.
    pub fn read(&self, wanted: &LogsWanted) -> mpsc::Receiver<Bytes> {
        let (out, parts) = mpsc::channel(WAITING);
        let refuse = |why: String| {
            // It is empty, and as long as that.
            let _ = out.try_send(Bytes::from(format!("longshore: {why}\n")));
        };
        let Ok(place) = self.readers.clone().try_acquire_owned() else {
            refuse(format!("{MOST_READERS} others read logs on this node; try again later"));
            return parts;
        };
        let Some(state) = self.hands.board.pod(wanted.pod) else {
            refuse("the node has no such pod".to_owned());
            return parts;
        };
        let attempt = if wanted.previous { state.restarts.checked_sub(1) } else { Some(state.restarts) };
        let Some(attempt) = attempt else {
            refuse("no container of the pod has ended before this one".to_owned());
            return parts;
        };
        let (hands, wanted) = (self.hands.clone(), wanted.clone());
        tokio::task::spawn_blocking(move || {
            let folder = hands.logs_of(wanted.pod);
            let goes_on = || wanted.follow && hands.board.pod(wanted.pod).is_some_and(|state| writes(&state, attempt));
            if let Err(error) = send(&folder, attempt, &wanted, &out, goes_on) {
                let _ = out.blocking_send(Bytes::from(format!("longshore: the log can't be read: {error}\n")));
            }
            drop(place);
        });
        parts
    }
}

/// Whether the container that had so many before it may write more.
fn writes(state: &PodState, attempt: u32) -> bool {
    let is_over = state.phase.has_ended() || state.phase == Phase::Waiting && state.exit_code.is_some();
    state.restarts <= attempt && !is_over
}

fn send(folder: &Path, attempt: u32, wanted: &LogsWanted, out: &Sender, goes_on: impl Fn() -> bool) -> io::Result<()> {
    let mut reading = Reading::open(folder, attempt, wanted.tail, wanted.timestamps)?;
    loop {
        // Asked before it is read: what was written until then is there.
        let goes_on = goes_on();
        while let Some(part) = reading.next()? {
            if out.blocking_send(part.into()).is_err() {
                return Ok(());
            }
        }
        if !goes_on || out.is_closed() {
            return Ok(());
        }
        std::thread::sleep(PAUSE);
    }
}
