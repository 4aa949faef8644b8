//! A thousand clients that want the same at once cost an upstream one copy: "exactly one request for each piece however many clients ask
//! at once".

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bytes::Bytes;
use longshore_oci::Digest;
use longshore_tests::{
    Backend, Call, Client, Edge, EdgeUpstream, Fault, Image, Misdeed, Plan, Registry, Rule, Taken, Upstream, Wire, digest_of,
    scaled, until,
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::{sync::Barrier, task::JoinSet};

longshore_tests::once!(
    a_thousand_cold_clients_cost_another_registry_one_copy,
    a_thousand_cold_clients_cost_longshore_one_copy,
    a_leader_that_goes_away_hands_over,
    a_slow_client_holds_up_no_other,
    a_slow_upstream_is_asked_once,
    a_storm_stands_a_connection_that_breaks_off,
    a_storm_on_wrong_bytes_ends_and_keeps_nothing,
    a_storm_on_refusals_asks_as_often_as_one_client,
    a_storm_on_longshore_stands_every_fault_of_the_wire,
);

const MIB: usize = 1 << 20;
pub const REPOSITORY: &str = "storm/edge";
/// How often an edge asks for the same in all before it tells those who wait: an upstream's `max_attempts`, and as often for a blob that
/// breaks off.
pub const ATTEMPTS: usize = 4;
/// How many connections clients have to an edge.
const CONNECTIONS: &str = "longshore_http_connections_open";
/// How many of them it has cut, as their clients took nothing.
const CUT: &str = "longshore_http_connections_cut_total";
const LIMIT: Duration = Duration::from_secs(300);

/// A storm of clients needs as many files at both ends. What is started from here may open as many.
pub fn open_many_files() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).expect("a process may have what it is allowed");
}

/// What the promise is of.
fn thousand() -> usize {
    scaled(1000, 3000)
}

pub fn crowd() -> usize {
    scaled(200, 1000)
}

/// An upstream that holds an image which nobody has asked for, and an edge that knows the repository.
pub async fn site(seed: u64, layer_sizes_bytes: &[usize], values: &[(&str, serde_json::Value)]) -> (Upstream, Edge, Image) {
    open_many_files();
    let upstream = Upstream::start().await;
    upstream.hold(REPOSITORY, "known", &Image::random(seed + 1_000_000, &[10]));
    let image = Image::random(seed, layer_sizes_bytes);
    upstream.hold(REPOSITORY, "v1", &image);
    let edge = Edge::with(&[EdgeUpstream::other(&upstream)], values).await;
    edge.client().pull_image(REPOSITORY, "known").await;
    upstream.take_asked();
    (upstream, edge, image)
}

/// So many clients, who all begin at once to take a blob; what came of each.
pub async fn storm(client: &Client, count: usize, blob: &Bytes) -> Vec<Taken> {
    let start = Arc::new(Barrier::new(count));
    let mut clients = JoinSet::new();
    for _ in 0..count {
        let (client, blob, start) = (client.clone(), blob.clone(), Arc::clone(&start));
        clients.spawn(async move {
            start.wait().await;
            client.take_blob(REPOSITORY, &blob).await
        });
    }
    tokio::time::timeout(LIMIT, clients.join_all()).await.expect("a storm ends")
}

/// A storm whose clients all wait for the same answer: what the upstream's plans hold goes on when each of them is there.
pub async fn gathered(upstream: &Upstream, edge: &Edge, count: usize, blob: &Bytes) -> Vec<Taken> {
    until("the clients of before to have left", LIMIT, async || (edge.metric(CONNECTIONS).await == 0.0).then_some(())).await;
    let client = edge.client();
    let gathering = async {
        upstream.holds().await;
        until("all clients to be there", LIMIT, async || (edge.metric(CONNECTIONS).await >= count as f64).then_some(())).await;
        // Whoever has connected has asked: this goes there and back after them.
        edge.json("status", &[]).await;
        upstream.release();
    };
    tokio::join!(storm(&client, count, blob), gathering).0
}

/// What comes of a blob at last that was asked for in vain: with its upstream mended, it comes once, is right, and is kept.
pub async fn is_mended(upstream: &Upstream, edge: &Edge, blob: &Bytes) {
    let digest = digest_of(blob);
    upstream.behave();
    upstream.take_asked();
    all_are_right(&storm(&edge.client(), crowd(), blob).await);
    assert_eq!(upstream.gets_of(&digest).len(), 1, "it is one copy");
    assert!(edge.client().take_blob(REPOSITORY, blob).await.is_right());
    assert_eq!(upstream.gets_of(&digest).len(), 1, "what is right is kept");
}

#[track_caller]
pub fn all_are_right(taken: &[Taken]) {
    let wrong: Vec<&Taken> = taken.iter().filter(|taken| !taken.is_right()).collect();
    assert!(wrong.is_empty(), "{} of {} were not served, the first: {:?}", wrong.len(), taken.len(), wrong[0]);
}

#[track_caller]
fn none_is_wrong(taken: &[Taken]) {
    let wrong = taken.iter().find(|taken| taken.is_wrong());
    assert!(wrong.is_none(), "{wrong:?}");
}

/// Has an edge wait for as long as a storm may take: the clients have the same processors as it, and one may not have its turn for a minute.
fn patient() -> [(&'static str, serde_json::Value); 1] {
    [("listen.body_idle_timeout", "5m".into())]
}

/// All of an image, as a client pulls it: the manifest by tag, and then each blob.
async fn pull_at_once(edge: &Edge, count: usize, image: &Image) {
    let start = Arc::new(Barrier::new(count));
    let mut clients = JoinSet::new();
    for _ in 0..count {
        let (client, image, start) = (edge.client(), image.clone(), Arc::clone(&start));
        clients.spawn(async move {
            start.wait().await;
            let manifest = client.get_manifest(REPOSITORY, "v1").await.expect(200);
            assert!(manifest.body == image.manifest, "wrong bytes");
            let mut taken = Vec::new();
            for blob in &image.blobs {
                taken.push(client.take_blob(REPOSITORY, blob).await);
            }
            taken
        });
    }
    let taken = tokio::time::timeout(LIMIT, clients.join_all()).await.expect("a storm ends");
    let wrong: Vec<_> = taken.iter().flatten().filter(|taken| !taken.is_right()).collect();
    assert!(wrong.is_empty(), "{wrong:?}, and {} connections were cut", edge.metric(CUT).await);
}

async fn a_thousand_cold_clients_cost_another_registry_one_copy() {
    let (upstream, edge, image) = site(1100, &[5 * MIB + 9, 100_000, 10], &patient()).await;
    pull_at_once(&edge, thousand(), &image).await;
    for blob in &image.blobs {
        let digest = digest_of(blob);
        assert_eq!(upstream.gets_of(&digest).len(), 1, "{digest} is asked for once");
        assert_eq!(upstream.sent_bytes_of(&digest), blob.len() as u64, "amplification is 1.00");
    }
    // What the tag means, what it is, and whether anybody may have it: each once, and not once a client.
    let asked = upstream.asked();
    let manifests: Vec<_> = asked.iter().filter(|asked| asked.is_about_a_manifest()).collect();
    assert_eq!(manifests.iter().filter(|asked| asked.method == "GET").count(), 1, "{manifests:?}");
    assert!(manifests.len() <= 4, "{manifests:?}");
    assert!(asked.len() <= 4 + 2 * image.blobs.len() + 4, "{} requests in all", asked.len());
}

/// The parts of blobs that were asked for through a wire, in bytes from the first to the one after the last, by blob.
fn parts(calls: &[Call], image: &Image) -> BTreeMap<Digest, Vec<(usize, usize)>> {
    let mut parts: BTreeMap<Digest, Vec<(usize, usize)>> = BTreeMap::new();
    for blob in &image.blobs {
        let digest = digest_of(blob);
        let path = format!("/v2/{REPOSITORY}/blobs/{digest}");
        let found = parts.entry(digest).or_default();
        for call in calls.iter().filter(|call| call.method == "GET" && call.path == path) {
            let range = call.range.as_deref().and_then(|range| range.strip_prefix("bytes=")?.split_once('-'));
            found.push(range.map_or((0, blob.len()), |(first, last)| {
                let last = last.parse().unwrap_or(blob.len() - 1);
                (first.parse().expect("a range begins somewhere"), blob.len().min(last + 1))
            }));
        }
    }
    parts
}

async fn a_thousand_cold_clients_cost_longshore_one_copy() {
    open_many_files();
    let registry = Registry::start(Backend::Folder).await;
    let image = Image::random(1101, &[5 * MIB + 9, 100_000, 10]);
    registry.client().push_image(REPOSITORY, "v1", &image).await;
    let wire = Wire::http(registry.authority()).await;
    let edge = Edge::with(&[EdgeUpstream::through(&wire)], &patient()).await;
    pull_at_once(&edge, thousand(), &image).await;
    let calls = wire.take_calls();
    for (blob, mut parts) in parts(&calls, &image) {
        parts.sort_unstable();
        // One after the other, without a gap and without a byte twice.
        let mut next = 0;
        for (first, end) in &parts {
            assert_eq!(*first, next, "{blob}: {parts:?}");
            next = *end;
        }
        let size = image.blobs.iter().find(|content| digest_of(content) == blob).expect("it is of the image").len();
        assert_eq!(next, size, "{blob}: {parts:?}");
    }
    let about = |part: &str| calls.iter().filter(|call| call.path.contains(part)).count();
    assert!(about("/manifests/") <= 4, "{} requests for manifests", about("/manifests/"));
    assert!(about("/metainfo/") <= image.blobs.len(), "each blob's pieces are asked for once: {}", about("/metainfo/"));
}

/// "a leaving leader hands over"
async fn a_leader_that_goes_away_hands_over() {
    let (upstream, edge, image) = site(1102, &[4 * MIB + 7], &[]).await;
    let blob = image.blobs[1].clone();
    let path = format!("/v2/{REPOSITORY}/blobs/{}", digest_of(&blob));
    upstream.misbehave(vec![Plan::always(Misdeed::HoldAt(2 * MIB as u64)).method("GET").containing("/blobs/")]);
    let client = edge.client();
    let mut leader = client.request(http::Method::GET, &path).send().await.expect("an answer begins");
    let first = leader.chunk().await.expect("a piece comes").expect("more than nothing");
    assert!(first == blob[..first.len()]);
    upstream.holds().await;
    // Followers who have begun to read, so that nobody of them leads.
    let mut followers = JoinSet::new();
    let has_begun = Arc::new(Barrier::new(201));
    for _ in 0..200 {
        let (client, path, blob, has_begun) = (client.clone(), path.clone(), blob.clone(), Arc::clone(&has_begun));
        followers.spawn(async move {
            let mut answer = client.request(http::Method::GET, &path).send().await.expect("an answer begins");
            let mut read = answer.chunk().await.expect("it goes on").expect("what is there comes at once").to_vec();
            has_begun.wait().await;
            while let Some(chunk) = answer.chunk().await.expect("the leader's leaving is not noticed") {
                read.extend_from_slice(&chunk);
            }
            assert!(read == blob, "{} bytes of {}", read.len(), blob.len());
        });
    }
    tokio::time::timeout(LIMIT, has_begun.wait()).await.expect("followers read behind the writer");
    drop(leader);
    upstream.release();
    tokio::time::timeout(LIMIT, followers.join_all()).await.expect("followers end");
    assert_eq!(upstream.gets_of(&digest_of(&blob)).len(), 1);
    // One who is alone and leaves is gone; whoever comes next is served all the same.
    let (alone, next) = (Image::random(1103, &[4 * MIB]), upstream.gets_of(&digest_of(&blob)).len());
    upstream.hold(REPOSITORY, "v2", &alone);
    upstream.misbehave(vec![Plan::always(Misdeed::HoldAt(2 * MIB as u64)).method("GET").containing("/blobs/").times(1)]);
    let path = format!("/v2/{REPOSITORY}/blobs/{}", digest_of(&alone.blobs[1]));
    let leader = client.request(http::Method::GET, &path).send().await.expect("an answer begins");
    upstream.holds().await;
    drop(leader);
    upstream.release();
    assert!(client.take_blob(REPOSITORY, &alone.blobs[1]).await.is_right());
    assert!(client.take_blob(REPOSITORY, &blob).await.is_right());
    assert_eq!(upstream.gets_of(&digest_of(&blob)).len(), next, "what was handed over was kept");
}

/// "a fast follower is not slowed by a slow one"
async fn a_slow_client_holds_up_no_other() {
    let (upstream, edge, image) = site(1104, &[24 * MIB], &[]).await;
    let blob = &image.blobs[1];
    let path = format!("/v2/{REPOSITORY}/blobs/{}", digest_of(blob));
    let client = edge.client();
    // It leads, and reads no more than its first piece.
    let mut slow = client.request(http::Method::GET, &path).send().await.expect("an answer begins");
    slow.chunk().await.expect("a piece comes");
    let taken =
        tokio::time::timeout(Duration::from_secs(30), storm(&client, 50, blob)).await.expect("nobody waits for the slow one");
    all_are_right(&taken);
    assert_eq!(upstream.gets_of(&digest_of(blob)).len(), 1);
    // And it gets the rest when it reads on.
    while slow.chunk().await.expect("it was not forgotten").is_some() {}
}

async fn a_slow_upstream_is_asked_once() {
    let (upstream, edge, image) = site(1105, &[3 * MIB], &[]).await;
    let blob = &image.blobs[1];
    upstream.misbehave(vec![Plan::always(Misdeed::Slow(MIB as u64)).method("GET").containing("/blobs/")]);
    all_are_right(&storm(&edge.client(), crowd(), blob).await);
    assert_eq!(upstream.gets_of(&digest_of(blob)).len(), 1, "nobody who waits loses patience and asks upstream");
    assert_eq!(upstream.sent_bytes_of(&digest_of(blob)), blob.len() as u64);
}

async fn a_storm_stands_a_connection_that_breaks_off() {
    let (upstream, edge, image) = site(1106, &[4 * MIB + 7], &[]).await;
    let blob = &image.blobs[1];
    upstream.misbehave(vec![Plan::always(Misdeed::ResetAt(2 * MIB as u64)).method("GET").containing("/blobs/").times(1)]);
    let taken = storm(&edge.client(), crowd(), blob).await;
    none_is_wrong(&taken);
    assert!(taken.iter().all(|taken| taken.wrong_after.is_none()));
    // Half of it was lost, and the rest or all of it had to come again, once.
    let sent = upstream.sent_bytes_of(&digest_of(blob));
    assert!(sent <= 2 * blob.len() as u64, "{sent} bytes of {}", blob.len());
    all_are_right(&storm(&edge.client(), 10, blob).await);
}

/// "a mismatch cuts every reader's connection, is counted, logged with digest and upstream, and nothing of it stays"
async fn a_storm_on_wrong_bytes_ends_and_keeps_nothing() {
    let (upstream, edge, image) = site(1107, &[4 * MIB, 4 * MIB + 1, 4 * MIB + 2], &[]).await;
    for (blob, place) in image.blobs[1..].iter().zip([0, 2 * MIB, 4 * MIB * 99 / 100]) {
        let digest = digest_of(blob);
        let mismatches = edge.metric(Edge::WRONG).await;
        upstream.misbehave(vec![Plan::always(Misdeed::WrongAt(place as u64)).method("GET").containing("/blobs/").held()]);
        let taken = gathered(&upstream, &edge, crowd(), blob).await;
        let served = taken.iter().filter(|taken| taken.is_served()).count();
        assert_eq!(served, 0, "wrong at {place}");
        assert_eq!(upstream.gets_of(&digest).len(), 1, "all who wait learn of it at once");
        edge.counts(Edge::WRONG, mismatches).await;
        edge.logs(&[digest.as_str(), "elsewhere"]).await;
        is_mended(&upstream, &edge, blob).await;
    }
}

/// "an upstream error reaches all waiting once": it is asked as often as for one client.
async fn a_storm_on_refusals_asks_as_often_as_one_client() {
    let (upstream, edge, image) = site(1108, &[MIB, MIB + 1, MIB + 2], &[]).await;
    for (blob, (status, retry_after)) in image.blobs[1..].iter().zip([(429, Some(1)), (500, None), (503, None)]) {
        let (digest, faults) = (digest_of(blob), edge.faults().await);
        let plan = Plan::always(Misdeed::Refuse(status, retry_after)).method("GET").containing("/blobs/").held();
        upstream.misbehave(vec![plan]);
        let taken = gathered(&upstream, &edge, crowd(), blob).await;
        for taken in &taken {
            assert!(matches!(taken.status, Some(429 | 502 | 503)) && taken.is_whole, "{status}: {taken:?}");
        }
        assert_eq!(upstream.gets_of(&digest).len(), ATTEMPTS, "{status}");
        edge.counts_faults(faults).await;
        edge.logs(&[digest.as_str(), "elsewhere"]).await;
        is_mended(&upstream, &edge, blob).await;
    }
}

/// A crowd of Longshore's clients, over a wire that does what wires do. Whatever is served is right, from the first byte on.
async fn a_storm_on_longshore_stands_every_fault_of_the_wire() {
    open_many_files();
    let registry = Registry::start(Backend::Folder).await;
    let image = Image::random(1109, &[3 * MIB, 3 * MIB + 1, 3 * MIB + 2, 3 * MIB + 3, 3 * MIB + 4, 3 * MIB + 5]);
    registry.client().push_image(REPOSITORY, "v1", &image).await;
    let wire = Wire::http(registry.authority()).await;
    let edge = Edge::with(&[EdgeUpstream::through(&wire)], &[("cache.prefetch", false.into())]).await;
    edge.client().get_manifest(REPOSITORY, "v1").await.expect(200);
    let faults = [
        (Fault::Reset, 2),
        (Fault::Truncate(MIB as u64 + 5), 2),
        (Fault::Flip(5), 2),
        (Fault::Stall(Duration::from_millis(300)), 4),
        (Fault::Answer(503, "SlowDown"), 2),
        (Fault::Throttle(4 << 20), usize::MAX),
    ];
    for (blob, (fault, times)) in image.blobs[1..].iter().zip(faults) {
        wire.set_rules(1, vec![Rule::always(fault.clone()).method("GET").containing("/blobs/").times(times)]);
        wire.take_calls();
        let taken = storm(&edge.client(), crowd(), blob).await;
        wire.heal();
        assert!(taken.iter().all(|taken| taken.wrong_after.is_none()), "{fault:?}");
        all_are_right(&taken);
        let asked: usize = parts(&wire.take_calls(), &image)[&digest_of(blob)].iter().map(|(first, end)| end - first).sum();
        assert!(asked <= 3 * blob.len(), "{fault:?}: {asked} bytes of {} asked for", blob.len());
    }
    assert!(wire.injected() >= 8, "{} faults", wire.injected());
    until("nothing to be in flight any more", Duration::from_secs(20), async || {
        let status = edge.json("status", &[]).await;
        (status["piecesInFlight"] == 0).then_some(())
    })
    .await;
}
