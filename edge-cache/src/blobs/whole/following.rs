//! One who reads a blob behind whoever takes it in.

use std::{future::ready, io, ops::Range, sync::Arc};

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream, stream::BoxStream};
use longshore_oci::Digest;
use longshore_service::budget::NoBudget;

use super::{Ended, Whole};
use crate::{
    blobs::{BlobBody, MOST_WAITS, Shared, chunk::Chunk, disk::NotRead, passing, prefix::Prefix},
    hot::{Piece, Room},
    piece::PIECE_BYTES,
    source::SharedSource,
    store::{ReadError, There, Written},
};

/// How much a reader takes at once, in bytes.
const CHUNK_BYTES: u64 = PIECE_BYTES;

impl Whole {
    /// A range of it, read behind the writer.
    pub fn body(self, shared: &Arc<Shared>, digest: &Digest, source: SharedSource, range: Range<u64>) -> BlobBody {
        let is_first = self.join(&source);
        let length_bytes = range.end - range.start;
        let reading = Following { shared: shared.clone(), digest: digest.clone(), source, whole: self, is_first, range };
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
    /// Whether it comes for this one, and not for another before.
    is_first: bool,
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
                self.count(bytes.len() as u64);
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

    /// Counts so much as handed on.
    fn count(&self, bytes: u64) {
        let (name, metrics) = ([self.source.name()], &self.shared.metrics);
        metrics.served_bytes.with_label_values(&name).inc_by(bytes);
        if !self.is_first {
            metrics.hit_bytes.with_label_values(&name).inc_by(bytes);
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
        self.shared.reads.run_once(key, read).await.unwrap_or(Err(NotRead::Fetch))
    }
}

/// No more than so many of these bytes.
fn first(bytes: &Bytes, most: u64) -> Bytes {
    bytes.slice(..usize::try_from(most).unwrap_or(usize::MAX).min(bytes.len()))
}
