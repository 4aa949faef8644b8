//! A blob that nobody vouches for: one stream from its source, which readers follow, and which is kept when all of it was found right.
//!
//! It comes to its end though nobody reads it any more: the next who asks has it. Only where others wait to ask its source it is given up.

mod following;
mod readers;
mod taking;

use std::sync::{Arc, PoisonError};

use longshore_oci::Digest;
use tokio::sync::watch;

use super::{From, OpenError, Shared};
use crate::{
    hot::Room,
    source::{Reading, SharedSource, SourceError},
    store::{Follower, Receiving},
};
use readers::Readers;
use taking::Taking;

/// How many have one that nobody reads: the list of those on their way, and whoever takes it in.
const KEEPERS: usize = 2;

/// One on its way. Clones follow the same; whoever has one counts as a reader.
#[derive(Clone)]
pub struct Whole {
    pub size_bytes: u64,
    follower: Follower,
    ended: watch::Receiver<Option<Ended>>,
    readers: Arc<Readers>,
}

/// Why it is not kept.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Ended {
    /// There is no room for it, which is nothing to its readers.
    NoRoom,
    /// It did not come, or not as it is.
    Failed,
}

/// Begins to take one in. `room` is a piece's: as much of it is in memory until it is written.
pub fn start(
    shared: &Arc<Shared>,
    from: &From,
    source: &SharedSource,
    receiving: Receiving,
    Reading { size_bytes, stream, .. }: Reading,
    room: Room,
) -> Whole {
    let (ended, told) = watch::channel(None);
    let whole = Whole { size_bytes, follower: receiving.follow(), ended: told, readers: Arc::default() };
    shared.wholes.lock().unwrap_or_else(PoisonError::into_inner).insert(from.clone(), whole.clone());
    let taking = Taking::new(shared, from, source, &whole);
    tokio::spawn(async move {
        let taken = taking.run(receiving, stream).await;
        drop(room);
        // Who is told, and asks again, does not find it.
        drop(taking);
        if let Err(why) = taken {
            ended.send_replace(Some(why));
        }
    });
    whole
}

impl Whole {
    /// Whether anybody reads it, or is about to. While the list of those on their way is locked, none come to.
    fn is_read(&self) -> bool {
        Arc::strong_count(&self.readers) > KEEPERS
    }

    /// Notes who reads it: it can be asked for in their name where others are refused. Whether they are the first, for whom it comes.
    pub fn join(&self, source: &SharedSource) -> bool {
        self.readers.join(source)
    }

    /// Whether it failed: nobody gets anything of it any more.
    pub fn is_aborted(&self) -> bool {
        self.follower.is_aborted()
    }

    /// Waits until it has come to a place past its start; `false` where it will not.
    pub async fn has_come_to(&mut self, at: u64) -> bool {
        self.follower.find(at.saturating_sub(1)).await.is_ok()
    }

    /// Waits until it is over; an error where it is not kept.
    pub async fn until_kept(mut self, digest: &Digest) -> Result<(), OpenError> {
        match self.ended.wait_for(Option::is_some).await.map(|ended| *ended) {
            // Nobody said why it would not be.
            Err(_) => Ok(()),
            Ok(Some(Ended::NoRoom)) => Err(SourceError::Unkept.into()),
            Ok(_) => Err(OpenError::GaveUp(digest.clone())),
        }
    }
}
