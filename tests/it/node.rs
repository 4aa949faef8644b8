//! Nodes: each a cache whose first source is its neighbours. Real processes, which share by the swarm what they pull.

use std::time::Duration;

use futures_util::future::join_all;
use longshore_tests::{Answer, Backend, Client, Edge, EdgeUpstream, Image, Registry, digest_of, until};
use serde_json::Value;

longshore_tests::once!(
    a_neighbour_brings_what_it_has,
    nodes_that_begin_at_once_share_what_they_fetch,
    with_the_registry_down_neighbours_bring_what_is_missing,
    with_the_registry_down_neighbours_bring_what_a_node_never_saw,
    a_registry_s_word_ends_when_it_says,
    a_node_without_a_right_gets_nothing_of_its_neighbours,
    a_node_that_begins_again_shares_what_it_has,
    a_cache_by_itself_has_no_swarm,
);

const LIMIT: Duration = Duration::from_secs(60);
const MIB: usize = 1 << 20;
/// What came from the registry, of what came at all.
const FROM_ORIGIN: &str = "longshore_swarm_received_bytes_total{from=\"origin\"}";
const RECEIVED: &str = "longshore_swarm_received_bytes_total{";
const SENT: &str = "longshore_swarm_sent_bytes_total{";
const CONNECTIONS: &str = "longshore_swarm_connections";

/// A node that knows another.
async fn node_beside(upstream: EdgeUpstream, other: &Edge, values: &[(&str, Value)]) -> Edge {
    let joined = [&[("swarm.zone", "a".into()), ("swarm.join", vec![other.authority()].into())], values].concat();
    let node = Edge::node(&[upstream], &joined).await;
    // Each knows the other once they have met.
    until("the nodes to meet", LIMIT, async || (other.metric(CONNECTIONS).await > 0.0).then_some(())).await;
    node
}

async fn first_node(upstream: EdgeUpstream) -> Edge {
    Edge::node(&[upstream], &[("swarm.zone", "a".into())]).await
}

async fn a_neighbour_brings_what_it_has() {
    let registry = Registry::embedded().await;
    let image = Image::random(1, &[20 * MIB, 4 * MIB + 7]);
    registry.client().push_image("team/app", "v1", &image).await;
    let first = first_node(EdgeUpstream::longshore(&registry)).await;
    assert_eq!(first.client().pull_image("team/app", "v1").await, image.digest);
    // It may take from the registry a burst of four pieces and then one a second.
    let slow = [("swarm.origin_rate", "1MiB".into())];
    let second = node_beside(EdgeUpstream::longshore(&registry), &first, &slow).await;
    assert_eq!(second.client().pull_image("team/app", "v1").await, image.digest);
    let (all, origin) = (second.metric(RECEIVED).await, second.metric(FROM_ORIGIN).await);
    assert!(all >= (24 * MIB) as f64 && origin <= (12 * MIB) as f64, "{origin} of {all} bytes came from the registry");
    assert!(first.metric(SENT).await >= all - origin);
    for node in [&first, &second] {
        assert_eq!(node.metric(Edge::WRONG).await, 0.0);
    }
    let status = second.json("status", &[]).await;
    // Its tag is shared, too, but it is no blob.
    let layers = second.json("layers", &[]).await;
    assert_eq!(layers.as_array().map(Vec::len), Some(4), "two layers, a configuration and the manifest: {layers}");
    assert_eq!(status["swarm"]["shared"], 4, "{status}");
    let peers = second.json("peers", &[]).await;
    let peer = &peers.as_array().expect("a list")[0];
    assert_eq!((&peer["nearness"], &peer["sentBytes"]), (&"zone".into(), &0.into()), "{peers}");
    assert!(peer["receivedBytes"].as_f64().is_some_and(|bytes| bytes >= all - origin), "{peers}");
    let printed = second.command("peers", &[]).await;
    assert!(printed.stdout.starts_with("PEER") && printed.stdout.contains("zone"), "{printed:?}");
}

async fn nodes_that_begin_at_once_share_what_they_fetch() {
    let registry = Registry::embedded().await;
    let image = Image::random(2, &[32 * MIB]);
    registry.client().push_image("team/app", "v1", &image).await;
    let upstream = || EdgeUpstream::longshore(&registry);
    let first = first_node(upstream()).await;
    let mut nodes = Vec::new();
    for _ in 0..3 {
        nodes.push(node_beside(upstream(), &first, &[("swarm.origin_rate", "8MiB".into())]).await);
    }
    nodes.push(first);
    let clients: Vec<Client> = nodes.iter().map(Edge::client).collect();
    let pulled = join_all(clients.iter().map(|client| client.pull_image("team/app", "v1"))).await;
    assert!(pulled.iter().all(|digest| *digest == image.digest));
    let mut origin = 0.0;
    for node in &nodes {
        origin += node.metric(FROM_ORIGIN).await;
    }
    let copies = origin / (32 * MIB) as f64;
    assert!(copies <= 2.5, "{copies} copies came from the registry for {} nodes", nodes.len());
}

async fn with_the_registry_down_neighbours_bring_what_is_missing() {
    let mut registry = Registry::embedded().await;
    let image = Image::random(3, &[16 * MIB]);
    registry.client().push_image("team/app", "v1", &image).await;
    let first = first_node(EdgeUpstream::longshore(&registry)).await;
    let second = node_beside(EdgeUpstream::longshore(&registry), &first, &[("swarm.origin_rate", "1MiB".into())]).await;
    assert_eq!(first.client().pull_image("team/app", "v1").await, image.digest);
    // It knows the image, and has a little of it.
    let client = second.client();
    client.get("/v2/team/app/manifests/v1").await.expect(200);
    client.pull_blob("team/app", &digest_of(&image.blobs[0])).await;
    let layer = format!("/v2/team/app/blobs/{}", digest_of(&image.blobs[1]));
    let part = Answer::to(client.request(http::Method::GET, &layer).header("range", "bytes=0-99")).await.expect(206);
    assert_eq!(part.body[..], image.blobs[1][..100]);
    registry.kill9();
    assert_eq!(client.pull_image("team/app", "v1").await, image.digest);
}

/// An image of a registry that is gone, from a neighbour alone: by tag and by digest, on a node that has begun anew since it knew the registry.
async fn with_the_registry_down_neighbours_bring_what_a_node_never_saw() {
    let mut registry = Registry::embedded().await;
    let (image, known) = (Image::random(6, &[6 * MIB, 2 * MIB]), Image::random(7, &[1000]));
    registry.client().push_image("team/app", "v1", &image).await;
    registry.client().push_image("team/other", "v1", &known).await;
    let first = first_node(EdgeUpstream::longshore(&registry)).await;
    let mut second = node_beside(EdgeUpstream::longshore(&registry), &first, &[]).await;
    assert_eq!(first.client().pull_image("team/app", "v1").await, image.digest);
    assert_eq!(second.client().pull_image("team/other", "v1").await, known.digest);
    second.restart_gently().await;
    registry.kill9();
    until("the nodes to meet", LIMIT, async || (first.metric(CONNECTIONS).await > 0.0).then_some(())).await;
    assert_eq!(second.client().pull_image("team/app", "v1").await, image.digest);
    assert_eq!(second.client().pull_image("team/app", image.digest.as_str()).await, image.digest);
    assert_eq!(second.metric(FROM_ORIGIN).await, 0.0);
    let never = second.client().get("/v2/team/app/manifests/v2").await;
    assert_eq!(never.status.as_u16(), 503, "{never:?}");
}

/// What a registry has said of an image is handed on for as long as it has said, and no longer.
async fn a_registry_s_word_ends_when_it_says() {
    let mut registry =
        Registry::with(Backend::Folder, &[("policy.verdict_ttl", "1s".into()), ("policy.verdict_stale", "10s".into())]).await;
    let (image, known, control) = (Image::random(8, &[1000]), Image::random(9, &[1000]), Image::random(10, &[1000]));
    registry.client().push_image("team/app", "v1", &image).await;
    registry.client().push_image("team/other", "v1", &known).await;
    registry.client().push_image("team/control", "v1", &control).await;
    let first = first_node(EdgeUpstream::longshore(&registry)).await;
    let second = node_beside(EdgeUpstream::longshore(&registry), &first, &[]).await;
    assert_eq!(second.client().pull_image("team/other", "v1").await, known.digest);
    assert_eq!(first.client().pull_image("team/app", "v1").await, image.digest);
    assert_eq!(first.client().pull_image("team/control", "v1").await, control.digest);
    registry.kill9();
    // Until then it is handed on, by those very two.
    second.client().get("/v2/team/control/manifests/v1").await.expect(200);
    tokio::time::sleep(Duration::from_secs(10)).await;
    for reference in ["v1", image.digest.as_str()] {
        let refused = second.client().get(&format!("/v2/team/app/manifests/{reference}")).await;
        assert_eq!(refused.status.as_u16(), 503, "{reference}: {refused:?}");
    }
}

async fn a_node_without_a_right_gets_nothing_of_its_neighbours() {
    let registry = Registry::with_accounts(Backend::Folder, &[]).await;
    let administrator = registry.admin();
    let image = Image::random(4, &[6 * MIB]);
    administrator.push_image("acme/private", "v1", &image).await;
    let may = administrator.create_robot("may", &[("pull", "acme/*")]).await;
    let may_not = administrator.create_robot("may-not", &[("pull", "other/*")]).await;
    let upstream = |account| EdgeUpstream::longshore(&registry).as_account(account);
    let first = first_node(upstream(&may)).await;
    assert_eq!(first.client().pull_image("acme/private", "v1").await, image.digest);
    let stranger = node_beside(upstream(&may_not), &first, &[]).await;
    let paths = ["manifests/v1".to_owned(), format!("blobs/{}", digest_of(&image.blobs[1]))];
    for path in &paths {
        let refused = stranger.client().get(&format!("/v2/acme/private/{path}")).await;
        assert!([401, 403, 404].contains(&refused.status.as_u16()), "{path}: {refused:?}");
    }
    assert_eq!((first.metric(SENT).await, stranger.metric(RECEIVED).await), (0.0, 0.0));
    // One that may has it of its neighbour, though it may hardly take anything from the registry.
    let second = node_beside(upstream(&may), &first, &[("swarm.origin_rate", "1MiB".into())]).await;
    assert_eq!(second.client().pull_image("acme/private", "v1").await, image.digest);
    assert!(first.metric(SENT).await > 0.0);
}

async fn a_node_that_begins_again_shares_what_it_has() {
    let registry = Registry::embedded().await;
    let image = Image::random(5, &[16 * MIB]);
    registry.client().push_image("team/app", "v1", &image).await;
    let mut first = first_node(EdgeUpstream::longshore(&registry)).await;
    assert_eq!(first.client().pull_image("team/app", "v1").await, image.digest);
    first.restart_gently().await;
    let second = node_beside(EdgeUpstream::longshore(&registry), &first, &[("swarm.origin_rate", "1MiB".into())]).await;
    assert_eq!(second.client().pull_image("team/app", "v1").await, image.digest);
    assert!(first.metric(SENT).await > 0.0, "nobody has asked for it since");
}

async fn a_cache_by_itself_has_no_swarm() {
    let registry = Registry::embedded().await;
    let node = Edge::node(&[EdgeUpstream::longshore(&registry)], &[("swarm.enabled", false.into())]).await;
    node.client().get("/v2/_longshore/swarm").await.expect(404);
    let sharing = first_node(EdgeUpstream::longshore(&registry)).await;
    let record = sharing.client().get("/v2/_longshore/swarm").await.expect(200).json();
    assert!(record["peer"].as_str().is_some_and(|peer| peer.starts_with("12D3")), "{record}");
    assert_eq!(record["locality"]["zone"], "a");
    let edge = Edge::start(&[EdgeUpstream::longshore(&registry)]).await;
    edge.client().get("/v2/_longshore/swarm").await.expect(404);
}
