//! Blobs that nobody waits for yet: fetched a few pieces at a time, in the gaps that clients leave.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use longshore_oci::Digest;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Instant,
};

use super::{
    Blobs, OpenError, Plan, Shared,
    flights::{Failed, Flights, Waiting, Wanted},
    passing, rangeless,
    whole::Whole,
};
use crate::{
    hot::Piece,
    piece::{Geometry, PIECE_BYTES, PieceIndex, PieceSet},
    source::{SharedSource, SourceError},
    store::Entry,
};

/// How often it is looked whether clients still wait for pieces.
const LOOK: Duration = Duration::from_millis(20);
/// How long it is waited before a source that failed is asked anew, for each time that it did.
const PAUSE: Duration = Duration::from_millis(500);

/// How such fetching keeps out of the way of clients.
#[derive(Clone, Copy, Debug)]
pub struct BackgroundSettings {
    /// How many pieces are fetched at once, by all such work together.
    pub pieces: u32,
    /// How many of them are asked of a source at once, at most.
    pub run_pieces: u32,
    /// How long a run waits for a moment at which no client waits for a piece. Then it goes all the same, so that a cache that is always
    /// busy gets there too.
    pub patience: Duration,
}

impl Default for BackgroundSettings {
    fn default() -> Self {
        Self { pieces: 8, run_pieces: 4, patience: Duration::from_secs(1) }
    }
}

/// All such work. Clones share its limits.
#[derive(Clone)]
pub struct Background(Arc<Limits>);

struct Limits {
    settings: BackgroundSettings,
    /// A permit for each piece.
    room: Arc<Semaphore>,
    /// How many pieces are being fetched for it.
    pieces: Arc<AtomicU64>,
    /// How many blobs come whole for it.
    wholes: Arc<AtomicU64>,
}

/// How far a blob has come.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Fetched {
    /// How many bytes of it are here.
    pub bytes: u64,
    /// How many it has.
    pub bytes_in_all: u64,
    /// How many of its pieces are here.
    pub pieces: u32,
    /// How many it has.
    pub pieces_in_all: u32,
}

impl Fetched {
    /// Nothing of a blob that is so long.
    pub fn nothing_of(size_bytes: u64) -> Self {
        Self { bytes_in_all: size_bytes, pieces_in_all: Geometry::new(size_bytes).map_or(0, Geometry::pieces), ..Self::default() }
    }

    /// All of it.
    pub fn all_of(size_bytes: u64) -> Self {
        let nothing = Self::nothing_of(size_bytes);
        Self { bytes: size_bytes, pieces: nothing.pieces_in_all, ..nothing }
    }

    /// As much of it as comes before a place.
    fn up_to(at: u64, size_bytes: u64) -> Self {
        let pieces = u32::try_from(at / PIECE_BYTES).unwrap_or(u32::MAX);
        Self { bytes: at.min(size_bytes), pieces, ..Self::nothing_of(size_bytes) }
    }

    /// These pieces of it.
    pub fn of(geometry: Geometry, present: &PieceSet) -> Self {
        let (size_bytes, pieces_in_all) = (geometry.size_bytes(), geometry.pieces());
        let last = PieceIndex(pieces_in_all.saturating_sub(1));
        let bytes = u64::from(present.count()) * PIECE_BYTES;
        let short_of = |range: std::ops::Range<u64>| PIECE_BYTES - (range.end - range.start);
        let missing = if present.contains(last) { short_of(geometry.bytes_of(last)) } else { 0 };
        Self { bytes: bytes - missing, bytes_in_all: size_bytes, pieces: present.count(), pieces_in_all }
    }
}

/// Leave to fetch, which gives itself back.
struct Turn<'a> {
    counter: &'a AtomicU64,
    count: u64,
    room: Option<OwnedSemaphorePermit>,
}

impl Turn<'_> {
    /// One of what it is for is not being fetched any more.
    fn one_less(&mut self) {
        if self.count > 0 {
            self.count -= 1;
            self.counter.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// What it was for needs none.
    fn end(&mut self) {
        self.counter.fetch_sub(self.count, Ordering::Relaxed);
        self.count = 0;
        drop(self.room.take());
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.end();
    }
}

impl Background {
    /// One that keeps to these limits.
    pub fn new(settings: BackgroundSettings) -> Self {
        let pieces = settings.pieces.max(1);
        let settings = BackgroundSettings { pieces, run_pieces: settings.run_pieces.clamp(1, pieces), ..settings };
        Self::counted_in(settings, Arc::default(), Arc::default())
    }

    /// Another that keeps to the same limits by itself. Neither takes what the other fetches for what clients wait for.
    #[must_use]
    pub fn beside(&self) -> Self {
        let Limits { settings, pieces, wholes, .. } = &*self.0;
        Self::counted_in(*settings, pieces.clone(), wholes.clone())
    }

    fn counted_in(settings: BackgroundSettings, pieces: Arc<AtomicU64>, wholes: Arc<AtomicU64>) -> Self {
        let room = Arc::new(Semaphore::new(usize::try_from(settings.pieces).unwrap_or(Semaphore::MAX_PERMITS)));
        Self(Arc::new(Limits { settings, room, pieces, wholes }))
    }

    /// Waits for leave to fetch so many pieces, or a whole blob.
    async fn turn(&self, shared: &Shared, pieces: u32, is_whole: bool) -> Turn<'_> {
        let limits = &*self.0;
        let room = limits.room.clone().acquire_many_owned(pieces.clamp(1, limits.settings.run_pieces)).await.ok();
        let until = Instant::now() + limits.settings.patience;
        while self.clients_wait(shared) && Instant::now() < until {
            tokio::time::sleep(LOOK).await;
        }
        let (counter, count) = if is_whole { (&*limits.wholes, 1) } else { (&*limits.pieces, u64::from(pieces)) };
        counter.fetch_add(count, Ordering::Relaxed);
        Turn { counter, count, room }
    }

    /// Whether a client is being told how it can have a blob, or waits for a piece that is gathered, or more is being fetched than is for
    /// this.
    fn clients_wait(&self, shared: &Shared) -> bool {
        let (pieces, is_gathered) = shared.flights.at_work();
        let wholes = shared.wholes.lock().unwrap_or_else(std::sync::PoisonError::into_inner).len() as u64;
        let is_fetching = pieces > self.0.pieces.load(Ordering::Relaxed) || wholes > self.0.wholes.load(Ordering::Relaxed);
        is_fetching || is_gathered || shared.opening.load(Ordering::Relaxed) > 0
    }
}

impl Blobs {
    /// How much of a blob is here.
    pub fn fetched(&self, digest: &Digest) -> Option<Fetched> {
        self.0.store.peek(digest).map(|entry| Fetched::of(entry.geometry(), &entry.present()))
    }

    /// Has all of a blob fetched, and tells how far it has come; clients come first. An error where it can't be kept, too. Who drops this
    /// ends it, but for what is on its way.
    pub async fn prewarm(
        &self,
        digest: &Digest,
        source: SharedSource,
        background: &Background,
        mut tell: impl FnMut(Fetched) + Send,
    ) -> Result<Fetched, OpenError> {
        let shared = &self.0;
        let (mut failures, mut pieces_here) = (0, 0);
        loop {
            let tried = match shared.known(&(source.address(), digest.clone())) {
                Some(Plan::Pieces(entry)) => pieces(shared, &entry, &source, background, &mut tell).await,
                known => {
                    let turn = background.turn(shared, background.0.settings.run_pieces, true).await;
                    let plan = match known {
                        Some(plan) => Ok(plan),
                        None => shared.clone().plan(digest, &source).await,
                    };
                    match plan {
                        Ok(Plan::Pieces(entry)) => {
                            drop(turn);
                            pieces(shared, &entry, &source, background, &mut tell).await
                        }
                        Ok(Plan::Whole(coming)) => whole(shared, digest, &source, coming, &mut tell).await,
                        // It is here, as another source's: this one shows that it has it.
                        Ok(Plan::Passing(begun)) if is_here(shared, digest) => {
                            passing::read_through(shared, digest, source.clone(), &begun).await
                        }
                        Ok(Plan::Passing(_)) => Err(SourceError::Unkept.into()),
                        Err(error) => Err(error),
                    }
                }
            };
            let error = match tried {
                Ok(()) => break,
                Err(error) => error,
            };
            let here = self.fetched(digest).unwrap_or_default().pieces;
            failures = if here > pieces_here { 1 } else { failures + 1 };
            pieces_here = pieces_here.max(here);
            if failures >= shared.settings.attempts || !may_pass(&error) {
                return Err(error);
            }
            tokio::time::sleep(PAUSE * failures).await;
        }
        let fetched = self.fetched(digest).filter(|fetched| fetched.pieces == fetched.pieces_in_all);
        let fetched = fetched.ok_or_else(|| OpenError::GaveUp(digest.clone()))?;
        tell(fetched);
        Ok(fetched)
    }
}

/// Whether it might go well a moment later. What another was told of who they are is not for this one.
fn may_pass(error: &OpenError) -> bool {
    match error {
        OpenError::Source(SourceError::Unkept) | OpenError::RangeNotSatisfiable { .. } | OpenError::Store { .. } => false,
        OpenError::Source(error) => error.is_passing() || error.is_of_the_caller(),
        OpenError::NoBudget(_) | OpenError::GaveUp(_) => true,
    }
}

/// Fetches what is missing, a run of pieces after another, and waits until all of it was found right. What a source gathers comes by
/// itself, as long as it is waited for: who gathers is told where clients read, and brings that first.
async fn pieces(
    shared: &Arc<Shared>,
    entry: &Arc<Entry>,
    source: &SharedSource,
    background: &Background,
    tell: &mut (impl FnMut(Fetched) + Send),
) -> Result<(), OpenError> {
    if entry.lies_nowhere() {
        return Err(SourceError::Unkept.into());
    }
    let end = entry.geometry().pieces();
    let mut first = 0;
    // Kept until the next is waited for: who gathers all ends when nobody waits.
    let mut attending = None;
    loop {
        let present = entry.present();
        tell(Fetched::of(entry.geometry(), &present));
        let Some(missing) = (first..end).find(|piece| !present.contains(PieceIndex(*piece))) else {
            return shared.checked(entry, source).await;
        };
        first = missing;
        if let Some(waiting) = shared.flights.gathered(entry, PieceIndex(missing)) {
            let landed = landed(entry, attending.insert(waiting.for_all()), tell).await;
            require_kept(shared, entry, PieceIndex(missing), landed)?;
            continue;
        }
        let is_rangeless = shared.rangeless.has(&source.address());
        let run = if is_rangeless { rangeless::MOST_PIECES } else { background.0.settings.run_pieces };
        let run_end = missing.saturating_add(run).min(end);
        let run_end = missing + present.missing_from(PieceIndex(missing), run_end);
        let mut turn = background.turn(shared, run_end - missing, false).await;
        for piece in (missing..run_end).map(PieceIndex) {
            let waiting = Flights::join(shared, entry, source, piece, run_end, Wanted::ToKeep, |_| ());
            let Some(waiting) = waiting else {
                turn.one_less();
                continue;
            };
            let is_gathered = waiting.is_gathered();
            let mut waiting = waiting.for_all();
            let waiting = if is_gathered {
                turn.end();
                attending.insert(waiting)
            } else {
                // Of somebody else's run; what is gathered goes on meanwhile.
                &mut waiting
            };
            let landed = landed(entry, waiting, tell).await;
            turn.one_less();
            match require_kept(shared, entry, piece, landed) {
                Ok(()) => tell(Fetched::of(entry.geometry(), &entry.present())),
                // What comes before it is here, and the next run begins with it.
                Err(_) if piece.0 != missing => break,
                Err(error) => return Err(error),
            }
        }
        drop(turn);
    }
}

/// What a piece comes to, once it lies in the store or will not. Others that are gathered come before it, and are told of.
async fn landed(entry: &Entry, waiting: &mut Waiting, tell: &mut (impl FnMut(Fetched) + Send)) -> Option<Result<Piece, Failed>> {
    let Some(mut count) = waiting.count() else { return waiting.written().await };
    loop {
        tokio::select! {
            landed = waiting.written() => return landed,
            Ok(()) = count.changed() => tell(Fetched::of(entry.geometry(), &entry.present())),
        }
    }
}

/// That a piece is here, which has come to this.
fn require_kept(
    shared: &Shared,
    entry: &Entry,
    piece: PieceIndex,
    landed: Option<Result<Piece, Failed>>,
) -> Result<(), OpenError> {
    match landed {
        Some(Ok(_)) if entry.has(piece) => Ok(()),
        Some(Ok(_)) => Err(not_kept(shared, entry)),
        Some(Err(failed)) if matches!(failed.error, OpenError::Source(SourceError::Unkept)) => Err(not_kept(shared, entry)),
        Some(Err(failed)) => Err(failed.error),
        None => Err(OpenError::GaveUp(entry.digest().clone())),
    }
}

/// Why what has come is not here: for want of room, or since the blob was dropped, for who fetched it or for who waits for it.
fn not_kept(shared: &Shared, entry: &Entry) -> OpenError {
    let is_short = entry.lies_nowhere() || shared.is_full.load(Ordering::Relaxed);
    if is_short { SourceError::Unkept.into() } else { OpenError::GaveUp(entry.digest().clone()) }
}

/// Waits for a blob that comes whole.
async fn whole(
    shared: &Arc<Shared>,
    digest: &Digest,
    source: &SharedSource,
    mut coming: Whole,
    tell: &mut (impl FnMut(Fetched) + Send),
) -> Result<(), OpenError> {
    let size_bytes = coming.size_bytes;
    coming.join(source);
    let mut at = 0;
    while at < size_bytes {
        tell(Fetched::up_to(at, size_bytes));
        at = at.saturating_add(PIECE_BYTES).min(size_bytes);
        if !coming.has_come_to(at).await {
            break;
        }
    }
    coming.until_kept(digest).await?;
    if is_here(shared, digest) { Ok(()) } else { Err(OpenError::GaveUp(digest.clone())) }
}

/// Whether all of a blob is kept, whoever brought it.
fn is_here(shared: &Shared, digest: &Digest) -> bool {
    shared.store.peek(digest).is_some_and(|entry| entry.is_complete())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_come_is_counted_in_bytes_and_pieces() {
        let size = 2 * PIECE_BYTES + 5;
        let geometry = Geometry::new(size).unwrap();
        let mut present = PieceSet::none_of(3);
        assert_eq!(Fetched::of(geometry, &present), Fetched::nothing_of(size));
        present.insert(PieceIndex(2));
        assert_eq!(Fetched::of(geometry, &present), Fetched { bytes: 5, bytes_in_all: size, pieces: 1, pieces_in_all: 3 });
        present.insert(PieceIndex(0));
        assert_eq!(Fetched::of(geometry, &present).bytes, PIECE_BYTES + 5);
        assert_eq!(Fetched::of(geometry, &PieceSet::all_of(3)), Fetched::all_of(size));
        let empty = Geometry::new(0).unwrap();
        assert_eq!(Fetched::of(empty, &PieceSet::none_of(0)), Fetched::all_of(0));
        let whole = Geometry::new(PIECE_BYTES).unwrap();
        assert_eq!(Fetched::of(whole, &PieceSet::all_of(1)).bytes, PIECE_BYTES);
        assert_eq!(Fetched::up_to(PIECE_BYTES + 7, size).pieces, 1);
    }

    #[test]
    fn what_came_is_not_counted_as_on_its_way() {
        let counter = AtomicU64::new(5);
        let mut turn = Turn { counter: &counter, count: 3, room: None };
        turn.one_less();
        assert_eq!(counter.load(Ordering::Relaxed), 4);
        turn.end();
        drop(turn);
        assert_eq!(counter.load(Ordering::Relaxed), 2);
        let mut turn = Turn { counter: &counter, count: 0, room: None };
        turn.one_less();
        drop(turn);
        assert_eq!(counter.load(Ordering::Relaxed), 2, "what is another's");
    }

    #[test]
    fn limits_are_never_none_at_all() {
        let none = Background::new(BackgroundSettings { pieces: 0, run_pieces: 0, patience: Duration::ZERO });
        assert_eq!((none.0.settings.pieces, none.0.settings.run_pieces), (1, 1));
        let wide = Background::new(BackgroundSettings { pieces: 2, run_pieces: 9, patience: Duration::ZERO });
        assert_eq!(wide.0.settings.run_pieces, 2);
    }
}
