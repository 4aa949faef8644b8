use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use longshore_client::EdgeScrub;

use crate::edge::Edge;

/// The scrub that was last asked for.
#[derive(Debug)]
pub struct Scrubbing(Mutex<EdgeScrub>);

impl Default for Scrubbing {
    fn default() -> Self {
        let never = EdgeScrub { is_running: false, started_at: None, finished_at: None, pieces: 0, read_bytes: 0, damaged: 0 };
        Self(Mutex::new(never))
    }
}

impl Scrubbing {
    /// How far it is.
    pub fn seen(&self) -> EdgeScrub {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Begins one, unless one runs: whether it did, and what there is now.
    fn begin(&self, now: Timestamp) -> (bool, EdgeScrub) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = !state.is_running;
        if is_new {
            *state =
                EdgeScrub { is_running: true, started_at: Some(now), finished_at: None, pieces: 0, read_bytes: 0, damaged: 0 };
        }
        (is_new, state.clone())
    }

    /// It is over.
    fn end(&self, now: Timestamp, (pieces, read_bytes, damaged): (u64, u64, u64)) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *state = EdgeScrub { is_running: false, finished_at: Some(now), pieces, read_bytes, damaged, ..state.clone() };
    }
}

/// Has all that is kept read again, in the background; one at a time.
pub fn start(edge: &Arc<Edge>) -> EdgeScrub {
    let (is_new, seen) = edge.scrubbing.begin(Timestamp::now());
    if is_new {
        let (edge, stopping) = (edge.clone(), edge.stopping.clone());
        let tasks = edge.tasks.clone();
        tasks.spawn(async move {
            // The drain waits for none: what was not read is read another time.
            let report = stopping.run_until_cancelled(edge.store.scrub()).await;
            let found = report
                .map_or((0, 0, 0), |report| (report.pieces, report.bytes, report.damaged_pieces + report.unreadable_pieces));
            edge.scrubbing.end(Timestamp::now(), found);
        });
    }
    seen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_runs_at_a_time() {
        let scrubbing = Scrubbing::default();
        assert!(!scrubbing.seen().is_running);
        assert!(scrubbing.begin(Timestamp::UNIX_EPOCH).0);
        let (is_new, seen) = scrubbing.begin(Timestamp::now());
        assert!(!is_new && seen.is_running && seen.started_at == Some(Timestamp::UNIX_EPOCH));
        scrubbing.end(Timestamp::now(), (3, 30, 1));
        let seen = scrubbing.seen();
        assert_eq!((seen.is_running, seen.pieces, seen.damaged, seen.finished_at.is_some()), (false, 3, 1, true));
        assert!(scrubbing.begin(Timestamp::now()).0);
    }
}
