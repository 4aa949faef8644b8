//! Nodes in one process, over real connections on loopback: what is here is in memory, and so is the origin.

mod bed;
mod faults;
mod fetching;
mod guests;
mod host;
mod inquiring;
mod lone;
mod raw;
mod strangers;

use std::time::Duration;

use bed::{Bed, Blob, Spec, soon};

use crate::control::ControlAddress;

/// A node that has all gives it to one that has nothing; the origin is not asked.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_neighbour_brings_what_it_has() {
    let bed = Bed::new().await;
    let blob = Blob::new(9, 1);
    let seed = bed.node(Spec { holds: Some(&blob), ..Spec::default() }).await;
    seed.swarm.share(blob.topic()).await;
    let other = bed.node(Spec::default()).await;
    bed.tracks(&blob, &seed).await;
    let outcome = soon(other.get(&blob)).await.unwrap();
    assert_eq!((outcome.from_peers, outcome.from_origin), (9, 0));
    assert!(other.has_all(&blob), "and each piece is right");
}

/// Many that begin at once share what few of them fetch.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_costs_the_origin_hardly_more_than_one_copy() {
    let bed = Bed::new().await;
    let blob = Blob::new(48, 2);
    let mut nodes = Vec::new();
    for _ in 0..8 {
        nodes.push(bed.node(Spec { origin_rate: Some(48 << 20), ..Spec::default() }).await);
    }
    let all = nodes.iter().map(|node| soon(node.get(&blob)));
    let outcomes = futures_util::future::join_all(all).await;
    assert!(outcomes.iter().all(Result::is_ok) && nodes.iter().all(|node| node.has_all(&blob)));
    let copies = nodes.iter().map(bed::Running::origin_pieces).sum::<u64>();
    assert!(copies <= 48 * 3 / 2, "{copies} pieces of the origin, of 48");
}

/// Without trackers the nodes that one is told of will do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fleet_without_trackers_finds_itself() {
    let bed = Bed::without_tracker().await;
    let blob = Blob::new(8, 3);
    let first = bed.node(Spec { holds: Some(&blob), ..Spec::default() }).await;
    first.swarm.share(blob.topic()).await;
    let second = bed.node(Spec { joins: vec![first.control()], ..Spec::default() }).await;
    let third = bed.node(Spec { joins: vec![second.control()], has_no_origin: true, ..Spec::default() }).await;
    assert_eq!(soon(second.get(&blob)).await.unwrap().from_peers, 8);
    assert_eq!(soon(third.get(&blob)).await.unwrap().from_peers, 8);
}

/// One of several addresses will do, be it not the first: a name may have one of IPv6 where nobody listens.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_to_join_is_found_at_whichever_of_its_addresses_it_is() {
    let bed = Bed::without_tracker().await;
    let blob = Blob::new(8, 6);
    let first = bed.node(Spec { holds: Some(&blob), ..Spec::default() }).await;
    first.swarm.share(blob.topic()).await;
    let second = bed.node(Spec { has_no_origin: true, ..Spec::default() }).await;
    let nowhere: ControlAddress = "127.0.0.1:1".parse().unwrap();
    let addresses = [nowhere, first.control()].map(|address| address.of_peer(first.swarm.peer()));
    second.swarm.join(addresses.to_vec()).await;
    assert_eq!(soon(second.get(&blob)).await.unwrap().from_peers, 8);
}

/// A lone node is as well off as without a swarm.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_alone_asks_the_origin_at_once() {
    let bed = Bed::without_tracker().await;
    let blob = Blob::new(5, 4);
    let node = bed.node(Spec::default()).await;
    let begun = std::time::Instant::now();
    let outcome = soon(node.get(&blob)).await.unwrap();
    assert_eq!((outcome.from_peers, outcome.from_origin), (0, 5));
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
}

/// What was handed on before the end is here after it, and is not asked for again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_begins_again_goes_on_where_it_was() {
    let bed = Bed::without_tracker().await;
    let blob = Blob::new(12, 5);
    let node = bed.node(Spec::default()).await;
    let mut arrivals = node.begin(&blob);
    for _ in 0..5 {
        let arrival = soon(arrivals.next()).await.unwrap().unwrap();
        node.put(&blob, arrival);
    }
    drop(arrivals);
    let outcome = soon(node.get(&blob)).await.unwrap();
    assert_eq!(outcome.from_origin, 7);
    assert!(node.has_all(&blob));
}

/// Many downloads at once take no more memory than there is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_downloads_stay_within_the_memory() {
    let bed = Bed::new().await;
    let blobs: Vec<_> = (0..24).map(|number| Blob::new(6, 100 + number)).collect();
    let seed = bed.node(Spec::default()).await;
    for blob in &blobs {
        seed.hold(blob);
        seed.swarm.share(blob.topic()).await;
    }
    let node = bed.node(Spec { memory_pieces: 8, ..Spec::default() }).await;
    for blob in &blobs {
        bed.tracks(blob, &seed).await;
    }
    let outcomes = futures_util::future::join_all(blobs.iter().map(|blob| soon(node.get(blob)))).await;
    assert!(outcomes.iter().all(Result::is_ok) && blobs.iter().all(|blob| node.has_all(blob)));
    assert!(node.most_memory() <= 8);
}

/// Who leaves is not told of any more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_leaves_is_forgotten_at_once() {
    let bed = Bed::new().await;
    let blob = Blob::new(4, 6);
    let seed = bed.node(Spec { holds: Some(&blob), ..Spec::default() }).await;
    seed.swarm.share(blob.topic()).await;
    bed.tracks(&blob, &seed).await;
    soon(seed.swarm.leave()).await;
    bed.forgets(&blob, &seed).await;
}

/// Whoever asks is told how things are.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_status_tells_of_peers_and_what_came_of_them() {
    let bed = Bed::new().await;
    let blob = Blob::new(4, 7);
    let seed = bed.node(Spec { holds: Some(&blob), ..Spec::default() }).await;
    seed.swarm.share(blob.topic()).await;
    bed.tracks(&blob, &seed).await;
    let node = bed.node(Spec::default()).await;
    soon(node.get(&blob)).await.unwrap();
    let status = soon(node.swarm.status()).await.unwrap();
    assert_eq!(status.peers.len(), 1);
    assert_eq!((status.peers[0].peer, status.peers[0].received_bytes), (seed.swarm.peer(), blob.geometry.size_bytes()));
    assert_eq!(status.shared, std::slice::from_ref(&blob.digest));
    assert!(status.trackers.iter().all(|tracker| tracker.answers == Some(true)));
}
