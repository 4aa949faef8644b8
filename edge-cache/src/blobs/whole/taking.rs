//! Whoever takes a blob in that comes whole.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError},
};

use bytes::Bytes;
use futures_util::{StreamExt as _, stream, stream::BoxStream};
use longshore_oci::Digest;

use super::{Ended, Whole};
use crate::{
    blobs::{From, Shared, lapsing::BEHIND, resuming::Resuming},
    source::{SharedSource, SourceError},
    store::{Receiving, StoreError},
};

/// In how many names one blob is asked for, at most.
const MOST_NAMES: usize = 64;

type SourceStream = BoxStream<'static, Result<Bytes, SourceError>>;

pub(super) struct Taking {
    shared: Arc<Shared>,
    address: Arc<str>,
    digest: Digest,
    /// As whoever asked for it first.
    source: SharedSource,
    whole: Whole,
}

/// Its source, as those in whose names it was asked for.
struct Asked {
    now: SharedSource,
    former: Vec<SharedSource>,
}

/// Why a blob was not taken in.
enum NotTaken {
    Source(SourceError),
    Store(StoreError),
}

impl Taking {
    pub(super) fn new(shared: &Arc<Shared>, from: &From, source: &SharedSource, whole: &Whole) -> Self {
        let (address, digest) = from.clone();
        Self { shared: shared.clone(), address, digest, source: source.clone(), whole: whole.clone() }
    }

    pub(super) async fn run(&self, mut receiving: Receiving, stream: SourceStream) -> Result<(), Ended> {
        let mut asked = Asked { now: self.source.clone(), former: Vec::new() };
        let taken = tokio::select! {
            taken = self.take_in(&mut receiving, stream, &mut asked) => taken,
            () = self.until_in_the_way() => {
                let upstream = self.source.name();
                tracing::info!(digest = %self.digest, upstream, "a blob that nobody reads was given up, as others wait to ask");
                return Err(Ended::Failed);
            }
        };
        match taken {
            Ok(()) => match self.finish(receiving).await {
                Ok(()) => Ok(()),
                Err(StoreError::Mismatch { actual, .. }) => {
                    self.wrong(&asked, format!("its digest is {actual}"));
                    Err(Ended::Failed)
                }
                Err(error) => Err(self.unkept(&error)),
            },
            Err(NotTaken::Store(error)) => Err(self.unkept(&error)),
            Err(NotTaken::Source(error)) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(digest = %self.digest, upstream = self.source.name(), error, "a blob did not come whole");
                Err(Ended::Failed)
            }
        }
    }

    /// Waits until nobody has read it for a moment, and others wait to ask its source; then nobody finds it any more.
    async fn until_in_the_way(&self) {
        let mut was_read = true;
        loop {
            tokio::time::sleep(BEHIND).await;
            let is_read = self.whole.is_read();
            if !is_read && !was_read && self.source.is_waited_for() && self.withdraw_unread() {
                return;
            }
            was_read = is_read;
        }
    }

    /// Takes it off the list of those on their way, unless somebody reads it by now; whether it is off.
    fn withdraw_unread(&self) -> bool {
        let mut wholes = self.shared.wholes.lock().unwrap_or_else(PoisonError::into_inner);
        let is_unread = !self.whole.is_read();
        if is_unread {
            self.take_off(&mut wholes);
        }
        is_unread
    }

    /// Takes it off the list, unless another has been begun since this one failed.
    fn take_off(&self, wholes: &mut HashMap<From, Whole>) {
        let from = (self.address.clone(), self.digest.clone());
        if wholes.get(&from).is_some_and(|whole| whole.ended.same_channel(&self.whole.ended)) {
            wholes.remove(&from);
        }
    }

    /// Keeps it, as what this source has.
    async fn finish(&self, receiving: Receiving) -> Result<(), StoreError> {
        let (provenance, digest, _keeping) = (&self.shared.provenance, &self.digest, self.shared.keeping.token());
        let _turn = self.shared.turn(digest).await;
        let kept = self.shared.store.peek(digest).filter(|_| provenance.is_whole_checked(digest));
        if kept.is_none() {
            // Nobody's, until it is known whose.
            provenance.forget(digest);
        }
        let entry = receiving.finish().await?;
        if kept.is_some_and(|kept| Arc::ptr_eq(&kept, &entry)) {
            provenance.add(digest, &self.address);
        } else {
            provenance.set(digest, &self.address, true);
        }
        Ok(())
    }

    fn unkept(&self, error: &StoreError) -> Ended {
        self.shared.metrics.not_kept.inc();
        self.shared.tell_not_kept("a blob", &self.digest, error);
        Ended::NoRoom
    }

    /// Takes in all of it; where the source breaks off it is asked to go on from there.
    async fn take_in(&self, receiving: &mut Receiving, mut stream: SourceStream, asked: &mut Asked) -> Result<(), NotTaken> {
        let size_bytes = self.whole.size_bytes;
        let (mut taken, mut resuming) = (0, Resuming::default());
        loop {
            let error = loop {
                match stream.next().await {
                    Some(Ok(bytes)) if taken + bytes.len() as u64 > size_bytes => {
                        let reason = format!("there is more of it than {size_bytes} bytes");
                        return Err(NotTaken::Source(self.wrong(asked, reason)));
                    }
                    Some(Ok(bytes)) => {
                        taken += bytes.len() as u64;
                        receiving.append(bytes).await.map_err(NotTaken::Store)?;
                    }
                    // What comes after its last byte, if only an error, is nothing to it.
                    None | Some(Err(_)) if taken == size_bytes => return Ok(()),
                    None => break None,
                    Some(Err(error)) => break Some(error),
                }
            };
            let is_handed_over = error.as_ref().is_some_and(|error| self.hand_over(asked, error));
            if !is_handed_over && !resuming.goes_on(taken, error.as_ref(), self.shared.settings.attempts).await {
                let short = || self.wrong(asked, format!("it broke off after {taken} bytes"));
                return Err(NotTaken::Source(error.unwrap_or_else(short)));
            }
            let rest = match self.shared.read_on(&self.digest, &asked.now, Some(taken..size_bytes)).await {
                Ok(rest) => rest,
                Err(error) => {
                    // It is asked again as after any other failure.
                    stream = stream::iter([Err(error)]).boxed();
                    continue;
                }
            };
            if rest.size_bytes != size_bytes {
                let reason = format!("it is said to have {} bytes, and {size_bytes} before", rest.size_bytes);
                return Err(NotTaken::Source(self.wrong(asked, reason)));
            }
            stream = rest.stream;
        }
    }

    /// Goes on in another reader's name where one is refused what others may have; whether there is such a reader.
    fn hand_over(&self, asked: &mut Asked, error: &SourceError) -> bool {
        let is_of_one = error.is_of_the_caller() || error.is_limit();
        if !is_of_one || asked.former.len() >= MOST_NAMES {
            return false;
        }
        let Some(next) = self.whole.readers.other_than(&asked.now) else { return false };
        asked.former.push(std::mem::replace(&mut asked.now, next));
        true
    }

    fn wrong(&self, asked: &Asked, reason: String) -> SourceError {
        // What came before may be what is wrong.
        for former in &asked.former {
            former.distrust(&self.digest);
        }
        self.shared.wrong(&asked.now, &self.digest, reason)
    }
}

impl Drop for Taking {
    fn drop(&mut self) {
        self.take_off(&mut self.shared.wholes.lock().unwrap_or_else(PoisonError::into_inner));
    }
}
