//! What a disk does to pieces, and `kill -9` at any point: nothing wrong is ever served, and what is right is not fetched again.

use std::{
    collections::BTreeSet,
    os::unix::fs::FileExt as _,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::Method;
use longshore_oci::Digest;
use longshore_tests::{Answer, Backend, Edge, EdgeUpstream, Random, Registry, Upstream, Wire, digest_of, done, scaled, until};
use tokio::task::JoinSet;

longshore_tests::once!(
    a_flipped_bit_of_longshore_costs_its_piece,
    a_flipped_bit_of_another_registry_is_fetched_again,
    a_file_that_is_cut_or_lost_is_fetched_again,
    a_scrub_finds_what_nobody_asks_for,
    what_was_kept_survives_a_restart,
    a_storm_through_kill_9_serves_nothing_wrong,
);

const MIB: usize = 1 << 20;
const REPOSITORY: &str = "damage/edge";

/// Without what is kept in memory, every answer comes from the disk.
pub fn from_disk() -> Vec<(&'static str, serde_json::Value)> {
    vec![("cache.memory", 0.into()), ("cache.sync_delay", "20ms".into()), ("cache.scrub_rate", 0.into())]
}

/// One wrong bit in the file of a blob.
pub fn flip(edge: &Edge, blob: &Digest, place: u64) {
    let file = std::fs::File::options().read(true).write(true).open(edge.blob_file(blob)).expect("the blob is kept");
    let mut byte = [0];
    file.read_exact_at(&mut byte, place).expect("it is as long");
    file.write_all_at(&[byte[0] ^ 1], place).expect("the file is ours");
}

/// The bytes of a blob that were asked for over a wire since calls were last taken.
pub fn asked_bytes(wire: &Wire, blob: &Digest, size_bytes: usize) -> usize {
    let path = format!("/blobs/{blob}");
    let calls = wire.take_calls();
    let asked = calls.iter().filter(|call| call.method == "GET" && call.path.ends_with(&path));
    asked.map(|call| call.asked_bytes(size_bytes).len()).sum()
}

/// "a flipped bit is refetched, counted, and never served"
async fn a_flipped_bit_of_longshore_costs_its_piece() {
    let registry = Registry::start(Backend::Folder).await;
    let wire = Wire::http(registry.authority()).await;
    let mut edge = Edge::with(&[EdgeUpstream::through(&wire)], &from_disk()).await;
    let content = Random::seeded(1200).bytes(5 * MIB + 9);
    let digest = registry.client().push_blob(REPOSITORY, &content).await;
    assert!(edge.client().take_blob(REPOSITORY, &content).await.is_right());
    for place in [0, 2 * MIB + 17, 5 * MIB + 8] {
        edge.restart_gently().await;
        flip(&edge, &digest, place as u64);
        let damaged = edge.metric(Edge::DAMAGED).await;
        wire.take_calls();
        let taken = edge.client().take_blob(REPOSITORY, &content).await;
        assert!(taken.is_right(), "a bit at {place}: {taken:?}");
        let piece = MIB.min(content.len() - place / MIB * MIB);
        assert_eq!(asked_bytes(&wire, &digest, content.len()), piece, "a bit at {place}");
        edge.counts(Edge::DAMAGED, damaged).await;
        edge.logs(&[digest.as_str(), "damaged"]).await;
        assert!(edge.client().take_blob(REPOSITORY, &content).await.is_right());
        assert_eq!(asked_bytes(&wire, &digest, content.len()), 0, "it is mended");
    }
}

/// Of what another registry holds the edge knows the pieces, once it has seen all of it right.
async fn a_flipped_bit_of_another_registry_is_fetched_again() {
    let upstream = Upstream::start().await;
    let mut edge = Edge::with(&[EdgeUpstream::other(&upstream)], &from_disk()).await;
    let content = Random::seeded(1201).bytes(5 * MIB + 9);
    let digest = upstream.hold_blob(REPOSITORY, &content);
    assert!(edge.client().take_blob(REPOSITORY, &content).await.is_right());
    for place in [0, 2 * MIB + 17, 5 * MIB + 8] {
        edge.restart_gently().await;
        flip(&edge, &digest, place as u64);
        let damaged = edge.metric(Edge::DAMAGED).await;
        upstream.take_asked();
        let taken = edge.client().take_blob(REPOSITORY, &content).await;
        assert!(taken.is_right(), "a bit at {place}: {taken:?}");
        let sent = upstream.sent_bytes_of(&digest);
        assert!(sent > 0 && sent <= content.len() as u64, "{sent} bytes came again");
        edge.counts(Edge::DAMAGED, damaged).await;
        edge.logs(&[digest.as_str(), "damaged"]).await;
        upstream.take_asked();
        assert!(edge.client().take_blob(REPOSITORY, &content).await.is_right());
        assert_eq!(upstream.sent_bytes_of(&digest), 0, "it is mended");
    }
    // With the upstream away, what is damaged is not served, and what is not is.
    flip(&edge, &digest, 5 * MIB as u64);
    upstream.go_away();
    let path = format!("/v2/{REPOSITORY}/blobs/{digest}");
    let right = Answer::to(edge.client().request(Method::GET, &path).header("range", "bytes=0-999999")).await.expect(206);
    assert!(right.body == content[..1_000_000]);
    let taken = edge.client().take_blob(REPOSITORY, &content).await;
    assert!(taken.wrong_after.is_none() && !taken.is_served(), "{taken:?}");
    upstream.come_back();
    assert!(edge.client().take_blob(REPOSITORY, &content).await.is_right());
}

async fn a_file_that_is_cut_or_lost_is_fetched_again() {
    let upstream = Upstream::start().await;
    let mut edge = Edge::with(&[EdgeUpstream::other(&upstream)], &from_disk()).await;
    let content = Random::seeded(1202).bytes(3 * MIB);
    let digest = upstream.hold_blob(REPOSITORY, &content);
    for kept in [Some(2 * MIB as u64 + 1), Some(0), None] {
        assert!(edge.client().take_blob(REPOSITORY, &content).await.is_right());
        edge.restart_gently().await;
        let path = edge.blob_file(&digest);
        match kept {
            Some(kept) => std::fs::File::options().write(true).open(path).expect("it is kept").set_len(kept).unwrap(),
            None => std::fs::remove_file(path).expect("it is kept"),
        }
        let taken = edge.client().take_blob(REPOSITORY, &content).await;
        assert!(taken.is_right(), "cut to {kept:?}: {taken:?}");
    }
}

async fn a_scrub_finds_what_nobody_asks_for() {
    let upstream = Upstream::start().await;
    let edge = Edge::with(&[EdgeUpstream::other(&upstream)], &from_disk()).await;
    let contents: Vec<Bytes> = (0..4).map(|number| Random::seeded(1203 + number).bytes(2 * MIB)).collect();
    for content in &contents {
        upstream.hold_blob(REPOSITORY, content);
        assert!(edge.client().take_blob(REPOSITORY, content).await.is_right());
    }
    let bad = digest_of(&contents[2]);
    until("the blob to be on the disk", Duration::from_secs(20), async || edge.blob_file(&bad).exists().then_some(())).await;
    flip(&edge, &bad, MIB as u64 + 1);
    let damaged = edge.metric(Edge::DAMAGED).await;
    done(edge.command("scrub", &[]).await);
    edge.counts(Edge::DAMAGED, damaged).await;
    edge.logs(&[bad.as_str(), "damaged"]).await;
    assert_eq!(edge.metric(Edge::DAMAGED).await, damaged + 1.0, "one piece, once");
    upstream.take_asked();
    for content in &contents {
        assert!(edge.client().take_blob(REPOSITORY, content).await.is_right());
    }
    let fetched: BTreeSet<String> =
        upstream.asked().iter().filter(|asked| asked.sent_bytes() >= MIB as u64).map(|asked| asked.path.clone()).collect();
    assert_eq!(fetched, BTreeSet::from([format!("/v2/{REPOSITORY}/blobs/{bad}")]), "and nothing else is fetched again");
}

/// What is whole and synced is there after `kill -9`, and is served with the upstream away.
async fn what_was_kept_survives_a_restart() {
    let registry = Registry::start(Backend::Folder).await;
    let upstream = Upstream::start().await;
    let upstreams = [EdgeUpstream::longshore(&registry), EdgeUpstream::other(&upstream)];
    let mut edge = Edge::with(&upstreams, &from_disk()).await;
    let content = Random::seeded(1210).bytes(5 * MIB + 9);
    registry.client().push_blob(REPOSITORY, &content).await;
    upstream.hold_blob(REPOSITORY, &content);
    assert!(edge.client().take_blob(REPOSITORY, &content).await.is_right());
    let other = Random::seeded(1211).bytes(3 * MIB);
    let other_digest = upstream.hold_blob(REPOSITORY, &other);
    let path = format!("/v2/elsewhere/{REPOSITORY}/blobs/{other_digest}");
    assert!(edge.client().take(&path, &other).await.is_right());
    edge.restart_gently().await;
    upstream.take_asked();
    assert!(edge.client().take_blob(REPOSITORY, &content).await.is_right());
    assert!(edge.client().take(&path, &other).await.is_right());
    assert_eq!(upstream.sent_bytes_of(&other_digest), 0);
    edge.restart().await;
    assert!(edge.client().take(&path, &other).await.is_right());
    assert_eq!(upstream.sent_bytes_of(&other_digest), 0);
    assert_eq!(edge.metric("longshore_edge_fetched_bytes_total").await, 0.0, "nothing came again");
}

/// Clients who pull all the time while the edge is killed again and again.
async fn a_storm_through_kill_9_serves_nothing_wrong() {
    let registry = Registry::start(Backend::Folder).await;
    let upstream = Upstream::start().await;
    let upstreams = [EdgeUpstream::longshore(&registry), EdgeUpstream::other(&upstream)];
    let mut edge = Edge::with(&upstreams, &[("cache.sync_delay", "50ms".into()), ("log.filter", "warn".into())]).await;
    let mut contents = Vec::new();
    for number in 0..24 {
        let content = Random::seeded(1220 + number).bytes(MIB / 2 + 613_211 * usize::try_from(number % 7).unwrap());
        let name = if number % 2 == 0 {
            registry.client().push_blob(REPOSITORY, &content).await;
            REPOSITORY.to_owned()
        } else {
            upstream.hold_blob(REPOSITORY, &content);
            format!("elsewhere/{REPOSITORY}")
        };
        contents.push((format!("/v2/{name}/blobs/{}", digest_of(&content)), content));
    }
    let contents = Arc::new(contents);
    let (finished, right) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let pulls = scaled(1500, 20_000);
    let mut clients = JoinSet::new();
    for worker in 0..16_u64 {
        let (client, contents) = (edge.client(), Arc::clone(&contents));
        let (finished, right) = (Arc::clone(&finished), Arc::clone(&right));
        clients.spawn(async move {
            let mut random = Random::seeded(1250 + worker);
            while finished.fetch_add(1, Ordering::Relaxed) < pulls {
                let (path, content) = &contents[random.index(0, contents.len())];
                let taken = client.take(path, content).await;
                assert!(!taken.is_wrong() && taken.wrong_after.is_none(), "{path}: {taken:?}");
                if taken.is_right() {
                    right.fetch_add(1, Ordering::Relaxed);
                } else {
                    client.until_back().await;
                }
            }
        });
    }
    let kills = scaled(8, 60);
    for kill in 1..=kills {
        let point = pulls * kill / (kills + 1);
        until("the pulls to go on", Duration::from_secs(300), async || (finished.load(Ordering::Relaxed) >= point).then_some(()))
            .await;
        edge.restart().await;
    }
    clients.join_all().await;
    assert!(
        right.load(Ordering::Relaxed) > pulls / 3,
        "only {} of {pulls} pulls came to their end",
        right.load(Ordering::Relaxed)
    );
    // Everything is right, from the disk too.
    edge.restart_with(&[("cache.memory", 0.into())]).await;
    for (path, content) in contents.iter() {
        let taken = edge.client().take(path, content).await;
        assert!(taken.is_right(), "{path}: {taken:?}");
    }
    assert_eq!(edge.metric(Edge::DAMAGED).await, 0.0, "a crash leaves verified pieces alone");
    assert_eq!(edge.metric(Edge::WRONG).await, 0.0);
}
