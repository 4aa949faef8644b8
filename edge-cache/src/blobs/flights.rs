//! Which pieces are being fetched, and by whom.

mod coming;
mod keeping;

use std::{
    collections::HashMap,
    ops::Range,
    sync::{Arc, Mutex, PoisonError, atomic::Ordering},
};

use longshore_oci::Digest;
use tokio::sync::watch;

use super::{OpenError, Shared, rangeless};
use crate::{
    hot::{Piece, PieceKey, Room},
    piece::PieceIndex,
    source::{Reading, SharedSource, SourceError},
    store::{Entry, StoreError},
};
use coming::Coming;

/// What a piece that is being fetched comes to.
type Landing = Result<Piece, Failed>;
/// Where whoever waits for a piece is told; nobody tells any more once it lies in the store, or will not.
pub type Waiting = watch::Receiver<Option<Landing>>;

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
pub struct Flights(Mutex<HashMap<Digest, HashMap<Place, Waiting>>>);

/// Pieces that one run fetches, one after another, and those who are to be told of each; taken back where it ends early.
struct Claimed {
    shared: Arc<Shared>,
    digest: Digest,
    /// Who tells of each, and is gone once it was written or could not be: whoever tells holds what was told.
    pieces: Vec<(Place, Option<Teller>)>,
    landed: usize,
}

/// Who tells of a piece.
type Teller = watch::Sender<Option<Landing>>;

/// What became of a piece that came.
enum Came {
    /// It is not what it was to be.
    Wrong,
    /// Its blob is kept nowhere, or no longer.
    PassedOn,
    /// It was to be kept.
    Written(Result<(), StoreError>),
}

impl Shared {
    /// Whether what is fetched of a blob now is not kept, as far as is known.
    pub fn keeps_nothing_of(&self, entry: &Entry) -> bool {
        entry.is_unkept() || self.is_full.load(Ordering::Relaxed)
    }

    /// Checks a piece that came, and hands it on. Blocks.
    fn take_in(&self, entry: &Arc<Entry>, (piece, key): Place, bytes: Vec<u8>, room: Room, teller: Option<&Teller>) -> Came {
        if !entry.hashes().is_right(piece, &bytes) {
            return Came::Wrong;
        }
        let landed = self.hot.put(key, bytes, room);
        self.hand_on(entry, piece, &landed, teller)
    }

    /// Tells of a right piece, and keeps it where it can be kept. Blocks.
    fn hand_on(&self, entry: &Arc<Entry>, piece: PieceIndex, landed: &Piece, teller: Option<&Teller>) -> Came {
        // Whoever waits has it at once; whoever comes finds it here until it lies in the store.
        if let Some(teller) = teller {
            teller.send_replace(Some(Ok(landed.clone())));
        }
        match self.kept_in(entry) {
            Some(entry) => Came::Written(entry.write_checked(piece, landed.as_ref())),
            None => Came::PassedOn,
        }
    }

    /// Where a blob's pieces are kept: where they were to be, or where the blob was begun anew since it was dropped.
    fn kept_in(&self, entry: &Arc<Entry>) -> Option<Arc<Entry>> {
        if !entry.is_unkept() {
            return Some(entry.clone());
        }
        let is_same = |anew: &Arc<Entry>| anew.geometry() == entry.geometry() && anew.hashes() == entry.hashes();
        self.store.peek(entry.digest()).filter(is_same)
    }
}

impl Flights {
    /// Where a piece that is not here will be told of, by the run that fetches it; one is begun where there is none, up to `end` and to
    /// the first piece that is here, in memory or on its way. One that is in memory is kept, and nothing is fetched for it. `None` where
    /// it came meanwhile; never for one that is [`Wanted::Unreadable`]. Where pieces are fetched, `begun` is told which, before they are.
    pub fn join(
        shared: &Arc<Shared>,
        entry: &Arc<Entry>,
        source: &SharedSource,
        piece: PieceIndex,
        end: u32,
        wanted: Wanted,
        begun: impl FnOnce(Range<u32>),
    ) -> Option<Waiting> {
        let digest = entry.digest();
        let place = |piece| Some((piece, entry.hashes().get(piece)?));
        let asked = place(piece)?;
        let mut all = shared.flights.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(waiting) = all.get(digest).and_then(|pieces| pieces.get(&asked)) {
            return Some(waiting.clone());
        }
        // What can't be kept is fetched as it is read, no further ahead.
        let is_unkept = shared.keeps_nothing_of(entry);
        if is_unkept && wanted == Wanted::ToRead && shared.hot.has(&asked.1) {
            // It came a moment ago, and memory is all that it lies in.
            return None;
        }
        let is_rangeless = shared.rangeless.has(&source.address());
        let run = if is_unkept {
            1
        } else if is_rangeless {
            rangeless::MOST_PIECES
        } else {
            shared.settings.run_pieces.max(1)
        };
        let most = match wanted {
            Wanted::Unreadable => 1,
            Wanted::ToKeep | Wanted::ToRead => entry.missing_from(piece, end.min(piece.0.saturating_add(run))),
        };
        if most == 0 {
            return None;
        }
        let held = if wanted == Wanted::Unreadable { None } else { shared.hot.get(&asked.1) };
        let most = if held.is_some() { 1 } else { most };
        let of_blob = all.entry(digest.clone()).or_default();
        let mut claimed = Vec::new();
        for place in (piece.0..piece.0 + most).map(PieceIndex).map_while(place) {
            // Of a source that knows no ranges, what is before the rest would come again.
            let is_in_memory = || place != asked && !is_rangeless && shared.hot.has(&place.1);
            if of_blob.contains_key(&place) || is_in_memory() {
                break;
            }
            let (sender, waiting) = watch::channel(None);
            of_blob.insert(place, waiting);
            claimed.push((place, Some(sender)));
        }
        let waiting = of_blob.get(&asked).cloned();
        drop(all);
        shared.metrics.pieces_in_flight.add(i64::try_from(claimed.len()).unwrap_or(i64::MAX));
        let claimed = Claimed { shared: shared.clone(), digest: digest.clone(), pieces: claimed, landed: 0 };
        if let Some(held) = held {
            tokio::spawn(claimed.keep(entry.clone(), source.clone(), held));
        } else {
            begun(piece.0..piece.0.saturating_add(u32::try_from(claimed.pieces.len()).unwrap_or(u32::MAX)));
            tokio::spawn(claimed.fetch(entry.clone(), source.clone()));
        }
        waiting
    }

    fn end(&self, digest: &Digest, place: &Place) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(of_blob) = all.get_mut(digest) {
            of_blob.remove(place);
            if of_blob.is_empty() {
                all.remove(digest);
            }
        }
    }
}

impl Claimed {
    /// Fetches them. What goes wrong is told to all who wait for one of them, once.
    async fn fetch(mut self, entry: Arc<Entry>, source: SharedSource) {
        if let Err(error) = self.fetch_each(&entry, &source).await {
            let told: Vec<_> = self.pieces[self.landed..].iter_mut().filter_map(|(_, waiting)| waiting.take()).collect();
            // Who asks again finds nobody at it, and begins anew.
            self.land_all();
            for waiting in told {
                waiting.send_replace(Some(Err(Failed { error: error.clone(), by: source.clone() })));
            }
        }
        self.check(&entry, &source);
    }

    /// Has the blob hashed if it is whole now: the one that is there, which may have been begun anew meanwhile.
    fn check(&self, entry: &Arc<Entry>, source: &SharedSource) {
        if let Some(kept) = self.shared.kept_in(entry) {
            self.shared.begin_check(&kept, source);
        }
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
            let is_kept = self.is_kept(entry, came);
            self.land();
            drop(teller);
            if !is_kept {
                return Err(SourceError::Unkept.into());
            }
        }
        Ok(())
    }

    /// Whether a right piece is kept, and so might be what follows it.
    fn is_kept(&self, entry: &Entry, came: Came) -> bool {
        let written = match came {
            Came::Written(written) if written.is_ok() || !entry.is_unkept() => written,
            // That it was dropped says nothing of other blobs.
            _ => {
                self.shared.metrics.not_kept.inc();
                return false;
            }
        };
        self.shared.is_full.store(written.is_err(), Ordering::Relaxed);
        let Err(error) = written else { return true };
        self.shared.metrics.not_kept.inc();
        self.shared.tell_not_kept("a piece", &self.digest, &error);
        false
    }

    /// The next of them is over, one way or the other.
    fn land(&mut self) {
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
