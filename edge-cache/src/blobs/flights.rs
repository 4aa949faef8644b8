//! Which pieces are being fetched, and by whom.
//!
//! A source sends a run of pieces that lie one after another as a stream ([`claimed`]), or gathers all that is missing of a blob in
//! whatever order it comes ([`gathering`]). Either is a task of its own.

mod claimed;
mod coming;
mod gathering;
mod keeping;
mod landing;
mod of_blob;
mod places;
mod waiting;
mod whereabouts;
mod whole_flight;

use std::{
    collections::HashMap,
    ops::Range,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use longshore_oci::Digest;
use tokio::sync::watch;

use super::{OpenError, Shared, rangeless};
use crate::{
    hot::{Piece, PieceKey},
    piece::PieceIndex,
    source::SharedSource,
    store::Entry,
};
use of_blob::OfBlob;
pub use waiting::Waiting;
pub use whereabouts::Whereabouts;
use whole_flight::WholeFlight;

/// What a piece that is being fetched comes to.
type Landing = Result<Piece, Failed>;
/// Who tells of a piece.
type Teller = watch::Sender<Option<Landing>>;
/// Who is told of it.
type Told = watch::Receiver<Option<Landing>>;

/// Why a piece did not come.
#[derive(Clone)]
pub struct Failed {
    /// What went wrong.
    pub error: OpenError,
    /// Who was asked: what is said of who they are is not for others.
    pub by: SharedSource,
}

/// What a piece that is not here is wanted for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Wanted {
    /// To be kept.
    ToKeep,
    /// To be read, from memory as well.
    ToRead,
    /// To be read, by itself, though it is here: the disk does not give it now.
    Unreadable,
}

/// Which piece of a blob, and what it must hash to: of one digest some may be told that is not its.
type Place = (PieceIndex, PieceKey);

/// The pieces that are being fetched, by blob. A piece is here until it lies in the store, so one that is in neither is nobody's.
#[derive(Default)]
pub struct Flights(Mutex<HashMap<Digest, OfBlob>>);

impl Flights {
    /// Where a piece that is not here will be told of, by who fetches it. Where nobody does, all that is missing of the blob is gathered, if
    /// the source does that and it can be kept. Else a run is begun, up to `end` and to the first piece that is here, in memory or on its
    /// way. A piece that is in memory is kept, and nothing is fetched for it. `None` where it came meanwhile; never for one that is
    /// [`Wanted::Unreadable`]. Where pieces are fetched, `begun` is told which, before they are.
    pub fn join(
        shared: &Arc<Shared>,
        entry: &Arc<Entry>,
        source: &SharedSource,
        piece: PieceIndex,
        end: u32,
        wanted: Wanted,
        mut begun: impl FnMut(Range<u32>),
    ) -> Option<Waiting> {
        let asked = (piece, entry.hashes().get(piece)?);
        let mut all = shared.flights.all();
        if let Some(waiting) = all.get(entry.digest()).and_then(|of_blob| of_blob.waiting(entry, &asked)) {
            return Some(waiting);
        }
        let is_unkept = shared.keeps_nothing_of(entry);
        if is_unkept && wanted == Wanted::ToRead && shared.hot.has(&asked.1) {
            // It came a moment ago, and memory is all that it lies in.
            return None;
        }
        let is_missing = wanted != Wanted::Unreadable;
        if is_missing && entry.missing_from(piece, end.min(piece.0.saturating_add(1))) == 0 {
            return None;
        }
        let held = if is_missing { shared.hot.get(&asked.1) } else { None };
        let of_blob = all.entry(entry.digest().clone()).or_default();
        if let Some(held) = held {
            let (claimed, waiting) = of_blob.claim(shared, entry, asked, Vec::new());
            drop(all);
            tokio::spawn(claimed.keep(entry.clone(), source.clone(), held));
            return Some(waiting);
        }
        if is_missing
            && !is_unkept
            // Of who knows no ranges, each part that is asked for is all that is before it, too.
            && !shared.rangeless.has(&source.address())
            && let Some(gatherer) = of_blob.gather(shared, entry, source)
        {
            let waiting = of_blob.waiting(entry, &asked);
            drop(all);
            gatherer.missing().for_each(begun);
            shared.fetch_until_closing(gatherer.run());
            return waiting;
        }
        let most = match wanted {
            Wanted::Unreadable => 1,
            // What can't be kept is fetched as it is read, no further ahead.
            Wanted::ToKeep | Wanted::ToRead if is_unkept => 1,
            Wanted::ToKeep | Wanted::ToRead if shared.rangeless.has(&source.address()) => rangeless::MOST_PIECES,
            Wanted::ToKeep | Wanted::ToRead => shared.settings.run_pieces.max(1),
        };
        let others = of_blob.run_after(shared, entry, source, piece, end.min(piece.0.saturating_add(most)));
        let run_end = others.last().map_or(piece, |(last, _)| *last).0.saturating_add(1);
        let (claimed, waiting) = of_blob.claim(shared, entry, asked, others);
        drop(all);
        begun(piece.0..run_end);
        shared.fetch_until_closing(claimed.fetch(entry.clone(), source.clone()));
        Some(waiting)
    }

    /// Where a piece will be told of by who gathers what is missing of its blob, where somebody does.
    pub fn gathered(&self, entry: &Entry, piece: PieceIndex) -> Option<Waiting> {
        self.all().get(entry.digest())?.whole_of(entry)?.wait_for(piece)
    }

    /// Whether somebody gathers what is missing of a blob.
    pub fn is_gathered(&self, entry: &Entry) -> bool {
        self.all().get(entry.digest()).is_some_and(|of_blob| of_blob.whole_of(entry).is_some())
    }

    /// How many pieces are fetched by runs, and whether one who reads waits for a piece that is gathered.
    pub fn at_work(&self) -> (u64, bool) {
        let all = self.all();
        let is_waited_at = all.values().filter_map(|of_blob| of_blob.whole.as_ref()).any(|whole| whole.is_waited_at());
        (all.values().map(|of_blob| of_blob.pieces.len() as u64).sum(), is_waited_at)
    }

    /// A run does not fetch this piece any more.
    fn end(&self, digest: &Digest, place: &Place) {
        self.change(digest, |of_blob| drop(of_blob.pieces.remove(place)));
    }

    /// A flight brings nothing more.
    fn end_whole(&self, digest: &Digest, flight: &Arc<WholeFlight>) {
        self.change(digest, |of_blob| drop(of_blob.whole.take_if(|whole| Arc::ptr_eq(whole, flight))));
    }

    /// The same, where nobody has wanted what it brings for so long; whether that is so.
    fn end_unwanted(&self, digest: &Digest, flight: &Arc<WholeFlight>, patience: Duration) -> bool {
        let is_unwanted = |whole: &mut Arc<WholeFlight>| Arc::ptr_eq(whole, flight) && whole.wanted_for(patience).is_none();
        self.change(digest, |of_blob| of_blob.whole.take_if(is_unwanted).is_some()).unwrap_or(true)
    }

    fn change<T>(&self, digest: &Digest, change: impl FnOnce(&mut OfBlob) -> T) -> Option<T> {
        let mut all = self.all();
        let of_blob = all.get_mut(digest)?;
        let changed = change(of_blob);
        if of_blob.is_empty() {
            all.remove(digest);
        }
        Some(changed)
    }

    fn all(&self) -> MutexGuard<'_, HashMap<Digest, OfBlob>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
