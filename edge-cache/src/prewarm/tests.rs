//! Images of a repository in memory, prewarmed into a store on disk.

mod following;
mod harbour;
mod over_http;
mod waiting;

use std::{
    collections::BTreeMap,
    slice,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use axum::body::Body;
use bytes::Bytes;
use harbour::{Harbour, Neighbour, Port};
use http::{Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use jiff::Timestamp;
use longshore_client::FetchedManifest;
use longshore_oci::{Digest, RangeRequest};
use serde_json::{Value, json};

use super::*;
use crate::{
    blobs::{BlobMetrics, BlobSettings},
    piece::PIECE_BYTES,
    store::{StoreMetrics, StoreSettings},
};

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
