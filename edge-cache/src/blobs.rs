//! Blobs, from wherever they are: memory, the disk, or a source, which is asked for each piece once however many want it.
//!
//! A blob that somebody vouches for is fetched by runs of pieces ([`flights`]): each piece is checked as it comes, served at once, and
//! kept though the rest is missing; when the last is here, all of it is hashed ([`checks`]). Of one that nobody vouches for there is one
//! stream ([`whole`]), which is passed on as it comes, but for its end, which is held back until the whole was found right; only then
//! is it kept. Fetching is a task of its own: readers come and go, follow behind it at their own pace, and none is slowed by another.

mod background;
mod body;
mod checks;
mod chunk;
mod flights;
mod lapsing;
mod passing;
mod prefix;
mod provenance;
mod reader;
mod resuming;
mod unkept;
mod whole;

#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    ops::Range,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use longshore_oci::{Digest, RangeRequest};
use longshore_service::{
    budget::{Budget, NoBudget},
    metrics::Metrics,
};
use prometheus::{IntCounter, IntCounterVec, IntGauge};
use tokio_util::task::TaskTracker;

pub use background::{Background, BackgroundSettings, Fetched};
pub use body::BlobBody;
use checks::Checks;
use flights::Flights;
use provenance::Provenance;
use reader::{NotRead, Reader};
use unkept::Unkept;
use whole::Whole;

use crate::{
    hot::{Hot, Piece, PieceKey, Room},
    piece::{PIECE_BYTES, PieceHashes, PieceIndex},
    single::Single,
    source::{Reading, SharedSource, SourceError},
    store::{Entry, Store, StoreError},
};

/// How blobs are fetched and held.
#[derive(Clone, Copy, Debug)]
pub struct BlobSettings {
    /// How many bytes of pieces stay in memory because they are asked for often.
    pub hot_bytes: u64,
    /// How many bytes may be in memory beside those, on their way from a source or the disk to clients.
    pub in_flight_bytes: u64,
    /// How long a request waits for such memory.
    pub budget_wait: Duration,
    /// How many pieces are asked of a source at once, at most.
    pub run_pieces: u32,
    /// How many pieces ahead of a reader are fetched.
    pub read_ahead_pieces: u32,
    /// How often a piece is asked for anew where a source broke off or sent what is wrong, at most.
    pub attempts: u32,
}

/// What is counted of blobs.
#[derive(Clone)]
pub struct BlobMetrics {
    /// Bytes that came from sources, by source.
    pub fetched_bytes: IntCounterVec,
    /// Bytes that were handed to clients, by source.
    pub served_bytes: IntCounterVec,
    /// Those of them that were here.
    pub hit_bytes: IntCounterVec,
    /// Requests to sources for bytes of blobs, by source.
    pub fetches: IntCounterVec,
    /// Pieces and blobs that a source sent wrong, by source.
    pub wrong: IntCounterVec,
    /// Pieces and blobs that were passed on without being kept, for want of room.
    pub not_kept: IntCounter,
    /// Pieces that are being fetched.
    pub pieces_in_flight: IntGauge,
}

impl BlobMetrics {
    /// Those of a daemon.
    pub fn new(metrics: &Metrics) -> Self {
        let by_source = |name, help| metrics.counters(name, help, &["upstream"]);
        Self {
            fetched_bytes: by_source("longshore_edge_fetched_bytes_total", "Bytes of blobs that came from upstreams."),
            served_bytes: by_source("longshore_edge_served_bytes_total", "Bytes of blobs that were handed to clients."),
            hit_bytes: by_source("longshore_edge_hit_bytes_total", "Bytes handed to clients that nothing was fetched for."),
            fetches: by_source("longshore_edge_fetches_total", "Requests to upstreams for bytes of blobs."),
            wrong: by_source(
                "longshore_edge_wrong_total",
                "Pieces and blobs that an upstream sent wrong, and nothing was kept of.",
            ),
            not_kept: metrics
                .counter("longshore_edge_not_kept_total", "Pieces and blobs passed on and not kept, for want of room."),
            pieces_in_flight: metrics.gauge("longshore_edge_pieces_in_flight", "Pieces that are being fetched."),
        }
    }
}

/// Blobs, from wherever they are. Clones share all.
#[derive(Clone)]
pub struct Blobs(Arc<Shared>);

struct Shared {
    store: Store,
    hot: Hot,
    flights: Flights,
    /// How blobs that are not here can be had, found out once for all who ask.
    plans: Single<From, (Asker, Result<Plan, OpenError>)>,
    /// Blobs that nobody vouches for, on their way.
    wholes: Mutex<HashMap<From, Whole>>,
    /// Blobs that somebody vouches for, and that there is no room for.
    unkept: Unkept,
    provenance: Provenance,
    checks: Checks,
    /// Held while it is settled who has what is kept of a blob: a few for all of them.
    turns: [tokio::sync::Mutex<()>; TURNS],
    /// Pieces that are being read from the disk.
    reads: Single<PieceKey, Result<Piece, NotRead>>,
    /// Whether what was fetched last could not be kept.
    is_full: AtomicBool,
    asked: AtomicU64,
    /// How many clients wait to be told how they can have a blob.
    opening: AtomicU64,
    /// What has come, and is being written.
    keeping: TaskTracker,
    settings: BlobSettings,
    metrics: BlobMetrics,
}

/// A blob of a source, by its address.
type From = (Arc<str>, Digest);

/// Which request began to find out how a blob can be had, and by which source.
type Asker = (u64, SharedSource);

/// How often one asks anew because another who asked was refused.
const MOST_TRIES: u32 = 8;
/// How many blobs can be settled at once, at most.
const TURNS: usize = 64;
/// Of how many blobs it is remembered who has them.
const MOST_KNOWN: u64 = 1_000_000;
/// How often whoever is being answered waits for memory, each time as long as others wait for it before they are answered.
const MOST_WAITS: u32 = 10;

/// How a blob can be had.
#[derive(Clone)]
enum Plan {
    /// Piece by piece.
    Pieces(Arc<Entry>),
    /// As one stream.
    Whole(Whole),
    /// As a stream of each reader's own: there is no room for it here, or none beside what another source brought of it, and nobody
    /// vouches for it.
    Passing,
}

/// How a blob can be had here, for one who asks before opening it.
pub enum Found {
    /// Piece by piece, as somebody vouches for it; where it lies nowhere, there is no room to keep them.
    Pieces(Arc<Entry>),
    /// As one stream, which is on its way.
    Whole,
    /// Not at all but as a stream of each reader's own, as there is no room for it.
    NoRoom,
}

/// A range of a blob, opened.
pub struct Opened {
    /// The blob's length.
    pub size_bytes: u64,
    /// What was asked for of it.
    pub range: Range<u64>,
    /// The bytes.
    pub body: BlobBody,
    /// Whether they are here.
    pub was: Was,
}

/// How much of what was asked for was here.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Was {
    /// All of it.
    Hit,
    /// Some of it, or it was on its way.
    Partly,
    /// Nothing.
    Miss,
}

/// Why a blob can't be opened.
#[derive(Clone, Debug, thiserror::Error)]
pub enum OpenError {
    /// See [`SourceError`].
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The range lies outside of the blob.
    #[error("the range lies outside of the blob, which has {size_bytes} bytes")]
    RangeNotSatisfiable {
        /// The blob's length.
        size_bytes: u64,
    },
    /// See [`StoreError`].
    #[error("blob {digest} could not be kept or read")]
    Store {
        /// The blob.
        digest: Digest,
        /// Why.
        #[source]
        source: Arc<StoreError>,
    },
    /// See [`NoBudget`].
    #[error(transparent)]
    NoBudget(#[from] NoBudget),
    /// What was fetching it ended without a word.
    #[error("blob {0} could not be fetched; try again")]
    GaveUp(Digest),
}

/// A client that waits to be told how it can have a blob, while this lives.
struct Opening<'a>(&'a AtomicU64);

impl<'a> Opening<'a> {
    fn begin(clients: &'a AtomicU64) -> Self {
        clients.fetch_add(1, Ordering::Relaxed);
        Self(clients)
    }
}

impl Drop for Opening<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Blobs {
    /// Those in a store.
    pub fn new(store: Store, settings: BlobSettings, metrics: BlobMetrics) -> Result<Self, StoreError> {
        let all = settings.hot_bytes.saturating_add(settings.in_flight_bytes);
        let hot = Hot::new(settings.hot_bytes, Budget::new(all, settings.budget_wait));
        let provenance = Provenance::new(store.clone(), MOST_KNOWN)?;
        Ok(Self(Arc::new(Shared {
            provenance,
            turns: std::array::from_fn(|_| tokio::sync::Mutex::default()),
            store,
            hot,
            flights: Flights::default(),
            plans: Single::default(),
            wholes: Mutex::default(),
            unkept: Unkept::default(),
            checks: Checks::default(),
            reads: Single::default(),
            is_full: AtomicBool::new(false),
            asked: AtomicU64::new(0),
            opening: AtomicU64::new(0),
            keeping: TaskTracker::new(),
            settings,
            metrics,
        })))
    }

    /// What is kept of a blob of this source.
    pub fn peek(&self, digest: &Digest, source: &SharedSource) -> Option<Arc<Entry>> {
        let is_its_own = self.0.provenance.is_of(digest, &source.address());
        self.0.store.peek(digest).filter(|_| is_its_own)
    }

    /// What is kept of a blob of this source, where all of it was hashed here and found right: its pieces' hashes are then the blob's.
    pub fn checked_whole(&self, digest: &Digest, source: &SharedSource) -> Option<Arc<Entry>> {
        self.peek(digest, source).filter(|_| self.0.provenance.is_whole_checked(digest))
    }

    /// Finds out how a blob can be had. One that is not here, and that nobody vouches for, is on its way from then on.
    pub async fn find(&self, digest: &Digest, source: &SharedSource) -> Result<Found, OpenError> {
        Ok(match self.0.clone().plan(digest, source).await? {
            Plan::Pieces(entry) => Found::Pieces(entry),
            Plan::Whole(_) => Found::Whole,
            Plan::Passing => Found::NoRoom,
        })
    }

    /// Waits until all that has come is written, when nobody reads any more.
    pub async fn wait_until_kept(&self) {
        self.0.keeping.close();
        self.0.keeping.wait().await;
    }

    /// Opens a range of a blob; what is not here comes from this source. Where memory is short, that is told here: a body that was
    /// begun waits for it.
    pub async fn open(&self, digest: &Digest, source: SharedSource, range: RangeRequest) -> Result<Opened, OpenError> {
        let plan = {
            let _opening = Opening::begin(&self.0.opening);
            self.0.clone().plan(digest, &source).await?
        };
        let size_bytes = match &plan {
            Plan::Pieces(entry) => entry.geometry().size_bytes(),
            Plan::Whole(whole) => whole.size_bytes,
            Plan::Passing => return passing::open(&self.0, digest, source, range).await,
        };
        let range = match range {
            RangeRequest::Whole => 0..size_bytes,
            RangeRequest::Part(part) => part.of(size_bytes).ok_or(OpenError::RangeNotSatisfiable { size_bytes })?,
        };
        let was = match &plan {
            Plan::Pieces(entry) => held(entry, &range),
            Plan::Whole(_) | Plan::Passing => Was::Partly,
        };
        let body = match plan {
            Plan::Pieces(entry) => {
                self.0.begin_check(&entry, &source);
                let reader = Reader::new(self.0.clone(), entry, source, range.clone());
                reader.require_room().await?;
                reader.into_body()
            }
            Plan::Whole(whole) => {
                drop(self.0.hot.room_for(PIECE_BYTES.min(range.end - range.start)).await?);
                whole.body(&self.0, digest, source, range.clone())
            }
            Plan::Passing => return passing::open(&self.0, digest, source, RangeRequest::Whole).await,
        };
        Ok(Opened { size_bytes, range, body, was })
    }
}

/// How much of a range is here.
fn held(entry: &Entry, range: &Range<u64>) -> Was {
    let present = entry.present();
    let pieces = entry.geometry().pieces_of(range);
    let count = pieces.clone().filter(|piece| present.contains(PieceIndex(*piece))).count();
    match count {
        _ if count == pieces.len() => Was::Hit,
        0 => Was::Miss,
        _ => Was::Partly,
    }
}

impl Shared {
    fn whole(&self, from: &From) -> Option<Whole> {
        self.wholes.lock().unwrap_or_else(PoisonError::into_inner).get(from).cloned()
    }

    /// Leave to settle who has a blob, one at a time.
    async fn turn(&self, digest: &Digest) -> tokio::sync::MutexGuard<'_, ()> {
        let place = blake3::hash(digest.as_str().as_bytes()).as_bytes()[0];
        self.turns[usize::from(place) % TURNS].lock().await
    }

    /// How a blob can be had now; where nothing of it is here, its source is asked once for all who ask meanwhile.
    async fn plan(self: Arc<Self>, digest: &Digest, source: &SharedSource) -> Result<Plan, OpenError> {
        let from = (source.address(), digest.clone());
        if let Some(known) = self.known(&from) {
            return Ok(known);
        }
        let ticket = self.asked.fetch_add(1, Ordering::Relaxed);
        let mut tries = 0;
        loop {
            let plan = || {
                let (shared, from, source) = (self.clone(), from.clone(), source.clone());
                async move {
                    let found = shared.find(&from, &source).await;
                    ((ticket, source), found)
                }
            };
            let ((asked, by), found) =
                self.plans.run(from.clone(), plan).await.ok_or_else(|| OpenError::GaveUp(digest.clone()))?;
            tries += 1;
            match found {
                // What another was told of who they are is not for this one, who asks again, and so do others after that.
                Err(OpenError::Source(error)) if asked != ticket && error.is_of_the_caller() && tries < MOST_TRIES => {}
                // Nor is the limit of another.
                Err(OpenError::Source(error)) if error.is_limit() && by.caller() != source.caller() && tries < MOST_TRIES => {}
                found => return found,
            }
        }
    }

    fn known(&self, from: &From) -> Option<Plan> {
        // In this order: a whole blob is in the store before it is no longer on its way.
        let whole = self.whole(from).filter(|whole| !whole.is_aborted());
        let (source, digest) = from;
        let entry = if self.provenance.is_of(digest, source) { self.store.entry(digest) } else { None };
        let unkept = || self.unkept.get(from).filter(|entry| !self.checks.are_wrong(digest, entry.hashes()));
        entry.map(Plan::Pieces).or_else(|| whole.map(Plan::Whole)).or_else(|| unkept().map(Plan::Pieces))
    }

    async fn find(self: &Arc<Self>, from: &From, source: &SharedSource) -> Result<Plan, OpenError> {
        let (address, digest) = from;
        if let Some(known) = self.known(from) {
            return Ok(known);
        }
        if let Some((size_bytes, hashes)) = source.vouched(digest).await?
            && !self.checks.are_wrong(digest, &hashes)
        {
            self.require_content(digest, source, size_bytes)?;
            let _turn = self.turn(digest).await;
            match self.store.entry(digest) {
                Some(entry) if entry.geometry().size_bytes() == size_bytes && *entry.hashes() == hashes => {
                    if self.provenance.is_known(digest) {
                        self.provenance.add(digest, address);
                    } else {
                        self.provenance.set(digest, address, false);
                    }
                    return Ok(Plan::Pieces(entry));
                }
                // Another says something else of it: all of it is to be seen.
                Some(_) => {}
                None => {
                    // Before it is there, lest it be taken for what somebody else once had.
                    self.provenance.set(digest, address, false);
                    let begun = self.store.begin(digest, size_bytes, hashes.clone()).await;
                    return Ok(begun.map_or_else(|error| self.without_room(from, size_bytes, hashes, &error), Plan::Pieces));
                }
            }
        }
        self.forget_dropped(digest).await;
        let reading = self.read(digest, source, None).await?;
        self.require_content(digest, source, reading.size_bytes)?;
        let room = self.hot.room_for(PIECE_BYTES).await?;
        // What is here by another source stays meanwhile: this one is to show that it has the same.
        let _here = self.store.peek(digest);
        Ok(match self.store.receive(digest, reading.size_bytes).await {
            Ok(receiving) => Plan::Whole(whole::start(self, from, source, receiving, reading, room)),
            Err(error) => {
                tell_unkept(digest, &error);
                Plan::Passing
            }
        })
    }

    /// Forgets who had a blob of which nothing is here any more.
    async fn forget_dropped(&self, digest: &Digest) {
        let _turn = self.turn(digest).await;
        if self.store.peek(digest).is_none() {
            self.provenance.forget(digest);
        }
    }

    /// How a blob can be had that can't be kept, though it is known what its pieces are.
    fn without_room(&self, from: &From, size_bytes: u64, hashes: PieceHashes, error: &StoreError) -> Plan {
        let (_, digest) = from;
        tell_unkept(digest, error);
        self.provenance.forget(digest);
        Entry::nowhere(digest, size_bytes, hashes).map_or(Plan::Passing, |entry| Plan::Pieces(self.unkept.insert(from, entry)))
    }

    /// Waits for memory for one who is being answered, and so can't be refused any more.
    async fn more_room(&self, bytes: u64) -> Result<Room, NoBudget> {
        let mut waits = 0;
        loop {
            match self.hot.room_for(bytes).await {
                Err(_) if waits < MOST_WAITS => waits += 1,
                had => return had,
            }
        }
    }

    /// That a blob without content is the one that has none: there will be no byte of it to check.
    fn require_content(&self, digest: &Digest, source: &SharedSource, size_bytes: u64) -> Result<(), SourceError> {
        if size_bytes > 0 || *digest == Digest::of(digest.algorithm(), b"") {
            return Ok(());
        }
        Err(self.wrong(source, digest, "it is said to be empty".to_owned()))
    }

    /// Asks a source for bytes, and counts what comes.
    async fn read(&self, digest: &Digest, source: &SharedSource, range: Option<Range<u64>>) -> Result<Reading, SourceError> {
        use futures_util::StreamExt as _;
        let name = [source.name()];
        self.metrics.fetches.with_label_values(&name).inc();
        let fetched = self.metrics.fetched_bytes.with_label_values(&name);
        let Reading { size_bytes, is_ranged, stream } = source.read(digest, range).await?;
        let counted = stream.inspect(move |chunk| {
            if let Ok(bytes) = chunk {
                fetched.inc_by(bytes.len() as u64);
            }
        });
        Ok(Reading { size_bytes, is_ranged, stream: counted.boxed() })
    }

    /// What a source sent is not what it was to be: counts it, and tells.
    fn wrong(&self, source: &SharedSource, digest: &Digest, reason: String) -> SourceError {
        let name = source.name();
        source.distrust(digest);
        self.metrics.wrong.with_label_values(&[name]).inc();
        tracing::error!(upstream = name, %digest, reason, "an upstream sent what a blob is not; nothing of it was kept");
        SourceError::Wrong { name: name.to_owned(), digest: digest.clone(), reason }
    }
}

/// What can't be kept is passed on.
fn tell_unkept(digest: &Digest, error: &StoreError) {
    if !error.is_no_room() {
        tracing::warn!(%digest, error = error as &dyn std::error::Error, "a blob can't be kept, and is passed on");
    }
}
