use std::{
    collections::{HashMap, hash_map},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use prometheus::IntGauge;
use tokio::{
    sync::{Notify, watch},
    time::Instant,
};

use super::{
    Teller,
    places::{Places, Word},
    waiting::{Attendance, Waiting},
};
use crate::{
    hot::Piece,
    piece::{PieceHashes, PieceIndex, PieceSet},
    store::Entry,
};

/// How long it is waited at least until it is looked again whether anybody wants what a flight brings.
const LOOK: Duration = Duration::from_millis(10);

/// A flight that brings all that is missing of a blob, as those see it who wait for its pieces.
pub(super) struct WholeFlight {
    hashes: PieceHashes,
    state: Mutex<State>,
    /// How many pieces have come.
    count: watch::Sender<u32>,
    /// Where the blob is read.
    reading: watch::Sender<Option<PieceIndex>>,
    /// Pieces that somebody has asked for, and that are yet to come.
    in_flight: IntGauge,
    /// Told when the last leaves who want what it brings, and none of them may come again.
    abandoned: Notify,
}

struct State {
    /// The pieces that it does not bring, or has brought.
    settled: PieceSet,
    /// Who tells of those that somebody has asked for.
    asked: HashMap<PieceIndex, Teller>,
    readers: Places,
    /// How many want what it brings, and when one last left who may come again, if one did.
    attending: u32,
    left_at: Option<Instant>,
}

impl WholeFlight {
    /// One for a blob of which these pieces are here, or brought by others.
    pub(super) fn new(
        hashes: PieceHashes,
        settled: PieceSet,
        reading: watch::Sender<Option<PieceIndex>>,
        in_flight: IntGauge,
    ) -> Self {
        let (asked, readers) = (HashMap::new(), Places::default());
        let state = Mutex::new(State { settled, asked, readers, attending: 0, left_at: None });
        Self { hashes, state, count: watch::Sender::new(0), reading, in_flight, abandoned: Notify::new() }
    }

    /// Whether it is a blob's: of one digest some may be told that is not its.
    pub(super) fn is_of(&self, entry: &Entry) -> bool {
        self.hashes == *entry.hashes()
    }

    /// Whether a piece is yet to come by it.
    pub(super) fn brings(&self, piece: PieceIndex) -> bool {
        !self.state().settled.contains(piece)
    }

    /// The pieces that are not to come by it any more.
    pub(super) fn settled(&self) -> PieceSet {
        self.state().settled.clone()
    }

    /// Where a piece will be told of; `None` where it is not to come by it any more.
    pub(super) fn wait_for(self: &Arc<Self>, piece: PieceIndex) -> Option<Waiting> {
        let told = {
            let mut state = self.state();
            if state.settled.contains(piece) {
                return None;
            }
            match state.asked.entry(piece) {
                hash_map::Entry::Occupied(teller) => teller.get().subscribe(),
                hash_map::Entry::Vacant(place) => {
                    self.in_flight.inc();
                    let (teller, told) = watch::channel(None);
                    place.insert(teller);
                    told
                }
            }
        };
        Some(Waiting::gathered(told, Attendance::new(self)))
    }

    /// How many pieces have come by it, from now on.
    pub(super) fn count(&self) -> watch::Receiver<u32> {
        self.count.subscribe()
    }

    /// Tells those who wait for a piece that it is here.
    pub(super) fn tell(&self, piece: PieceIndex, landed: &Piece) {
        if let Some(teller) = self.state().asked.get(&piece) {
            teller.send_replace(Some(Ok(landed.clone())));
        }
    }

    /// A piece lies in the store, or can't.
    pub(super) fn land(&self, piece: PieceIndex, landed: &Piece) {
        let teller = {
            let mut state = self.state();
            state.settled.insert(piece);
            state.asked.remove(&piece)
        };
        if let Some(teller) = teller {
            self.in_flight.dec();
            // Who came while it was written is told as well.
            teller.send_replace(Some(Ok(landed.clone())));
        }
        self.count.send_modify(|count| *count += 1);
    }

    /// Those who are still to be told of a piece, of whom it has none from then on.
    pub(super) fn take_asked(&self) -> Vec<Teller> {
        let asked = std::mem::take(&mut self.state().asked);
        self.in_flight.sub(i64::try_from(asked.len()).unwrap_or(i64::MAX));
        asked.into_values().collect()
    }

    /// Ends when nobody has wanted what it brings for so long; at once when nobody does who may come again.
    pub(super) async fn unwanted(&self, patience: Duration) {
        while let Some(left) = self.wanted_for(patience) {
            tokio::time::timeout(left, self.abandoned.notified()).await.ok();
        }
    }

    /// How long it is wanted for at least; `None` where nobody has wanted it for so long, or nobody did who may come again.
    pub(super) fn wanted_for(&self, patience: Duration) -> Option<Duration> {
        let state = self.state();
        if state.attending > 0 {
            return Some(patience.max(LOOK));
        }
        let left = patience.saturating_sub(state.left_at?.elapsed());
        (!left.is_zero()).then_some(left.max(LOOK))
    }

    /// One more wants what it brings.
    pub(super) fn come(&self) {
        self.state().attending += 1;
    }

    /// One less does, who may come again or not.
    pub(super) fn go(&self, may_come_again: bool) {
        let mut state = self.state();
        state.attending -= 1;
        if may_come_again {
            state.left_at = Some(Instant::now());
        } else if state.attending == 0 {
            self.abandoned.notify_one();
        }
    }

    /// One who reads is at a piece, and waits for it or not.
    pub(super) fn say(&self, before: Option<Word>, piece: PieceIndex, is_waiting: bool) -> Word {
        let mut state = self.state();
        let word = state.readers.say(before, piece, is_waiting);
        self.tell_where(&state.readers);
        word
    }

    /// One reads no more.
    pub(super) fn take_back(&self, word: Word) {
        let mut state = self.state();
        state.readers.take_back(word);
        self.tell_where(&state.readers);
    }

    /// Whether one who reads waits for a piece.
    pub(super) fn is_waited_at(&self) -> bool {
        self.state().readers.is_waited_at()
    }

    fn tell_where(&self, readers: &Places) {
        let piece = readers.read_at();
        self.reading.send_if_modified(|known| std::mem::replace(known, piece) != piece);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
