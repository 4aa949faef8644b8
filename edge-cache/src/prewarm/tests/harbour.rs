//! A repository in memory, which is as it is told to be.

use std::{
    collections::HashMap,
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
use longshore_client::FetchedManifest;
use longshore_oci::{Algorithm, Digest, Reference, media_type};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::{
    error::Error,
    grants::{Denied, What},
    piece::PieceHashes,
    prewarm::{Image, Images, NoImage, Repository},
    source::{Reading, Source, SourceError},
    supply::{Sender, Supplier},
    upstream::{Pause, UpstreamError},
};

/// A repository whose images and blobs are in memory.
#[derive(Default)]
pub(super) struct Harbour {
    pub(super) manifests: Mutex<HashMap<String, FetchedManifest>>,
    pub(super) blobs: Mutex<HashMap<Digest, Bytes>>,
    pub(super) vouches: AtomicBool,
    /// What was asked for of blobs, in turn.
    pub(super) asked: Mutex<Vec<(Digest, Range<u64>)>>,
    /// What rights were learned of, in turn.
    pub(super) learned: Mutex<Vec<Digest>>,
    /// What neighbours were told of, in turn.
    pub(super) shared: Mutex<Vec<Digest>>,
    /// While it has none, blobs wait.
    pub(super) gate: Gate,
    /// How often it is still left alone when it is asked for a manifest.
    pub(super) away_for_manifests: AtomicUsize,
    /// The same of a blob.
    pub(super) away_for_blobs: AtomicUsize,
}

pub(super) struct Gate(Semaphore);

impl Default for Gate {
    fn default() -> Self {
        Self(Semaphore::new(1 << 20))
    }
}

impl Harbour {
    pub(super) fn blob(&self, size: u64, seed: u8) -> (Digest, u64) {
        let bytes: Bytes = (0..size).map(|place| u8::try_from(place % 251).unwrap() ^ seed).collect();
        let digest = Digest::of(Algorithm::Sha256, &bytes);
        self.blobs.lock().unwrap().insert(digest.clone(), bytes);
        (digest, size)
    }

    pub(super) fn manifest(&self, tag: Option<&str>, media_type: &str, json: &Value) -> Digest {
        let content: Bytes = json.to_string().into();
        let digest = Digest::of(Algorithm::Sha256, &content);
        let manifest = FetchedManifest { digest: digest.clone(), media_type: media_type.to_owned(), content };
        let mut manifests = self.manifests.lock().unwrap();
        for name in tag.into_iter().chain([digest.as_str()]) {
            manifests.insert(name.to_owned(), manifest.clone());
        }
        digest
    }

    pub(super) fn image(&self, tag: Option<&str>, blobs: &[(Digest, u64)]) -> Digest {
        let descriptor = |(digest, size): &(Digest, u64)| json!({ "mediaType": "x", "digest": digest, "size": size });
        let layers: Vec<_> = blobs[1..].iter().map(descriptor).collect();
        let json = json!({ "schemaVersion": 2, "config": descriptor(&blobs[0]), "layers": layers });
        self.manifest(tag, media_type::OCI_MANIFEST, &json)
    }

    pub(super) fn index(&self, tag: &str, images: &[(&Digest, &str)]) -> Digest {
        let entry = |(digest, architecture): &(&Digest, &str)| {
            let platform = json!({ "os": "linux", "architecture": architecture });
            json!({ "mediaType": media_type::OCI_MANIFEST, "digest": digest, "size": 1, "platform": platform })
        };
        let manifests: Vec<_> = images.iter().map(entry).collect();
        self.manifest(Some(tag), media_type::OCI_INDEX, &json!({ "schemaVersion": 2, "manifests": manifests }))
    }

    /// How many bytes of a blob were asked for.
    pub(super) fn asked_of(&self, digest: &Digest) -> u64 {
        let asked = self.asked.lock().unwrap();
        asked.iter().filter(|(of, _)| of == digest).map(|(_, range)| range.end - range.start).sum()
    }

    /// That it is left alone, where it is.
    pub(super) fn answers(away: &AtomicUsize) -> Result<(), UpstreamError> {
        let is_away = away.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
        if is_away { Err(Self::left_alone()) } else { Ok(()) }
    }

    pub(super) fn left_alone() -> UpstreamError {
        UpstreamError::Paused { upstream: "harbour".into(), reason: Pause::Failing, retry_after: Duration::from_millis(10) }
    }

    pub(super) fn shut(&self) {
        self.gate.0.forget_permits(1 << 20);
    }

    pub(super) fn open(&self) {
        self.gate.0.add_permits(1 << 20);
    }
}

#[derive(Clone)]
pub(super) struct Port(pub(super) Arc<Harbour>);

impl Images for Port {
    fn find(&self, image: &str) -> Result<Image, NoImage> {
        let reference = image.strip_prefix("app:").ok_or("there is no such repository")?.parse()?;
        Ok(Image { repository: Arc::new(self.clone()), blobs: Arc::new(self.clone()), reference })
    }
}

#[async_trait]
impl Repository for Port {
    async fn manifest(&self, reference: &Reference) -> Result<FetchedManifest, NoImage> {
        let is_dead = reference.as_str().starts_with("dead");
        let answers = if is_dead { Err(Harbour::left_alone()) } else { Harbour::answers(&self.0.away_for_manifests) };
        answers.map_err(|error| Error::Denied(Denied::Upstream(error)))?;
        let found = self.0.manifests.lock().unwrap().get(reference.as_str()).cloned();
        found.ok_or_else(|| "there is no such manifest".into())
    }

    async fn learn_right(&self, what: &What) {
        self.0.learned.lock().unwrap().push(what.digest().clone());
    }

    async fn share(&self, digest: &Digest) {
        self.0.shared.lock().unwrap().push(digest.clone());
    }
}

#[async_trait]
impl Source for Port {
    fn name(&self) -> &'static str {
        "harbour"
    }

    async fn vouched(&self, digest: &Digest) -> Result<Option<(u64, PieceHashes)>, SourceError> {
        let content = self.content(digest)?;
        let hashes: Vec<u8> = content.chunks(1 << 20).flat_map(|piece| *blake3::hash(piece).as_bytes()).collect();
        let hashes = PieceHashes::from_bytes(&hashes).unwrap();
        Ok(self.0.vouches.load(Ordering::SeqCst).then_some((content.len() as u64, hashes)))
    }

    async fn read(&self, digest: &Digest, range: Option<Range<u64>>) -> Result<Reading, SourceError> {
        let content = self.content(digest)?;
        let range = range.unwrap_or(0..content.len() as u64);
        self.0.asked.lock().unwrap().push((digest.clone(), range.clone()));
        let bytes = content.slice(usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap());
        let (harbour, size_bytes) = (self.0.clone(), content.len() as u64);
        let chunks: Vec<_> = bytes.chunks(100_003).map(Bytes::copy_from_slice).collect();
        let stream = stream::iter(chunks).then(move |chunk| {
            let harbour = harbour.clone();
            async move {
                harbour.gate.0.acquire().await.unwrap().forget();
                Ok(chunk)
            }
        });
        let sender = Sender::new(Supplier::Registry);
        Ok(Reading { size_bytes, is_ranged: true, sender, stream: stream.boxed() })
    }
}

/// The same by another address.
pub(super) struct Neighbour(pub(super) Port);

#[async_trait]
impl Source for Neighbour {
    fn name(&self) -> &'static str {
        "neighbour"
    }

    async fn vouched(&self, digest: &Digest) -> Result<Option<(u64, PieceHashes)>, SourceError> {
        self.0.vouched(digest).await
    }

    async fn read(&self, digest: &Digest, range: Option<Range<u64>>) -> Result<Reading, SourceError> {
        self.0.read(digest, range).await
    }
}

impl Port {
    pub(super) fn content(&self, digest: &Digest) -> Result<Bytes, SourceError> {
        Harbour::answers(&self.0.away_for_blobs)?;
        let wrong = || SourceError::Wrong { name: "harbour".into(), digest: digest.clone(), reason: "it is gone".into() };
        self.0.blobs.lock().unwrap().get(digest).cloned().ok_or_else(wrong)
    }
}
