//! Pieces in memory: those that are asked for often stay, and all that are held, by whomever, are within one budget.

mod holder;
mod metrics;
mod tally;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use bytes::Bytes;
use longshore_service::budget::{Budget, NoBudget};
use tokio::sync::OwnedSemaphorePermit;

use crate::piece::PIECE_BYTES;
use holder::Holder;
pub use metrics::MemoryMetrics;
use tally::{Counted, Tally, gauged};

/// What the budget counts in, in bytes: a piece that is kept counts as it does there.
const UNIT_BYTES: usize = 1024;

/// What a piece is known by: its BLAKE3. Of one digest some may be told that is not its, which so is never taken for what is.
pub type PieceKey = [u8; 32];

/// A piece in memory, which counts against the budget until the last who holds it lets go.
#[derive(Debug)]
struct Held {
    bytes: Vec<u8>,
    _room: Room,
}

/// A piece of a blob, found right.
#[derive(Clone, Debug)]
pub struct Piece(Arc<Held>);

/// Memory for bytes that are yet to come.
#[derive(Debug)]
pub struct Room {
    counted: Counted,
    permit: OwnedSemaphorePermit,
}

impl Room {
    /// Gives back what is more than so many bytes.
    pub fn shrink(&mut self, bytes: u64) {
        let units = usize::try_from(bytes.div_ceil(UNIT_BYTES as u64)).unwrap_or(usize::MAX).max(1);
        let rest = self.permit.split(self.permit.num_permits().saturating_sub(units));
        self.counted.shrink(bytes_of(&self.permit));
        drop(rest);
    }
}

/// What a share of the budget is, in bytes.
fn bytes_of(permit: &OwnedSemaphorePermit) -> u64 {
    (permit.num_permits() as u64).saturating_mul(UNIT_BYTES as u64)
}

impl Piece {
    /// Its bytes, which keep it in memory.
    pub fn bytes(&self) -> Bytes {
        Bytes::from_owner(self.clone())
    }
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.0.bytes
    }
}

/// The tier in memory. What stays is chosen by how often it was asked for lately, so a scan does not flush it.
///
/// It keeps no more than it is told to, and for a moment the one piece beyond that which is being put into it. What a client still holds
/// of what is not kept any more counts as in flight.
pub struct Hot {
    kept: moka::sync::Cache<PieceKey, Arc<Holder>>,
    /// What is kept, be it that the cache has counted it already or not.
    kept_bytes: Arc<Tally>,
    most_kept_bytes: u64,
    /// Held by who puts a piece into it, until there is not one too many.
    keeping: Mutex<()>,
    /// Those that somebody holds, kept or not.
    held: Mutex<Holdings>,
    budget: Budget,
    /// What of it is held, by whomever.
    taken_bytes: Arc<Tally>,
}

/// Pieces that somebody holds, and some that nobody does any more.
struct Holdings {
    by_key: HashMap<PieceKey, Weak<Held>>,
    /// How many there may be before they are looked over for those.
    most: usize,
}

/// How many pieces are not looked over.
const FEW: usize = 1024;

impl Default for Holdings {
    fn default() -> Self {
        Self { by_key: HashMap::new(), most: FEW }
    }
}

impl Hot {
    /// One that keeps so many bytes, within a budget of `all_bytes`, which is larger by what is in flight, and which one waits for so
    /// long.
    pub fn new(kept_bytes: u64, all_bytes: u64, patience: Duration, metrics: &MemoryMetrics) -> Self {
        metrics.budget.set(gauged(all_bytes));
        let weigh = |_: &PieceKey, holder: &Arc<Holder>| holder.charge_bytes;
        let empty = |_: Arc<PieceKey>, holder: Arc<Holder>, _| holder.empty();
        let kept = moka::sync::Cache::builder().max_capacity(kept_bytes).weigher(weigh).eviction_listener(empty).build();
        let (held, keeping) = (Mutex::default(), Mutex::default());
        Self {
            kept,
            kept_bytes: Arc::new(Tally::new(metrics.hot.clone())),
            most_kept_bytes: kept_bytes,
            keeping,
            held,
            budget: Budget::new(all_bytes, patience),
            taken_bytes: Arc::new(Tally::new(metrics.held.clone())),
        }
    }

    /// A piece that is in memory.
    pub fn get(&self, key: &PieceKey) -> Option<Piece> {
        // Asked first, as it counts what is asked for.
        self.kept.get(key).and_then(|holder| holder.piece()).or_else(|| {
            let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
            held.by_key.get(key).and_then(Weak::upgrade).map(Piece)
        })
    }

    /// Whether a piece is in memory. Does not count as asking for it.
    pub fn has(&self, key: &PieceKey) -> bool {
        self.kept.contains_key(key) || {
            let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
            held.by_key.get(key).is_some_and(|held| held.strong_count() > 0)
        }
    }

    /// Waits for memory for so many bytes.
    pub async fn room_for(&self, bytes: u64) -> Result<Room, NoBudget> {
        debug_assert!(bytes <= PIECE_BYTES, "pieces are no longer");
        Ok(self.room_of(self.budget.take(bytes).await?))
    }

    /// Memory that somebody has taken of [`Self::budget`], which counts as held here from now on.
    pub fn room_of(&self, permit: OwnedSemaphorePermit) -> Room {
        Room { counted: self.taken_bytes.count(bytes_of(&permit)), permit }
    }

    /// The budget, for who is to receive pieces by themselves.
    pub fn budget(&self) -> &Budget {
        &self.budget
    }

    /// Holds a piece that was found right.
    pub fn put(&self, key: PieceKey, bytes: Vec<u8>, room: Room) -> Piece {
        let held = Arc::new(Held { bytes, _room: room });
        {
            let mut all = self.held.lock().unwrap_or_else(PoisonError::into_inner);
            if all.by_key.len() >= all.most {
                all.by_key.retain(|_, held| held.strong_count() > 0);
                all.most = FEW.max(2 * all.by_key.len());
            }
            all.by_key.insert(key, Arc::downgrade(&held));
        }
        let piece = Piece(held);
        self.keep(key, piece.clone());
        piece
    }

    /// Keeps a piece, or another in its place. What is one too many leaves before this is done, and not when the cache gets to it.
    fn keep(&self, key: PieceKey, piece: Piece) {
        let _turn = self.keeping.lock().unwrap_or_else(PoisonError::into_inner);
        self.kept.insert(key, Arc::new(Holder::new(piece, &self.kept_bytes)));
        if self.is_over() {
            self.kept.run_pending_tasks();
        }
        // The cache passes over what others read just then.
        if self.is_over() {
            self.kept.invalidate(&key);
        }
    }

    fn is_over(&self) -> bool {
        self.kept_bytes.bytes() > self.most_kept_bytes
    }

    /// How many bytes are held, by whomever.
    #[cfg(test)]
    pub fn held_bytes(&self) -> usize {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.by_key.values().filter_map(Weak::upgrade).map(|held| held.bytes.len()).sum()
    }

    /// Keeps a piece no longer. Who holds it still has it, and others have it from them.
    pub fn forget(&self, key: &PieceKey) {
        self.kept.invalidate(key);
    }
}

#[cfg(test)]
mod tests {
    use longshore_service::metrics::Metrics;

    use super::*;

    fn key(piece: u32) -> PieceKey {
        *blake3::hash(&piece.to_le_bytes()).as_bytes()
    }

    fn hot(kept: u64, all: u64) -> Hot {
        patient(kept, all, Duration::from_millis(20))
    }

    fn patient(kept: u64, all: u64, patience: Duration) -> Hot {
        Hot::new(kept, all, patience, &MemoryMetrics::new(&Metrics::new()))
    }

    #[tokio::test]
    async fn what_is_held_is_told() {
        let told = MemoryMetrics::new(&Metrics::new());
        let hot = Hot::new(8 << 10, 16 << 10, Duration::from_millis(20), &told);
        let is_told = |kept: i64, held: i64| [told.hot.get(), told.held.get(), told.budget.get()] == [kept, held, 16 << 10];
        let mut room = hot.room_for(4096).await.unwrap();
        let other = hot.room_for(1).await.unwrap();
        assert!(is_told(0, 5 << 10));
        room.shrink(1000);
        assert!(is_told(0, 2 << 10));
        let piece = hot.put(key(0), vec![0; 1000], room);
        assert!(is_told(1 << 10, 2 << 10));
        drop((piece, other));
        assert!(is_told(1 << 10, 1 << 10), "it is kept");
        hot.forget(&key(0));
        hot.kept.run_pending_tasks();
        assert!(is_told(0, 0));
    }

    #[tokio::test]
    async fn what_another_received_counts_as_what_was_received_here() {
        let told = MemoryMetrics::new(&Metrics::new());
        let hot = Hot::new(0, 4096, Duration::from_millis(20), &told);
        let mut room = hot.room_of(hot.budget().try_take(4096).unwrap());
        assert!(hot.room_for(1).await.is_err());
        room.shrink(1000);
        let piece = hot.put(key(0), vec![0; 1000], room);
        hot.kept.run_pending_tasks();
        assert_eq!(told.held.get(), 1 << 10);
        assert!(hot.room_for(3073).await.is_err());
        hot.room_for(3072).await.expect("what is more than it takes was given back");
        drop(piece);
        assert_eq!(told.held.get(), 0);
    }

    #[tokio::test]
    async fn what_is_held_is_there_and_counts() {
        let hot = hot(0, 2048);
        let piece = hot.put(key(0), vec![1; 1024], hot.room_for(1024).await.unwrap());
        hot.kept.run_pending_tasks();
        let bytes = piece.bytes();
        drop(piece);
        assert!(hot.has(&key(0)) && !hot.has(&key(1)));
        assert_eq!(hot.get(&key(0)).unwrap().as_ref(), &bytes[..], "it is held, though not kept");
        let other = hot.room_for(1024).await.unwrap();
        assert!(hot.room_for(1024).await.is_err(), "both count");
        drop(bytes);
        hot.room_for(1024).await.unwrap();
        assert!(hot.get(&key(0)).is_none() && !hot.has(&key(0)));
        drop(other);
    }

    #[tokio::test]
    async fn a_scan_does_not_flush_what_is_asked_for() {
        let hot = hot(8 << 10, 12 << 10);
        for piece in 0..8 {
            hot.put(key(piece), vec![0; 1024], hot.room_for(1024).await.unwrap());
        }
        for _ in 0..20 {
            assert!((0..8).all(|piece| hot.get(&key(piece)).is_some()));
            hot.kept.run_pending_tasks();
        }
        for piece in 100..300 {
            assert!(hot.get(&key(piece)).is_none());
            hot.put(key(piece), vec![0; 1024], hot.room_for(1024).await.unwrap());
        }
        let kept = (0..8).filter(|piece| hot.get(&key(*piece)).is_some()).count();
        assert!(kept >= 6, "{kept} of 8 are still there");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_storm_stays_within_the_bound() {
        const KEPT: usize = 64 << 10;
        const THREADS: u32 = 4;
        // No more than that and what four hold: one who waits for what should have left waits in vain.
        let hot = Arc::new(patient(KEPT as u64, (KEPT + 4 * 4096) as u64, Duration::from_secs(5)));
        let runtime = tokio::runtime::Handle::current();
        let put = move |thread: u32, hot: &Hot| {
            for piece in (0..500).map(|piece| thread * 10_000 + piece) {
                let room = runtime.block_on(hot.room_for(4096)).expect("what is not kept any more is free");
                drop(hot.put(key(piece), vec![0; 4000], room));
                assert!(hot.kept_bytes.bytes() <= (KEPT + 4096) as u64);
                assert!(hot.held_bytes() <= KEPT + 4 * 4096);
                hot.get(&key(piece / 2));
            }
        };
        let storm = (0..THREADS).map(|thread| {
            let (hot, put) = (hot.clone(), put.clone());
            tokio::task::spawn_blocking(move || put(thread, &hot))
        });
        for thread in storm.collect::<Vec<_>>() {
            thread.await.unwrap();
        }
        assert!(hot.kept_bytes.bytes() <= KEPT as u64);
        assert!(hot.held_bytes() > KEPT / 2, "and yet it keeps what it may");
    }

    #[tokio::test]
    async fn a_burst_leaves_nothing_beyond_the_bound() {
        let hot = hot(8 << 10, 64 << 10);
        let mut rooms = Vec::new();
        for _ in 0..40 {
            rooms.push(hot.room_for(1024).await.unwrap());
        }
        for (piece, room) in (0..).zip(rooms) {
            hot.put(key(piece), vec![0; 1024], room);
            assert!(hot.held_bytes() <= 8 << 10);
        }
        assert_eq!(hot.held_bytes(), 8 << 10);
        hot.room_for(56 << 10).await.expect("what is not for keeping is free");
    }

    #[tokio::test]
    async fn small_pieces_count_as_the_budget_counts_them() {
        let hot = hot(16 << 10, 32 << 10);
        for piece in 0..100 {
            hot.put(key(piece), vec![0; 10], hot.room_for(10).await.unwrap());
        }
        hot.room_for(16 << 10).await.expect("what is not for keeping is free");
    }

    #[tokio::test]
    async fn what_nobody_holds_is_forgotten() {
        let hot = hot(0, 1 << 20);
        for piece in 0..10_000 {
            hot.put(key(piece), vec![0; 16], hot.room_for(16).await.unwrap());
            hot.kept.run_pending_tasks();
        }
        let count = hot.held.lock().unwrap().by_key.len();
        assert!(count <= 2 * FEW, "{count}");
    }
}
