//! A crowd that wants the same at once, of an upstream that answers with something else, or on a disk that is full or damaged: nobody
//! gets a wrong byte, nothing wrong is kept, it is counted, the log names the digest, and the upstream is asked as often as is promised.

use std::time::Duration;

use bytes::Bytes;
use longshore_oci::Digest;
use longshore_tests::{Backend, Edge, EdgeUpstream, Misdeed, Plan, Random, Registry, Upstream, Wire, digest_of};

use crate::{
    edge_damage::{asked_bytes, flip, from_disk},
    edge_storm::{ATTEMPTS, REPOSITORY, all_are_right, crowd, gathered, is_mended, open_many_files, site, storm},
};

longshore_tests::once!(
    a_storm_on_a_wrong_length_keeps_nothing,
    a_storm_on_what_is_no_blob_ends,
    a_storm_on_a_full_disk_is_passed_through,
    a_storm_of_pieces_on_a_full_disk_fetches_each_once,
    a_storm_on_flipped_bits_fetches_each_piece_once,
    a_storm_on_flipped_bits_of_longshore_fetches_each_piece_once,
);

const MIB: usize = 1 << 20;
/// Times that the disk was full.
const DISK_FULL: &str = "longshore_edge_disk_full_total";
/// The small disk. Its quota is of a disk that is not there.
const DISK_MIB: u64 = 12;
const QUOTA: &str = "1GiB";

/// A crowd that waits for one answer, which is this. At most so many requests are all that it costs, as for one client.
async fn a_crowd_is_told(upstream: &Upstream, edge: &Edge, blob: &Bytes, misdeed: Misdeed, most_gets: usize) {
    let (digest, faults) = (digest_of(blob), edge.faults().await);
    upstream.misbehave(vec![Plan::always(misdeed.clone()).method("GET").containing(digest.as_str()).held()]);
    let taken = gathered(upstream, edge, crowd(), blob).await;
    for taken in &taken {
        assert!(!taken.is_served() && taken.wrong_after.is_none(), "{misdeed:?}: {taken:?}");
    }
    let gets = upstream.gets_of(&digest).len();
    assert!(gets <= most_gets, "{misdeed:?}: {gets} requests");
    edge.counts_faults(faults).await;
    edge.logs(&[digest.as_str(), "elsewhere"]).await;
    is_mended(upstream, edge, blob).await;
}

/// What is promised and does not come is asked for again, as after any connection that breaks off; what is whole by its length, and wrong
/// by its digest, is not.
async fn a_storm_on_a_wrong_length_keeps_nothing() {
    let (upstream, edge, image) = site(1300, &[2 * MIB, 2 * MIB + 1, 2 * MIB + 2], &[]).await;
    let lies =
        [(Misdeed::LongerLength(1000), ATTEMPTS), (Misdeed::ShorterLength(1000), 1), (Misdeed::ShorterLength(MIB as u64 + 5), 1)];
    for (blob, (lie, most_gets)) in image.blobs[1..].iter().zip(lies) {
        a_crowd_is_told(&upstream, &edge, blob, lie, most_gets).await;
    }
}

/// A page for people, and a way that leads back to itself: neither gets better by asking again.
async fn a_storm_on_what_is_no_blob_ends() {
    let (upstream, edge, image) = site(1301, &[MIB, MIB + 1], &[]).await;
    for (blob, misdeed) in image.blobs[1..].iter().zip([Misdeed::Html, Misdeed::RedirectLoop]) {
        a_crowd_is_told(&upstream, &edge, blob, misdeed, 1).await;
    }
}

/// A blob that can't be kept, and that nobody vouches for: each client has a stream of its own, beside the one by which that was found
/// out. One that is behind gets the rest piece by piece.
async fn a_storm_on_a_full_disk_is_passed_through() {
    open_many_files();
    let upstream = Upstream::start().await;
    let mut edge = Edge::on_a_small_disk(&[EdgeUpstream::other(&upstream)], DISK_MIB, &[("cache.quota", QUOTA.into())]).await;
    edge.fill_disk();
    let clients = crowd() / 2;
    // Of one piece nothing is handed on before all of it was found right, so nobody can be behind.
    let blobs = [(Random::seeded(1302).bytes(2 * MIB), 1 + 2), (Random::seeded(1306).bytes(MIB), 1)];
    for (blob, most_each) in &blobs {
        let digest = upstream.hold_blob(REPOSITORY, blob);
        let not_kept = edge.metric(Edge::NOT_KEPT).await;
        // The answer by which it is found out is a right one, for which all wait.
        let first = Plan::always(Misdeed::Stall(Duration::ZERO)).method("GET").containing(digest.as_str()).times(1).held();
        upstream.misbehave(vec![first]);
        all_are_right(&gathered(&upstream, &edge, clients, blob).await);
        let gets = upstream.gets_of(&digest).len();
        assert!(gets <= 1 + clients * most_each, "{gets} requests for {clients} clients");
        edge.counts(Edge::NOT_KEPT, not_kept).await;
    }
    assert!(edge.metric(DISK_FULL).await > 0.0, "it is counted");
    edge.logs(&[digest_of(&blobs[0].0).as_str(), "not kept"]).await;
    // On another disk, where there is room.
    edge.restart().await;
    for (blob, _) in &blobs {
        is_mended(&upstream, &edge, blob).await;
    }
}

/// The GETs of a blob over a wire since calls were last taken.
fn gets(wire: &Wire, blob: &Digest) -> usize {
    let path = format!("/blobs/{blob}");
    wire.take_calls().iter().filter(|call| call.method == "GET" && call.path.ends_with(&path)).count()
}

/// Where the pieces are known, those that can't be kept are fetched one by one for all, and stay in memory.
async fn a_storm_of_pieces_on_a_full_disk_fetches_each_once() {
    open_many_files();
    let registry = Registry::start(Backend::Folder).await;
    let wire = Wire::http(registry.authority()).await;
    let mut edge = Edge::on_a_small_disk(&[EdgeUpstream::through(&wire)], DISK_MIB, &[("cache.quota", QUOTA.into())]).await;
    let (content, pieces) = (Random::seeded(1303).bytes(3 * MIB + 9), 4);
    let digest = registry.client().push_blob(REPOSITORY, &content).await;
    edge.fill_disk();
    let (full, not_kept) = (edge.metric(DISK_FULL).await, edge.metric(Edge::NOT_KEPT).await);
    all_are_right(&storm(&edge.client(), crowd(), &content).await);
    let asked = gets(&wire, &digest);
    assert!(asked <= pieces, "{asked} requests for {pieces} pieces");
    edge.counts(DISK_FULL, full).await;
    edge.counts(Edge::NOT_KEPT, not_kept).await;
    edge.logs(&[digest.as_str(), "not kept"]).await;
    // On another disk, where there is room.
    edge.restart().await;
    all_are_right(&storm(&edge.client(), crowd(), &content).await);
    assert_eq!(asked_bytes(&wire, &digest, content.len()), content.len(), "it is one copy");
    assert!(edge.client().take_blob(REPOSITORY, &content).await.is_right());
    assert_eq!(gets(&wire, &digest), 0, "what is right is kept");
}

/// Places in as many pieces, none of which is next to another.
const PLACES: [usize; 3] = [0, 2 * MIB + 17, SIZE_BYTES - 1];
const SIZE_BYTES: usize = 5 * MIB + 9;
/// What those pieces have in all, the last of which is a short one.
const DAMAGED_BYTES: usize = 2 * MIB + 9;

/// A crowd that reads from a disk on which bits of these pieces are wrong.
async fn a_crowd_meets_damage(edge: &Edge, blob: &Bytes) {
    let digest = digest_of(blob);
    PLACES.iter().for_each(|place| flip(edge, &digest, *place as u64));
    let damaged = edge.metric(Edge::DAMAGED).await;
    all_are_right(&storm(&edge.client(), crowd() / 2, blob).await);
    assert_eq!(edge.metric(Edge::DAMAGED).await, damaged + PLACES.len() as f64, "each piece, once");
    edge.logs(&[digest.as_str(), "damaged"]).await;
}

async fn a_storm_on_flipped_bits_fetches_each_piece_once() {
    open_many_files();
    let upstream = Upstream::start().await;
    let mut edge = Edge::with(&[EdgeUpstream::other(&upstream)], &from_disk()).await;
    let content = Random::seeded(1304).bytes(SIZE_BYTES);
    let digest = upstream.hold_blob(REPOSITORY, &content);
    assert!(edge.client().take_blob(REPOSITORY, &content).await.is_right());
    edge.restart_gently().await;
    upstream.take_asked();
    a_crowd_meets_damage(&edge, &content).await;
    assert_eq!(upstream.gets_of(&digest).len(), PLACES.len());
    assert!(upstream.sent_bytes_of(&digest) <= DAMAGED_BYTES as u64, "{} bytes", upstream.sent_bytes_of(&digest));
    upstream.take_asked();
    all_are_right(&storm(&edge.client(), crowd() / 2, &content).await);
    assert!(upstream.gets_of(&digest).is_empty(), "it is mended");
}

async fn a_storm_on_flipped_bits_of_longshore_fetches_each_piece_once() {
    open_many_files();
    let registry = Registry::start(Backend::Folder).await;
    let wire = Wire::http(registry.authority()).await;
    let mut edge = Edge::with(&[EdgeUpstream::through(&wire)], &from_disk()).await;
    let content = Random::seeded(1305).bytes(SIZE_BYTES);
    let digest = registry.client().push_blob(REPOSITORY, &content).await;
    assert!(edge.client().take_blob(REPOSITORY, &content).await.is_right());
    edge.restart_gently().await;
    wire.take_calls();
    a_crowd_meets_damage(&edge, &content).await;
    assert_eq!(asked_bytes(&wire, &digest, content.len()), DAMAGED_BYTES);
    all_are_right(&storm(&edge.client(), crowd() / 2, &content).await);
    assert_eq!(gets(&wire, &digest), 0, "it is mended");
}
