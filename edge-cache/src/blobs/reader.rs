//! One who reads a blob piece by piece, at their own pace.
//!
//! It holds the piece that it was last handed, and for a moment the next. One whose client is behind holds no next piece. When memory is
//! short, who asks for a blob is refused before an answer begins; who is being answered waits.

mod in_order;
mod started;
mod trouble;

use std::{
    ops::Range,
    ptr,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

use bytes::Bytes;
use longshore_service::budget::NoBudget;
use prometheus::IntCounter;
use tokio_util::task::AbortOnDropHandle;

use super::{
    BlobBody, OpenError, Shared,
    checks::Along,
    disk::NotRead,
    flights::{Failed, Flights, Waiting, Wanted, Whereabouts},
    lapsing::BEHIND,
};
use crate::{
    hot::{Piece, PieceKey},
    piece::{PieceIndex, PieceSet},
    source::{SharedSource, SourceError},
    store::Entry,
};
use in_order::InOrder;
use started::Started;
use trouble::{FIRST_PAUSE, Trouble};

/// One who reads a range.
pub struct Reader {
    shared: Arc<Shared>,
    entry: Arc<Entry>,
    source: SharedSource,
    range: Range<u64>,
    /// What was fetched for it.
    started: Started,
    /// Its first piece, where that was in memory when it began.
    first: OnceLock<Piece>,
    /// What was here when it began.
    here: PieceSet,
    /// Whether the blob is, or was, gathered for it or for others.
    is_gathered: AtomicBool,
    served_bytes: IntCounter,
    hit_bytes: IntCounter,
    /// Whether the disk did not give what is there.
    is_disk_off: AtomicBool,
    /// What who gathers the blob is told of it.
    whereabouts: Whereabouts,
}

impl Reader {
    pub fn new(shared: Arc<Shared>, entry: Arc<Entry>, source: SharedSource, range: Range<u64>) -> Self {
        let name = [source.name()];
        let served_bytes = shared.metrics.served_bytes.with_label_values(&name);
        let hit_bytes = shared.metrics.hit_bytes.with_label_values(&name);
        let (started, first, is_disk_off) = (Started::default(), OnceLock::new(), AtomicBool::new(false));
        let whereabouts = Whereabouts::default();
        // In this order: what lands meanwhile was not here.
        let here = entry.present();
        let is_gathered = AtomicBool::new(shared.flights.is_gathered(&entry));
        Self {
            shared,
            entry,
            source,
            range,
            started,
            first,
            here,
            is_gathered,
            served_bytes,
            hit_bytes,
            is_disk_off,
            whereabouts,
        }
    }

    /// That there is memory for its first piece, before anything is answered. Nothing is set aside: many may be about to read the same.
    pub async fn require_room(&self) -> Result<(), NoBudget> {
        let geometry = self.entry.geometry();
        let Some(first) = geometry.pieces_of(&self.range).next().map(PieceIndex) else { return Ok(()) };
        let key = self.entry.hashes().get(first);
        if let Some(held) = key.and_then(|key| self.shared.hot.get(&key)) {
            drop(self.first.set(held));
            return Ok(());
        }
        let Range { start, end } = geometry.bytes_of(first);
        self.shared.hot.room_for(end - start).await.map(drop)
    }

    /// The range's bytes.
    pub fn into_body(mut self) -> BlobBody {
        let length_bytes = self.range.end - self.range.start;
        let pieces = self.entry.geometry().pieces_of(&self.range);
        let along = Along::new(&self.shared, &self.entry, &self.range);
        let first = self.first.take().filter(|_| pieces.len() == 1 && !along.is_wanted());
        if let Some(held) = first.filter(|_| self.require_right().is_ok()) {
            self.fetch_ahead(pieces.clone());
            return BlobBody::of(self.part(PieceIndex(pieces.start), &held));
        }
        BlobBody::new(InOrder::new(self, pieces, along).into_stream(), length_bytes)
    }

    /// That nobody has found the blob wrong: nothing of it is served any more then, nor fetched again.
    fn require_right(&self) -> Result<(), SourceError> {
        self.shared.checks.require_right(&self.entry, &self.source)
    }

    /// What the range has of a piece, which is counted as handed on.
    fn part(&self, piece: PieceIndex, held: &Piece) -> Bytes {
        let Range { start, end } = self.entry.geometry().bytes_of(piece);
        let within = |at: u64| usize::try_from(at.clamp(start, end) - start).expect("pieces are short");
        let bytes = held.bytes().slice(within(self.range.start)..within(self.range.end));
        self.served_bytes.inc_by(bytes.len() as u64);
        // Who gathers is begun by whoever comes first, and brings all of it, to whoever reads.
        let is_hit = if self.is_gathered.load(Ordering::Relaxed) { self.here.contains(piece) } else { !self.started.has(piece) };
        if is_hit {
            self.hit_bytes.inc_by(bytes.len() as u64);
        }
        bytes
    }

    /// A piece.
    async fn piece(&self, piece: PieceIndex) -> Result<Piece, OpenError> {
        let held = self.piece_at_last(piece).await?;
        self.whereabouts.go_on(piece);
        Ok(held)
    }

    async fn piece_at_last(&self, piece: PieceIndex) -> Result<Piece, OpenError> {
        let gave_up = || OpenError::GaveUp(self.entry.digest().clone());
        let key = self.entry.hashes().get(piece).ok_or_else(gave_up)?;
        let (mut trouble, mut unread) = (Trouble::default(), 0);
        loop {
            self.require_right()?;
            if let Some(held) = self.shared.hot.get(&key) {
                // It may be in memory alone: then it is kept again.
                self.fetch_ahead(piece.0..self.ahead_of(piece).end);
                return Ok(held);
            }
            if self.entry.has(piece) {
                match self.read(key, piece).await {
                    Ok(held) => {
                        self.is_disk_off.store(false, Ordering::Relaxed);
                        self.fetch_ahead(self.ahead_of(piece));
                        return Ok(held);
                    }
                    Err(NotRead::NoBudget(error)) => {
                        self.bear(&mut trouble, error.into(), true).await?;
                        continue;
                    }
                    Err(NotRead::Fetch) => {}
                }
            }
            let Some(mut waiting) = self.join(piece, self.wanted(piece, unread)) else {
                // It came meanwhile; or it is there and can't be read, which must come to an end.
                unread += 1;
                if unread > 1 {
                    tokio::time::sleep(FIRST_PAUSE).await;
                }
                continue;
            };
            if !waiting.is_gathered() {
                self.fetch_ahead(self.ahead_of(piece));
            }
            self.whereabouts.wait(piece, &waiting);
            match waiting.landed().await {
                Some(Ok(held)) => return Ok(held),
                Some(Err(failed)) => {
                    self.started.take_back(piece);
                    let is_own = self.is_told_the_same(&failed);
                    self.bear(&mut trouble, failed.error, is_own).await?;
                }
                None => return Err(gave_up()),
            }
        }
    }

    /// What a piece is wanted for that was looked for so often, and was neither read nor missing.
    fn wanted(&self, piece: PieceIndex, unread: u32) -> Wanted {
        let most = if self.is_disk_off.load(Ordering::Relaxed) { 0 } else { self.shared.settings.attempts };
        if unread <= most {
            return Wanted::ToRead;
        }
        if !self.is_disk_off.swap(true, Ordering::Relaxed) {
            tracing::warn!(digest = %self.entry.digest(), piece = piece.0, "what is on the disk can't be read, and is fetched again");
        }
        Wanted::Unreadable
    }

    /// Whether this one would be told the same.
    fn is_told_the_same(&self, Failed { error, by }: &Failed) -> bool {
        let is_limit = matches!(error, OpenError::Source(error) if error.is_limit());
        ptr::addr_eq(Arc::as_ptr(by), Arc::as_ptr(&self.source)) || (is_limit && by.caller() == self.source.caller())
    }

    /// Waits until a piece that did not come is to be asked for again; an error where it is not.
    async fn bear(&self, trouble: &mut Trouble, error: OpenError, is_own: bool) -> Result<(), OpenError> {
        let Some(pause) = trouble.pause(&error, is_own, self.shared.settings.attempts) else { return Err(error) };
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
        Ok(())
    }

    /// Where a piece that is not here will be told of.
    fn join(&self, piece: PieceIndex, wanted: Wanted) -> Option<Waiting> {
        let geometry = self.entry.geometry();
        let end = geometry.pieces_of(&self.range).end;
        let begun = |fetched| self.started.note(fetched, geometry.pieces());
        let waiting = Flights::join(&self.shared, &self.entry, &self.source, piece, end, wanted, begun)?;
        if waiting.is_gathered() {
            self.is_gathered.store(true, Ordering::Relaxed);
        }
        Some(waiting)
    }

    /// Gets a piece and holds it for a moment in which its reader finds it in memory. `None` where it is there. What goes wrong is found
    /// by its reader.
    fn get_ready(self: &Arc<Self>, piece: PieceIndex) -> Option<AbortOnDropHandle<()>> {
        let key = self.entry.hashes().get(piece)?;
        if self.shared.hot.has(&key) {
            return None;
        }
        let this = self.clone();
        Some(AbortOnDropHandle::new(tokio::spawn(async move {
            let held = this.piece_soon(key, piece).await;
            if held.is_some() {
                tokio::time::sleep(BEHIND).await;
            }
        })))
    }

    /// A piece, where it is to be had at the first attempt.
    async fn piece_soon(&self, key: PieceKey, piece: PieceIndex) -> Option<Piece> {
        self.require_right().ok()?;
        if self.entry.has(piece) {
            return self.read(key, piece).await.ok();
        }
        let Some(mut waiting) = self.join(piece, Wanted::ToRead) else { return self.shared.hot.get(&key) };
        waiting.landed().await?.ok()
    }

    async fn read(&self, key: PieceKey, piece: PieceIndex) -> Result<Piece, NotRead> {
        self.shared.read_from_disk(&self.entry, key, piece).await
    }

    /// The pieces that who reads in order will want soon, after one.
    fn ahead_of(&self, piece: PieceIndex) -> Range<u32> {
        let (end, next) = (self.entry.geometry().pieces_of(&self.range).end, piece.0.saturating_add(1));
        next..end.min(next.saturating_add(self.shared.settings.read_ahead_pieces)).max(next)
    }

    /// Has what is missing of these pieces fetched, or kept where it is in memory. What can't be kept is not fetched ahead.
    fn fetch_ahead(&self, ahead: Range<u32>) {
        if ahead.is_empty() || self.entry.is_complete() || self.shared.keeps_nothing_of(&self.entry) {
            return;
        }
        for next in ahead.map(PieceIndex).filter(|next| !self.entry.has(*next)) {
            self.join(next, Wanted::ToRead);
        }
    }
}
