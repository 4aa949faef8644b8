//! Peers that speak the protocol as they like.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use bytes::Bytes;
use libp2p_identity::{Keypair, PeerId};
use longshore_oci::piece::PieceSet;
use tokio::time::{Instant, sleep, timeout};

use super::bed::{Bed, Blob, Law, Running, Spec, soon};
use crate::{
    locality::Locality,
    plane::{Endpoint, Event, Limits, NodeKey, Reader, Sender, dial_record},
    swarm::SwarmSettings,
    wire::{Opened, TopicId},
};

/// A peer's end of a connection to a node.
struct Raw {
    peer: PeerId,
    sender: Sender,
    reader: Reader,
}

impl Raw {
    async fn dial(node: &Running) -> Self {
        let key = Keypair::generate_ed25519();
        let peer = key.public().to_peer_id();
        let locality = Locality { zone: "a".into(), ..Locality::default() };
        let endpoint: Arc<Endpoint> = Endpoint::new(&NodeKey::from(key), None, locality, Limits::default()).unwrap();
        let connection = soon(dial_record(&endpoint, &node.swarm.record())).await.unwrap();
        tokio::spawn(connection.writer.run());
        Self { peer, sender: connection.sender, reader: connection.reader }
    }

    /// Opens a blob, as it may, so the node has reason to believe that it will have it.
    fn open(&self, blob: &Blob) {
        self.sender.open(blob.topic(), Some(Law::token(self.peer)), false).unwrap();
    }

    /// The topics that the node opens here within a time.
    async fn opens_within(&mut self, time: Duration) -> usize {
        let mut opens = 0;
        let counting = async {
            while let Ok(event) = self.reader.next().await {
                opens += usize::from(matches!(event, Event::Open(_)));
            }
        };
        let _ = timeout(time, counting).await;
        opens
    }

    async fn next_open(&mut self) -> TopicId {
        loop {
            if let Event::Open(open) = soon(self.reader.next()).await.unwrap() {
                return open.id;
            }
        }
    }
}

/// Whoever connects is not told what is wanted here, nor given what is shown for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stranger_is_not_told_what_is_wanted() {
    let bed = Bed::new().await;
    let blob = Blob::new(4, 60);
    let node = bed.node(Spec { origin_hangs: true, ..Spec::default() }).await;
    let (mut before, _arrivals) = (Raw::dial(&node).await, node.begin(&blob));
    let mut after = Raw::dial(&node).await;
    assert_eq!(before.opens_within(Duration::from_secs(1)).await, 0);
    assert_eq!(after.opens_within(Duration::from_secs(1)).await, 0);
    // But who has shown that it may have it is.
    after.open(&blob);
    after.next_open().await;
}

/// A liar that hangs up at once is shunned like any other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_liar_does_not_escape_by_hanging_up() {
    let bed = Bed::new().await;
    let blob = Blob::new(4, 61);
    let node = bed.node(Spec { origin_hangs: true, ..Spec::default() }).await;
    let _arrivals = node.begin(&blob);
    let mut liar = Raw::dial(&node).await;
    liar.open(&blob);
    let id = liar.next_open().await;
    let pieces = PieceSet::all_of(blob.geometry.pieces());
    liar.sender.opened(Opened { id, geometry: blob.geometry, pieces, metainfo: None }).unwrap();
    let piece = loop {
        if let Event::Ask { piece, .. } = soon(liar.reader.next()).await.unwrap() {
            break piece;
        }
    };
    let wrong = Bytes::from(vec![7; blob.content[piece.0 as usize].len()]);
    soon(liar.sender.send_piece(id, piece, wrong)).await.unwrap();
    liar.sender.leave("nothing to see here");
    soon(async {
        while node.swarm.status().await.unwrap().banned.iter().all(|(peer, _)| *peer != liar.peer) {
            sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

/// Peers that never answer, however many, don't keep a download from one that does; and their connections are not kept for that.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_not_answer_makes_room_for_who_does() {
    let bed = Bed::new().await;
    let blob = Blob::new(4, 62);
    let tune = |settings: &mut SwarmSettings| {
        settings.download.most_peers = 2;
        settings.open_timeout = Duration::from_millis(500);
        settings.refused_for = Duration::from_secs(2);
        settings.give_up_after = Duration::from_secs(30);
        settings.acquaintance.idle_after = Duration::from_secs(12);
    };
    let node = bed.node(Spec { has_no_origin: true, tune, ..Spec::default() }).await;
    let begun = Instant::now();
    let getting = async { (node.get(&blob).await.unwrap().from_peers, begun.elapsed()) };
    let meanwhile = async {
        let mut silent = Vec::new();
        let mut opens = BTreeSet::new();
        for _ in 0..2 {
            let mut raw = Raw::dial(&node).await;
            raw.open(&blob);
            opens.insert((raw.peer, raw.next_open().await));
            silent.push(raw);
        }
        let seed = bed.node(Spec { holds: Some(&blob), joins: vec![node.control()], ..Spec::default() }).await;
        seed.swarm.share(blob.topic()).await;
        bed.tracks(&blob, &seed).await;
        let hopeful = Raw::dial(&node).await;
        hopeful.open(&blob);
        (silent, seed, opens)
    };
    let ((came, took), (mut silent, _seed, opens)) = soon(Box::pin(futures_util::future::join(getting, meanwhile))).await;
    assert_eq!((came, opens.len()), (4, 2));
    assert!(took < Duration::from_secs(9), "{took:?}");
    for raw in &mut silent {
        // A second of grace for the tick, and what it says before it leaves.
        soon(async { while raw.reader.next().await.is_ok() {} }).await;
    }
}

/// What was asked of a slow peer and came by another way meanwhile holds no memory, be it sent all the same or not, and is no fault.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_piece_that_comes_late_holds_no_memory() {
    let bed = Bed::new().await;
    let blob = Blob::new(6, 63);
    let tune = |settings: &mut SwarmSettings| settings.give_up_after = Duration::from_secs(30);
    let node = bed.node(Spec { has_no_origin: true, memory_pieces: 8, tune, ..Spec::default() }).await;
    let getting = node.get(&blob);
    let meanwhile = async {
        let mut slow = Raw::dial(&node).await;
        slow.open(&blob);
        let id = slow.next_open().await;
        let pieces = PieceSet::all_of(blob.geometry.pieces());
        slow.sender.opened(Opened { id, geometry: blob.geometry, pieces, metainfo: None }).unwrap();
        let asked = loop {
            if let Event::Ask { piece, .. } = soon(slow.reader.next()).await.unwrap() {
                break piece;
            }
        };
        let seed = bed.node(Spec { holds: Some(&blob), joins: vec![node.control()], ..Spec::default() }).await;
        seed.swarm.share(blob.topic()).await;
        (slow, seed, id, asked)
    };
    let (outcome, (mut slow, _seed, id, asked)) = soon(Box::pin(futures_util::future::join(getting, meanwhile))).await;
    assert_eq!(outcome.unwrap().from_peers, 6);
    let is_free = async || {
        soon(async {
            while node.held_memory() > 0 {
                sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
    };
    is_free().await;
    // It has not heard that this is not wanted any more.
    let bytes = blob.content[asked.0 as usize].clone();
    soon(slow.sender.send_piece(id, asked, bytes)).await.unwrap();
    // What it opens next is answered after what it sent.
    slow.open(&Blob::new(1, 64));
    soon(async { while !matches!(slow.reader.next().await.unwrap(), Event::Refused { .. }) {} }).await;
    is_free().await;
    assert!(node.swarm.status().await.unwrap().banned.is_empty());
}
