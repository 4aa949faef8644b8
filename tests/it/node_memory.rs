//! Many pulls at once take no more of a node's memory than it was given.

use std::time::Duration;

use futures_util::future::join_all;
use longshore_tests::{Edge, EdgeUpstream, Image, Registry, until};
use tokio::task::JoinSet;

longshore_tests::once!(pulls_of_many_images_hold_the_memory_budget,);

const MIB: u64 = 1 << 20;
const IMAGES: u64 = 24;
/// How long each image's layer is: together they are several times what there is memory for.
const LAYER: u64 = 12 * MIB;
/// `cache.memory` and `cache.in_flight`, which pieces share.
const HOT: u64 = 16 * MIB;
const IN_FLIGHT: u64 = 32 * MIB;
/// What connections take beside pieces: for each of 24 clients, 64 requests to the registry and two neighbours what TLS, HTTP and the
/// sockets' writers hold at once, up to a piece each; and what the allocator keeps.
const BESIDE: u64 = 72 * MIB;
const HELD: &str = "longshore_edge_memory_held_bytes";
const BUDGET: &str = "longshore_edge_memory_budget_bytes";
const RECEIVED: &str = "longshore_swarm_received_bytes_total{";
const FROM_ORIGIN: &str = "longshore_swarm_received_bytes_total{from=\"origin\"}";

/// Anonymous memory of a process, in bytes: what it has allocated, without the files it has mapped.
fn anonymous_bytes(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the process runs");
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).expect("the kernel tells");
    line.trim().trim_end_matches(" kB").trim().parse::<u64>().expect("a number") * 1024
}

async fn pulls_of_many_images_hold_the_memory_budget() {
    let registry = Registry::embedded().await;
    let layer = usize::try_from(LAYER).expect("it fits in memory");
    let images: Vec<Image> = (0..IMAGES).map(|number| Image::random(9300 + number, &[layer])).collect();
    let name = |number: usize| format!("team/app-{number}");
    for (number, image) in images.iter().enumerate() {
        registry.client().push_image(&name(number), "v1", image).await;
    }
    let upstream = || EdgeUpstream::longshore(&registry);
    let zone = [("swarm.zone", "a".into())];
    // Each neighbour has a third of them; a third comes from the registry.
    let neighbours = [Edge::node(&[upstream()], &zone).await, Edge::node(&[upstream()], &zone).await];
    for (number, image) in images.iter().enumerate().filter(|(number, _)| number % 3 < 2) {
        let neighbour = neighbours[number % 3].client();
        assert_eq!(neighbour.pull_image(&name(number), "v1").await, image.digest);
    }
    let joined: Vec<String> = neighbours.iter().map(|neighbour| neighbour.authority().to_owned()).collect();
    let values = [
        ("swarm.zone", "a".into()),
        ("swarm.join", joined.into()),
        ("swarm.in_flight", "16MiB".into()),
        ("cache.memory", "16MiB".into()),
        ("cache.in_flight", "32MiB".into()),
        ("cache.manifest_memory", "1MiB".into()),
    ];
    let node = Edge::node(&[upstream()], &values).await;
    until("the nodes to meet", Duration::from_secs(60), async || {
        (node.metric("longshore_swarm_connections").await >= 2.0).then_some(())
    })
    .await;
    let budget = node.metric(BUDGET).await;
    assert_eq!(budget, (HOT + IN_FLIGHT) as f64);
    let before = anonymous_bytes(node.pid());
    let mut pulls = JoinSet::new();
    for (number, image) in images.into_iter().enumerate() {
        let (client, name) = (node.client(), name(number));
        pulls.spawn(async move { assert_eq!(client.pull_image(&name, "v1").await, image.digest) });
    }
    let (mut most_held, mut most_bytes) = (0.0_f64, 0);
    while !pulls.is_empty() {
        most_held = most_held.max(node.metric(HELD).await);
        most_bytes = most_bytes.max(anonymous_bytes(node.pid()));
        if let Ok(Some(pulled)) = tokio::time::timeout(Duration::from_millis(20), pulls.join_next()).await {
            pulled.expect("each is pulled whole");
        }
    }
    println!(
        "{} MiB held of {} MiB, {} MiB of anonymous memory, {} MiB at first",
        most_held / MIB as f64,
        budget / MIB as f64,
        most_bytes / MIB,
        before / MIB
    );
    assert!(most_held > 0.0 && most_held <= budget, "{most_held} bytes held of {budget}");
    assert!(most_bytes <= before + HOT + IN_FLIGHT + BESIDE, "{most_bytes} bytes of anonymous memory, {before} at first");
    let (all, origin) = (node.metric(RECEIVED).await, node.metric(FROM_ORIGIN).await);
    assert!(all >= (IMAGES * LAYER) as f64 && origin < all / 2.0, "{origin} of {all} bytes came from the registry");
    // What was held is given back, but for what is kept.
    until("memory to be given back", Duration::from_secs(30), async || (node.metric(HELD).await <= HOT as f64).then_some(()))
        .await;
    let left = join_all(neighbours.iter().map(|neighbour| neighbour.metric(Edge::WRONG))).await;
    assert_eq!(left.iter().sum::<f64>() + node.metric(Edge::WRONG).await, 0.0);
}
