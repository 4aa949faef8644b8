//! A node that is killed in the middle of a pull goes on with what it had.

use std::time::Duration;

use longshore_tests::{Edge, EdgeUpstream, Fault, Image, Registry, Rule, Wire, digest_of, until};

longshore_tests::once!(a_node_that_is_killed_fetches_only_the_rest, a_node_that_is_stopped_keeps_all_that_came,);

const REPOSITORY: &str = "team/app";
const MIB: u64 = 1 << 20;
const LIMIT: Duration = Duration::from_secs(60);
/// How long the layer is.
const LAYER: u64 = 64 * MIB;
/// What is on its way at once at most.
const IN_FLIGHT: u64 = 8 * MIB;
/// What a run of the registry brings in a second.
const PACE: u64 = 4 * MIB;
/// What comes while nothing is synced: what the runs bring in twice `cache.sync_delay`, and what the wire's sockets hold.
const UNSYNCED: u64 = 6 * MIB;
/// What is left to a node that is stopped: it breaks off what is on its way.
const DRAIN: &str = "100ms";

/// A node whose registry is slow, at half of a layer.
async fn in_the_middle(seed: u64) -> (Registry, Wire, Edge, Image, u64) {
    let registry = Registry::embedded().await;
    let image = Image::random(seed, &[usize::try_from(LAYER).expect("it fits in memory")]);
    registry.client().push_image(REPOSITORY, "v1", &image).await;
    let wire = Wire::http(registry.authority()).await;
    wire.set_rules(1, vec![Rule::always(Fault::Throttle(PACE)).containing("/blobs/")]);
    let values = [
        ("swarm.in_flight", "8MiB".into()),
        ("cache.sync_delay", "100ms".into()),
        ("cache.prefetch", false.into()),
        ("listen.drain_timeout", DRAIN.into()),
    ];
    let node = Edge::node(&[EdgeUpstream::through(&wire)], &values).await;
    let (client, path) = (node.client(), format!("/v2/{REPOSITORY}/blobs/{}", digest_of(&image.blobs[1])));
    let layer = image.blobs[1].clone();
    let pulling = tokio::spawn(async move { client.take(&path, &layer).await });
    until("half of the layer to have come", LIMIT, async || (wire.passed_bytes() >= LAYER / 2).then_some(())).await;
    assert!(!pulling.is_finished(), "the registry is not slow");
    let passed = wire.passed_bytes();
    (registry, wire, node, image, passed)
}

/// A client pulls it again, and hardly anything comes again.
async fn fetches_the_rest(wire: &Wire, node: &Edge, image: &Image, passed: u64, again: u64) {
    wire.heal();
    let before = wire.passed_bytes();
    assert!(before - passed <= IN_FLIGHT, "{} bytes came after that", before - passed);
    assert!(node.client().take_blob(REPOSITORY, &image.blobs[1]).await.is_right());
    let fetched = wire.passed_bytes() - before;
    let rest = LAYER - passed;
    println!("{passed} of {LAYER} bytes had come, and {fetched} came then");
    assert!(fetched <= rest + again, "{fetched} bytes came, where {rest} were missing and {again} may have been on their way");
    assert_eq!(node.metric(Edge::DAMAGED).await + node.metric(Edge::WRONG).await, 0.0);
}

async fn a_node_that_is_killed_fetches_only_the_rest() {
    let (_registry, wire, mut node, image, passed) = in_the_middle(9200).await;
    node.restart().await;
    fetches_the_rest(&wire, &node, &image, passed, IN_FLIGHT + UNSYNCED).await;
}

/// What has come is written down before it ends: only what was in the middle of a piece comes again.
async fn a_node_that_is_stopped_keeps_all_that_came() {
    let (_registry, wire, mut node, image, passed) = in_the_middle(9201).await;
    node.restart_gently().await;
    fetches_the_rest(&wire, &node, &image, passed, IN_FLIGHT).await;
}
