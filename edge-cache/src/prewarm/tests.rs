//! Images of a repository in memory, prewarmed into a store on disk.

use std::{
    collections::{BTreeMap, HashMap},
    ops::Range,
    slice,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use axum::body::Body;
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::{Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use jiff::Timestamp;
use longshore_client::FetchedManifest;
use longshore_oci::{Algorithm, Digest, RangeRequest, Reference, media_type};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::*;
use crate::{
    blobs::{BlobMetrics, BlobSettings},
    error::Error,
    grants::{Denied, What},
    piece::{PIECE_BYTES, PieceHashes},
    source::{Reading, Source, SourceError},
    store::{StoreMetrics, StoreSettings},
    supply::{Sender, Supplier},
    upstream::{Pause, UpstreamError},
};

/// A repository whose images and blobs are in memory.
#[derive(Default)]
struct Harbour {
    manifests: Mutex<HashMap<String, FetchedManifest>>,
    blobs: Mutex<HashMap<Digest, Bytes>>,
    vouches: AtomicBool,
    /// What was asked for of blobs, in turn.
    asked: Mutex<Vec<(Digest, Range<u64>)>>,
    /// What rights were learned of, in turn.
    learned: Mutex<Vec<Digest>>,
    /// What neighbours were told of, in turn.
    shared: Mutex<Vec<Digest>>,
    /// While it has none, blobs wait.
    gate: Gate,
    /// How often it is still left alone when it is asked for a manifest.
    away_for_manifests: AtomicUsize,
    /// The same of a blob.
    away_for_blobs: AtomicUsize,
}

struct Gate(Semaphore);

impl Default for Gate {
    fn default() -> Self {
        Self(Semaphore::new(1 << 20))
    }
}

impl Harbour {
    fn blob(&self, size: u64, seed: u8) -> (Digest, u64) {
        let bytes: Bytes = (0..size).map(|place| u8::try_from(place % 251).unwrap() ^ seed).collect();
        let digest = Digest::of(Algorithm::Sha256, &bytes);
        self.blobs.lock().unwrap().insert(digest.clone(), bytes);
        (digest, size)
    }

    fn manifest(&self, tag: Option<&str>, media_type: &str, json: &Value) -> Digest {
        let content: Bytes = json.to_string().into();
        let digest = Digest::of(Algorithm::Sha256, &content);
        let manifest = FetchedManifest { digest: digest.clone(), media_type: media_type.to_owned(), content };
        let mut manifests = self.manifests.lock().unwrap();
        for name in tag.into_iter().chain([digest.as_str()]) {
            manifests.insert(name.to_owned(), manifest.clone());
        }
        digest
    }

    fn image(&self, tag: Option<&str>, blobs: &[(Digest, u64)]) -> Digest {
        let descriptor = |(digest, size): &(Digest, u64)| json!({ "mediaType": "x", "digest": digest, "size": size });
        let layers: Vec<_> = blobs[1..].iter().map(descriptor).collect();
        let json = json!({ "schemaVersion": 2, "config": descriptor(&blobs[0]), "layers": layers });
        self.manifest(tag, media_type::OCI_MANIFEST, &json)
    }

    fn index(&self, tag: &str, images: &[(&Digest, &str)]) -> Digest {
        let entry = |(digest, architecture): &(&Digest, &str)| {
            let platform = json!({ "os": "linux", "architecture": architecture });
            json!({ "mediaType": media_type::OCI_MANIFEST, "digest": digest, "size": 1, "platform": platform })
        };
        let manifests: Vec<_> = images.iter().map(entry).collect();
        self.manifest(Some(tag), media_type::OCI_INDEX, &json!({ "schemaVersion": 2, "manifests": manifests }))
    }

    /// How many bytes of a blob were asked for.
    fn asked_of(&self, digest: &Digest) -> u64 {
        let asked = self.asked.lock().unwrap();
        asked.iter().filter(|(of, _)| of == digest).map(|(_, range)| range.end - range.start).sum()
    }

    /// That it is left alone, where it is.
    fn answers(away: &AtomicUsize) -> Result<(), UpstreamError> {
        let is_away = away.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
        if is_away { Err(Self::left_alone()) } else { Ok(()) }
    }

    fn left_alone() -> UpstreamError {
        UpstreamError::Paused { upstream: "harbour".into(), reason: Pause::Failing, retry_after: Duration::from_millis(10) }
    }

    fn shut(&self) {
        self.gate.0.forget_permits(1 << 20);
    }

    fn open(&self) {
        self.gate.0.add_permits(1 << 20);
    }
}

#[derive(Clone)]
struct Port(Arc<Harbour>);

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
struct Neighbour(Port);

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
    fn content(&self, digest: &Digest) -> Result<Bytes, SourceError> {
        Harbour::answers(&self.0.away_for_blobs)?;
        let wrong = || SourceError::Wrong { name: "harbour".into(), digest: digest.clone(), reason: "it is gone".into() };
        self.0.blobs.lock().unwrap().get(digest).cloned().ok_or_else(wrong)
    }
}

struct Edge {
    port: Port,
    prewarm: Prewarm,
    blobs: Blobs,
    store: Store,
    tasks: TaskTracker,
    stop: CancellationToken,
    _folder: tempfile::TempDir,
}

impl Edge {
    fn new(vouches: bool, quota_bytes: u64, patience: Duration) -> Self {
        let port = Port(Arc::new(Harbour { vouches: vouches.into(), ..Harbour::default() }));
        let (folder, metrics, stop) = (tempfile::tempdir().unwrap(), Metrics::new(), CancellationToken::new());
        let settings = StoreSettings { sync_delay: Duration::from_millis(5), ..StoreSettings::new(folder.path(), quota_bytes) };
        let (store, keeper) = Store::open(settings, StoreMetrics::new(&metrics)).unwrap();
        tokio::spawn(keeper.run(stop.clone()));
        let settings = BlobSettings {
            hot_bytes: 8 << 20,
            in_flight_bytes: 16 << 20,
            budget_wait: Duration::from_secs(20),
            run_pieces: 4,
            read_ahead_pieces: 2,
            attempts: 2,
            gathering_idle: BlobSettings::GATHERING_IDLE,
        };
        let blobs = Blobs::new(store.clone(), settings, BlobMetrics::new(&metrics)).unwrap();
        let background = BackgroundSettings { pieces: 4, run_pieces: 2, patience };
        let settings = PrewarmSettings { background, most_running: 4, ..PrewarmSettings::default() };
        let (metrics, tasks, images) = (PrewarmMetrics::new(&metrics), TaskTracker::new(), Arc::new(port.clone()));
        let prewarm = Prewarm::new(settings, blobs.clone(), store.clone(), images, metrics, tasks.clone(), stop.clone());
        Self { port, prewarm, blobs, store, tasks, stop, _folder: folder }
    }

    fn roomy(vouches: bool) -> Self {
        Self::new(vouches, 1 << 30, Duration::from_millis(50))
    }

    fn begin(&self, images: &[&str], pin: Option<&str>) -> Arc<Operation> {
        let body = json!({ "images": images, "platforms": ["linux/amd64"], "pin": pin });
        let wish = Wish::parse(body.to_string().as_bytes(), 10, Timestamp::now()).unwrap();
        self.prewarm.begin(wish).unwrap()
    }

    /// With a deadline after so many milliseconds.
    fn begin_for(&self, images: &[&str], milliseconds: i64) -> Arc<Operation> {
        let deadline = Timestamp::from_millisecond(Timestamp::now().as_millisecond() + milliseconds).unwrap();
        let body = json!({ "images": images, "deadline": deadline }).to_string();
        self.prewarm.begin(Wish::parse(body.as_bytes(), 10, Timestamp::now()).unwrap()).unwrap()
    }

    /// Somebody pulls a manifest from there.
    fn pull(&self, digest: &Digest, source: SharedSource) {
        let FetchedManifest { digest, media_type, content } = self.port.0.manifests.lock().unwrap()[digest.as_str()].clone();
        self.prewarm.follow(&digest, &media_type, &content, source);
    }

    async fn done(&self, operation: &Operation) -> Arc<OperationView> {
        until(|| operation.is_over()).await;
        operation.view()
    }

    fn pinned(&self) -> Vec<Digest> {
        let ours = self.store.pins().into_iter().filter(|pin| pin.owner.starts_with("prewarm "));
        let mut pins: Vec<_> = ours.map(|pin| pin.digest).collect();
        pins.sort();
        pins.dedup();
        pins
    }

    fn is_here(&self, digest: &Digest) -> bool {
        self.store.peek(digest).is_some_and(|entry| entry.is_complete())
    }

    async fn ask(&self, method: Method, path: &str, accept: &str, body: &Value) -> (StatusCode, Bytes) {
        let request = Request::builder().method(method).uri(path).header("accept", accept);
        let request = request.body(Body::from(body.to_string())).unwrap();
        let response = api::answer(&self.prewarm, request).await.unwrap();
        let (parts, body) = response.into_parts();
        (parts.status, body.collect().await.unwrap().to_bytes())
    }
}

impl Drop for Edge {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn until(is_so: impl Fn() -> bool) {
    let waiting = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), waiting).await.expect("it comes to be so");
}

fn sorted<const N: usize>(digests: [&Digest; N]) -> Vec<Digest> {
    let mut digests = digests.map(Clone::clone).to_vec();
    digests.sort();
    digests
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_is_there_for_its_platform_and_pinned() {
    for vouches in [true, false] {
        let edge = Edge::roomy(vouches);
        let harbour = &edge.port.0;
        let (config, layer) = (harbour.blob(100, 1), harbour.blob(5 * PIECE_BYTES + 17, 2));
        let (other, shared) = (harbour.blob(3_000_000, 3), harbour.blob(1_500_000, 4));
        let amd64 = harbour.image(None, &[config.clone(), layer.clone(), shared.clone()]);
        let arm64 = harbour.image(None, slice::from_ref(&other));
        let index = harbour.index("v1", &[(&amd64, "amd64"), (&arm64, "arm64")]);
        let second = harbour.image(Some("v2"), &[config.clone(), shared.clone()]);
        let operation = edge.begin(&["app:v1", "app:v2"], Some("7d"));
        assert!(Arc::ptr_eq(&operation, &edge.begin(&["app:v2", "app:v1"], Some("168h"))), "the same is one operation");
        let view = edge.done(&operation).await;
        assert_eq!(view.state, State::Done, "{view:?}");
        let size = config.1 + layer.1 + shared.1;
        let all = Progress { bytes_done: size, bytes_total: size, pieces_done: 9, pieces_total: 9 };
        assert_eq!((view.progress, view.images[0].digest.as_ref()), (all, Some(&index)));
        assert_eq!(view.images[1].progress.bytes_done, config.1 + shared.1);
        for (digest, size) in [&config, &layer, &shared] {
            assert!(edge.is_here(digest));
            assert_eq!(harbour.asked_of(digest), *size, "once, vouched for: {vouches}");
        }
        assert_eq!(harbour.asked_of(&other.0), 0);
        let all = sorted([&index, &amd64, &second, &config.0, &layer.0, &shared.0]);
        assert_eq!(edge.pinned(), all);
        let learned = harbour.learned.lock().unwrap().clone();
        assert!(all.iter().all(|digest| learned.contains(digest)) && !learned.contains(&other.0), "who may have it is known");
        let told = harbour.shared.lock().unwrap().clone();
        assert!([&config, &layer, &shared].iter().all(|(blob, _)| told.contains(blob)) && !told.contains(&other.0));
        let pin = edge.store.pins().into_iter().find(|pin| pin.digest == layer.0).unwrap();
        let days = (pin.expires_at.unwrap().as_second() - Timestamp::now().as_second()) / 86_400;
        assert_eq!((pin.reason.as_str(), pin.image.as_deref(), pin.size_bytes), (operation.id(), Some("app:v1"), layer.1));
        assert!((6..=7).contains(&days), "{days}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_upstream_brought_is_had_from_this_one_too() {
    for vouches in [true, false] {
        let edge = Edge::roomy(vouches);
        let harbour = &edge.port.0;
        let layer = harbour.blob(3 * PIECE_BYTES + 5, 1);
        harbour.image(Some("a"), slice::from_ref(&layer));
        let neighbour = Arc::new(Neighbour(edge.port.clone()));
        let opened = edge.blobs.open(&layer.0, neighbour, RangeRequest::Whole).await.unwrap();
        opened.body.collect().await.unwrap();
        until(|| edge.is_here(&layer.0)).await;
        let view = edge.done(&edge.begin(&["app:a"], Some("1h"))).await;
        assert_eq!((view.state, view.progress.bytes_done), (State::Done, layer.1), "{view:?}");
        let asked = harbour.asked_of(&layer.0);
        assert_eq!(asked, if vouches { layer.1 } else { 2 * layer.1 }, "who is not vouched for shows what it has");
        assert_eq!(edge.done(&edge.begin(&["app:a"], Some("1h"))).await.state, State::Done);
        assert_eq!(harbour.asked_of(&layer.0), asked, "once");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_says_why_and_leaves_nothing_pinned() {
    let edge = Edge::roomy(true);
    let harbour = &edge.port.0;
    let (config, gone) = (harbour.blob(100, 1), harbour.blob(2_000_000, 2));
    harbour.image(Some("good"), slice::from_ref(&config));
    harbour.image(Some("bad"), &[config.clone(), gone.clone()]);
    harbour.image(Some("short"), &[(config.0.clone(), 99)]);
    let good = harbour.manifests.lock().unwrap()["good"].digest.clone();
    harbour.index("arm", &[(&good, "arm64")]);
    harbour.blobs.lock().unwrap().remove(&gone.0);
    let images = ["app:arm", "app:bad", "app:good", "app:none", "app:short", "other:1"];
    let view = edge.done(&edge.begin(&images, Some("1h"))).await;
    assert_eq!(view.state, State::Failed);
    let errors: BTreeMap<_, _> = view.images.iter().map(|image| (image.image.as_str(), image.error.as_deref())).collect();
    let says = |image: &str, words: &str| assert!(errors[image].unwrap().contains(words), "{:?}", errors[image]);
    says("app:arm", "it is not there for linux/amd64; it is for linux/arm64");
    says("app:bad", "it is gone");
    says("app:none", "manifest none can't be had: there is no such manifest");
    says("app:short", "has 100 bytes, and 99 by its manifest");
    says("other:1", "no such repository");
    assert_eq!(errors["app:good"], None);
    assert_eq!(edge.pinned(), sorted([&good, &config.0]));
}

#[tokio::test(flavor = "multi_thread")]
async fn pins_past_the_quota_are_refused() {
    let edge = Edge::new(true, 8 << 20, Duration::ZERO);
    let harbour = &edge.port.0;
    harbour.image(Some("a"), &[harbour.blob(3 << 20, 1)]);
    let large = harbour.blob(6 << 20, 2);
    harbour.image(Some("b"), slice::from_ref(&large));
    assert_eq!(edge.done(&edge.begin(&["app:a"], Some("1h"))).await.state, State::Done);
    let before = edge.pinned();
    let view = edge.done(&edge.begin(&["app:b"], Some("1h"))).await;
    let error = view.images[0].error.as_deref().unwrap();
    assert!(error.contains("can't be pinned") && error.contains("8388608"), "{error}");
    assert_eq!((edge.pinned(), harbour.asked_of(&large.0)), (before, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_room_it_fails_and_does_not_go_on_for_ever() {
    for vouches in [true, false] {
        let edge = Edge::new(vouches, 2 << 20, Duration::ZERO);
        edge.port.0.image(Some("a"), &[edge.port.0.blob(6 << 20, 1)]);
        let view = edge.done(&edge.begin(&["app:a"], None)).await;
        assert!(view.images[0].error.as_deref().unwrap().contains("no room"), "{:?}", view.images[0].error);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelled_it_ends_and_pins_nothing() {
    let edge = Edge::roomy(true);
    let harbour = &edge.port.0;
    harbour.image(Some("a"), &[harbour.blob(6 << 20, 1)]);
    harbour.shut();
    let operation = edge.begin(&["app:a"], Some("1h"));
    until(|| !edge.pinned().is_empty()).await;
    let path = format!("/v2/_longshore/operations/{}", operation.id());
    assert_eq!(edge.ask(Method::DELETE, &path, "*/*", &Value::Null).await.0, StatusCode::ACCEPTED);
    let view = edge.done(&operation).await;
    assert_eq!((view.state, view.images[0].state), (State::Cancelled, State::Cancelled));
    assert!(edge.pinned().is_empty());
    harbour.open();
    let again = edge.begin(&["app:a"], Some("1h"));
    assert_eq!((again.id() == operation.id(), edge.done(&again).await.state), (false, State::Done));
}

#[tokio::test(flavor = "multi_thread")]
async fn it_ends_with_the_edge_and_pins_nothing() {
    let edge = Edge::roomy(true);
    let harbour = &edge.port.0;
    harbour.image(Some("a"), &[harbour.blob(6 << 20, 1)]);
    harbour.shut();
    let operation = edge.begin(&["app:a"], Some("1h"));
    until(|| !edge.pinned().is_empty()).await;
    edge.stop.cancel();
    edge.tasks.close();
    edge.tasks.wait().await;
    assert_eq!((operation.view().state, edge.pinned()), (State::Cancelled, vec![]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deadline_ends_it() {
    let edge = Edge::roomy(true);
    edge.port.0.image(Some("a"), &[edge.port.0.blob(100, 1)]);
    edge.port.0.shut();
    let view = edge.done(&edge.begin_for(&["app:a"], 200)).await;
    assert_eq!(view.state, State::Failed);
    assert!(view.error.as_deref().unwrap().contains("deadline"));
}

#[tokio::test(flavor = "multi_thread")]
async fn it_waits_for_an_upstream_that_is_left_alone() {
    for vouches in [true, false] {
        let edge = Edge::roomy(vouches);
        let harbour = &edge.port.0;
        let layer = harbour.blob(3_000_000, 1);
        harbour.image(Some("a"), slice::from_ref(&layer));
        harbour.away_for_manifests.store(1, Ordering::SeqCst);
        harbour.away_for_blobs.store(1, Ordering::SeqCst);
        let view = edge.done(&edge.begin(&["app:a"], Some("1h"))).await;
        assert_eq!((view.state, view.progress.bytes_done), (State::Done, layer.1), "{view:?}");
        assert_eq!(harbour.asked_of(&layer.0), layer.1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_an_upstream_can_be_ended() {
    let edge = Edge::roomy(true);
    let harbour = &edge.port.0;
    harbour.image(Some("a"), &[harbour.blob(100, 1)]);
    harbour.away_for_manifests.store(usize::MAX, Ordering::SeqCst);
    let asked = || harbour.away_for_manifests.load(Ordering::SeqCst) < usize::MAX;
    let operation = edge.begin(&["app:a"], Some("1h"));
    until(asked).await;
    // Others have their turn meanwhile.
    until(|| edge.prewarm.0.images_at_once.available_permits() == 4).await;
    operation.cancel();
    assert_eq!(edge.done(&operation).await.state, State::Cancelled);
    let view = edge.done(&edge.begin_for(&["app:a"], 200)).await;
    assert!(view.state == State::Failed && view.error.as_deref().unwrap().contains("deadline"), "{view:?}");
    assert!(edge.pinned().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn images_of_a_dead_upstream_say_so_and_keep_no_other_from_coming() {
    let edge = Edge::roomy(true);
    let harbour = &edge.port.0;
    harbour.image(Some("good"), &[harbour.blob(100, 1)]);
    let operation = edge.begin_for(&["app:dead1", "app:dead2", "app:dead3", "app:dead4", "app:good"], 3000);
    let says_why = |image: &ImageView| image.error.as_deref().is_some_and(|error| error.contains("left alone"));
    until(|| operation.view().images[4].state == State::Done).await;
    until(|| operation.view().images[..4].iter().all(|image| image.state == State::Resolving && says_why(image))).await;
    let view = edge.done(&operation).await;
    assert_eq!((view.state, view.images[4].state, view.images[4].error.as_deref()), (State::Failed, State::Done, None));
    assert!(view.images[..4].iter().all(|image| image.state == State::Failed && says_why(image)), "{view:?}");
    let error = view.error.as_deref().unwrap();
    assert!(error.contains("deadline") && error.contains("app:dead1 last waited") && error.contains("left alone"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_not_done_before_its_pins_are_written() {
    let edge = Edge::roomy(true);
    edge.port.0.image(Some("a"), &[edge.port.0.blob(100, 1)]);
    edge.store.break_index();
    let view = edge.done(&edge.begin(&["app:a"], Some("1h"))).await;
    let error = view.images[0].error.as_deref().unwrap_or_default();
    assert!(view.state == State::Failed && error.contains("can't be written down"), "{view:?}");
    edge.store.mend_index();
    assert_eq!(edge.done(&edge.begin(&["app:a"], Some("1h"))).await.state, State::Done);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_waits_while_clients_are_served() {
    let edge = Edge::new(true, 1 << 30, Duration::from_mins(10));
    let harbour = &edge.port.0;
    let (wanted, later) = (harbour.blob(5 << 20, 1), harbour.blob(5 << 20, 2));
    harbour.image(Some("a"), slice::from_ref(&later));
    harbour.shut();
    let source = Arc::new(edge.port.clone());
    let opened = edge.blobs.open(&wanted.0, source, RangeRequest::Whole).await.unwrap();
    let reading = tokio::spawn(opened.body.collect());
    until(|| harbour.asked_of(&wanted.0) > 0).await;
    let operation = edge.begin(&["app:a"], None);
    until(|| operation.view().images[0].state == State::Running).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(harbour.asked_of(&later.0), 0, "a client waits");
    harbour.open();
    assert_eq!(reading.await.unwrap().unwrap().to_bytes().len(), 5 << 20);
    assert_eq!(edge.done(&operation).await.state, State::Done);
    assert_eq!(harbour.asked_of(&later.0), later.1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_layers_of_a_pulled_manifest_are_fetched_ahead() {
    for vouches in [true, false] {
        let edge = Edge::roomy(vouches);
        let harbour = &edge.port.0;
        let (config, layer) = (harbour.blob(100, 1), harbour.blob(3_000_000, 2));
        let image = harbour.image(Some("a"), &[config.clone(), layer.clone()]);
        let index = harbour.index("i", &[(&image, "amd64")]);
        let pull = |digest: &Digest| edge.pull(digest, Arc::new(edge.port.clone()));
        pull(&index);
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert_eq!(harbour.asked_of(&layer.0), 0, "an index tells no platform");
        (0..50).for_each(|_| pull(&image));
        until(|| edge.is_here(&layer.0) && edge.is_here(&config.0)).await;
        assert_eq!(harbour.asked_of(&layer.0), layer.1);
        assert!(edge.pinned().is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_fetched_ahead_keeps_nobody_from_prewarming() {
    let edge = Edge::roomy(true);
    let harbour = &edge.port.0;
    let layers: Vec<_> = (1..=3).map(|seed| harbour.blob(5 << 20, seed)).collect();
    let (pulled, wanted) = (harbour.image(None, &layers), harbour.blob(100, 9));
    harbour.image(Some("a"), slice::from_ref(&wanted));
    harbour.shut();
    edge.pull(&pulled, Arc::new(edge.port.clone()));
    until(|| layers.iter().filter(|layer| harbour.asked_of(&layer.0) > 0).count() >= 2).await;
    let operation = edge.begin(&["app:a"], None);
    until(|| harbour.asked_of(&wanted.0) > 0).await;
    harbour.open();
    assert_eq!(edge.done(&operation).await.state, State::Done);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_is_followed_wherever_it_is_pulled_from() {
    let edge = Edge::roomy(true);
    let image = edge.port.0.image(None, &[edge.port.0.blob(100, 1)]);
    edge.port.0.shut();
    let begun = || edge.prewarm.0.metrics.follows.with_label_values(&["begun"]).get();
    (0..10).for_each(|_| edge.pull(&image, Arc::new(edge.port.clone())));
    assert_eq!(begun(), 1);
    (0..10).for_each(|_| edge.pull(&image, Arc::new(Neighbour(edge.port.clone()))));
    assert_eq!(begun(), 2);
    edge.port.0.open();
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_asked_for_and_followed_over_http() {
    let edge = Edge::roomy(true);
    let harbour = &edge.port.0;
    harbour.image(Some("a"), &[harbour.blob(3_000_000, 1)]);
    harbour.shut();
    let wish = json!({ "images": ["app:a"], "platforms": ["linux/amd64"], "pin": "7d" });
    let (status, body) = edge.ask(Method::POST, "/v2/_longshore/prewarm", "*/*", &wish).await;
    let begun: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!((status, &begun["state"], &begun["pin"]), (StatusCode::ACCEPTED, &json!("running"), &json!("168h")));
    let path = format!("/v2/_longshore/operations/{}", begun["id"].as_str().unwrap());
    let (_, same) = edge.ask(Method::POST, "/v2/_longshore/prewarm", "*/*", &wish).await;
    assert_eq!(serde_json::from_slice::<Value>(&same).unwrap()["id"], begun["id"]);
    harbour.open();
    let (status, events) = edge.ask(Method::GET, &path, "text/event-stream", &Value::Null).await;
    let events = String::from_utf8(events.to_vec()).unwrap();
    let last = events.trim_end().rsplit("event: operation\ndata: ").next().unwrap();
    let last: Value = serde_json::from_str(last).unwrap();
    assert_eq!((status, &last["state"], &last["bytesDone"]), (StatusCode::OK, &json!("done"), &json!(3_000_000)));
    let (_, told) = edge.ask(Method::GET, &path, "application/json", &Value::Null).await;
    assert_eq!(serde_json::from_slice::<Value>(&told).unwrap(), last);
    let (_, all) = edge.ask(Method::GET, "/v2/_longshore/operations", "*/*", &Value::Null).await;
    assert_eq!(serde_json::from_slice::<Value>(&all).unwrap()["operations"][0], last);
    for (method, path, body, expected) in [
        (Method::POST, "/v2/_longshore/prewarm", json!({ "images": [] }), (400, "OPERATION_INVALID")),
        (Method::GET, "/v2/_longshore/operations/op_x", Value::Null, (404, "OPERATION_UNKNOWN")),
        (Method::DELETE, "/v2/_longshore/operations/op_x", Value::Null, (404, "OPERATION_UNKNOWN")),
        (Method::GET, "/v2/_longshore/prewarm", Value::Null, (405, "UNSUPPORTED")),
    ] {
        let (status, told) = edge.ask(method, path, "*/*", &body).await;
        let told: Value = serde_json::from_slice(&told).unwrap();
        assert_eq!((status.as_u16(), told["errors"][0]["code"].as_str().unwrap()), expected);
    }
}
