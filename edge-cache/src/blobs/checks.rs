//! Whether a blob that came piece by piece, each right by the word of its sources, is what its digest says: all of it is hashed once, when
//! its last piece is here. Where a restart came between, that is done when it is next asked for. What is kept nowhere is hashed along by
//! who reads all of it, until it was found right.

use std::{
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures_util::FutureExt as _;
use longshore_oci::{Digest, Hasher};
use tokio::sync::Semaphore;

use super::{OpenError, Shared};
use crate::{
    piece::{PieceHashes, PieceIndex},
    single::Single,
    source::{SharedSource, SourceError},
    store::Entry,
};

/// How many blobs are hashed at once, at most; each holds a piece of memory.
const AT_ONCE: usize = 4;
/// How many bytes of hashes that are wrong, and of others that are right, are remembered at most.
const MOST_BYTES: u64 = 16 << 20;
/// How long. After that, what was found wrong is found wrong again.
const REMEMBERED: Duration = Duration::from_hours(24);
/// What it takes to remember the hashes of one blob, beside them, in bytes.
const BESIDE_BYTES: usize = 256;

/// The checks that run, and what they found wrong.
pub struct Checks {
    running: Single<Digest, Result<(), OpenError>>,
    turns: Semaphore,
    /// Hashes of pieces that do not make up what the digest says, whoever says that they do.
    wrong: Verdicts,
    /// Whether anything ever was: this is asked for each piece that is served.
    has_wrong: AtomicBool,
    /// Hashes that do, of blobs that are kept nowhere.
    right: Verdicts,
}

type Verdicts = moka::sync::Cache<Digest, PieceHashes>;

/// What it takes to remember the hashes of a blob, in bytes.
pub fn weight(hashes: &PieceHashes) -> u32 {
    u32::try_from(hashes.as_bytes().len().saturating_add(BESIDE_BYTES)).unwrap_or(u32::MAX)
}

fn no_verdicts() -> Verdicts {
    moka::sync::Cache::builder()
        .max_capacity(MOST_BYTES)
        .weigher(|_: &Digest, hashes: &PieceHashes| weight(hashes))
        .time_to_live(REMEMBERED)
        .eviction_policy(moka::policy::EvictionPolicy::lru())
        .build()
}

impl Default for Checks {
    fn default() -> Self {
        let (wrong, has_wrong, right) = (no_verdicts(), AtomicBool::new(false), no_verdicts());
        Self { running: Single::default(), turns: Semaphore::new(AT_ONCE), wrong, has_wrong, right }
    }
}

impl Checks {
    /// Whether pieces with these hashes are known not to be the blob.
    pub fn are_wrong(&self, digest: &Digest, hashes: &PieceHashes) -> bool {
        self.has_wrong.load(Ordering::Acquire) && self.wrong.get(digest).is_some_and(|wrong| wrong == *hashes)
    }

    /// Notes that pieces with these hashes are not the blob.
    fn set_wrong(&self, digest: &Digest, hashes: &PieceHashes) {
        self.wrong.insert(digest.clone(), hashes.clone());
        self.has_wrong.store(true, Ordering::Release);
    }

    /// That nobody has found a blob wrong, for one who reads it.
    pub fn require_right(&self, entry: &Entry, source: &SharedSource) -> Result<(), SourceError> {
        if !self.are_wrong(entry.digest(), entry.hashes()) {
            return Ok(());
        }
        let reason = "its pieces are not those of its digest".to_owned();
        Err(SourceError::Wrong { name: source.name().to_owned(), digest: entry.digest().clone(), reason })
    }
}

impl Shared {
    /// Has a blob checked where that is due, and does not wait for it.
    pub fn begin_check(self: &Arc<Self>, entry: &Arc<Entry>, source: &SharedSource) {
        // It is a task of its own from the first look on.
        drop(self.checked(entry, source).now_or_never());
    }

    fn wrong_as_a_whole(&self, source: &SharedSource, digest: &Digest, actual: &Digest) -> SourceError {
        source.refute(digest);
        self.wrong(source, digest, format!("each of its pieces is right, and its digest is {actual}"))
    }

    /// Waits until all of a blob that is here was found right; an error where it was not.
    pub async fn checked(self: &Arc<Self>, entry: &Arc<Entry>, source: &SharedSource) -> Result<(), OpenError> {
        let digest = entry.digest();
        if entry.lies_nowhere() || !entry.is_complete() || self.provenance.is_whole_checked(digest) {
            return Ok(());
        }
        let check = || check(self.clone(), entry.clone(), source.clone());
        self.checks.running.run_once(digest.clone(), check).await.unwrap_or_else(|| Err(OpenError::GaveUp(digest.clone())))
    }
}

async fn check(shared: Arc<Shared>, entry: Arc<Entry>, source: SharedSource) -> Result<(), OpenError> {
    let digest = entry.digest();
    let actual = hash(&shared, &entry).await?;
    let _turn = shared.turn(digest).await;
    if actual == *digest {
        // What was dropped meanwhile begins anew, and so does its check.
        if shared.store.peek(digest).is_some_and(|kept| Arc::ptr_eq(&kept, &entry)) {
            shared.provenance.set_whole_checked(digest);
        }
        return Ok(());
    }
    // First, so that who reads it fetches nothing of it again.
    shared.checks.set_wrong(digest, entry.hashes());
    if shared.store.discard(&entry).await {
        shared.provenance.forget(digest);
    }
    Err(shared.wrong_as_a_whole(&source, digest, &actual).into())
}

/// The digest of all pieces, which are here.
async fn hash(shared: &Shared, entry: &Arc<Entry>) -> Result<Digest, OpenError> {
    let gave_up = || OpenError::GaveUp(entry.digest().clone());
    let _turn = shared.checks.turns.acquire().await.map_err(|_| gave_up())?;
    let mut hasher = Hasher::new(entry.digest().algorithm());
    for piece in (0..entry.geometry().pieces()).map(PieceIndex) {
        let Range { start, end } = entry.geometry().bytes_of(piece);
        let _room = shared.more_room(end - start).await?;
        // One that is damaged is fetched again, and all of it is looked at after that.
        let bytes = entry.read(piece).await.map_err(|_| gave_up())?;
        hasher = updated(hasher, bytes).await.ok_or_else(gave_up)?;
    }
    Ok(hasher.digest())
}

/// A hasher that has taken in more; `None` where the runtime is going down.
async fn updated(mut hasher: Hasher, bytes: Bytes) -> Option<Hasher> {
    let update = move || {
        hasher.update(&bytes);
        hasher
    };
    tokio::task::spawn_blocking(update).await.ok()
}

/// Hashes what is kept nowhere along, for one who reads all of it.
pub struct Along(Option<Hasher>);

impl Along {
    /// For a reader of these bytes.
    pub fn new(shared: &Shared, entry: &Entry, range: &Range<u64>) -> Self {
        let is_all = *range == (0..entry.geometry().size_bytes());
        let is_right = || shared.checks.right.get(entry.digest()).is_some_and(|right| right == *entry.hashes());
        let is_wanted = is_all && entry.lies_nowhere() && !is_right();
        Self(is_wanted.then(|| Hasher::new(entry.digest().algorithm())))
    }

    /// Whether there is anything to hash.
    pub fn is_wanted(&self) -> bool {
        self.0.is_some()
    }

    /// Takes in the next bytes, before they are handed on; an error where all of it is here and is wrong.
    pub async fn take(
        &mut self,
        shared: &Shared,
        entry: &Entry,
        source: &SharedSource,
        bytes: &Bytes,
        is_last: bool,
    ) -> Result<(), OpenError> {
        let digest = entry.digest();
        let Some(hasher) = self.0.take() else { return Ok(()) };
        let hasher = updated(hasher, bytes.clone()).await.ok_or_else(|| OpenError::GaveUp(digest.clone()))?;
        if !is_last {
            self.0 = Some(hasher);
            return Ok(());
        }
        let actual = hasher.digest();
        if actual == *digest {
            shared.checks.right.insert(digest.clone(), entry.hashes().clone());
            return Ok(());
        }
        shared.checks.set_wrong(digest, entry.hashes());
        Err(shared.wrong_as_a_whole(source, digest, &actual).into())
    }
}

#[cfg(test)]
mod tests {
    use longshore_oci::Algorithm;

    use super::*;

    #[test]
    fn what_is_remembered_of_small_blobs_is_bounded() {
        let checks = Checks::default();
        let hashes = PieceHashes::from_bytes(&[7; 32]).unwrap();
        let digest = |number: u32| Digest::of(Algorithm::Sha256, &number.to_le_bytes());
        assert!(!checks.are_wrong(&digest(0), &hashes));
        for number in 0..100_000 {
            checks.set_wrong(&digest(number), &hashes);
        }
        for _ in 0..100 {
            checks.wrong.run_pending_tasks();
        }
        assert!(checks.are_wrong(&digest(99_999), &hashes));
        assert!(checks.wrong.entry_count() * 256 <= MOST_BYTES, "{}", checks.wrong.entry_count());
    }
}
