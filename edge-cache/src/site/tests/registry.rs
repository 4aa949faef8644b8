//! The registry behind a site, which counts what it sends.

use std::{
    collections::HashMap,
    ops::Range,
    sync::{
        Arc, LazyLock, Mutex, Weak,
        atomic::{AtomicUsize, Ordering},
    },
};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::StatusCode;
use longshore_oci::{Algorithm, Digest, media_type};
use tokio::sync::watch;

use crate::{
    error::Error,
    grants::Denied,
    piece::{PIECE_BYTES, PieceHashes},
    source::{Reading, SharedSource, Source, SourceError},
    supply::{Sender, Supplier},
    tags::Manifest,
    upstream::{Identity, UpstreamError},
};

/// How much it sends at once: no divisor of a piece.
const CHUNK: usize = 100_003;

/// All there are, by the blob that each has: edges know them by that.
static ALL: LazyLock<Mutex<HashMap<Digest, Weak<Registry>>>> = LazyLock::new(Mutex::default);
/// Tells the blobs of one from those of another.
static COUNT: AtomicUsize = AtomicUsize::new(0);

/// One that has one blob.
pub struct Registry {
    digest: Digest,
    content: Bytes,
    vouches: bool,
    sent: AtomicUsize,
    vouched: AtomicUsize,
    /// How much is sent before it waits.
    limit: watch::Sender<usize>,
    waits: watch::Sender<bool>,
}

impl Registry {
    /// One of a blob that is so long.
    pub fn of(size: usize, vouches: bool) -> Arc<Self> {
        let number = COUNT.fetch_add(1, Ordering::SeqCst);
        let content: Vec<u8> =
            (0..size).map(|place| u8::try_from((place * 31 + place / 977 + number * 7) % 251).unwrap()).collect();
        let registry = Arc::new(Self {
            digest: Digest::of(Algorithm::Sha256, &content),
            content: content.into(),
            vouches,
            sent: AtomicUsize::default(),
            vouched: AtomicUsize::default(),
            limit: watch::channel(usize::MAX).0,
            waits: watch::channel(false).0,
        });
        ALL.lock().unwrap().insert(registry.digest(), Arc::downgrade(&registry));
        registry
    }

    pub fn digest(&self) -> Digest {
        self.digest.clone()
    }

    pub fn content(&self) -> Bytes {
        self.content.clone()
    }

    pub fn sent_bytes(&self) -> usize {
        self.sent.load(Ordering::SeqCst)
    }

    pub fn was_asked_to_vouch(&self) -> usize {
        self.vouched.load(Ordering::SeqCst)
    }

    /// Sends so much of it, and then waits.
    pub fn hold_after(&self, bytes: usize) {
        self.limit.send_replace(bytes);
    }

    /// Until it waits.
    pub async fn is_held(&self) {
        self.waits.subscribe().wait_for(|waits| *waits).await.unwrap();
    }

    pub fn go_on(&self) {
        self.limit.send_replace(usize::MAX);
    }

    async fn send(&self, bytes: Bytes) -> Bytes {
        let mut limit = self.limit.subscribe();
        let sent = self.sent_bytes();
        if sent + bytes.len() > *limit.borrow() {
            self.waits.send_replace(true);
        }
        limit.wait_for(|limit| sent + bytes.len() <= *limit).await.unwrap();
        self.sent.fetch_add(bytes.len(), Ordering::SeqCst);
        bytes
    }
}

/// Whichever registry has a blob, as somebody asks it.
pub struct AsCaller(pub Identity);

impl AsCaller {
    pub fn shared(identity: Identity) -> SharedSource {
        Arc::new(Self(identity))
    }

    fn registry(&self, digest: &Digest) -> Result<Arc<Registry>, SourceError> {
        if matches!(&self.0, Identity::Caller(authorization) if authorization == "Bearer stranger") {
            return Err(refused(StatusCode::UNAUTHORIZED));
        }
        let registry = ALL.lock().unwrap().get(digest).and_then(Weak::upgrade);
        registry.ok_or_else(|| refused(StatusCode::NOT_FOUND))
    }

    /// What a registry has, as if it were a manifest.
    pub fn manifest(&self, digest: &Digest) -> Result<Manifest, Error> {
        let registry = self.registry(digest).map_err(|error| match error {
            SourceError::Upstream(error) => Error::Denied(Denied::Upstream(error)),
            _ => Error::Overloaded,
        })?;
        registry.sent.fetch_add(registry.content.len(), Ordering::SeqCst);
        Ok(Manifest { bytes: registry.content(), media_type: media_type::OCI_MANIFEST.into(), was_here: false })
    }
}

fn refused(status: StatusCode) -> SourceError {
    let (errors, retry_after, challenge) = (Vec::new(), None, None);
    SourceError::Upstream(UpstreamError::Refused { upstream: "registry".into(), status, errors, retry_after, challenge })
}

#[async_trait]
impl Source for AsCaller {
    fn name(&self) -> &'static str {
        "registry"
    }

    async fn vouched(&self, digest: &Digest) -> Result<Option<(u64, PieceHashes)>, SourceError> {
        if let Some(registry) = ALL.lock().unwrap().get(digest).and_then(Weak::upgrade) {
            registry.vouched.fetch_add(1, Ordering::SeqCst);
        }
        let registry = self.registry(digest)?;
        let pieces = registry.content.chunks(usize::try_from(PIECE_BYTES).unwrap());
        let hashes: Vec<u8> = pieces.flat_map(|piece| *blake3::hash(piece).as_bytes()).collect();
        let hashes = PieceHashes::from_bytes(&hashes).unwrap();
        Ok(registry.vouches.then_some((registry.content.len() as u64, hashes)))
    }

    async fn read(&self, digest: &Digest, range: Option<Range<u64>>) -> Result<Reading, SourceError> {
        let registry = self.registry(digest)?;
        let size_bytes = registry.content.len() as u64;
        let range = range.unwrap_or(0..size_bytes);
        let within = usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap();
        let bytes = registry.content.slice(within);
        let chunks: Vec<_> = (0..bytes.len()).step_by(CHUNK).map(|at| bytes.slice(at..bytes.len().min(at + CHUNK))).collect();
        let stream = stream::iter(chunks).then(move |chunk| {
            let registry = registry.clone();
            async move { Ok(registry.send(chunk).await) }
        });
        let sender = Sender::new(Supplier::Registry);
        Ok(Reading { size_bytes, is_ranged: true, sender, stream: stream.boxed() })
    }
}
