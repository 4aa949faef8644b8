//! Blobs, from wherever they are: memory, the disk, or a source, which is asked for each piece once however many want it.
//!
//! A blob that somebody vouches for is fetched by runs of pieces, or gathered in whatever order its pieces come ([`flights`]): each piece is
//! checked as it comes, served at once, and kept though the rest is missing; when the last is here, all of it is hashed ([`checks`]). Of
//! one that nobody vouches for there is one stream ([`whole`]), which is passed on as it comes, but for its end, which is held back until the
//! whole was found right; only then is it kept. Fetching is a task of its own: readers come and go, follow behind it at their own pace, and none is slowed by another.

mod asking;
mod background;
mod begun;
mod body;
mod checks;
mod chunk;
mod disk;
mod dropped;
mod error;
mod flights;
mod lapsing;
mod metrics;
mod opened;
mod passing;
mod planning;
mod prefix;
mod provenance;
mod rangeless;
mod reader;
mod resuming;
mod settings;
mod transfers;
mod unkept;
mod whole;

#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    ops::Range,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64},
    },
};

use longshore_oci::{Digest, RangeRequest};
use longshore_service::budget::NoBudget;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use background::{Background, BackgroundSettings, Fetched};
pub use body::BlobBody;
use checks::Checks;
use disk::NotRead;
pub use error::OpenError;
use flights::Flights;
pub use metrics::BlobMetrics;
pub use opened::{Found, Opened, Was};
use planning::{Asker, Opening, Plan};
use provenance::Provenance;
pub use provenance::most_known;
use rangeless::Rangeless;
use reader::Reader;
pub use settings::BlobSettings;
pub use transfers::{Transfer, Transfers};
use unkept::Unkept;
use whole::Whole;

use crate::{
    hot::{Hot, Piece, PieceKey, Room},
    piece::{PIECE_BYTES, PieceHashes, PieceIndex},
    seldom::Seldom,
    single::Single,
    source::SharedSource,
    store::{Entry, Store, StoreError},
};

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
    transfers: Transfers,
    /// Sources that know no ranges.
    rangeless: Rangeless,
    checks: Checks,
    /// Held while it is settled who has what is kept of a blob: a few for all of them.
    turns: [tokio::sync::Mutex<()>; TURNS],
    /// Pieces that are being read from the disk.
    reads: Single<PieceKey, Result<Piece, NotRead>>,
    /// Whether what was fetched last could not be kept.
    is_full: AtomicBool,
    /// That something was passed on and not kept, told once in a while.
    not_kept: Seldom,
    asked: AtomicU64,
    /// How many clients wait to be told how they can have a blob.
    opening: AtomicU64,
    /// What is being fetched, and what has come and is being written.
    keeping: TaskTracker,
    /// Nothing more is to come.
    closing: CancellationToken,
    settings: BlobSettings,
    metrics: BlobMetrics,
}

/// A blob of a source, by its address.
type From = (Arc<str>, Digest);

/// How often one asks anew because another who asked was refused.
const MOST_TRIES: u32 = 8;
/// How many blobs can be settled at once, at most.
const TURNS: usize = 64;
/// How often whoever is being answered waits for memory, each time as long as others wait for it before they are answered.
const MOST_WAITS: u32 = 10;

impl Blobs {
    /// Those in a store. Spawns a task, which ends with the last of its handles.
    pub fn new(store: Store, settings: BlobSettings, metrics: BlobMetrics) -> Result<Self, StoreError> {
        let all = settings.hot_bytes.saturating_add(settings.in_flight_bytes);
        let hot = Hot::new(settings.hot_bytes, all, settings.budget_wait, &metrics.memory);
        let provenance = Provenance::new(store.clone())?;
        let dropped = store.dropped();
        let shared = Arc::new(Shared {
            provenance,
            transfers: Transfers::new(store.clone()),
            rangeless: Rangeless::default(),
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
            not_kept: Seldom::default(),
            asked: AtomicU64::new(0),
            opening: AtomicU64::new(0),
            keeping: TaskTracker::new(),
            closing: CancellationToken::new(),
            settings,
            metrics,
        });
        tokio::spawn(dropped::take_note(Arc::downgrade(&shared), dropped));
        Ok(Self(shared))
    }

    /// What comes of blobs, and from whom.
    pub fn transfers(&self) -> &Transfers {
        &self.0.transfers
    }

    /// The names of the sources that are known to have what is kept of a blob.
    pub fn known_at(&self, digest: &Digest) -> Vec<String> {
        self.0.provenance.sources(digest)
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
            Plan::Passing(_) => Found::NoRoom,
        })
    }

    /// As [`Store::evict`], from memory too. A piece that another blob has as well goes with it, and comes from the disk again.
    pub async fn evict(&self, digest: &Digest) -> Result<bool, StoreError> {
        let hashes = self.0.store.peek(digest).map(|entry| entry.hashes().clone());
        let was_here = self.0.store.evict(digest).await?;
        self.0.forget_in_memory(hashes.filter(|_| was_here));
        Ok(was_here)
    }

    /// As [`Store::drop_unused`], from memory too.
    pub async fn let_go(&self, digest: &Digest) -> bool {
        // The hashes alone: who has the entry uses it.
        let hashes = self.0.store.peek(digest).map(|entry| entry.hashes().clone());
        let was_dropped = self.0.store.drop_unused(digest).await;
        self.0.forget_in_memory(hashes.filter(|_| was_dropped));
        was_dropped
    }

    /// Ends what is being fetched by pieces, and waits until all that has come of it is written. For when nobody reads any more.
    pub async fn wait_until_kept(&self) {
        self.0.closing.cancel();
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
        match plan {
            Plan::Pieces(entry) => {
                let size_bytes = entry.geometry().size_bytes();
                let range = within(range, size_bytes)?;
                let was = Was::of(&entry, &range);
                self.0.begin_check(&entry, &source);
                let reader = Reader::new(self.0.clone(), entry, source, range.clone());
                reader.require_room().await?;
                Ok(Opened { size_bytes, range, body: reader.into_body(), was })
            }
            Plan::Whole(whole) => {
                let size_bytes = whole.size_bytes;
                let range = within(range, size_bytes)?;
                drop(self.0.hot.room_for(PIECE_BYTES.min(range.end - range.start)).await?);
                let body = whole.body(&self.0, digest, source, range.clone());
                Ok(Opened { size_bytes, range, body, was: Was::Partly })
            }
            Plan::Passing(begun) => passing::open(&self.0, digest, source, &begun, range).await,
        }
    }
}

/// What is asked for of so many bytes.
fn within(range: RangeRequest, size_bytes: u64) -> Result<Range<u64>, OpenError> {
    match range {
        RangeRequest::Whole => Ok(0..size_bytes),
        RangeRequest::Part(part) => part.of(size_bytes).ok_or(OpenError::RangeNotSatisfiable { size_bytes }),
    }
}

impl Shared {
    /// Has pieces fetched until nothing more is to come: then what is being written still is, and who waits for the rest is told that it
    /// was given up.
    fn fetch_until_closing(self: &Arc<Self>, fetching: impl Future<Output = ()> + Send + 'static) {
        self.keeping.spawn(self.closing.clone().run_until_cancelled_owned(fetching));
    }

    /// Has none of these pieces in memory any more.
    fn forget_in_memory(&self, hashes: Option<PieceHashes>) {
        let Some(hashes) = hashes else { return };
        let pieces = u32::try_from(hashes.count()).unwrap_or(u32::MAX);
        (0..pieces).filter_map(|piece| hashes.get(PieceIndex(piece))).for_each(|key| self.hot.forget(&key));
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
}
