//! Who may not have something gets nothing, and learns nothing.

use std::time::Duration;

use libp2p_identity::{Keypair, PeerId};

use super::bed::{Bed, Blob, Law, Running, Shown, Spec, soon};
use crate::wire::Token;

async fn seeded(bed: &Bed, blob: &Blob) -> Running {
    let seed = bed.node(Spec { holds: Some(blob), ..Spec::default() }).await;
    seed.swarm.share(blob.topic()).await;
    bed.tracks(blob, &seed).await;
    seed
}

/// Returns when one is connected to the other.
async fn have_met(one: &Running, other: &Running) {
    let is_there = async || {
        let status = one.swarm.status().await.unwrap();
        status.peers.iter().any(|peer| peer.peer == other.swarm.peer())
    };
    soon(async {
        while !is_there().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
}

/// Without a token, with somebody else's, or with one that is made up.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stranger_gets_nothing_and_hears_of_nobody() {
    let bed = Bed::new().await;
    let blob = Blob::new(4, 30);
    let seed = seeded(&bed, &blob).await;
    let another: PeerId = Keypair::generate_ed25519().public().to_peer_id();
    let strangers = [None, Some(Law::token(another)), Some(Law::token(seed.swarm.peer())), Some(Token("made up".into()))];
    // At once: each waits until it is clear that nothing comes.
    let refused = strangers.into_iter().map(async |shows| {
        // It knows where the seed is, as by another way.
        let joins = vec![seed.control()];
        let stranger = bed.node(Spec { shows: Some(Shown(shows.clone())), joins, has_no_origin: true, ..Spec::default() }).await;
        have_met(&stranger, &seed).await;
        assert!(soon(stranger.get(&blob)).await.is_err(), "{shows:?}");
        let status = stranger.swarm.status().await.unwrap();
        assert_eq!(status.peers.iter().map(|peer| peer.received_bytes).sum::<u64>(), 0);
    });
    futures_util::future::join_all(refused).await;
    assert_eq!(seed.swarm.status().await.unwrap().peers.iter().map(|peer| peer.sent_bytes).sum::<u64>(), 0);
    // Who has the right, and is like them in all else, gets it.
    let friend = bed.node(Spec { joins: vec![seed.control()], has_no_origin: true, ..Spec::default() }).await;
    have_met(&friend, &seed).await;
    assert_eq!(soon(friend.get(&blob)).await.unwrap().from_peers, 4);
}

/// What holds for a time ends then, and is asked for anew.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_right_ends() {
    let bed = Bed::new().await;
    let blob = Blob::new(40, 31);
    let _seed = seeded(&bed, &blob).await;
    *bed.law.holds_for.lock().unwrap() = Some(Duration::from_millis(300));
    let node = bed.node(Spec { memory_pieces: 2, has_no_origin: true, ..Spec::default() }).await;
    let mut arrivals = node.begin(&blob);
    let first = soon(arrivals.next()).await.unwrap().unwrap();
    node.put(&blob, first);
    bed.law.forbid(node.swarm.peer());
    let mut came = 1;
    while let Some(Ok(arrival)) = soon(arrivals.next()).await {
        node.put(&blob, arrival);
        came += 1;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(came < 40, "it got all of it after its right was over");
}
