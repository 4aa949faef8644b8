//! Two registry processes on one PostgreSQL and one bucket.

use std::time::Duration;

use bytes::Bytes;
use longshore_oci::{Algorithm, Digest};
use longshore_tests::{Backend, Image, Random, Registry, until};
use tokio::task::JoinSet;

longshore_tests::once!(
    chunks_of_one_upload_are_spread_over_both,
    a_pull_after_the_201_sees_it_on_either,
    an_upload_outlives_the_replica_that_began_it,
    many_push_the_same_to_both,
    both_collect_and_neither_takes_what_is_needed,
);

async fn two() -> (Registry, Registry) {
    let first = Registry::start(Backend::Bucket).await;
    let second = first.replica().await;
    (first, second)
}

async fn chunks_of_one_upload_are_spread_over_both() {
    let (first, second) = two().await;
    let clients = [first.client(), second.client()];
    let content = Random::seeded(170).bytes(40 << 20);
    let digest = Digest::of(Algorithm::Sha256, &content);
    let mut upload = clients[0].begin_upload("replicas/chunks", "").await;
    let mut turn = 0;
    for size_bytes in [1, 5 << 20, 100, 9 << 20, 8 << 20, 3 << 20, 1 << 20, 7 << 20] {
        turn += 1;
        // A location may name the replica that gave it.
        upload.location = upload
            .location
            .replace(first.url(), clients_url(turn, &first, &second))
            .replace(second.url(), clients_url(turn, &first, &second));
        let start = upload.offset_bytes;
        clients[turn % 2].next_chunk(&mut upload, &content.slice(start..start + size_bytes)).await;
    }
    let rest = content.slice(upload.offset_bytes..);
    upload.location = upload.location.replace(second.url(), first.url());
    clients[0].close_upload(&upload, &digest, &rest).await.expect(201);
    for client in &clients {
        assert!(client.pull_blob("replicas/chunks", &digest).await == content);
    }
}

fn clients_url<'a>(turn: usize, first: &'a Registry, second: &'a Registry) -> &'a str {
    if turn.is_multiple_of(2) { first.url() } else { second.url() }
}

/// "Read after write: a pull that starts after the 201, from any replica, sees it."
async fn a_pull_after_the_201_sees_it_on_either() {
    let (first, second) = two().await;
    let (writer, reader) = (first.client(), second.client());
    for seed in 0..60 {
        let image = Image::random(1000 + seed, &[500]);
        // The tag moves each time, and the reader has its former state in whatever it remembers.
        writer.push_image("replicas/fresh", "latest", &image).await;
        assert_eq!(reader.pull_image("replicas/fresh", "latest").await, image.digest);
        assert_eq!(reader.pull_image("replicas/fresh", image.digest.as_str()).await, image.digest);
        if seed % 5 == 0 {
            writer.delete(&format!("/v2/replicas/fresh/manifests/{}", image.digest)).await.expect(202);
            reader.get_manifest("replicas/fresh", "latest").await.expect(404);
            reader.get_manifest("replicas/fresh", image.digest.as_str()).await.expect(404);
        }
    }
}

async fn an_upload_outlives_the_replica_that_began_it() {
    let (mut first, second) = two().await;
    let content = Random::seeded(171).bytes(20 << 20);
    let digest = Digest::of(Algorithm::Sha256, &content);
    let mut upload = first.client().begin_upload("replicas/outlives", "").await;
    first.client().next_chunk(&mut upload, &content.slice(..10 << 20)).await;
    first.kill9();
    upload.location = upload.location.replace(first.url(), second.url());
    let survivor = second.client();
    survivor.upload_status(&mut upload).await;
    let rest = content.slice(upload.offset_bytes..);
    survivor.close_upload(&upload, &digest, &rest).await.expect(201);
    assert!(survivor.pull_blob("replicas/outlives", &digest).await == content);
}

/// The same digest and the same tag, pushed to both at once by many.
async fn many_push_the_same_to_both() {
    let (first, second) = two().await;
    let content = Random::seeded(172).bytes(300_000);
    let images: Vec<Image> = (0..20).map(|seed| Image::random(2000 + seed, &[100])).collect();
    let mut pushes = JoinSet::new();
    for (number, image) in images.iter().cloned().enumerate() {
        let client = if number % 2 == 0 { first.client() } else { second.client() };
        let content = content.clone();
        pushes.spawn(async move {
            client.push_blob("replicas/same", &content).await;
            client.push_image("replicas/same", "latest", &image).await;
        });
    }
    pushes.join_all().await;
    let digest = Digest::of(Algorithm::Sha256, &content);
    let winner = first.client().pull_image("replicas/same", "latest").await;
    assert_eq!(second.client().pull_image("replicas/same", "latest").await, winner);
    assert!(images.iter().any(|image| image.digest == winner));
    assert!(second.client().pull_blob("replicas/same", &digest).await == content);
    let keys = first.index().texts(&format!("SELECT object_key FROM blobs WHERE digest = '{digest}'")).await;
    assert_eq!(keys.len(), 1, "one object is kept");
}

/// Both sweep; what one uploads the other leaves alone.
async fn both_collect_and_neither_takes_what_is_needed() {
    let eager = [("sweep.interval", "100ms".into()), ("sweep.garbage_grace", "200ms".into()), ("log.filter", "warn".into())];
    let first = Registry::with(Backend::Bucket, &eager).await;
    let second = first.replica().await;
    let content = Random::seeded(173).bytes(100_000);
    let digest = Digest::of(Algorithm::Sha256, &content);
    let path = format!("/v2/replicas/collected/blobs/{digest}");
    for round in 0..40 {
        let (writer, other) = if round % 2 == 0 { (&first, &second) } else { (&second, &first) };
        writer.client().push_blob("replicas/collected", &content).await;
        assert!(other.client().pull_blob("replicas/collected", &digest).await == content, "round {round}");
        other.client().delete(&path).await.expect(202);
    }
    until("everything deleted to be collected", Duration::from_secs(30), async || {
        let is_left = first.objects().into_keys().any(|key| key.contains("/_blobs/"));
        (!is_left).then_some(())
    })
    .await;
    first.client().post_blob("replicas/collected", &digest, &content).await.expect(201);
    assert_eq!(second.client().pull_blob("replicas/collected", &digest).await, Bytes::clone(&content));
}
