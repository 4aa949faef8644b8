use std::{collections::HashMap, sync::Arc};

use tokio::sync::watch;

use super::{Place, Told, Waiting, claimed::Claimed, gathering::Gatherer, whole_flight::WholeFlight};
use crate::{
    blobs::{Fetched, Shared},
    piece::PieceIndex,
    source::{SharedSource, Wish},
    store::Entry,
};

/// The pieces of a blob that are being fetched.
#[derive(Default)]
pub(super) struct OfBlob {
    /// By runs.
    pub(super) pieces: HashMap<Place, Told>,
    /// All that is missing, by one flight.
    pub(super) whole: Option<Arc<WholeFlight>>,
}

impl OfBlob {
    /// The flight that brings what is missing of a blob that is the same.
    pub(super) fn whole_of(&self, entry: &Entry) -> Option<&Arc<WholeFlight>> {
        self.whole.as_ref().filter(|whole| whole.is_of(entry))
    }

    /// Where a piece will be told of, where somebody fetches it.
    pub(super) fn waiting(&self, entry: &Entry, place: &Place) -> Option<Waiting> {
        let of_run = self.pieces.get(place).map(|told| Waiting::of_run(told.clone()));
        of_run.or_else(|| self.whole_of(entry)?.wait_for(place.0))
    }

    /// Begins to gather all that is missing of a blob, where the source does that and nobody else is at it.
    pub(super) fn gather(&mut self, shared: &Arc<Shared>, entry: &Arc<Entry>, source: &SharedSource) -> Option<Gatherer> {
        if self.whole.is_some() {
            return None;
        }
        let (reading, read_at) = watch::channel(None);
        let (hashes, here) = (entry.hashes().clone(), entry.present());
        let gathering = source.gather(Wish {
            digest: entry.digest().clone(),
            geometry: entry.geometry(),
            hashes: hashes.clone(),
            here: here.clone(),
            reading: read_at,
            memory: shared.hot.budget().clone(),
        })?;
        let fetched = Fetched::of(entry.geometry(), &here);
        let mut settled = here;
        for (piece, key) in self.pieces.keys() {
            if hashes.get(*piece) == Some(*key) {
                settled.insert(*piece);
            }
        }
        let flight = Arc::new(WholeFlight::new(hashes, settled, reading, shared.metrics.pieces_in_flight.clone()));
        self.whole = Some(flight.clone());
        shared.metrics.fetches.with_label_values(&[source.name()]).inc();
        let bringing = shared.transfers.begin(entry.digest(), source.name(), fetched.bytes_in_all, fetched.bytes);
        Some(Gatherer { shared: shared.clone(), entry: entry.clone(), source: source.clone(), flight, gathering, bringing })
    }

    /// The pieces of a run after its first one, before `end`, and to the first that is here, in memory or on its way.
    pub(super) fn run_after(
        &self,
        shared: &Shared,
        entry: &Entry,
        source: &SharedSource,
        first: PieceIndex,
        end: u32,
    ) -> Vec<Place> {
        let start = first.0.saturating_add(1);
        let missing = start..start.saturating_add(entry.missing_from(PieceIndex(start), end));
        // Of a source that knows no ranges, what is before the rest would come again.
        let is_rangeless = shared.rangeless.has(&source.address());
        let is_here = |place: &Place| !is_rangeless && shared.hot.has(&place.1);
        let places = missing.map(PieceIndex).map_while(|piece| Some((piece, entry.hashes().get(piece)?)));
        places.take_while(|place| !self.is_coming(entry, place) && !is_here(place)).collect()
    }

    /// Takes a piece and others after it, which nobody fetches; and where the first will be told of.
    pub(super) fn claim(&mut self, shared: &Arc<Shared>, entry: &Entry, first: Place, others: Vec<Place>) -> (Claimed, Waiting) {
        let mut take = |place| {
            let (teller, told) = watch::channel(None);
            self.pieces.insert(place, told.clone());
            (teller, told)
        };
        let (teller, told) = take(first);
        let mut taken = vec![(first, teller)];
        taken.extend(others.into_iter().map(|place| (place, take(place).0)));
        (Claimed::new(shared.clone(), entry.digest().clone(), taken), Waiting::of_run(told))
    }

    fn is_coming(&self, entry: &Entry, place: &Place) -> bool {
        self.pieces.contains_key(place) || self.whole_of(entry).is_some_and(|whole| whole.brings(place.0))
    }

    /// Whether nothing of it is being fetched.
    pub(super) fn is_empty(&self) -> bool {
        self.pieces.is_empty() && self.whole.is_none()
    }
}
