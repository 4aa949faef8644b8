//! Changes of a Longshore registry at the edge: "revalidated at once on an event of our registry (the edge follows its event stream and
//! resumes from where it was)". Without an event nothing here would be looked at again for an hour.

use std::time::Duration;

use longshore_oci::{Algorithm, Digest};
use longshore_tests::{Backend, Edge, EdgeUpstream, Fault, Image, Registry, Rule, Wire, until};
use serde_json::Value;

longshore_tests::once!(
    a_tag_that_moves_is_seen_at_once,
    what_moved_while_the_edge_was_down_is_seen_after_its_start,
    what_was_told_before_a_restart_is_not_forgotten_by_it,
    what_moved_after_the_registry_was_down_is_seen,
    what_answers_for_the_registry_meanwhile_ends_nothing,
    an_edge_that_starts_before_its_registry_follows_it,
    what_is_deleted_is_not_served_any_more,
);

const REPOSITORY: &str = "told/edge";
const LIMIT: Duration = Duration::from_secs(60);
/// 1 while the upstream is followed.
const FOLLOWED: &str = "longshore_edge_upstream_followed";
/// Changes that it has told of.
const EVENTS: &str = "longshore_edge_events_total";
/// How often all was forgotten, since something may have been missed.
const RESETS: &str = "longshore_edge_event_resets_total";

/// What makes an edge believe for an hour whatever it was told.
fn values() -> [(&'static str, Value); 4] {
    [
        ("cache.tag_ttl", "1h".into()),
        ("cache.grant_ttl", "1h".into()),
        ("cache.grant_stale", "1h".into()),
        ("cache.sync_delay", "20ms".into()),
    ]
}

/// An edge that follows its registry, and has an image of it under a tag.
async fn site(seed: u64) -> (Registry, Edge, Image) {
    let registry = Registry::start(Backend::Folder).await;
    let image = push(&registry, seed).await;
    let edge = Edge::with(&[EdgeUpstream::longshore(&registry)], &values()).await;
    follows(&edge).await;
    // Whoever comes first is told to forget all, and from where on it is told more.
    until("the first word of the registry", LIMIT, async || (edge.metric(RESETS).await == 1.0).then_some(())).await;
    assert_eq!(edge.client().pull_image(REPOSITORY, "v1").await, image.digest);
    (registry, edge, image)
}

/// Puts the tag on a new image.
async fn push(registry: &Registry, seed: u64) -> Image {
    let image = Image::random(seed, &[1000]);
    registry.client().push_image(REPOSITORY, "v1", &image).await;
    image
}

async fn follows(edge: &Edge) {
    until("the registry to be followed", LIMIT, async || (edge.metric(FOLLOWED).await == 1.0).then_some(())).await;
}

/// Waits until a tag is what it was put on.
async fn sees(edge: &Edge, image: &Image) {
    until("the tag to move", LIMIT, async || {
        let answer = edge.client().get_manifest(REPOSITORY, "v1").await.expect(200);
        (answer.body == image.manifest).then_some(())
    })
    .await;
    assert_eq!(edge.client().pull_image(REPOSITORY, "v1").await, image.digest);
}

async fn a_tag_that_moves_is_seen_at_once() {
    let (registry, edge, before) = site(2400).await;
    let deaf = Edge::with(&[EdgeUpstream::longshore(&registry).set("follow_events", false)], &values()).await;
    assert_eq!(deaf.client().pull_image(REPOSITORY, "v1").await, before.digest);
    let moved = push(&registry, 2401).await;
    sees(&edge, &moved).await;
    assert_eq!(deaf.client().get_manifest(REPOSITORY, "v1").await.expect(200).body, before.manifest, "who is told nothing");
    let again = push(&registry, 2402).await;
    sees(&edge, &again).await;
    assert!(edge.metric(EVENTS).await >= 2.0);
}

async fn what_moved_while_the_edge_was_down_is_seen_after_its_start() {
    let (registry, mut edge, _) = site(2403).await;
    edge.sigterm();
    assert!(edge.ended(LIMIT).await.success());
    let moved = push(&registry, 2404).await;
    edge.restart().await;
    sees(&edge, &moved).await;
    assert_eq!(edge.metric(RESETS).await, 0.0, "it goes on from where it was");
    assert!(edge.metric(EVENTS).await >= 1.0);
}

/// That somebody asks between the event and the end of the process is not what it takes.
async fn what_was_told_before_a_restart_is_not_forgotten_by_it() {
    let (registry, mut edge, _) = site(2405).await;
    let events = edge.metric(EVENTS).await;
    let moved = push(&registry, 2406).await;
    // One of the manifest, and one of the tag.
    until("the edge to be told", LIMIT, async || (edge.metric(EVENTS).await >= events + 2.0).then_some(())).await;
    edge.restart_gently().await;
    assert_eq!(edge.client().get_manifest(REPOSITORY, "v1").await.expect(200).body, moved.manifest);
}

async fn what_moved_after_the_registry_was_down_is_seen() {
    let (mut registry, edge, _) = site(2407).await;
    registry.kill9();
    until("the edge to notice", LIMIT, async || (edge.metric(FOLLOWED).await == 0.0).then_some(())).await;
    registry.restart().await;
    let moved = push(&registry, 2408).await;
    sees(&edge, &moved).await;
    follows(&edge).await;
    let again = push(&registry, 2409).await;
    sees(&edge, &again).await;
}

/// A proxy that knows no service where the registry is about to be, or that asks who comes.
async fn what_answers_for_the_registry_meanwhile_ends_nothing() {
    let mut registry = Registry::start(Backend::Folder).await;
    push(&registry, 2413).await;
    let wire = Wire::http(registry.authority()).await;
    let edge = Edge::with(&[EdgeUpstream::through(&wire)], &values()).await;
    follows(&edge).await;
    until("the first word of the registry", LIMIT, async || (edge.metric(RESETS).await == 1.0).then_some(())).await;
    for (seed, status) in [(2414, 404), (2415, 401)] {
        let injected = wire.injected();
        wire.set_rules(seed, vec![Rule::always(Fault::Answer(status, "AWAY"))]);
        registry.kill9();
        registry.restart().await;
        until("the edge to be answered", LIMIT, async || (wire.injected() > injected).then_some(())).await;
        wire.heal();
        let moved = push(&registry, seed).await;
        sees(&edge, &moved).await;
        follows(&edge).await;
    }
}

async fn an_edge_that_starts_before_its_registry_follows_it() {
    let (mut registry, mut edge, before) = site(2410).await;
    edge.sigterm();
    assert!(edge.ended(LIMIT).await.success());
    registry.kill9();
    edge.restart().await;
    let served = edge.client().get_manifest(REPOSITORY, "v1").await;
    assert!(served.status.is_server_error() || served.body == before.manifest, "{served:?}");
    registry.restart().await;
    follows(&edge).await;
    let moved = push(&registry, 2411).await;
    until("the tag to move", LIMIT, async || {
        (edge.client().get_manifest(REPOSITORY, "v1").await.body == moved.manifest).then_some(())
    })
    .await;
}

/// Waits until an edge says that there is no such thing.
async fn is_gone(edge: &Edge, path: &str, code: &str) {
    let path = format!("/v2/{REPOSITORY}/{path}");
    let answer = until(&format!("{path} to be gone"), LIMIT, async || {
        let answer = edge.client().get(&path).await;
        (answer.status != 200).then_some(answer)
    })
    .await;
    answer.expect_error(404, code);
}

async fn what_is_deleted_is_not_served_any_more() {
    let (registry, edge, image) = site(2412).await;
    let deaf = Edge::with(&[EdgeUpstream::longshore(&registry).set("follow_events", false)], &values()).await;
    assert_eq!(deaf.client().pull_image(REPOSITORY, "v1").await, image.digest);
    let layer = Digest::of(Algorithm::Sha256, &image.blobs[1]);
    let (manifest, blob) = (format!("manifests/{}", image.digest), format!("blobs/{layer}"));
    let kept = [(manifest.as_str(), &image.manifest), (blob.as_str(), &image.blobs[1])];
    for (path, content) in kept {
        for edge in [&edge, &deaf] {
            assert_eq!(edge.client().get(&format!("/v2/{REPOSITORY}/{path}")).await.expect(200).body, *content);
        }
    }
    for path in ["manifests/v1", manifest.as_str()] {
        registry.client().delete(&format!("/v2/{REPOSITORY}/{path}")).await.expect(202);
        is_gone(&edge, path, "MANIFEST_UNKNOWN").await;
    }
    // Nothing may have held it any more.
    registry.client().push_blob(REPOSITORY, &image.blobs[1]).await;
    registry.client().delete(&format!("/v2/{REPOSITORY}/{blob}")).await.expect(202);
    is_gone(&edge, &blob, "BLOB_UNKNOWN").await;
    for (path, content) in kept {
        let served = deaf.client().get(&format!("/v2/{REPOSITORY}/{path}")).await.expect(200);
        assert_eq!(served.body, *content, "who is told nothing");
    }
}
