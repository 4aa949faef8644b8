//! How a blob can be had: found out once for all who want it now.

use std::sync::{
    Arc, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use longshore_oci::Digest;

use super::{
    From, MOST_TRIES, OpenError, Shared, TURNS,
    begun::Begun,
    whole::{self, Whole},
};
use crate::{
    piece::{PIECE_BYTES, PieceHashes},
    source::SharedSource,
    store::{Entry, StoreError},
};

/// Which request began to find out how a blob can be had, and by which source.
pub type Asker = (u64, SharedSource);

/// How a blob can be had.
#[derive(Clone)]
pub enum Plan {
    /// Piece by piece.
    Pieces(Arc<Entry>),
    /// As one stream.
    Whole(Whole),
    /// As a stream of each reader's own: there is no room for it here, or none beside what another source brought of it, and nobody
    /// vouches for it. One of them need not ask for it again.
    Passing(Begun),
}

/// A client that waits to be told how it can have a blob, while this lives.
pub struct Opening<'a>(&'a AtomicU64);

impl<'a> Opening<'a> {
    pub fn begin(clients: &'a AtomicU64) -> Self {
        clients.fetch_add(1, Ordering::Relaxed);
        Self(clients)
    }
}

impl Drop for Opening<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Shared {
    pub fn whole(&self, from: &From) -> Option<Whole> {
        self.wholes.lock().unwrap_or_else(PoisonError::into_inner).get(from).cloned()
    }

    /// Leave to settle who has a blob, one at a time.
    pub async fn turn(&self, digest: &Digest) -> tokio::sync::MutexGuard<'_, ()> {
        let place = blake3::hash(digest.as_str().as_bytes()).as_bytes()[0];
        self.turns[usize::from(place) % TURNS].lock().await
    }

    /// How a blob can be had now; where nothing of it is here, its source is asked once for all who ask meanwhile.
    pub async fn plan(self: Arc<Self>, digest: &Digest, source: &SharedSource) -> Result<Plan, OpenError> {
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
                self.plans.run_once(from.clone(), plan).await.ok_or_else(|| OpenError::GaveUp(digest.clone()))?;
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

    pub fn known(&self, from: &From) -> Option<Plan> {
        // In this order: a whole blob is in the store before it is no longer on its way.
        let whole = self.whole(from).filter(|whole| !whole.is_aborted());
        let (source, digest) = from;
        let entry = if self.provenance.is_of(digest, source) { self.store.entry(digest) } else { None };
        let is_fit = |entry: &Arc<Entry>| !self.checks.are_wrong(digest, entry.hashes()) && !self.rangeless.has(source);
        let unkept = || self.unkept.get(from).filter(is_fit);
        entry.map(Plan::Pieces).or_else(|| whole.map(Plan::Whole)).or_else(|| unkept().map(Plan::Pieces))
    }

    async fn find(self: &Arc<Self>, from: &From, source: &SharedSource) -> Result<Plan, OpenError> {
        let (address, digest) = from;
        if let Some(known) = self.known(from) {
            return Ok(known);
        }
        // By pieces, one that knows no ranges would send what is before each of them again.
        if !self.rangeless.has(address)
            && let Some((size_bytes, hashes)) = source.vouched(digest).await?
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
                self.tell_unkept(digest, &error);
                Plan::Passing(Begun::new(reading, room))
            }
        })
    }

    /// Forgets who had a blob of which nothing is here any more.
    pub async fn forget_dropped(&self, digest: &Digest) {
        let _turn = self.turn(digest).await;
        if self.store.peek(digest).is_none() {
            self.provenance.forget(digest);
        }
    }

    /// That a blob can't be kept; where there is no room for it that is nothing new.
    fn tell_unkept(&self, digest: &Digest, error: &StoreError) {
        if !error.is_no_room() {
            self.tell_not_kept("a blob", digest, error);
        }
    }

    /// How a blob can be had that can't be kept, though it is known what its pieces are.
    fn without_room(&self, from: &From, size_bytes: u64, hashes: PieceHashes, error: &StoreError) -> Plan {
        let (_, digest) = from;
        self.tell_unkept(digest, error);
        self.provenance.forget(digest);
        let entry = Entry::nowhere(digest, size_bytes, hashes);
        entry.map_or_else(|| Plan::Passing(Begun::default()), |entry| Plan::Pieces(self.unkept.insert(from, entry)))
    }
}
