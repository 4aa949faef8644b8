//! A blob that nobody vouches for: one stream from its source, which readers follow, and which is kept when all of it was found right.

use std::{
    future::ready,
    io,
    ops::Range,
    sync::{Arc, PoisonError},
};

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream, stream::BoxStream};
use longshore_oci::Digest;
use longshore_service::budget::NoBudget;
use tokio::sync::watch;

use super::{
    BlobBody, From, MOST_WAITS, OpenError, Shared, chunk::Chunk, passing, prefix::Prefix, reader::NotRead, resuming::Resuming,
};
use crate::{
    hot::{Piece, Room},
    piece::PIECE_BYTES,
    source::{Reading, SharedSource, SourceError},
    store::{Follower, ReadError, Receiving, StoreError, There, Written},
};

/// How much a reader takes at once, in bytes.
const CHUNK_BYTES: u64 = PIECE_BYTES;

/// One on its way. Clones follow the same.
#[derive(Clone)]
pub struct Whole {
    pub size_bytes: u64,
    follower: Follower,
    ended: watch::Receiver<Option<Ended>>,
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
    let whole = Whole { size_bytes, follower: receiving.follow(), ended: told };
    shared.wholes.lock().unwrap_or_else(PoisonError::into_inner).insert(from.clone(), whole.clone());
    let (address, digest) = from.clone();
    let taking = Taking { shared: shared.clone(), address, digest, source: source.clone(), whole: whole.clone() };
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

struct Taking {
    shared: Arc<Shared>,
    address: Arc<str>,
    digest: Digest,
    source: SharedSource,
    whole: Whole,
}

impl Taking {
    async fn run(&self, mut receiving: Receiving, stream: BoxStream<'static, Result<Bytes, SourceError>>) -> Result<(), Ended> {
        match self.take_in(&mut receiving, stream).await {
            Ok(()) => match self.finish(receiving).await {
                Ok(()) => Ok(()),
                Err(StoreError::Mismatch { actual, .. }) => {
                    self.shared.wrong(&self.source, &self.digest, format!("its digest is {actual}"));
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
        let error = error as &dyn std::error::Error;
        tracing::warn!(digest = %self.digest, error, "a blob was passed on and not kept");
        Ended::NoRoom
    }

    /// Takes in all of it; where the source breaks off it is asked to go on from there.
    async fn take_in(
        &self,
        receiving: &mut Receiving,
        mut stream: BoxStream<'static, Result<Bytes, SourceError>>,
    ) -> Result<(), NotTaken> {
        let size_bytes = self.whole.size_bytes;
        let (mut taken, mut resuming) = (0, Resuming::default());
        loop {
            let error = loop {
                match stream.next().await {
                    Some(Ok(bytes)) if taken + bytes.len() as u64 > size_bytes => {
                        let reason = format!("there is more of it than {size_bytes} bytes");
                        return Err(NotTaken::Source(self.shared.wrong(&self.source, &self.digest, reason)));
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
            if !resuming.goes_on(taken, error.as_ref(), self.shared.settings.attempts).await {
                let short = || self.shared.wrong(&self.source, &self.digest, format!("it broke off after {taken} bytes"));
                return Err(NotTaken::Source(error.unwrap_or_else(short)));
            }
            let rest = match self.shared.read_on(&self.digest, &self.source, Some(taken..size_bytes)).await {
                Ok(rest) => rest,
                Err(error) => {
                    // It is asked again as after any other failure.
                    stream = stream::iter([Err(error)]).boxed();
                    continue;
                }
            };
            if rest.size_bytes != size_bytes {
                let reason = format!("it is said to have {} bytes, and {size_bytes} before", rest.size_bytes);
                return Err(NotTaken::Source(self.shared.wrong(&self.source, &self.digest, reason)));
            }
            stream = rest.stream;
        }
    }
}

/// Why a blob was not taken in.
enum NotTaken {
    Source(SourceError),
    Store(StoreError),
}

impl Drop for Taking {
    fn drop(&mut self) {
        let from = (self.address.clone(), self.digest.clone());
        let mut wholes = self.shared.wholes.lock().unwrap_or_else(PoisonError::into_inner);
        // Another may have been begun since this one failed.
        if wholes.get(&from).is_some_and(|whole| whole.ended.same_channel(&self.whole.ended)) {
            wholes.remove(&from);
        }
    }
}

impl Whole {
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

    /// A range of it, read behind the writer.
    pub fn body(self, shared: &Arc<Shared>, digest: &Digest, source: SharedSource, range: Range<u64>) -> BlobBody {
        let length_bytes = range.end - range.start;
        let reading = Following { shared: shared.clone(), digest: digest.clone(), source, whole: self, range };
        let stream = stream::try_unfold(reading, |mut reading| async move {
            let next = reading.next().await?;
            Ok::<_, io::Error>(next.map(|bytes| (bytes, reading)))
        });
        BlobBody::new(stream.try_flatten().boxed(), length_bytes)
    }
}

struct Following {
    shared: Arc<Shared>,
    digest: Digest,
    source: SharedSource,
    whole: Whole,
    /// What is still to be read.
    range: Range<u64>,
}

impl Following {
    /// Whether a blob that is not kept is not for want of room alone.
    async fn is_out_of_room(&mut self) -> bool {
        self.whole.ended.wait_for(Option::is_some).await.is_ok_and(|ended| *ended == Some(Ended::NoRoom))
    }

    /// The next bytes; the rest of them, from the source itself, where there is no room for the blob any more.
    async fn next(&mut self) -> io::Result<Option<BoxStream<'static, io::Result<Bytes>>>> {
        if self.range.is_empty() {
            return Ok(None);
        }
        if self.range.end - self.range.start <= CHUNK_BYTES {
            // The end of what was asked for waits until all of the blob was found right, so nobody has something wrong whole.
            let checked = self.whole.follower.find(self.whole.size_bytes).await;
            if let Err(error) = checked
                && !self.is_out_of_room().await
            {
                return Err(io::Error::other(error));
            }
        }
        let read = self.read().await.map_err(io::Error::other)?;
        match read {
            Ok(bytes) => {
                self.range.start += bytes.len() as u64;
                self.shared.metrics.served_bytes.with_label_values(&[self.source.name()]).inc_by(bytes.len() as u64);
                Ok(Some(stream::once(ready(Ok(bytes))).boxed()))
            }
            Err(_) if self.is_out_of_room().await => {
                let rest = self.range.clone();
                self.range.start = self.range.end;
                let source = self.source.clone();
                // What was served is to be of the same content as what follows.
                let prefix = Prefix::new(self.whole.follower.came().await);
                let rest = passing::stream(&self.shared, &self.digest, source, rest, prefix).await.map_err(io::Error::other)?;
                Ok(Some(rest))
            }
            Err(error) => Err(io::Error::other(error)),
        }
    }

    /// The next bytes, as soon as there are some.
    async fn read(&mut self) -> Result<Result<Bytes, ReadError>, NoBudget> {
        let (at, most) = (self.range.start, CHUNK_BYTES.min(self.range.end - self.range.start));
        let (mut waits, mut is_unread) = (0, false);
        let mut had: Option<(Room, u64)> = None;
        loop {
            let written = match self.whole.follower.find(at).await {
                Err(error) => return Ok(Err(error)),
                Ok(There::Written(written)) => written,
                Ok(There::Bytes(bytes)) => {
                    let Some((mut room, length)) = had.take() else {
                        // Who waits for memory holds none.
                        let length = most.min(bytes.len() as u64);
                        drop(bytes);
                        had = Some((self.shared.more_room(length).await?, length));
                        continue;
                    };
                    let bytes = first(&bytes, length);
                    room.shrink(bytes.len() as u64);
                    return Ok(Ok(Chunk::bytes(bytes, Arc::new(room))));
                }
            };
            had = None;
            let start = written.range().start;
            match self.piece(written).await {
                Ok(piece) => {
                    let skipped = usize::try_from(at - start).expect("pieces are short");
                    return Ok(Ok(first(&piece.bytes().slice(skipped..), most)));
                }
                Err(NotRead::NoBudget(_)) if waits < MOST_WAITS => waits += 1,
                Err(NotRead::NoBudget(error)) => return Err(error),
                // Another may have read it where it was a moment ago.
                Err(NotRead::Fetch) if !is_unread => is_unread = true,
                Err(NotRead::Fetch) => return Ok(Err(ReadError::Aborted("what is written can't be read".to_owned()))),
            }
        }
    }

    /// A piece that is written, read once for all who want it now.
    async fn piece(&self, written: Written) -> Result<Piece, NotRead> {
        let key = written.hash();
        if let Some(held) = self.shared.hot.get(&key) {
            return Ok(held);
        }
        let shared = self.shared.clone();
        let read = || async move {
            let Range { start, end } = *written.range();
            let room = shared.hot.room_for(end - start).await.map_err(NotRead::NoBudget)?;
            let bytes = written.read().await.map_err(|_| NotRead::Fetch)?;
            Ok(shared.hot.put(key, bytes.into(), room))
        };
        self.shared.reads.run(key, read).await.unwrap_or(Err(NotRead::Fetch))
    }
}

/// No more than so many of these bytes.
fn first(bytes: &Bytes, most: u64) -> Bytes {
    bytes.slice(..usize::try_from(most).unwrap_or(usize::MAX).min(bytes.len()))
}
