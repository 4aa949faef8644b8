//! A source that does what it is told to.

use std::{
    ops::Range,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::StatusCode;
use longshore_oci::{Algorithm, Digest};
use tokio::sync::Semaphore;

use crate::{
    piece::PieceHashes,
    source::{Reading, Source, SourceError},
    supply::{Sender, Supplier},
    upstream::{Identity, UpstreamError},
};

/// Has one blob, and does what it is told to.
pub(super) struct Scripted {
    pub(super) content: Bytes,
    pub(super) vouches: AtomicBool,
    /// What is wrong with the bytes it sends: at this place, one of them.
    pub(super) lies_at: Mutex<Option<usize>>,
    /// Where the next answers break off, counted from the blob's start, each once.
    pub(super) breaks_at: Mutex<Vec<usize>>,
    /// Refuses the next, as one who may not.
    pub(super) refuses: AtomicBool,
    /// How many of the next requests find it away.
    pub(super) away: AtomicUsize,
    /// How many answers are being sent.
    pub(super) answering: AtomicUsize,
    /// Whether others wait to ask it.
    pub(super) is_waited_for: AtomicBool,
    /// How many chunks may be sent.
    pub(super) chunks: Semaphore,
    pub(super) asked: Mutex<Vec<Range<u64>>>,
    pub(super) vouched: AtomicUsize,
    pub(super) name: &'static str,
    /// What it says that it has; its content may be something else.
    pub(super) says: Digest,
}

/// Its name, and address, where a test gives it no other.
pub(super) const SCRIPTED: &str = "scripted";
/// How much it sends at once: no divisor of a piece.
pub(super) const CHUNK: usize = 100_003;

impl Scripted {
    pub(super) fn of(size: usize, vouches: bool) -> Arc<Self> {
        let content: Vec<u8> = (0..size).map(|place| u8::try_from((place * 31 + place / 977) % 251).unwrap()).collect();
        Arc::new(Self {
            says: Digest::of(Algorithm::Sha256, &content),
            content: content.into(),
            vouches: vouches.into(),
            lies_at: Mutex::default(),
            breaks_at: Mutex::default(),
            refuses: false.into(),
            away: AtomicUsize::new(0),
            answering: AtomicUsize::new(0),
            is_waited_for: false.into(),
            chunks: Semaphore::new(1 << 20),
            asked: Mutex::default(),
            vouched: AtomicUsize::new(0),
            name: SCRIPTED,
        })
    }

    /// One of another name that has the same, or says so and has something else.
    pub(super) fn other(of: &Arc<Self>, name: &'static str, vouches: bool, is_honest: bool) -> Arc<Self> {
        let mut other = Arc::into_inner(Self::of(of.content.len(), vouches)).unwrap();
        other.name = name;
        if !is_honest {
            other.content = other.content.iter().map(|byte| !byte).collect::<Vec<u8>>().into();
        }
        other.says = of.digest();
        Arc::new(other)
    }

    pub(super) fn digest(&self) -> Digest {
        self.says.clone()
    }

    pub(super) fn asked(&self) -> Vec<Range<u64>> {
        self.asked.lock().unwrap().clone()
    }
}

#[async_trait]
impl Source for Arc<Scripted> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn is_waited_for(&self) -> bool {
        self.is_waited_for.load(Ordering::SeqCst)
    }

    async fn vouched(&self, _: &Digest) -> Result<Option<(u64, PieceHashes)>, SourceError> {
        self.vouched.fetch_add(1, Ordering::SeqCst);
        let hashes: Vec<u8> = self.content.chunks(1 << 20).flat_map(|piece| *blake3::hash(piece).as_bytes()).collect();
        let vouches = self.vouches.load(Ordering::SeqCst);
        Ok(vouches.then(|| (self.content.len() as u64, PieceHashes::from_bytes(&hashes).unwrap())))
    }

    async fn read(&self, _: &Digest, range: Option<Range<u64>>) -> Result<Reading, SourceError> {
        if self.refuses.swap(false, Ordering::SeqCst) {
            tokio::time::sleep(Duration::from_millis(50)).await;
            return Err(refused());
        }
        if self.away.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |times| times.checked_sub(1)).is_ok() {
            return Err(SourceError::Wrong { name: self.name.into(), digest: self.digest(), reason: "it is away".into() });
        }
        let size_bytes = self.content.len() as u64;
        let range = range.unwrap_or(0..size_bytes);
        self.asked.lock().unwrap().push(range.clone());
        let (start, end) = (usize::try_from(range.start).unwrap(), usize::try_from(range.end).unwrap());
        let mut bytes = self.content[start..end].to_vec();
        if let Some(place) = *self.lies_at.lock().unwrap()
            && (start..end).contains(&place)
        {
            bytes[place - start] ^= 1;
        }
        let breaks = {
            let mut breaks = self.breaks_at.lock().unwrap();
            let found = breaks.iter().position(|place| (start..end).contains(place));
            found.map(|found| breaks.remove(found) - start)
        };
        let mut chunks: Vec<Result<Bytes, SourceError>> = Vec::new();
        for chunk in bytes[..breaks.unwrap_or(bytes.len())].chunks(CHUNK) {
            chunks.push(Ok(Bytes::copy_from_slice(chunk)));
        }
        let answer = Arc::new(Answering::new(self));
        let stream = stream::iter(chunks).then(move |chunk| {
            let this = answer.0.clone();
            async move {
                this.chunks.acquire().await.unwrap().forget();
                chunk
            }
        });
        let sender = Sender::new(Supplier::Registry);
        Ok(Reading { size_bytes, is_ranged: true, sender, stream: stream.boxed() })
    }
}

/// The same, as somebody who may have asked too often.
pub(super) struct Caller {
    pub(super) source: Arc<Scripted>,
    pub(super) identity: Identity,
    pub(super) is_limited: bool,
}

#[async_trait]
impl Source for Caller {
    fn name(&self) -> &str {
        self.source.name
    }

    fn caller(&self) -> Option<&Identity> {
        Some(&self.identity)
    }

    async fn vouched(&self, digest: &Digest) -> Result<Option<(u64, PieceHashes)>, SourceError> {
        if self.is_limited {
            tokio::time::sleep(Duration::from_millis(50)).await;
            return Err(refused_with(StatusCode::TOO_MANY_REQUESTS));
        }
        self.source.vouched(digest).await
    }

    async fn read(&self, digest: &Digest, range: Option<Range<u64>>) -> Result<Reading, SourceError> {
        self.source.read(digest, range).await
    }
}

/// An answer that is being sent.
struct Answering(Arc<Scripted>);

impl Answering {
    pub(super) fn new(source: &Arc<Scripted>) -> Self {
        source.answering.fetch_add(1, Ordering::SeqCst);
        Self(source.clone())
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.answering.fetch_sub(1, Ordering::SeqCst);
    }
}

pub(super) fn refused() -> SourceError {
    refused_with(StatusCode::UNAUTHORIZED)
}

pub(super) fn refused_with(status: StatusCode) -> SourceError {
    SourceError::Upstream(UpstreamError::Refused {
        upstream: "scripted".into(),
        status,
        errors: Vec::new(),
        retry_after: None,
        challenge: None,
    })
}
