//! What a node gets, from whom, and what it tells of that: to people, and to whoever follows its layers.

use std::{
    process::Command,
    time::{Duration, Instant},
};

use longshore_tests::{Edge, EdgeUpstream, Image, Process, Registry, digest_of, done, longshore, run, until};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

longshore_tests::once!(
    a_pull_says_how_much_came_from_where,
    what_an_edge_sends_is_told_from_what_the_registry_does,
    layers_are_told_and_then_what_has_changed,
    who_interrupts_a_pull_ends_it,
    what_can_not_be_pulled_is_told_in_words,
    a_node_that_is_stopped_is_told_of_in_time,
);

const LIMIT: Duration = Duration::from_secs(60);
const MIB: usize = 1 << 20;

fn zone() -> [(&'static str, Value); 1] {
    [("swarm.zone", "a".into())]
}

async fn node_beside(upstream: EdgeUpstream, other: &Edge) -> Edge {
    // It may take from the registry a burst of four pieces and then one a second.
    let values =
        [("swarm.zone", "a".into()), ("swarm.join", vec![other.authority()].into()), ("swarm.origin_rate", "1MiB".into())];
    let node = Edge::node(&[upstream], &values).await;
    until("the nodes to meet", LIMIT, async || (other.metric("longshore_swarm_connections").await > 0.0).then_some(())).await;
    node
}

fn bytes(of: &Value, names: &[&str]) -> u64 {
    names.iter().map(|name| of[name].as_u64().unwrap_or_else(|| panic!("{name} of {of}"))).sum()
}

const FROM_ALL: [&str; 3] = ["neighbourBytes", "edgeBytes", "registryBytes"];

async fn a_pull_says_how_much_came_from_where() {
    let registry = Registry::embedded().await;
    let image = Image::random(11, &[20 * MIB, 4 * MIB + 7]);
    registry.client().push_image("team/app", "v1", &image).await;
    let first = Edge::node(&[EdgeUpstream::longshore(&registry)], &zone()).await;
    let second = node_beside(EdgeUpstream::longshore(&registry), &first).await;

    let pulled = first.json("pull", &["harbor/team/app:v1", "--platform", "all"]).await;
    let size = image.blobs.iter().map(|blob| blob.len() as u64).sum::<u64>();
    assert_eq!((bytes(&pulled, &["registryBytes"]), bytes(&pulled, &FROM_ALL)), (size, size), "{pulled}");

    let pulled = second.json("pull", &["harbor/team/app:v1", "--platform", "all"]).await;
    let neighbours = bytes(&pulled, &["neighbourBytes"]);
    assert!(neighbours >= size / 2 && bytes(&pulled, &FROM_ALL) == size, "{pulled}");
    let blobs = pulled["blobs"].as_array().expect("a list");
    assert_eq!(blobs.len(), image.blobs.len());
    assert_eq!(blobs.iter().map(|blob| bytes(blob, &FROM_ALL)).sum::<u64>(), size);

    // The same is told of the node, and of each layer, after it is over.
    let status = second.json("status", &[]).await;
    let upstream = &status["cache"]["upstreams"][0];
    assert_eq!((bytes(upstream, &["neighbourBytes"]), bytes(upstream, &["fetchedBytes"])), (neighbours, size - neighbours));
    let layers = second.json("layers", &[]).await;
    let layer = layers.as_array().expect("a list").iter().find(|layer| layer["sizeBytes"] == 20 * MIB).expect("the layer");
    assert_eq!((&layer["state"], &layer["places"][0]["repository"]), (&"held".into(), &"team/app".into()), "{layer}");
    assert!(bytes(&layer["supplied"], &["neighbourBytes"]) > 0, "{layer}");

    // A client has it from there, and the next from here: what neighbours brought is no hit, and saved the registry.
    assert_eq!(second.client().pull_image("team/app", "v1").await, image.digest);
    let printed = done(second.command("pull", &["harbor/team/app:v1", "--platform", "all"]).await).stdout;
    assert!(printed.lines().all(|line| line.contains("here already")) && printed.contains("team/app:v1: done"), "{printed}");
    let printed = done(second.command("layers", &[]).await).stdout;
    assert!(printed.starts_with("DIGEST") && printed.contains("100%") && printed.contains("harbor/team/app"), "{printed}");
    let printed = done(second.command("status", &[]).await).stdout;
    assert!(printed.contains("came: neighbours"), "{printed}");

    // What is pinned is so by the same words.
    done(second.command("pin", &["harbor/team/app:v1"]).await);
    let layers = second.json("layers", &[]).await;
    assert!(
        layers.as_array().expect("a list").iter().all(|layer| layer["pinnedBy"] == serde_json::json!(["operator"])),
        "{layers}"
    );
    done(second.command("unpin", &["harbor/team/app:v1"]).await);
}

async fn what_an_edge_sends_is_told_from_what_the_registry_does() {
    let registry = Registry::embedded().await;
    let image = Image::random(12, &[6 * MIB]);
    registry.client().push_image("team/app", "v1", &image).await;
    let mut edge = Edge::start(&[EdgeUpstream::longshore(&registry)]).await;
    let size = image.blobs.iter().map(|blob| blob.len() as u64).sum::<u64>();
    // An edge first, and the registry where it does not answer.
    let upstream = EdgeUpstream::new("harbor", edge.url()).set("fallback_url", registry.url());
    let node = Edge::node(&[upstream], &zone()).await;
    let pulled = node.json("pull", &["harbor/team/app:v1", "--platform", "all"]).await;
    assert_eq!((bytes(&pulled, &["edgeBytes"]), bytes(&pulled, &FROM_ALL)), (size, size), "{pulled}");
    edge.kill9();
    let other = Image::random(13, &[5 * MIB]);
    registry.client().push_image("team/other", "v1", &other).await;
    let size = other.blobs.iter().map(|blob| blob.len() as u64).sum::<u64>();
    let pulled = node.json("pull", &["harbor/team/other:v1", "--platform", "all"]).await;
    assert_eq!((bytes(&pulled, &["registryBytes"]), bytes(&pulled, &FROM_ALL)), (size, size), "{pulled}");
}

const LAYERS: &str = "/v2/_longshore/edge/layers";

async fn layers_are_told_and_then_what_has_changed() {
    let registry = Registry::embedded().await;
    let image = Image::random(14, &[3 * MIB]);
    registry.client().push_image("team/app", "v1", &image).await;
    let mut node = Edge::node(&[EdgeUpstream::longshore(&registry)], &zone()).await;
    let empty = node.client().get(LAYERS).await.expect(200).json();
    assert_eq!((&empty["isReset"], empty["layers"].as_array().map(Vec::len)), (&true.into(), Some(0)), "{empty}");
    let since = |told: &Value, wait: u64| format!("{LAYERS}?since={}&wait={wait}", told["cursor"].as_str().expect("a cursor"));

    // Nothing happens, and it is waited no longer than was said.
    let begun = Instant::now();
    let idle = node.client().get(&since(&empty, 1)).await.expect(200).json();
    assert!(idle["layers"] == serde_json::json!([]) && begun.elapsed() >= Duration::from_secs(1), "{idle}");

    // Who waits is told when something comes, and at last that it is here.
    let layer = digest_of(&image.blobs[1]).to_string();
    let client = node.client();
    let pull = node.client();
    let (mut told, ()) = tokio::join!(async { client.get(&since(&empty, 30)).await.expect(200).json() }, async {
        assert_eq!(pull.pull_image("team/app", "v1").await, image.digest)
    },);
    let mut known = std::collections::BTreeMap::new();
    until("the layer to be held", LIMIT, async || {
        assert_eq!(told["isReset"], false);
        for layer in told["layers"].as_array().expect("a list") {
            known
                .insert(layer["digest"].as_str().expect("a digest").to_owned(), layer["state"].as_str().expect("one").to_owned());
        }
        if known.get(&layer).is_some_and(|state| state == "held") {
            return Some(());
        }
        told = client.get(&since(&told, 5)).await.expect(200).json();
        None
    })
    .await;
    let last = until("all to have been told", LIMIT, async || {
        told = client.get(&since(&told, 0)).await.expect(200).json();
        (told["layers"] == serde_json::json!([])).then(|| told.clone())
    })
    .await;

    // What goes is told of, too.
    done(run(longshore(), ["edge", "evict", layer.as_str(), "--at", node.url()]).await);
    let gone = client.get(&since(&last, 5)).await.expect(200).json();
    let gone =
        gone["layers"].as_array().expect("a list").iter().find(|found| found["digest"] == layer.as_str()).expect("the layer");
    assert_eq!(gone["state"], "gone");

    // A page at a time, all there is, and after a restart all anew: the cursor is of another process.
    let page = client.get(&format!("{LAYERS}?n=1")).await.expect(200).json();
    assert_eq!((&page["isReset"], &page["hasMore"]), (&true.into(), &true.into()), "{page}");
    let next =
        client.get(&format!("{LAYERS}?n=1000&since={}", page["cursor"].as_str().expect("a cursor"))).await.expect(200).json();
    assert_eq!((&next["isReset"], &next["hasMore"]), (&false.into(), &false.into()), "{next}");
    assert_ne!(page["layers"][0]["digest"], next["layers"][0]["digest"]);
    node.restart_gently().await;
    let anew = node.client().get(&since(&last, 5)).await.expect(200).json();
    assert_eq!(anew["isReset"], true);
    let held = anew["layers"].as_array().expect("a list");
    assert!(!held.is_empty() && held.iter().all(|layer| layer["state"] == "held"), "{anew}");
    assert!(held.iter().all(|found| found["digest"] != layer.as_str()), "{anew}");
}

async fn who_interrupts_a_pull_ends_it() {
    let registry = Registry::embedded().await;
    let image = Image::random(15, &[40 * MIB]);
    registry.client().push_image("team/app", "v1", &image).await;
    let slow = EdgeUpstream::longshore(&registry).set("bytes_per_second", "2MiB");
    let node = Edge::node(&[slow], &zone()).await;
    let mut command = Process::start("pull", longshore(), |command: &mut Command| {
        command.args(["node", "pull", "harbor/team/app:v1", "--platform", "all", "--at", node.url()]);
    });
    let operations = "/v2/_longshore/operations";
    until("some of it to come", LIMIT, async || {
        let told = node.client().get(operations).await.expect(200).json();
        told["operations"][0]["bytesDone"].as_u64().is_some_and(|bytes| bytes > 0).then_some(())
    })
    .await;
    let coming = node.json("layers", &[]).await;
    let layer = coming.as_array().expect("a list").iter().find(|layer| layer["sizeBytes"] == 40 * MIB).expect("the layer");
    assert_eq!(layer["state"], "coming");
    command.signal(Signal::INT);
    assert_eq!(command.ended(LIMIT).await.code(), Some(130), "{}", command.output());
    assert!(command.output().contains("interrupted, and ended"), "{}", command.output());
    until("it to end", LIMIT, async || {
        let told = node.client().get(operations).await.expect(200).json();
        (told["operations"][0]["state"] == "cancelled").then_some(())
    })
    .await;
}

async fn what_can_not_be_pulled_is_told_in_words() {
    let mut registry = Registry::embedded().await;
    let node = Edge::node(&[EdgeUpstream::longshore(&registry)], &zone()).await;
    let refused = |image: &'static str| {
        let node = &node;
        async move {
            let output = node.command("pull", &[image]).await;
            assert_eq!(output.code, Some(1), "{output}");
            output.stderr
        }
    };
    let unknown = refused("registry.example.org/team/app").await;
    assert!(unknown.contains("registry.example.org"), "{unknown}");
    let missing = refused("harbor/team/none:v1").await;
    assert!(missing.contains("none") || missing.contains("404"), "{missing}");
    registry.kill9();
    let begun = Instant::now();
    let down = refused("harbor/team/app:v1").await;
    assert!(down.contains("waits") && down.contains("refused"), "{down}");
    assert!(begun.elapsed() < Duration::from_secs(120));
}

async fn a_node_that_is_stopped_is_told_of_in_time() {
    let registry = Registry::embedded().await;
    let node = Edge::node(&[EdgeUpstream::longshore(&registry)], &zone()).await;
    let pid = i32::try_from(node.pid()).ok().and_then(Pid::from_raw).expect("a process");
    kill_process(pid, Signal::STOP).expect("it is ours");
    let begun = Instant::now();
    let (status, peers, layers, pull) = tokio::join!(
        node.command("status", &[]),
        node.command("peers", &[]),
        node.command("layers", &[]),
        node.command("pull", &["harbor/team/app:v1"]),
    );
    kill_process(pid, Signal::CONT).expect("it is ours");
    for output in [status, peers, layers, pull] {
        assert!(output.code == Some(1) && output.stderr.contains("no answer in time"), "{output}");
    }
    assert!(begun.elapsed() < Duration::from_secs(40), "{:?}", begun.elapsed());
}
