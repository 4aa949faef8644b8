//! The audit log of what is no change: refusals, written in the background, so that whoever is refused does not wait for it.

use std::time::Duration;

use prometheus::IntCounter;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::state::{AuditLine, SharedState};

/// How many lines are written at once.
const BATCH: usize = 500;
/// How long to wait until the database is tried again.
const PAUSE: Duration = Duration::from_secs(1);
/// How long the last lines may take once the process is to stop.
const SETTLE: Duration = Duration::from_secs(3);

/// Takes lines for the audit log; those that find no room are counted, and lost.
#[derive(Clone, Debug)]
pub(crate) struct AuditNotes {
    lines: mpsc::Sender<AuditLine>,
    lost: IntCounter,
}

/// Writes the lines.
pub(crate) struct AuditWriter {
    lines: mpsc::Receiver<AuditLine>,
    state: SharedState,
    lost: IntCounter,
}

/// Both ends, with room for so many lines.
pub(crate) fn open(room: usize, state: SharedState, lost: IntCounter) -> (AuditNotes, AuditWriter) {
    let (sender, receiver) = mpsc::channel(room);
    (AuditNotes { lines: sender, lost: lost.clone() }, AuditWriter { lines: receiver, state, lost })
}

impl AuditNotes {
    /// Takes a line, where there is room.
    pub(crate) fn note(&self, line: AuditLine) {
        if self.lines.try_send(line).is_err() {
            self.lost.inc();
        }
    }
}

impl AuditWriter {
    /// Writes until told to stop, and then what is there yet.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let mut lines = Vec::new();
        loop {
            let came = tokio::select! {
                came = self.lines.recv_many(&mut lines, BATCH) => came,
                () = stop.cancelled() => 0,
            };
            if came == 0 {
                break;
            }
            if !self.write(&lines, &stop).await {
                // With what is there yet, they are tried once more.
                break;
            }
            lines.clear();
        }
        while let Ok(line) = self.lines.try_recv() {
            lines.push(line);
        }
        if lines.is_empty() {
            return;
        }
        let written = tokio::time::timeout(SETTLE, self.state.note(&lines)).await;
        if !matches!(written, Ok(Ok(()))) {
            self.lost.inc_by(lines.len() as u64);
            tracing::warn!(lines = lines.len(), "refusals of the last moments are not in the audit log");
        }
    }

    /// Writes lines, as often as it takes; false where it was told to stop meanwhile.
    async fn write(&self, lines: &[AuditLine], stop: &CancellationToken) -> bool {
        while let Err(error) = self.state.note(lines).await {
            tracing::warn!(error = &error as &dyn std::error::Error, "refusals can't be written to the audit log now");
            tokio::select! {
                () = tokio::time::sleep(PAUSE) => {}
                () = stop.cancelled() => return false,
            }
        }
        true
    }
}
