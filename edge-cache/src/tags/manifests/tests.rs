use longshore_oci::Algorithm;
use longshore_service::metrics::Metrics;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::{
    blobs::BlobMetrics,
    store::{StoreMetrics, StoreSettings},
    upstream::{
        Kind, UpstreamMetrics, UpstreamSettings,
        tests::{
            server::{Reply, Server},
            settings,
        },
    },
};

const BYTES: &str = r#"{"schemaVersion":2}"#;

#[tokio::test]
async fn manifests_take_no_more_memory_than_they_may() {
    let (folder, metrics) = (tempfile::tempdir().unwrap(), Metrics::new());
    let (store, _keeper) = Store::open(StoreSettings::new(folder.path(), 1 << 30), StoreMetrics::new(&metrics)).unwrap();
    let manifests = Manifests::new(store, None, 20_000, BlobMetrics::new(&metrics).wrong).unwrap();
    let hot = &manifests.shelf.hot;
    for number in 0..10_000_u32 {
        let bytes = Bytes::copy_from_slice(&number.to_le_bytes());
        hot.insert(Digest::of(Algorithm::Sha256, &bytes), bytes);
    }
    for _ in 0..100 {
        hot.run_pending_tasks();
    }
    assert!(hot.weighted_size() <= 20_000, "{}", hot.weighted_size());
    assert!((1..=20_000 / 256).contains(&hot.entry_count()), "what is small takes memory too: {}", hot.entry_count());
}

#[tokio::test]
async fn what_one_is_told_of_itself_is_for_no_other() {
    for status in ["429 Too Many Requests", "403 Forbidden", "404 Not Found", "400 Bad Request"] {
        let server = Server::start(move |head, _| {
            let is_refused = head.contains("Basic b25l");
            if is_refused { Reply::new(status, "", "") } else { Reply::ok("", BYTES) }
        });
        let (server, folder, metrics) = (server.await, tempfile::tempdir().unwrap(), Metrics::new());
        let (store, keeper) = Store::open(StoreSettings::new(folder.path(), 1 << 30), StoreMetrics::new(&metrics)).unwrap();
        let stop = CancellationToken::new();
        tokio::spawn(keeper.run(stop.clone()));
        let manifests = Manifests::new(store, None, 1 << 20, BlobMetrics::new(&metrics).wrong).unwrap();
        let settings = UpstreamSettings { attempts: 1, kind: Kind::Other, ..settings(server.address) };
        let upstream = Arc::new(Upstream::new(settings, &UpstreamMetrics::new(&metrics)).unwrap());
        let (repository, digest) = ("team/app".parse().unwrap(), Digest::of(Algorithm::Sha256, BYTES.as_bytes()));
        let [one, other] = ["Basic b25l", "Basic dHdv"].map(|text| Identity::Caller(HeaderValue::from_static(text)));
        let get = |identity| manifests.get(&upstream, &repository, &digest, identity);
        let (first, same, second) = tokio::join!(get(&one), get(&one), get(&other));
        assert!(first.is_err() && same.is_err(), "{status}");
        assert_eq!(second.unwrap().bytes, BYTES, "{status}");
        assert_eq!(server.count(), 2, "{status}: each credential is asked with once");
        stop.cancel();
    }
}

#[tokio::test]
async fn what_is_served_from_memory_was_asked_for_too() {
    let (server, folder, metrics) =
        (Server::start(|_, _| Reply::ok("", BYTES)).await, tempfile::tempdir().unwrap(), Metrics::new());
    let (store, keeper) = Store::open(StoreSettings::new(folder.path(), 1 << 30), StoreMetrics::new(&metrics)).unwrap();
    let stop = CancellationToken::new();
    tokio::spawn(keeper.run(stop.clone()));
    let manifests = Manifests::new(store.clone(), None, 1 << 20, BlobMetrics::new(&metrics).wrong).unwrap();
    let settings = UpstreamSettings { kind: Kind::Other, ..settings(server.address) };
    let upstream = Arc::new(Upstream::new(settings, &UpstreamMetrics::new(&metrics)).unwrap());
    let (repository, digest) = ("team/app".parse().unwrap(), Digest::of(Algorithm::Sha256, BYTES.as_bytes()));
    let used = || store.page("", 1).0.remove(0).used;
    assert!(!manifests.get(&upstream, &repository, &digest, &Identity::Anonymous).await.unwrap().was_here);
    let before = used();
    assert!(manifests.get(&upstream, &repository, &digest, &Identity::Anonymous).await.unwrap().was_here);
    assert!(used().last_used > before.last_used && used().frequency > before.frequency);
    stop.cancel();
}
