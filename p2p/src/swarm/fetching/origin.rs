//! What is asked of the origin, and what comes of it.

use std::ops::Range;

use longshore_oci::piece::PieceIndex;
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::task::AbortOnDropHandle;

use super::{Fetch, asking::PLACE_PAUSE, ending::Trouble};
use crate::{
    download::{RunEnd, RunId},
    moment::Moment,
    swarm::{
        Arrival, OriginError, Supplier,
        arrival::FetchId,
        input::RunStep,
        origin_run::{Fault, Run},
        task::Task,
    },
    upload::limits::{Intake, Provider},
};

/// A request to the origin that runs.
pub(super) struct Running {
    pieces: Range<u32>,
    begun: Moment,
    _task: AbortOnDropHandle<()>,
}

impl Fetch {
    /// A request to the origin is over; when it was begun, if it was not over before.
    fn end_run(&mut self, run: RunId, intake: &mut Intake) -> Option<Moment> {
        let Running { pieces, begun, _task } = self.runs.remove(&run)?;
        pieces.for_each(|piece| self.debts.forgive(None, PieceIndex(piece), intake));
        Some(begun)
    }
}

impl Task {
    /// Asks the origin; whether there was room for that.
    pub(super) fn ask_origin(
        &mut self,
        id: FetchId,
        run: RunId,
        pieces: Range<u32>,
        memory: &mut Vec<OwnedSemaphorePermit>,
        now: Moment,
    ) -> bool {
        let Some(fetch) = self.fetches.get_mut(&id) else { return false };
        let bytes = fetch.piece_bytes();
        // What cancelled pieces had is free again, but elsewhere.
        memory.extend((memory.len()..pieces.len()).map_while(|_| fetch.memory.try_take(bytes)));
        let Some(rest) = memory.len().checked_sub(pieces.len()) else {
            fetch.download.origin_ended(run, RunEnd::Failed { retry_after: PLACE_PAUSE }, now);
            return false;
        };
        let ready_at = self.intake.ready_at(Provider::Origin, bytes, now);
        if ready_at > now {
            fetch.download.origin_ended(run, RunEnd::Failed { retry_after: ready_at.since(now) }, now);
            return false;
        }
        for piece in pieces.clone().map(PieceIndex) {
            self.intake.charge(Provider::Origin, bytes, now);
            fetch.debts.owes(None, piece, Provider::Origin, bytes);
        }
        let (geometry, hashes, memory) = (fetch.geometry, fetch.hashes.clone(), memory.split_off(rest));
        let request = Run { fetch: id, id: run, pieces: pieces.clone(), geometry, hashes, memory, inputs: self.inputs.clone() };
        let task = AbortOnDropHandle::new(tokio::spawn(request.go(fetch.origin.clone())));
        fetch.runs.insert(run, Running { pieces, begun: now, _task: task });
        true
    }

    /// A request to the origin is broken off.
    pub(super) fn cancel_origin(&mut self, id: FetchId, run: RunId, has_stalled: bool, now: Moment) {
        let Some(fetch) = self.fetches.get_mut(&id) else { return };
        let Some(begun) = fetch.end_run(run, &mut self.intake).filter(|_| has_stalled) else { return };
        self.failed(id, begun, Fault::Stalled.into(), now);
    }

    /// A request to the origin goes on.
    pub(in crate::swarm) fn run_step(&mut self, id: FetchId, run: RunId, step: RunStep, now: Moment) {
        let Some(fetch) = self.fetches.get_mut(&id) else { return };
        match step {
            RunStep::Progress(bytes) => return fetch.download.origin_progress(run, bytes, now),
            RunStep::Came { piece, bytes, memory } => {
                fetch.debts.came(None, piece);
                let (count, is_new) = (bytes.len() as u64, !fetch.download.here().contains(piece));
                if is_new && !fetch.hand_on(Arrival { piece, bytes, memory, from: Supplier::Origin }, now) {
                    fetch.end_run(run, &mut self.intake);
                    fetch.download.origin_ended(run, RunEnd::Failed { retry_after: PLACE_PAUSE }, now);
                } else {
                    fetch.download.origin_came(run, piece, now);
                    self.metrics.came(None, count, is_new);
                }
            }
            RunStep::Ended(error) => {
                let Some(begun) = fetch.end_run(run, &mut self.intake) else { return };
                let end = error.as_ref().map_or(RunEnd::Done, |error| RunEnd::Failed { retry_after: error.rest() });
                fetch.download.origin_ended(run, end, now);
                if let Some(error) = error {
                    self.failed(id, begun, error, now);
                }
            }
        }
        self.stirred.insert(id);
    }

    /// A request to the origin has failed that was begun then.
    fn failed(&mut self, id: FetchId, begun: Moment, error: OriginError, now: Moment) {
        let Some(fetch) = self.fetches.get_mut(&id) else { return };
        tracing::debug!(topic = %fetch.topic, error = &*error.source as &dyn std::error::Error, "the origin failed");
        self.metrics.origin_failures.inc();
        fetch.trouble = Some(Trouble::after(fetch.trouble.take(), begun, error, now));
    }
}
