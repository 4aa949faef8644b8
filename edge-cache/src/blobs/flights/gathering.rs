//! All that is missing of a blob, gathered in whatever order it comes, as long as anybody wants it: what has come stays when it ends.

use std::{ops::Range, pin::pin, sync::Arc};

use super::{Failed, Teller, whole_flight::WholeFlight};
use crate::{
    blobs::{OpenError, Shared, transfers::Bringing},
    hot::Piece,
    piece::PieceIndex,
    source::{Gathered, Gathering, SharedSource, SourceError},
    store::Entry,
};

/// Who gathers, and lands what comes; taken back where it ends early.
pub(super) struct Gatherer {
    pub(super) shared: Arc<Shared>,
    pub(super) entry: Arc<Entry>,
    pub(super) source: SharedSource,
    pub(super) flight: Arc<WholeFlight>,
    pub(super) gathering: Box<dyn Gathering>,
    pub(super) bringing: Bringing,
}

impl Gatherer {
    /// What is missing: pieces that lie one after another together.
    pub(super) fn missing(&self) -> impl Iterator<Item = Range<u32>> + use<> {
        let (settled, end) = (self.flight.settled(), self.entry.geometry().pieces());
        let mut first = 0;
        std::iter::from_fn(move || {
            first = (first..end).find(|piece| !settled.contains(PieceIndex(*piece)))?;
            let run = first..first + settled.missing_from(PieceIndex(first), end);
            first = run.end;
            Some(run)
        })
    }

    /// Brings what is missing. What goes wrong is told to all who wait for a piece, once.
    pub(super) async fn run(mut self) {
        if let Err(error) = self.gather().await {
            // Who asks again finds nobody at it, and begins anew.
            for teller in self.leave() {
                teller.send_replace(Some(Err(Failed { error: error.clone(), by: self.source.clone() })));
            }
        }
        self.leave();
        self.shared.check_kept(&self.entry, &self.source);
    }

    async fn gather(&mut self) -> Result<(), OpenError> {
        self.keep_held().await?;
        let (flight, patience) = (self.flight.clone(), self.shared.settings.gathering_idle);
        let mut unwanted = pin!(flight.unwanted(patience));
        loop {
            let next = tokio::select! {
                next = self.gathering.next() => next,
                () = &mut unwanted => {
                    if self.shared.flights.end_unwanted(self.entry.digest(), &flight, patience) {
                        return Ok(());
                    }
                    unwanted.set(flight.unwanted(patience));
                    continue;
                }
            };
            let Some(gathered) = next else { return self.require_all() };
            let gathered = gathered.map_err(|error| match error {
                // Told and counted here, as of a stream.
                SourceError::Wrong { reason, .. } => self.wrong(reason),
                error => {
                    if matches!(error, SourceError::Rangeless { .. }) {
                        self.shared.rangeless.note(&self.source);
                    }
                    error.into()
                }
            })?;
            self.take_in(gathered).await?;
        }
    }

    /// Keeps what memory has of the blob, which was dropped and begun anew, or another has the same. Nothing is fetched for that.
    async fn keep_held(&mut self) -> Result<(), OpenError> {
        let held = {
            let (shared, entry, missing) = (self.shared.clone(), self.entry.clone(), self.missing());
            move || {
                let keys = missing.flatten().map(PieceIndex).filter_map(|piece| Some((piece, entry.hashes().get(piece)?)));
                keys.filter(|(_, key)| shared.hot.has(key)).collect::<Vec<_>>()
            }
        };
        for (piece, key) in tokio::task::spawn_blocking(held).await.map_err(|_| self.gave_up())? {
            if let Some(held) = self.shared.hot.get(&key) {
                self.land(piece, |_| held).await?;
            }
        }
        Ok(())
    }

    /// Takes in a piece that came.
    async fn take_in(&mut self, Gathered { piece, bytes, supplied, memory }: Gathered) -> Result<(), OpenError> {
        let (shared, entry) = (&self.shared, &self.entry);
        let (range, length) = (entry.geometry().bytes_of(piece), bytes.len() as u64);
        let Some(key) = entry.hashes().get(piece).filter(|_| length == range.end - range.start) else {
            return Err(self.wrong(format!("{length} bytes came as piece {}", piece.0)));
        };
        shared.metrics.came(self.source.name(), supplied);
        self.bringing.came(supplied);
        let mut room = shared.hot.room_of(memory);
        room.shrink(length);
        self.land(piece, move |shared| shared.hot.put(key, bytes, room)).await
    }

    /// Hands a right piece on, and keeps it.
    async fn land(&mut self, piece: PieceIndex, hold: impl FnOnce(&Shared) -> Piece + Send + 'static) -> Result<(), OpenError> {
        let land = {
            let (shared, entry, flight) = (self.shared.clone(), self.entry.clone(), self.flight.clone());
            let keeping = shared.keeping.token();
            move || {
                let _keeping = keeping;
                let landed = hold(&shared);
                flight.tell(piece, &landed);
                (shared.keep(&entry, piece, &landed), landed)
            }
        };
        let (came, landed) = tokio::task::spawn_blocking(land).await.map_err(|_| self.gave_up())?;
        // Known before anybody finds nobody at it.
        let is_kept = self.shared.is_kept(&self.entry, came);
        self.flight.land(piece, &landed);
        // Of a blob that was begun anew meanwhile, more is missing than is known here.
        if !is_kept || self.entry.is_unkept() {
            return Err(SourceError::Unkept.into());
        }
        self.gathering.landed(piece);
        Ok(())
    }

    /// That nothing is to come any more.
    fn require_all(&self) -> Result<(), OpenError> {
        if self.flight.settled().is_full() {
            return Ok(());
        }
        Err(self.wrong("it ended before all of it had come".to_owned()))
    }

    fn wrong(&self, reason: String) -> OpenError {
        self.shared.wrong(&self.source, self.entry.digest(), reason).into()
    }

    fn gave_up(&self) -> OpenError {
        OpenError::GaveUp(self.entry.digest().clone())
    }

    /// Brings nothing more; those who still wait for a piece.
    fn leave(&self) -> Vec<Teller> {
        self.shared.flights.end_whole(self.entry.digest(), &self.flight);
        self.flight.take_asked()
    }
}

impl Drop for Gatherer {
    fn drop(&mut self) {
        self.leave();
    }
}
