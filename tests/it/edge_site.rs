//! Edges of a site together: "rendezvous hashing gives each blob k homes; a miss asks its homes before the upstream; a home that is down
//! is skipped within one connect timeout, and the site still fetches about once".

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use longshore_tests::{
    Account, Backend, Call, Client, Edge, EdgeUpstream, Fault, Image, Misdeed, Plan, Registry, Rule, Upstream, Wire, digest_of,
    temporary_folder, until,
};
use serde_json::Value;
use tokio::{
    net::{TcpSocket, TcpStream},
    sync::Barrier,
    task::JoinSet,
};

longshore_tests::once!(
    a_storm_goes_on_when_an_edge_is_killed_in_its_middle,
    a_storm_on_longshore_goes_on_when_an_edge_is_killed_in_its_middle,
    a_site_asks_longshore_for_a_piece_about_once,
    a_dead_home_is_skipped_within_one_connect_timeout,
    members_are_whom_a_name_resolves_to,
    who_lacks_the_secret_is_no_member,
    a_member_opens_nothing_to_strangers,
    edges_that_are_each_others_upstream_say_so,
);

const MIB: usize = 1 << 20;
const REPOSITORY: &str = "site/edge";
const LIMIT: Duration = Duration::from_secs(60);
const SECRET: &str = "the secret that the edges of the tests share";
/// Bytes that an edge had from the others.
const RECEIVED: &str = "longshore_edge_site_received_bytes_total";
/// The other edges.
const MEMBERS: &str = "longshore_edge_site_members";

type Values = Vec<(&'static str, Value)>;

/// An address that was free: members know each other's before they are there. Each member of a site has a host of its own on loopback.
fn free_address(host: u8) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::new(127, 0, 0, host), 0)).expect("loopback has a free port");
    listener.local_addr().expect("a bound socket has an address")
}

/// What a member of a list is told of the site.
fn listed(own: SocketAddr, members: &[SocketAddr]) -> Values {
    let urls: Vec<String> = members.iter().map(|member| format!("http://{member}")).collect();
    vec![
        ("listen.address", own.to_string().into()),
        ("site.url", format!("http://{own}").into()),
        ("site.members", urls.into()),
        ("site.secret", SECRET.into()),
    ]
}

/// So many edges of a site, with these values of their configurations.
async fn site(count: u8, upstream: &EdgeUpstream, more: &[(&'static str, Value)]) -> Vec<Edge> {
    let addresses: Vec<SocketAddr> = (2..2 + count).map(free_address).collect();
    let mut edges = Vec::new();
    for own in &addresses {
        let values = [listed(*own, &addresses), more.to_vec()].concat();
        edges.push(Edge::with(std::slice::from_ref(upstream), &values).await);
    }
    edges
}

fn clients(edges: &[Edge]) -> Vec<Client> {
    edges.iter().map(Edge::client).collect()
}

/// How many bytes of an image's blobs an upstream has sent.
fn sent_bytes(upstream: &Upstream, image: &Image) -> u64 {
    image.blobs.iter().map(|blob| upstream.sent_bytes_of(&digest_of(blob))).sum()
}

fn size_bytes(image: &Image) -> u64 {
    image.blobs.iter().map(|blob| blob.len() as u64).sum()
}

#[track_caller]
fn is_about_once(sent_bytes: u64, image: &Image) {
    let size_bytes = size_bytes(image);
    assert!(sent_bytes * 10 <= size_bytes * 11, "{sent_bytes} bytes for {size_bytes}");
}

/// Pulls an image from an edge, and where that goes away what is left of it from the next. Whether the first was enough.
async fn pull(clients: &[Client], first: usize, image: &Image) -> bool {
    let mut edge = first;
    let manifest = (format!("/v2/{REPOSITORY}/manifests/v1"), image.manifest.clone());
    let blob = |blob: &Bytes| (format!("/v2/{REPOSITORY}/blobs/{}", digest_of(blob)), blob.clone());
    for (path, content) in std::iter::once(manifest).chain(image.blobs.iter().map(blob)) {
        loop {
            let taken = clients[edge % clients.len()].take(&path, &content).await;
            assert!(!taken.is_wrong() && taken.wrong_after.is_none(), "{taken:?}");
            if taken.is_right() {
                break;
            }
            edge += 1;
            assert!(edge < first + clients.len(), "no edge has {path}: {taken:?}");
        }
    }
    edge == first
}

/// So many clients who all begin at once to pull an image, and are spread over these edges; at which each began, and whether it had all
/// of it from there.
fn storm(clients: &[Client], count: usize, image: &Image) -> JoinSet<(usize, bool)> {
    let start = Arc::new(Barrier::new(count));
    let mut pulls = JoinSet::new();
    for number in 0..count {
        let (clients, image, start, first) = (clients.to_vec(), image.clone(), Arc::clone(&start), number % clients.len());
        pulls.spawn(async move {
            start.wait().await;
            (first, pull(&clients, first, &image).await)
        });
    }
    pulls
}

/// "Three edges: kill one in the middle of a storm; amplification stays ≤ 1.1." The one that dies is the one that the others have it
/// from.
async fn a_storm_goes_on_when_an_edge_is_killed_in_its_middle() {
    let held = 4 * MIB;
    let upstream = Upstream::start().await;
    let image = Image::random(2200, &[6 * MIB + 9, MIB]);
    upstream.hold(REPOSITORY, "v1", &image);
    let large = digest_of(&image.blobs[1]);
    let mut edges = site(3, &EdgeUpstream::other(&upstream), &[("cache.prefetch", false.into())]).await;
    upstream.misbehave(vec![Plan::always(Misdeed::HoldAt(held as u64)).method("GET").containing(large.as_str()).times(1)]);
    let pulls = storm(&clients(&edges), 200, &image);
    upstream.holds().await;
    let home = home(&edges, held).await;
    edges[home].kill9();
    upstream.release();
    goes_on_without(home, pulls).await;
    is_about_once(sent_bytes(&upstream, &image), &image);
}

/// Waits until two of three edges have so many bytes from the third; which that is.
async fn home(edges: &[Edge], received_bytes: usize) -> usize {
    until("two edges to have what the third has", LIMIT, async || {
        let mut follows = Vec::new();
        for edge in edges {
            follows.push(edge.metric(RECEIVED).await >= received_bytes as f64);
        }
        let home = follows.iter().position(|follows| !follows);
        home.filter(|_| follows.iter().filter(|follows| **follows).count() == 2)
    })
    .await
}

/// What comes of a storm in which the edge at this place was killed: whoever was there, and nobody else, went to another.
async fn goes_on_without(home: usize, pulls: JoinSet<(usize, bool)>) {
    let pulls = tokio::time::timeout(LIMIT, pulls.join_all()).await.expect("a storm ends");
    assert!(pulls.iter().all(|(first, is_from_first)| *is_from_first || *first == home), "no edge that lives broke off");
    assert!(
        pulls.iter().all(|(first, is_from_first)| !is_from_first || *first != home),
        "it died before anybody had all of it there"
    );
}

/// The same of a registry of ours. What came of it is counted on the wire: the edge that dies has asked for more than it lives to get.
async fn a_storm_on_longshore_goes_on_when_an_edge_is_killed_in_its_middle() {
    let registry = Registry::start(Backend::Folder).await;
    // What the edge that dies has of a piece in the making is lost: of a large layer, that is little.
    let image = Image::random(2207, &[32 * MIB + 9, MIB]);
    registry.client().push_image(REPOSITORY, "v1", &image).await;
    let wire = Wire::http(registry.authority()).await;
    let mut edges = site(3, &EdgeUpstream::through(&wire), &[("cache.prefetch", false.into())]).await;
    // So slowly that it is killed in the middle.
    wire.set_rules(1, vec![Rule::always(Fault::Throttle(4 << 20)).method("GET").containing("/blobs/")]);
    let pulls = storm(&clients(&edges), 30, &image);
    let home = home(&edges, 4 * MIB).await;
    edges[home].kill9();
    goes_on_without(home, pulls).await;
    let passed = wire.passed_bytes();
    assert!(passed >= size_bytes(&image), "what was counted is all that was sent: {passed}");
    is_about_once(passed, &image);
}

/// How many bytes of a blob were asked for through a wire.
fn asked_bytes(calls: &[Call], blob: &Bytes) -> u64 {
    let path = format!("/v2/{REPOSITORY}/blobs/{}", digest_of(blob));
    let asked = calls.iter().filter(|call| call.method == "GET" && call.path == path);
    asked.map(|call| call.asked_bytes(blob.len()).len() as u64).sum()
}

async fn a_site_asks_longshore_for_a_piece_about_once() {
    let registry = Registry::start(Backend::Folder).await;
    let image = Image::random(2201, &[3 * MIB + 9, MIB, 100_000, 10]);
    registry.client().push_image(REPOSITORY, "v1", &image).await;
    let wire = Wire::http(registry.authority()).await;
    let edges = site(3, &EdgeUpstream::through(&wire), &[]).await;
    let pulls = storm(&clients(&edges), 60, &image);
    let pulls = tokio::time::timeout(LIMIT, pulls.join_all()).await.expect("a storm ends");
    assert!(pulls.iter().all(|(_, is_from_first)| *is_from_first));
    let calls = wire.take_calls();
    let asked: u64 = image.blobs.iter().map(|blob| asked_bytes(&calls, blob)).sum();
    assert!(asked >= size_bytes(&image), "what was counted is all that was asked for: {asked}");
    is_about_once(asked, &image);
}

/// An address at which nobody answers, not even that nobody is there.
struct Silence {
    address: SocketAddr,
    _listener: tokio::net::TcpListener,
    _waiting: Vec<TcpStream>,
}

impl Silence {
    async fn start(host: u8) -> Self {
        let socket = TcpSocket::new_v4().expect("there are sockets");
        socket.bind(SocketAddr::from((Ipv4Addr::new(127, 0, 0, host), 0))).expect("loopback has a free port");
        let listener = socket.listen(1).expect("a bound socket listens");
        let address = listener.local_addr().expect("a bound socket has an address");
        let mut waiting = Vec::new();
        // Nobody takes a connection; once as many wait for that as may, no more come about.
        while let Ok(connected) = tokio::time::timeout(Duration::from_millis(300), TcpStream::connect(address)).await {
            waiting.push(connected.expect("it waits"));
            assert!(waiting.len() < 100, "a queue of one has no end");
        }
        Self { address, _listener: listener, _waiting: waiting }
    }
}

async fn a_dead_home_is_skipped_within_one_connect_timeout() {
    let timeout = Duration::from_secs(5);
    let upstream = Upstream::start().await;
    // Half of a dozen blobs would ask the dead one first.
    let image = Image::random(2202, &[100; 12]);
    upstream.hold(REPOSITORY, "v1", &image);
    let (own, dead) = (free_address(2), Silence::start(9).await);
    let more: Values = vec![("site.connect_timeout", "5s".into()), ("cache.prefetch", false.into())];
    let values = [listed(own, &[own, dead.address]), more].concat();
    let edge = Edge::with(&[EdgeUpstream::other(&upstream)], &values).await;
    let began = Instant::now();
    assert_eq!(edge.client().pull_image(REPOSITORY, "v1").await, image.digest);
    let took = began.elapsed();
    assert!(edge.metric("longshore_edge_site_asked_total{outcome=\"down\"}").await >= 1.0, "it was tried");
    assert!(took < 2 * timeout, "{took:?}, of which one connect timeout is {timeout:?}");
    is_about_once(sent_bytes(&upstream, &image), &image);
}

async fn members_are_whom_a_name_resolves_to() {
    let folder = temporary_folder("names");
    let hosts = folder.path().join("hosts");
    // Behind a name all have one port.
    let port = free_address(2).port();
    let name = |count: u8| {
        let lines: String = (2..2 + count).map(|host| format!("127.0.0.{host} edges.example\n")).collect();
        fs::write(&hosts, lines).expect("the folder is ours");
    };
    name(2);
    let upstream = Upstream::start().await;
    let mut edges = Vec::new();
    for host in 2..5 {
        let own = format!("127.0.0.{host}:{port}");
        let values: Values = vec![
            ("site.url", format!("http://{own}").into()),
            ("listen.address", own.into()),
            ("site.dns", "edges.example".into()),
            ("site.dns_port", port.into()),
            ("site.dns_https", false.into()),
            ("site.dns_every", "50ms".into()),
            ("site.secret", SECRET.into()),
        ];
        edges.push(Edge::with_names(&[EdgeUpstream::other(&upstream)], &hosts, &values).await);
    }
    for (seed, count) in [(2203, 2), (2204, 3)] {
        name(count);
        let members = &edges[..usize::from(count)];
        for edge in members {
            until("the members to be those of the name", LIMIT, async || {
                (edge.metric(MEMBERS).await == f64::from(count - 1)).then_some(())
            })
            .await;
        }
        let image = Image::random(seed, &[1000; 6]);
        upstream.hold(REPOSITORY, "v1", &image);
        let tag = image.digest.as_str();
        for edge in members {
            edge.client().pull_image(REPOSITORY, tag).await;
        }
        for blob in &image.blobs {
            assert_eq!(upstream.gets_of(&digest_of(blob)).len(), 1, "{count} edges are one site");
        }
    }
    // Whom the name leaves out is not asked any more.
    name(1);
    until("nobody else to be a member", LIMIT, async || (edges[0].metric(MEMBERS).await == 0.0).then_some(())).await;
}

async fn who_lacks_the_secret_is_no_member() {
    let upstream = Upstream::start().await;
    let image = Image::random(2205, &[1000; 6]);
    upstream.hold(REPOSITORY, "v1", &image);
    let addresses = [free_address(2), free_address(3)];
    let upstreams = [EdgeUpstream::other(&upstream)];
    let member = Edge::with(&upstreams, &listed(addresses[0], &addresses)).await;
    let stranger: Values = vec![("site.secret", "what somebody else thinks that it is".into())];
    let stranger = Edge::with(&upstreams, &[listed(addresses[1], &addresses), stranger].concat()).await;
    for (edge, count) in [(&member, 1), (&stranger, 2)] {
        assert_eq!(edge.client().pull_image(REPOSITORY, "v1").await, image.digest);
        for blob in &image.blobs {
            assert_eq!(upstream.gets_of(&digest_of(blob)).len(), count, "each is an edge by itself");
        }
    }
    let answered = "longshore_edge_site_asked_total{outcome=\"answered\"}";
    assert_eq!((member.metric(answered).await, stranger.metric(answered).await), (0.0, 0.0));
}

/// What one edge keeps is closed at the others to whom it is closed there.
async fn a_member_opens_nothing_to_strangers() {
    let upstream = Upstream::start().await;
    let image = Image::random(2206, &[100_000, 2000, 300]);
    upstream.hold(REPOSITORY, "v1", &image);
    let acme = Account::of("acme", "the secret of acme");
    upstream.close(REPOSITORY, &[&acme]);
    let edges = site(2, &EdgeUpstream::other(&upstream), &[("requests.failed_logins_per_account", 0.into())]).await;
    let tenant = |edge: &Edge| edge.client().as_basic(&acme.name, &acme.secret);
    assert_eq!(tenant(&edges[0]).pull_image(REPOSITORY, "v1").await, image.digest);
    for edge in &edges {
        for stranger in [edge.client(), edge.client().as_basic("acme", "a guess")] {
            for content in image.blobs.iter().chain([&image.manifest]) {
                let (kind, digest) = (if content == &image.manifest { "manifests" } else { "blobs" }, digest_of(content));
                let refused = stranger.get(&format!("/v2/{REPOSITORY}/{kind}/{digest}")).await;
                assert!([401, 403, 404].contains(&refused.status.as_u16()), "{refused:?}");
            }
        }
    }
    assert_eq!(tenant(&edges[1]).pull_image(REPOSITORY, "v1").await, image.digest);
    for blob in &image.blobs {
        assert_eq!(upstream.gets_of(&digest_of(blob)).len(), 1, "to its tenant it is one site");
    }
}

/// Two edges of no site that are each other's upstream: whatever is asked of either, of both at once too, ends before anybody's patience.
async fn edges_that_are_each_others_upstream_say_so() {
    let addresses = [free_address(2), free_address(3)];
    let mut edges = Vec::new();
    for (own, other) in [(0, 1), (1, 0)] {
        let upstream = EdgeUpstream::new("other", &format!("http://{}", addresses[other])).set("follow_events", false);
        let values: Values = vec![("listen.address", addresses[own].to_string().into())];
        edges.push(Edge::with(&[upstream], &values).await);
    }
    let digest = digest_of(&Bytes::from_static(b"nobody has it"));
    let (tag, manifest, blob) = ("manifests/v1".to_owned(), format!("manifests/{digest}"), format!("blobs/{digest}"));
    let began = Instant::now();
    let mut asking = JoinSet::new();
    for client in clients(&edges) {
        for thing in [tag.clone(), manifest.clone(), blob.clone(), "tags/list".to_owned()] {
            let (client, path) = (client.clone(), format!("/v2/{REPOSITORY}/{thing}"));
            asking.spawn(async move { client.get(&path).await });
        }
    }
    for answer in asking.join_all().await {
        let answer = answer.expect_error(508, "UNSUPPORTED");
        let message = answer.json()["errors"][0]["message"].to_string();
        assert!(message.contains("circle"), "{message}");
    }
    // An upstream that says nothing is waited for half a minute.
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
}
