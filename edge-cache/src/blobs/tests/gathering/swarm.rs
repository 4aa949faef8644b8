use std::collections::{BTreeSet, VecDeque};

use tokio::sync::watch;

use super::*;
use crate::{
    source::{Gathered, Gathering, Wish},
    supply::Supplied,
};

/// Has a blob, whose pieces it brings from the last to the first, but where somebody reads: from there on.
pub(super) struct Swarm {
    /// The same as a stream.
    pub(super) behind: Arc<Scripted>,
    /// How many pieces may come.
    pub(super) pieces: Semaphore,
    /// How the next gatherings end, and after how many pieces.
    pub(super) endings: Mutex<VecDeque<(usize, Ending)>>,
    running: AtomicUsize,
    landed: AtomicUsize,
    brought: Mutex<Vec<u32>>,
    reading: Mutex<Vec<watch::Receiver<Option<PieceIndex>>>>,
}

/// How one ends before its time.
#[derive(Clone, Copy, Debug)]
pub(super) enum Ending {
    Fails,
    /// As one to whom all has come.
    Stops,
    /// With a piece that lacks its last byte.
    Cuts,
    /// As one that found out that what is behind it knows no ranges.
    KnowsNoRanges,
}

/// How many pieces may come, if nothing is said.
const MANY: usize = 1 << 20;

impl Swarm {
    pub(super) fn of(size: usize) -> Arc<Self> {
        Self::before(Scripted::of(size, true))
    }

    pub(super) fn before(behind: Arc<Scripted>) -> Arc<Self> {
        let (pieces, endings, running, landed) = (Semaphore::new(MANY), Mutex::default(), 0.into(), 0.into());
        Arc::new(Self { behind, pieces, endings, running, landed, brought: Mutex::default(), reading: Mutex::default() })
    }

    pub(super) fn shared(self: &Arc<Self>) -> SharedSource {
        Arc::new(self.clone())
    }

    pub(super) fn digest(&self) -> Digest {
        self.behind.digest()
    }

    /// Has nothing come until more may.
    pub(super) fn hold(&self) {
        self.pieces.forget_permits(MANY);
    }

    /// How often it was asked to gather.
    pub(super) fn begun(&self) -> usize {
        self.reading.lock().unwrap().len()
    }

    /// How many gatherings there are.
    pub(super) fn running(&self) -> usize {
        self.running.load(Ordering::SeqCst)
    }

    /// Where the last is told that somebody reads.
    pub(super) fn read_at(&self) -> Option<u32> {
        let reading = self.reading.lock().unwrap();
        let piece = reading.last().and_then(|told| *told.borrow());
        piece.map(|piece| piece.0)
    }

    pub(super) fn brought(&self) -> Vec<u32> {
        self.brought.lock().unwrap().clone()
    }

    /// That no piece came twice, and how many did.
    pub(super) fn brought_once(&self) -> usize {
        let brought = self.brought();
        assert_eq!(brought.iter().collect::<BTreeSet<_>>().len(), brought.len(), "{brought:?}");
        brought.len()
    }

    /// How many pieces it was told of that are here.
    pub(super) fn landed(&self) -> usize {
        self.landed.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl Source for Arc<Swarm> {
    fn name(&self) -> &str {
        self.behind.name
    }

    async fn vouched(&self, digest: &Digest) -> Result<Option<(u64, PieceHashes)>, SourceError> {
        self.behind.vouched(digest).await
    }

    async fn read(&self, digest: &Digest, range: Option<Range<u64>>) -> Result<Reading, SourceError> {
        self.behind.read(digest, range).await
    }

    fn gather(&self, wish: Wish) -> Option<Box<dyn Gathering>> {
        assert_eq!(wish.digest, self.digest());
        self.running.fetch_add(1, Ordering::SeqCst);
        self.reading.lock().unwrap().push(wish.reading.clone());
        let missing = (0..wish.geometry.pieces()).filter(|piece| !wish.here.contains(PieceIndex(*piece))).collect();
        let ending = self.endings.lock().unwrap().pop_front();
        Some(Box::new(Bringing { swarm: self.clone(), wish, missing, ending }))
    }
}

struct Bringing {
    swarm: Arc<Swarm>,
    wish: Wish,
    missing: BTreeSet<u32>,
    ending: Option<(usize, Ending)>,
}

#[async_trait]
impl Gathering for Bringing {
    async fn next(&mut self) -> Option<Result<Gathered, SourceError>> {
        let ending = self.ending.as_ref().filter(|(left, _)| *left == 0).map(|(_, ending)| *ending);
        if self.missing.is_empty() || matches!(ending, Some(Ending::Stops)) {
            return None;
        }
        if matches!(ending, Some(Ending::Fails)) {
            let (name, digest) = (self.swarm.behind.name.into(), self.wish.digest.clone());
            return Some(Err(SourceError::Wrong { name, digest, reason: "it is away".into() }));
        }
        if matches!(ending, Some(Ending::KnowsNoRanges)) {
            return Some(Err(SourceError::Rangeless { name: self.swarm.behind.name.into() }));
        }
        let may = self.swarm.pieces.acquire().await.unwrap();
        let memory = loop {
            if let Ok(memory) = self.wish.memory.take(PIECE_BYTES).await {
                break memory;
            }
        };
        may.forget();
        let read_at = *self.wish.reading.borrow();
        let ahead = read_at.and_then(|at| self.missing.range(at.0..).next().copied());
        let piece = ahead.or(self.missing.last().copied())?;
        self.missing.remove(&piece);
        self.swarm.brought.lock().unwrap().push(piece);
        let Range { start, end } = self.wish.geometry.bytes_of(PieceIndex(piece));
        let mut bytes = self.swarm.behind.content[usize::try_from(start).unwrap()..usize::try_from(end).unwrap()].to_vec();
        if matches!(ending, Some(Ending::Cuts)) {
            bytes.pop();
        }
        if let Some((left, _)) = &mut self.ending {
            *left = left.saturating_sub(1);
        }
        let supplied = Supplied::of(Supplier::Neighbours, bytes.len() as u64);
        Some(Ok(Gathered { piece: PieceIndex(piece), bytes, supplied, memory }))
    }

    fn landed(&mut self, piece: PieceIndex) {
        self.missing.remove(&piece.0);
        self.swarm.landed.fetch_add(1, Ordering::SeqCst);
    }
}

impl Drop for Bringing {
    fn drop(&mut self) {
        self.swarm.running.fetch_sub(1, Ordering::SeqCst);
    }
}
