//! What an operation costs in calls to S3, counted on the wire.

use bytes::Bytes;
use http::Method;
use longshore_oci::{Algorithm, Digest};
use longshore_tests::{Answer, Call, Client, Image, Random, Registry, S3, Wire};
use serde_json::{Value, json};

longshore_tests::once!(
    a_push_of_a_blob_up_to_one_part_takes_one_to_three,
    each_further_part_takes_one,
    a_manifest_push_takes_at_most_two,
    a_manifest_pull_takes_none,
    a_blob_pull_takes_one,
    a_blob_pull_may_be_a_redirect_that_takes_none,
    a_mount_takes_none,
    deleting_a_blob_takes_one,
    deleting_a_manifest_among_101_tags_takes_at_most_two,
    lists_and_referrers_take_none,
    connections_are_used_again,
);

const PART_BYTES: usize = 8 << 20;

/// A registry whose every call to S3 crosses the wire, with nothing going on in the background.
async fn counted(values: &[(&str, Value)]) -> (Registry, Wire) {
    let wire = Wire::http(&S3::shared().await.address()).await;
    let quiet = [&[("sweep.interval", "1h".into()), ("sweep.garbage_grace", "1h".into())], values].concat();
    let registry = Registry::through(Some(wire.address()), None, &quiet).await;
    wire.take_calls();
    (registry, wire)
}

#[track_caller]
fn assert_calls(wire: &Wire, what: &str, allowed: std::ops::RangeInclusive<usize>) -> Vec<Call> {
    let mut calls = wire.take_calls();
    // Once after its start, and then once an hour, the sweeper asks for parts that a crash has left.
    calls.retain(|call| !call.query.split('&').any(|parameter| parameter == "uploads"));
    assert!(allowed.contains(&calls.len()), "{what} took {} calls instead of {allowed:?}: {calls:#?}", calls.len());
    calls
}

async fn a_push_of_a_blob_up_to_one_part_takes_one_to_three() {
    let (registry, wire) = counted(&[]).await;
    let client = registry.client();
    for size_bytes in [1, 4096, 1 << 20, PART_BYTES] {
        client.push_blob("calls/push", &Random::seeded(size_bytes as u64).bytes(size_bytes)).await;
        assert_calls(&wire, &format!("a push of {size_bytes} bytes"), 1..=3);
    }
    let content = Random::seeded(100).bytes(100_000);
    let digest = Digest::of(Algorithm::Sha256, &content);
    client.post_blob("calls/push", &digest, &content).await.expect(201);
    assert_calls(&wire, "a single POST", 1..=3);
    // Asking whether a blob is there, and starting an upload, is the database's business.
    client.head(&format!("/v2/calls/push/blobs/{digest}")).await.expect(200);
    client.begin_upload("calls/push", "").await;
    assert_calls(&wire, "HEAD and POST", 0..=0);
}

async fn each_further_part_takes_one() {
    let (registry, wire) = counted(&[]).await;
    let client = registry.client();
    for parts in [2, 3, 6] {
        let content = Random::seeded(parts as u64).bytes(parts * PART_BYTES - 5);
        client.push_blob("calls/parts", &content).await;
        assert_calls(&wire, &format!("a push of {parts} parts"), parts..=3 + parts - 1);
    }
}

async fn a_manifest_push_takes_at_most_two() {
    let (registry, wire) = counted(&[]).await;
    let client = registry.client();
    let image = Image::random(101, &[100, 200]);
    for blob in &image.blobs {
        client.push_blob("calls/manifest", blob).await;
    }
    wire.take_calls();
    for tag in ["v1", "v2", "v1"] {
        client.put_manifest("calls/manifest", tag, &image.media_type, &image.manifest).await.expect(201);
        assert_calls(&wire, "a manifest push", 0..=2);
    }
    let tags: Vec<String> = (0..20).map(|number| format!("tag=t{number}")).collect();
    let reference = format!("{}?{}", image.digest, tags.join("&"));
    client.put_manifest("calls/manifest", &reference, &image.media_type, &image.manifest).await.expect(201);
    assert_calls(&wire, "a manifest push with 20 tags", 0..=2);
}

async fn a_manifest_pull_takes_none() {
    let (mut registry, wire) = counted(&[]).await;
    let image = Image::random(102, &[100]);
    registry.client().push_image("calls/pull", "v1", &image).await;
    wire.take_calls();
    for _ in 0..3 {
        for reference in ["v1", image.digest.as_str()] {
            registry.client().get_manifest("calls/pull", reference).await.expect(200);
            registry.client().head(&format!("/v2/calls/pull/manifests/{reference}")).await.expect(200);
        }
    }
    assert_calls(&wire, "warm manifest pulls", 0..=0);
    // After a restart the first pull may have to read.
    registry.restart().await;
    registry.client().get_manifest("calls/pull", "v1").await.expect(200);
    wire.take_calls();
    registry.client().get_manifest("calls/pull", "v1").await.expect(200);
    assert_calls(&wire, "a warm manifest pull", 0..=0);
}

async fn a_blob_pull_takes_one() {
    let (registry, wire) = counted(&[]).await;
    let client = registry.client();
    for size_bytes in [10, 3 << 20, 20 << 20] {
        let digest = client.push_blob("calls/blob", &Random::seeded(103).bytes(size_bytes)).await;
        wire.take_calls();
        client.pull_blob("calls/blob", &digest).await;
        assert_calls(&wire, &format!("a pull of {size_bytes} bytes"), 1..=1);
        client.head(&format!("/v2/calls/blob/blobs/{digest}")).await.expect(200);
        assert_calls(&wire, "a HEAD", 0..=0);
        let range = client.request(Method::GET, &format!("/v2/calls/blob/blobs/{digest}")).header("range", "bytes=2-5");
        Answer::to(range).await.expect(206);
        assert_calls(&wire, "a range", 1..=1);
    }
}

async fn a_blob_pull_may_be_a_redirect_that_takes_none() {
    let large: &[(&str, Value)] = &[("storage.redirect", "large".into()), ("storage.redirect_min_size", "1MiB".into())];
    let elsewhere: &[(&str, Value)] =
        &[("storage.redirect", "always".into()), ("storage.redirect_networks", json!(["203.0.113.0/24"]))];
    let here: &[(&str, Value)] = &[("storage.redirect", "always".into()), ("storage.redirect_networks", json!(["127.0.0.0/8"]))];
    for (values, small_is_redirected, large_is_redirected) in
        [(large, false, true), (elsewhere, false, false), (here, true, true)]
    {
        let (registry, wire) = counted(values).await;
        let client = registry.client();
        for (size_bytes, is_redirected) in [(1000, small_is_redirected), (2 << 20, large_is_redirected)] {
            let content = Random::seeded(104).bytes(size_bytes);
            let digest = client.push_blob("calls/redirect", &content).await;
            wire.take_calls();
            let answer = client.get(&format!("/v2/calls/redirect/blobs/{digest}")).await;
            if is_redirected {
                assert_calls(&wire, "a redirect", 0..=0);
                let location = answer.expect(307).required("location").to_owned();
                // The URL is good by itself: nothing of ours has to sign it.
                assert!(Client::new("").get(&location).await.expect(200).body == content);
            } else {
                assert!(answer.expect(200).body == content);
                assert_calls(&wire, "a pull", 1..=1);
            }
        }
    }
}

async fn a_mount_takes_none() {
    let (registry, wire) = counted(&[("sweep.link_delay", "1h".into())]).await;
    let client = registry.client();
    let digest = client.push_blob("calls/source", &Bytes::from_static(b"to be mounted")).await;
    wire.take_calls();
    client.post(&format!("/v2/calls/target/blobs/uploads/?mount={digest}&from=calls/source")).await.expect(201);
    client.post(&format!("/v2/calls/other/blobs/uploads/?mount={digest}")).await.expect(201);
    assert_calls(&wire, "two mounts", 0..=0);
}

async fn deleting_a_blob_takes_one() {
    let (registry, wire) = counted(&[]).await;
    let client = registry.client();
    let digest = client.push_blob("calls/delete", &Bytes::from_static(b"to be deleted")).await;
    wire.take_calls();
    client.delete(&format!("/v2/calls/delete/blobs/{digest}")).await.expect(202);
    assert_calls(&wire, "a blob's deletion", 1..=1);
}

async fn deleting_a_manifest_among_101_tags_takes_at_most_two() {
    let (registry, wire) = counted(&[]).await;
    let client = registry.client();
    let (kept, deleted) = (Image::random(105, &[10]), Image::random(106, &[10]));
    client.push_image("calls/delete", "kept", &kept).await;
    client.push_image("calls/delete", "deleted", &deleted).await;
    for image in [&kept, &deleted] {
        for first in [0, 33, 66] {
            let tags: Vec<String> = (first..first + 33).map(|number| format!("tag=t{number}")).collect();
            let reference = format!("{}?{}", image.digest, tags.join("&"));
            client.put_manifest("calls/delete", &reference, &image.media_type, &image.manifest).await.expect(201);
        }
    }
    assert_eq!(client.get("/v2/calls/delete/tags/list").await.expect(200).texts("tags").len(), 101);
    wire.take_calls();
    client.delete(&format!("/v2/calls/delete/manifests/{}", deleted.digest)).await.expect(202);
    assert_calls(&wire, "deleting a manifest", 0..=2);
    assert_eq!(client.get("/v2/calls/delete/tags/list").await.expect(200).texts("tags"), ["kept"]);
    client.delete("/v2/calls/delete/manifests/kept").await.expect(202);
    assert_calls(&wire, "deleting a tag", 0..=2);
}

async fn lists_and_referrers_take_none() {
    let (registry, wire) = counted(&[]).await;
    let client = registry.client();
    let image = Image::random(107, &[10]);
    client.push_image("calls/lists", "v1", &image).await;
    wire.take_calls();
    for path in [
        "/v2/_catalog",
        "/v2/calls/lists/tags/list",
        "/v2/_longshore/images",
        &format!("/v2/calls/lists/referrers/{}", image.digest),
    ] {
        client.get(path).await.expect(200);
    }
    assert_calls(&wire, "lists", 0..=0);
}

/// Idle connections are used again: a client that makes one for each call spends more on handshakes than on bytes.
async fn connections_are_used_again() {
    let (registry, wire) = counted(&[]).await;
    let client = registry.client();
    let before = wire.connections();
    for seed in 0..30 {
        client.push_blob("calls/connections", &Random::seeded(seed).bytes(5000)).await;
    }
    assert!(wire.connections() - before <= 5, "{} connections for 30 pushes in turn", wire.connections() - before);
}
