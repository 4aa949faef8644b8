//! A run of pieces, one after another as one stream of a source.

use std::{ops::Range, sync::Arc};

use longshore_oci::Digest;

use super::{Failed, Place, Teller, coming::Coming, landing::Came};
use crate::{
    blobs::{OpenError, Shared},
    source::{Reading, SharedSource, SourceError},
    store::Entry,
};

/// Pieces that one run fetches, one after another, and those who are to be told of each; taken back where it ends early.
pub(super) struct Claimed {
    pub(super) shared: Arc<Shared>,
    digest: Digest,
    /// Who tells of each, and is gone once it was written or could not be: whoever tells holds what was told.
    pub(super) pieces: Vec<(Place, Option<Teller>)>,
    landed: usize,
}

impl Claimed {
    /// These pieces of a blob, by those who tell of each.
    pub(super) fn new(shared: Arc<Shared>, digest: Digest, pieces: Vec<(Place, Teller)>) -> Self {
        shared.metrics.pieces_in_flight.add(i64::try_from(pieces.len()).unwrap_or(i64::MAX));
        let pieces = pieces.into_iter().map(|(place, teller)| (place, Some(teller))).collect();
        Self { shared, digest, pieces, landed: 0 }
    }

    /// Fetches them. What goes wrong is told to all who wait for one of them, once.
    pub(super) async fn fetch(mut self, entry: Arc<Entry>, source: SharedSource) {
        if let Err(error) = self.fetch_each(&entry, &source).await {
            let told: Vec<_> = self.pieces[self.landed..].iter_mut().filter_map(|(_, waiting)| waiting.take()).collect();
            // Who asks again finds nobody at it, and begins anew.
            self.land_all();
            for waiting in told {
                waiting.send_replace(Some(Err(Failed { error: error.clone(), by: source.clone() })));
            }
        }
        self.shared.check_kept(&entry, &source);
    }

    async fn fetch_each(&mut self, entry: &Arc<Entry>, source: &SharedSource) -> Result<(), OpenError> {
        let shared = self.shared.clone();
        let bytes = |place: usize| self.pieces.get(place).map_or(0..0, |((piece, _), _)| entry.geometry().bytes_of(*piece));
        let range = bytes(0).start..bytes(self.pieces.len() - 1).end;
        let Reading { size_bytes, stream, .. } = shared.read(&self.digest, source, Some(range.clone())).await?;
        if size_bytes != entry.geometry().size_bytes() {
            return Err(shared.wrong(source, &self.digest, format!("it is said to have {size_bytes} bytes")).into());
        }
        let mut coming = Coming::new(stream);
        while let Some((place, _)) = self.pieces.get(self.landed) {
            let place = *place;
            let (piece, _) = place;
            let Range { start, end } = entry.geometry().bytes_of(piece);
            let room = shared.hot.room_for(end - start).await?;
            let Some(bytes) = coming.take(usize::try_from(end - start).unwrap_or(usize::MAX)).await? else {
                return Err(shared.wrong(source, &self.digest, format!("it broke off in piece {}", piece.0)).into());
            };
            let teller = self.pieces[self.landed].1.take();
            let taken = {
                let (shared, entry, keeping) = (shared.clone(), entry.clone(), shared.keeping.token());
                move || {
                    let _keeping = keeping;
                    (shared.take_in(&entry, place, bytes, room, teller.as_ref()), teller)
                }
            };
            let taken = tokio::task::spawn_blocking(taken).await;
            let (came, teller) = taken.map_err(|_| OpenError::GaveUp(self.digest.clone()))?;
            if matches!(came, Came::Wrong) {
                // Who waits for it is told as those are who wait for what follows.
                self.pieces[self.landed].1 = teller;
                return Err(shared.wrong(source, &self.digest, format!("the hash of piece {} is wrong", piece.0)).into());
            }
            // Known before anybody finds nobody at it.
            let is_kept = shared.is_kept(entry, came);
            self.land();
            drop(teller);
            if !is_kept {
                return Err(SourceError::Unkept.into());
            }
        }
        Ok(())
    }

    /// The next of them is over, one way or the other.
    pub(super) fn land(&mut self) {
        if let Some((place, _)) = self.pieces.get(self.landed) {
            self.shared.flights.end(&self.digest, place);
            self.shared.metrics.pieces_in_flight.dec();
            self.landed += 1;
        }
    }

    fn land_all(&mut self) {
        while self.landed < self.pieces.len() {
            self.land();
        }
    }
}

impl Drop for Claimed {
    fn drop(&mut self) {
        self.land_all();
    }
}
