//! A blob that there is no room for, and that nobody vouches for: passed on to one reader as it comes. All of it is read and hashed,
//! whatever the range, and the range's end is held back until it was found right.
//!
//! A reader that is behind does not hold the source up, which has few places for such answers: what comes is let go, and the source is
//! asked for the rest later, a piece at a time. One that would send all of the blob each time is held up instead.

use std::{
    collections::VecDeque,
    future::ready,
    io,
    ops::Range,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream, stream::BoxStream};
use http_body_util::BodyExt as _;
use longshore_oci::{Digest, Hasher, RangeRequest};

use super::{
    BlobBody, OpenError, Opened, Shared, Was,
    begun::Begun,
    chunk::Chunk,
    lapsing::{BEHIND, Lapsing},
    prefix::Prefix,
    resuming::Resuming,
};
use crate::{
    hot::Room,
    piece::PIECE_BYTES,
    source::{Reading, SharedSource, SourceError},
};

/// What a range has of bytes that begin at `start`.
fn part(chunk: &Bytes, start: u64, range: &Range<u64>) -> Bytes {
    let end = start + chunk.len() as u64;
    let within = |at: u64| usize::try_from(at.clamp(start, end) - start).expect("no longer than these bytes");
    chunk.slice(within(range.start)..within(range.end))
}

/// A range of a blob, as the source sends it, or has begun to.
pub async fn open(
    shared: &Arc<Shared>,
    digest: &Digest,
    source: SharedSource,
    begun: &Begun,
    range: RangeRequest,
) -> Result<Opened, OpenError> {
    let (reading, room) = match begun.take() {
        Some(begun) => begun,
        None => (shared.read(digest, &source, None).await?, shared.hot.room_for(PIECE_BYTES).await?),
    };
    let mut passing = Passing::new(shared, digest, source, Prefix::none(), reading, room)?;
    let size_bytes = passing.size_bytes;
    let range = match range {
        RangeRequest::Whole => 0..size_bytes,
        RangeRequest::Part(part) => part.of(size_bytes).ok_or(OpenError::RangeNotSatisfiable { size_bytes })?,
    };
    passing.range = range.clone();
    let body = BlobBody::new(passing.into_stream(), range.end - range.start);
    Ok(Opened { size_bytes, range, body, was: Was::Miss })
}

/// Reads all of a blob for nobody: what is right, and here by others, is known to be this source's too.
pub async fn read_through(shared: &Arc<Shared>, digest: &Digest, source: SharedSource, begun: &Begun) -> Result<(), OpenError> {
    let Opened { body, .. } = open(shared, digest, source, begun, RangeRequest::Whole).await?;
    // What is wrong was told where it was found.
    body.into_data_stream().try_for_each(|_| ready(Ok(()))).await.map_err(|_| OpenError::GaveUp(digest.clone()))
}

/// The same as a stream, for one who had the bytes before it from elsewhere: both are to be of one content.
pub async fn stream(
    shared: &Arc<Shared>,
    digest: &Digest,
    source: SharedSource,
    range: Range<u64>,
    prefix: Prefix,
) -> Result<BoxStream<'static, io::Result<Bytes>>, OpenError> {
    let reading = shared.read_on(digest, &source, None).await?;
    let room = shared.more_room(PIECE_BYTES).await?;
    let passing = Passing::new(shared, digest, source, prefix, reading, room)?;
    Ok(Passing { range, ..passing }.into_stream())
}

impl Shared {
    /// A source has shown that it has all of a blob, as others may have before it.
    async fn note_shown(&self, digest: &Digest, source: &SharedSource) {
        let _turn = self.turn(digest).await;
        if self.store.peek(digest).is_some() && self.provenance.is_whole_checked(digest) {
            self.provenance.add(digest, &source.address());
        }
    }
}

type SourceStream = BoxStream<'static, Result<Bytes, SourceError>>;

struct Passing {
    shared: Arc<Shared>,
    digest: Digest,
    source: SharedSource,
    /// Where it comes from, while it is read from; no longer once a reader was behind, or it broke off.
    stream: Option<SourceStream>,
    /// The same while the reader is busy with what it was handed, and since when it is.
    parked: Option<(Lapsing<SourceStream>, Instant)>,
    /// For how long the reader may still be, until it has had a piece more.
    patience: Duration,
    /// What came at once for a reader that was behind.
    came: VecDeque<Bytes>,
    resuming: Resuming,
    /// Whether the source sends no more than it is asked for, as far as is known.
    is_ranged: bool,
    size_bytes: u64,
    hasher: Hasher,
    prefix: Prefix,
    taken: u64,
    /// What is to be sent, and is so near the end that the digest is waited for.
    held_back: VecDeque<Bytes>,
    /// The memory of what is in hand, held back or handed to the client, which is no more than a piece.
    room: Arc<Room>,
    /// What is still to be sent of what is still to come.
    range: Range<u64>,
}

impl Passing {
    fn new(
        shared: &Arc<Shared>,
        digest: &Digest,
        source: SharedSource,
        prefix: Prefix,
        Reading { size_bytes, stream, .. }: Reading,
        room: Room,
    ) -> Result<Self, OpenError> {
        shared.metrics.not_kept.inc();
        shared.require_content(digest, &source, size_bytes)?;
        Ok(Self {
            hasher: Hasher::new(digest.algorithm()),
            shared: shared.clone(),
            digest: digest.clone(),
            source,
            stream: Some(stream),
            parked: None,
            patience: BEHIND,
            came: VecDeque::new(),
            resuming: Resuming::default(),
            is_ranged: true,
            size_bytes,
            prefix,
            taken: 0,
            held_back: VecDeque::new(),
            room: Arc::new(room),
            range: 0..0,
        })
    }

    fn into_stream(self) -> BoxStream<'static, io::Result<Bytes>> {
        stream::try_unfold(self, |mut passing| async move { Ok(passing.next().await?.map(|bytes| (bytes, passing))) }).boxed()
    }

    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        if let Some((parked, handed_at)) = self.parked.take() {
            self.patience = self.patience.saturating_sub(handed_at.elapsed());
            self.stream = parked.take();
        }
        loop {
            if self.taken == self.size_bytes
                && let Some(bytes) = self.held_back.pop_front()
            {
                return Ok(Some(self.served(bytes)));
            }
            if self.range.is_empty() && self.held_back.is_empty() {
                return Ok(None);
            }
            let chunk = self.chunk().await?;
            let start = self.taken;
            self.taken += chunk.len() as u64;
            if start / PIECE_BYTES < self.taken / PIECE_BYTES {
                self.patience = BEHIND;
            }
            if self.taken > self.size_bytes {
                return Err(self.wrong(format!("there is more of it than {} bytes", self.size_bytes)));
            }
            self.hasher.update(&chunk);
            self.prefix.update(&chunk);
            if self.taken == self.size_bytes {
                self.stream = None;
                let actual = self.hasher.digest();
                if actual != self.digest {
                    return Err(self.wrong(format!("its digest is {actual}")));
                }
                if !self.prefix.is_right() {
                    return Err(self.wrong("it was something else before".to_owned()));
                }
                self.shared.note_shown(&self.digest, &self.source).await;
            }
            let wanted = part(&chunk, start, &self.range);
            self.range.start = self.range.start.max(self.taken).min(self.range.end);
            if wanted.is_empty() {
                continue;
            }
            if !self.range.is_empty() && self.taken + PIECE_BYTES <= self.size_bytes {
                if self.is_ranged {
                    self.parked = self.stream.take().map(|stream| (Lapsing::new(stream, self.patience), Instant::now()));
                }
                return Ok(Some(self.served(wanted)));
            }
            self.held_back.push_back(wanted);
        }
    }

    /// What comes next; where the source breaks off it is asked to go on from there.
    async fn chunk(&mut self) -> io::Result<Bytes> {
        loop {
            if let Some(bytes) = self.came.pop_front() {
                return Ok(bytes);
            }
            let Some(stream) = &mut self.stream else {
                self.next_piece().await?;
                continue;
            };
            match stream.next().await {
                Some(Ok(bytes)) => return Ok(bytes),
                Some(Err(error)) => self.go_on_after(Some(error)).await?,
                None => self.go_on_after(None).await?,
            }
        }
    }

    /// Asks for no more than a piece, which is taken as fast as it comes; or for all the rest, of a source that knows no ranges.
    async fn next_piece(&mut self) -> io::Result<()> {
        let mut at = self.taken;
        let end = if self.is_ranged { self.size_bytes.min(at + PIECE_BYTES) } else { self.size_bytes };
        let reading = match self.shared.read_on(&self.digest, &self.source, Some(at..end)).await {
            Ok(reading) => reading,
            Err(error) => return self.go_on_after(Some(error)).await,
        };
        let Reading { size_bytes, is_ranged, mut stream, .. } = reading;
        if size_bytes != self.size_bytes {
            return Err(self.wrong(format!("it is said to have {size_bytes} bytes, and {} before", self.size_bytes)));
        }
        self.is_ranged &= is_ranged;
        if !self.is_ranged {
            // By pieces, it would send what is before each of them again.
            self.stream = (end == size_bytes).then_some(stream);
            return Ok(());
        }
        while at < end {
            match stream.next().await {
                Some(Ok(chunk)) => {
                    at += chunk.len() as u64;
                    self.came.push_back(chunk);
                }
                Some(Err(error)) => return self.go_on_after(Some(error)).await,
                None => return self.go_on_after(None).await,
            }
        }
        Ok(())
    }

    /// Waits until a source that broke off may be asked to go on; an error where it has done so too often.
    async fn go_on_after(&mut self, error: Option<SourceError>) -> io::Result<()> {
        self.stream = None;
        let at = self.taken + self.came.iter().map(|bytes| bytes.len() as u64).sum::<u64>();
        if self.resuming.goes_on(at, error.as_ref(), self.shared.settings.attempts).await {
            return Ok(());
        }
        Err(error.map_or_else(|| self.wrong(format!("it broke off after {at} bytes")), io::Error::other))
    }

    fn served(&self, bytes: Bytes) -> Bytes {
        self.shared.metrics.served_bytes.with_label_values(&[self.source.name()]).inc_by(bytes.len() as u64);
        Chunk::bytes(bytes, self.room.clone())
    }

    fn wrong(&self, reason: String) -> io::Error {
        io::Error::other(self.shared.wrong(&self.source, &self.digest, reason))
    }
}
