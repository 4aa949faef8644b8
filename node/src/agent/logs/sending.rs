//! Sends what pods write to whoever asked for it.

use std::{io, sync::Arc, time::Duration};

use bytes::Bytes;
use longshore_fleet::{LogsRefusal, LogsRefused, LogsWanted, Phase, PodState};
use tokio::sync::{Semaphore, mpsc, oneshot};

use super::reading::Reading;
use crate::agent::hands::Hands;

/// How many read at once. Each has a thread while it does.
const MOST_READERS: usize = 32;
/// How many parts wait for the reader at the other end.
const WAITING: usize = 4;
/// How soon it is looked whether more was written.
const PAUSE: Duration = Duration::from_millis(200);

/// What is read of a log, as it comes; the error where it can't be read any further.
pub type LogParts = mpsc::Receiver<io::Result<Bytes>>;

/// Where what was read goes.
type Sender = mpsc::Sender<io::Result<Bytes>>;

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

    /// What was asked for, as it is read; or why there is nothing to read.
    pub async fn read(&self, wanted: &LogsWanted) -> Result<LogParts, LogsRefused> {
        let Ok(place) = self.readers.clone().try_acquire_owned() else {
            let why = format!("{MOST_READERS} others read logs on this node; try again later");
            return Err(refused(LogsRefusal::Busy, why));
        };
        let attempt = attempt(self.hands.board.pod(wanted.pod).as_ref(), wanted.previous)?;
        let (out, parts) = mpsc::channel(WAITING);
        let (opened, is_open) = oneshot::channel();
        let (hands, wanted) = (self.hands.clone(), wanted.clone());
        tokio::task::spawn_blocking(move || {
            // It is held for as long as somebody reads.
            let _place = place;
            let folder = hands.logs_of(wanted.pod);
            let reading = Reading::open(&folder, attempt, wanted.tail, wanted.timestamps);
            let (reading, outcome) = match reading {
                Ok(reading) => (Some(reading), Ok(())),
                Err(error) => (None, Err(error)),
            };
            // Who does not wait for this does not read either.
            let (Ok(()), Some(reading)) = (opened.send(outcome), reading) else { return };
            let goes_on = || wanted.follow && hands.board.pod(wanted.pod).is_some_and(|state| writes(&state, attempt));
            if let Err(error) = send(reading, &out, goes_on) {
                tracing::warn!(pod = %wanted.pod, error = &error as &dyn std::error::Error, "a log can't be read any further");
                let _ = out.blocking_send(Err(error));
            }
        });
        match is_open.await {
            Ok(Ok(())) => Ok(parts),
            Ok(Err(error)) => Err(refused(LogsRefusal::Unreadable, error.to_string())),
            Err(_) => Err(refused(LogsRefusal::Unreadable, "the node is about to end".to_owned())),
        }
    }
}

fn refused(reason: LogsRefusal, message: String) -> LogsRefused {
    LogsRefused { reason, message }
}

/// Which of a pod's containers is meant: how many there were before it.
fn attempt(pod: Option<&PodState>, previous: bool) -> Result<u32, LogsRefused> {
    let not_there = |why: &str| refused(LogsRefusal::NotThere, why.to_owned());
    let pod = pod.ok_or_else(|| not_there("its node has no such pod"))?;
    let attempt = if previous { pod.restarts.checked_sub(1) } else { Some(pod.restarts) };
    attempt.ok_or_else(|| not_there("no container of it has ended before this one"))
}

/// Whether the container that had so many before it may write more.
fn writes(state: &PodState, attempt: u32) -> bool {
    let is_over = state.phase.has_ended() || state.phase == Phase::Waiting && state.exit_code.is_some();
    state.restarts <= attempt && !is_over
}

fn send(mut reading: Reading, out: &Sender, goes_on: impl Fn() -> bool) -> io::Result<()> {
    loop {
        // Asked before it is read: what was written until then is there.
        let goes_on = goes_on();
        while let Some(part) = reading.next()? {
            if out.blocking_send(Ok(part.into())).is_err() {
                return Ok(());
            }
        }
        if !goes_on || out.is_closed() {
            return Ok(());
        }
        std::thread::sleep(PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_is_refused_and_not_told_as_if_the_pod_had_written_it() {
        let pod = |restarts| PodState { restarts, ..PodState::default() };
        assert_eq!(attempt(Some(&pod(0)), false), Ok(0));
        assert_eq!(attempt(Some(&pod(3)), true), Ok(2));
        for (pod, previous) in [(Some(pod(0)), true), (None, false), (None, true)] {
            let refused = attempt(pod.as_ref(), previous).unwrap_err();
            assert_eq!(refused.reason, LogsRefusal::NotThere);
        }
    }

    #[tokio::test]
    async fn a_log_that_can_t_be_read_any_further_breaks_off() {
        let folder = tempfile::tempdir().unwrap();
        // A folder opens as a file does, and can't be read.
        std::fs::create_dir(folder.path().join("0.log")).unwrap();
        let (out, mut parts) = mpsc::channel(WAITING);
        let failed = tokio::task::spawn_blocking(move || {
            let reading = Reading::open(folder.path(), 0, None, false).unwrap();
            send(reading, &out, || false).unwrap_err()
        });
        assert_eq!(failed.await.unwrap().kind(), io::ErrorKind::IsADirectory);
        assert!(parts.recv().await.is_none(), "nothing was sent that the pod has not written");
    }
}
