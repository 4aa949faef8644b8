//! Peers are asked what they know of a blob of which nothing is here.

use std::time::Duration;

use libp2p_identity::{Keypair, PeerId};
use tokio::time::Instant;

use super::bed::{Bed, Blob, Law, Running, Shown, Spec, soon};

const LONG: Duration = Duration::from_secs(30);

/// A node that has a blob, and knows this of it.
async fn knowing(bed: &Bed, blob: &Blob, metainfo: &'static str) -> Running {
    let seed = bed.node(Spec { holds: Some(blob), ..Spec::default() }).await;
    seed.shelf.metainfo.lock().unwrap().insert(blob.digest.clone(), metainfo.into());
    seed.swarm.share(blob.topic()).await;
    bed.tracks(blob, &seed).await;
    seed
}

/// By way of a tracker; and the blob can be had of the same peer right after.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_neighbour_tells_what_it_knows_and_brings_what_it_has() {
    let bed = Bed::new().await;
    let blob = Blob::new(5, 60);
    let seed = knowing(&bed, &blob, "what it is made of").await;
    let node = bed.node(Spec { has_no_origin: true, ..Spec::default() }).await;
    let mut inquiry = node.swarm.ask_about(blob.topic(), LONG);
    let told = soon(inquiry.next()).await.unwrap();
    assert_eq!((told.by, &*told.metainfo), (seed.swarm.peer(), &b"what it is made of"[..]));
    drop(inquiry);
    let begun = Instant::now();
    assert_eq!(soon(node.get(&blob)).await.unwrap().from_peers, 5);
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}: the peer was not free to be asked", begun.elapsed());
}

/// All who know are asked, one after the other, while somebody listens; who knows nothing is passed by.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_who_knows_tells_and_then_it_is_over() {
    let bed = Bed::new().await;
    let blob = Blob::new(2, 61);
    let mut seeds = Vec::new();
    for metainfo in ["one", "two", "three"] {
        seeds.push(knowing(&bed, &blob, metainfo).await);
    }
    let ignorant = bed.node(Spec { holds: Some(&blob), ..Spec::default() }).await;
    ignorant.swarm.share(blob.topic()).await;
    bed.tracks(&blob, &ignorant).await;
    let node = bed.node(Spec::default()).await;
    let mut inquiry = node.swarm.ask_about(blob.topic(), LONG);
    let (mut told, begun) = (Vec::new(), Instant::now());
    while let Some(answer) = soon(inquiry.next()).await {
        told.push(String::from_utf8(answer.metainfo.to_vec()).unwrap());
    }
    told.sort();
    assert_eq!(told, ["one", "three", "two"]);
    assert!(begun.elapsed() < LONG / 2, "{:?}: nobody was left to ask", begun.elapsed());
}

/// Who may not have a blob is not told what it is made of.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stranger_is_told_nothing() {
    let bed = Bed::new().await;
    let blob = Blob::new(2, 62);
    let seed = knowing(&bed, &blob, "a secret").await;
    let another: PeerId = Keypair::generate_ed25519().public().to_peer_id();
    for shows in [None, Some(Law::token(another)), Some(Law::token(seed.swarm.peer()))] {
        let stranger = bed.node(Spec { shows: Some(Shown(shows)), joins: vec![seed.control()], ..Spec::default() }).await;
        let mut inquiry = stranger.swarm.ask_about(blob.topic(), LONG);
        assert_eq!(soon(inquiry.next()).await, None);
    }
}

/// Where nobody is there, that is known soon; so it is where the time is over, or the swarm is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_ends_by_itself() {
    let bed = Bed::without_tracker().await;
    let blob = Blob::new(2, 63);
    let node = bed.node(Spec::default()).await;
    let begun = Instant::now();
    let mut inquiry = node.swarm.ask_about(blob.topic(), LONG);
    assert_eq!(soon(inquiry.next()).await, None);
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    let status = node.swarm.status().await.unwrap();
    assert_eq!(status.fetches.len(), 0);
    node.swarm.leave().await;
    assert_eq!(soon(node.swarm.ask_about(blob.topic(), LONG).next()).await, None);
}

/// More than there is room for is answered at once: by nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn too_many_at_once_are_not_asked() {
    let bed = Bed::without_tracker().await;
    let node = bed.node(Spec::default()).await;
    let all: Vec<_> = (0..300).map(|number| node.swarm.ask_about(Blob::new(1, 1000 + number).topic(), LONG)).collect();
    let ends = all.into_iter().map(|mut inquiry| async move { soon(inquiry.next()).await });
    assert!(futures_util::future::join_all(ends).await.iter().all(Option::is_none));
}
