//! What goes wrong on the way.

use std::{
    net::{SocketAddr, TcpListener},
    sync::atomic::Ordering,
    time::Duration,
};

use futures_util::future::{join, join_all};
use tokio::time::sleep;

use super::bed::{Bed, Blob, Running, Spec, soon};
use crate::{
    control::ControlAddress,
    swarm::{FetchError, SwarmSettings},
};

/// A peer that sends what is wrong is found out by the first piece, and shunned; what is missing comes from others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_liar_is_shunned_and_nothing_wrong_is_handed_on() {
    let bed = Bed::new().await;
    let blob = Blob::new(10, 20);
    let liar = bed.node(Spec { holds: Some(&blob), ..Spec::default() }).await;
    liar.shelf.lies.store(true, Ordering::Relaxed);
    let honest = bed.node(Spec { holds: Some(&blob), ..Spec::default() }).await;
    for node in [&liar, &honest] {
        node.swarm.share(blob.topic()).await;
        bed.tracks(&blob, node).await;
    }
    let tune = |settings: &mut SwarmSettings| settings.give_up_after = Duration::from_secs(30);
    let node = bed.node(Spec { has_no_origin: true, tune, ..Spec::default() }).await;
    // Else it may have all before the liar is asked for anything.
    honest.shelf.is_broken.store(true, Ordering::Relaxed);
    let found_out = async {
        while node.swarm.status().await.unwrap().banned.is_empty() {
            sleep(Duration::from_millis(5)).await;
        }
        honest.shelf.is_broken.store(false, Ordering::Relaxed);
    };
    let (outcome, ()) = soon(join(node.get(&blob), found_out)).await;
    assert_eq!(outcome.unwrap().from_peers, 10);
    assert!(node.has_all(&blob));
    let status = node.swarm.status().await.unwrap();
    assert_eq!(status.banned.iter().map(|(peer, _)| *peer).collect::<Vec<_>>(), [liar.swarm.peer()]);
    assert!(status.peers.iter().all(|peer| peer.peer != liar.swarm.peer()));
}

/// With the origin down what a neighbour has still comes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_origin_may_be_down() {
    let bed = Bed::new().await;
    let blob = Blob::new(6, 21);
    let seed = bed.node(Spec { holds: Some(&blob), ..Spec::default() }).await;
    seed.swarm.share(blob.topic()).await;
    bed.tracks(&blob, &seed).await;
    let node = bed.node(Spec { has_no_origin: true, ..Spec::default() }).await;
    assert_eq!(soon(node.get(&blob)).await.unwrap().from_peers, 6);
    assert!(node.swarm.came_bytes() > 0, "what comes in parts is counted as it comes");
}

/// Where nobody has it and the origin fails, that is said, and soon.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nobody_has_fails_with_the_origins_reason() {
    for bed in [Bed::new().await, Bed::without_tracker().await] {
        let node = bed.node(Spec { has_no_origin: true, ..Spec::default() }).await;
        let begun = std::time::Instant::now();
        let error = soon(node.get(&Blob::new(3, 22))).await.unwrap_err();
        assert!(matches!(&error, FetchError::Origin(cause) if cause.to_string() == "the origin is down"), "{error}");
        assert!(begun.elapsed().as_secs() < 5, "{:?}", begun.elapsed());
    }
}

/// Nothing wrong of the origin is handed on either.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_origin_is_found_out() {
    let bed = Bed::without_tracker().await;
    let node = bed.node(Spec { origin_is_wrong: true, ..Spec::default() }).await;
    let error = soon(node.get(&Blob::new(3, 23))).await.unwrap_err();
    assert!(matches!(&error, FetchError::Origin(cause) if cause.to_string().contains("hash of piece")), "{error}");
}

/// A peer that dies in the middle costs time, and no piece.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_may_die_in_the_middle() {
    let bed = Bed::new().await;
    let blob = Blob::new(40, 24);
    let seed = bed.node(Spec { holds: Some(&blob), ..Spec::default() }).await;
    seed.swarm.share(blob.topic()).await;
    bed.tracks(&blob, &seed).await;
    let node = bed.node(Spec { memory_pieces: 4, ..Spec::default() }).await;
    let mut arrivals = node.begin(&blob);
    let mut came = 0;
    while let Some(arrival) = soon(arrivals.next()).await {
        node.put(&blob, arrival.unwrap());
        came += 1;
        if came == 10 {
            soon(seed.swarm.leave()).await;
        }
    }
    assert!(came == 40 && node.has_all(&blob));
    assert!(node.origin_pieces() > 0, "somebody had to bring the rest");
}

/// Who says that it has something and can't read it holds nobody up.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_cannot_read_what_it_has_is_passed_by() {
    let bed = Bed::new().await;
    let blob = Blob::new(6, 25);
    let broken = bed.node(Spec { holds: Some(&blob), ..Spec::default() }).await;
    broken.shelf.is_broken.store(true, Ordering::Relaxed);
    broken.swarm.share(blob.topic()).await;
    bed.tracks(&blob, &broken).await;
    let node = bed.node(Spec::default()).await;
    assert_eq!(soon(node.get(&blob)).await.unwrap().from_origin, 6);
    assert!(node.has_all(&blob));
}

/// Ports that were free a moment ago.
fn free<const N: usize>() -> [SocketAddr; N] {
    let held = [(); N].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    held.map(|listener| listener.local_addr().unwrap())
}

/// Each is told of the other by its own book.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_that_are_each_other_s_tracker_find_each_other() {
    let bed = Bed::without_tracker().await;
    let blob = Blob::new(4, 28);
    let [control] = free();
    let seed = bed.node(Spec { holds: Some(&blob), trackers: vec![control.into()], ..Spec::default() }).await;
    seed.swarm.share(blob.topic()).await;
    let trackers = vec![seed.control()];
    let node = bed.node(Spec { trackers, control: Some(control), has_no_origin: true, ..Spec::default() }).await;
    assert_eq!(soon(node.get(&blob)).await.unwrap().from_peers, 4);
}

/// All go by the same of them, they themselves as well, so nobody asks the origin for what is another's to ask for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn trackers_that_all_name_cost_the_origin_a_copy() {
    let bed = Bed::without_tracker().await;
    let blob = Blob::new(24, 29);
    let controls = free::<2>();
    let trackers: Vec<_> = controls.map(ControlAddress::from).to_vec();
    let node = |control| bed.node(Spec { trackers: trackers.clone(), control, origin_rate: Some(16 << 20), ..Spec::default() });
    let nodes = [node(Some(controls[0])).await, node(Some(controls[1])).await, node(None).await];
    let mut known = Vec::new();
    for node in &nodes {
        known.push(node.swarm.status().await.expect("it runs").trackers.len());
    }
    assert_eq!(known, [1, 1, 2], "who is one knows itself");
    soon(join_all(nodes.iter().map(|node| node.get(&blob)))).await.into_iter().for_each(|outcome| assert!(outcome.is_ok()));
    let origin: u64 = nodes.iter().map(Running::origin_pieces).sum();
    assert!(origin < 36, "{origin} of 24 pieces came from there");
}

/// While all trackers are dead the swarm goes on with whom it knows.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn trackers_may_die() {
    let mut bed = Bed::new().await;
    let (known, new) = (Blob::new(4, 26), Blob::new(4, 27));
    let seed = bed.node(Spec { holds: Some(&known), ..Spec::default() }).await;
    seed.hold(&new);
    for blob in [&known, &new] {
        seed.swarm.share(blob.topic()).await;
    }
    bed.tracks(&known, &seed).await;
    let node = bed.node(Spec { has_no_origin: true, ..Spec::default() }).await;
    soon(node.get(&known)).await.unwrap();
    bed.kill_tracker().await;
    assert_eq!(soon(node.get(&new)).await.unwrap().from_peers, 4);
}
