//! Who may not have something of a node gets nothing of it and learns nothing: neither whether it is there, nor who else has it. Real nodes
//! and a real registry; the strangers are made of the swarm's library, so that they can show what a node never would.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use libp2p_identity::{Keypair, PeerId};
use longshore_oci::{Digest, piece::PieceIndex};
use longshore_p2p::{
    control::{Announce, AnnouncedTopic, Control, ControlError, ControlSettings, Holding, TopicAnswer},
    locality::Locality,
    plane::{Connection, DialError, Endpoint, Event, FleetKey, Limits, NodeKey, dial_record},
    record::PeerRecord,
    topic::Topic,
    wire::Token,
};
use longshore_service::metrics::Metrics;
use longshore_tests::{Account, Backend, Client, Edge, EdgeUpstream, Image, Registry, digest_of};
use serde_json::Value;
use tokio::sync::{Semaphore, watch};

longshore_tests::once!(
    a_stranger_gets_nothing_and_learns_nothing,
    a_token_that_has_ended_opens_nothing,
    a_closed_fleet_says_nothing_to_others,
    a_client_is_judged_by_what_it_shows_on_loopback_too,
);

const REPOSITORY: &str = "acme/private";
const MIB: usize = 1 << 20;
/// How long anything may take that is waited for.
const LIMIT: Duration = Duration::from_secs(20);
/// How long it is listened for more, after an answer.
const AFTERWARDS: Duration = Duration::from_millis(300);
const SENT: &str = "longshore_swarm_sent_bytes_total{";
/// The shortest time that a registry lets peers' tokens live.
const LIFETIME: Duration = Duration::from_secs(60);

/// A registry with an image that only some may pull, and a node that has it.
struct Place {
    registry: Registry,
    node: Edge,
    may: Account,
    may_not: Account,
    layer: bytes::Bytes,
    /// A blob of the same repository that the node has nothing of, and one that is nowhere.
    others: [Digest; 2],
    at: PeerRecord,
    control: SocketAddr,
}

impl Place {
    async fn start(seed: u64, values: &[(&str, Value)], of_registry: &[(&str, Value)]) -> Self {
        let registry = Registry::with_accounts(Backend::Folder, of_registry).await;
        let administrator = registry.admin();
        let (image, unpulled) = (Image::random(seed, &[3 * MIB]), Image::random(seed + 1, &[MIB]));
        administrator.push_image(REPOSITORY, "v1", &image).await;
        administrator.push_image(REPOSITORY, "v2", &unpulled).await;
        let may = administrator.create_robot("may", &[("pull", "acme/*")]).await;
        let may_not = administrator.create_robot("may-not", &[("pull", "other/*")]).await;
        let node = Edge::node(&[EdgeUpstream::longshore(&registry).as_account(&may)], values).await;
        assert_eq!(node.client().pull_image(REPOSITORY, "v1").await, image.digest);
        // By its own account of itself: in a closed fleet others are not told where its pieces are.
        let told = node.client().get("/v2/_longshore/edge/swarm").await.expect(200).json()["node"].clone();
        let at = serde_json::from_value(told.clone()).expect("it says where it is");
        let control = serde_json::from_value(told["control"][0].clone()).expect("it says where its tracker is");
        let others = [digest_of(&unpulled.blobs[1]), digest_of(b"nowhere")];
        Self { registry, node, may, may_not, layer: image.blobs[1].clone(), others, at, control }
    }

    /// A token that the registry gives an account for a peer.
    async fn token(&self, account: &Account, peer: PeerId) -> String {
        let query = [("scope", format!("repository:{REPOSITORY}:pull")), ("peer_id", peer.to_string())];
        let asked = self.registry.as_account(account).request(http::Method::GET, "/token").query(&query);
        let answer = longshore_tests::Answer::to(asked).await.expect(200).json();
        answer["token"].as_str().expect("a token is a text").to_owned()
    }

    fn topic(digest: &Digest) -> Topic {
        Topic { registry: "harbor".into(), repository: REPOSITORY.parse().expect("a name"), digest: digest.clone() }
    }

    /// What the node has, and what it has not.
    fn digests(&self) -> [Digest; 3] {
        let [unpulled, nowhere] = self.others.clone();
        [digest_of(&self.layer), unpulled, nowhere]
    }
}

/// A peer that shows what it likes.
struct Peer {
    key: Keypair,
    fleet: Option<FleetKey>,
}

/// What a peer was told, and when it was first answered.
#[derive(Debug)]
struct Heard {
    events: Vec<&'static str>,
    piece: Option<Vec<u8>>,
    answered_after: Duration,
}

impl Peer {
    fn new() -> Self {
        Self { key: Keypair::generate_ed25519(), fleet: None }
    }

    fn id(&self) -> PeerId {
        self.key.public().to_peer_id()
    }

    async fn connect(&self, at: &PeerRecord) -> Result<Connection, DialError> {
        let key = NodeKey::from(self.key.clone());
        let endpoint = Endpoint::new(&key, self.fleet.clone(), Locality::default(), Limits::default()).expect("an endpoint");
        dial_record(&endpoint, at).await
    }

    /// Opens a blob, with its metainfo and its first piece, and listens.
    async fn opens(&self, at: &PeerRecord, digest: &Digest, token: Option<&str>) -> Heard {
        let Connection { sender, mut reader, writer, .. } = self.connect(at).await.expect("anybody may connect to an open fleet");
        tokio::spawn(writer.run());
        let begun = Instant::now();
        let id = sender.open(Place::topic(digest), token.map(|token| Token(token.to_owned())), true).expect("it is said");
        let mut heard = Heard { events: Vec::new(), piece: None, answered_after: LIMIT };
        let mut left = LIMIT;
        while let Ok(Ok(event)) = tokio::time::timeout(left, reader.next()).await {
            if heard.events.is_empty() {
                (heard.answered_after, left) = (begun.elapsed(), AFTERWARDS);
            }
            match event {
                Event::Opened { .. } => {
                    heard.events.push("opened");
                    let memory = Arc::new(Semaphore::new(1)).try_acquire_owned().expect("it is free");
                    sender.ask(id, PieceIndex(0), memory).expect("it is open");
                    left = LIMIT;
                }
                Event::Piece(piece) => {
                    heard.piece = Some(piece.bytes);
                    left = AFTERWARDS;
                }
                Event::Refused { .. } => {
                    heard.events.push("refused");
                    // It is no better asked for piece by piece.
                    let memory = Arc::new(Semaphore::new(1)).try_acquire_owned().expect("it is free");
                    let _ = sender.ask(id, PieceIndex(0), memory);
                }
                Event::Progress { .. } => {}
                Event::Open(_) => heard.events.push("open"),
                Event::Have { .. } => heard.events.push("have"),
                Event::Rejected { .. } => heard.events.push("rejected"),
                Event::Introduced { .. } => heard.events.push("introduced"),
                Event::Ask { .. } | Event::Cancel { .. } | Event::Close { .. } => heard.events.push("another"),
            }
        }
        sender.cut();
        heard
    }

    /// Announces blobs to the node as to a tracker.
    async fn announces(
        &self,
        tracker: SocketAddr,
        digests: &[Digest],
        token: Option<&str>,
    ) -> Result<Vec<TopicAnswer>, ControlError> {
        let record = PeerRecord { peer: self.id(), pieces: Vec::new(), locality: Locality::default() };
        let (own, settings) = (watch::channel(record.clone()).1, ControlSettings::default());
        let (control, _) =
            Control::start(&self.key, self.fleet.clone(), settings, None, own, &Metrics::new()).await.expect("a control task");
        let announced = |digest: &Digest| AnnouncedTopic {
            topic: Place::topic(digest),
            token: token.map(str::to_owned),
            state: Holding { pieces: 0, of: 3 },
            wants_peers: 8,
            wants_origin: 1,
        };
        let announce = Announce { record, topics: digests.iter().map(announced).collect(), withdraw: Vec::new() };
        let tracker = tracker.to_string().parse().expect("an address");
        let answer = control.announce(&tracker, announce).await.map(|announced| announced.topics);
        control.shutdown().await;
        answer
    }

    /// That the node says the same of all blobs to who shows this, and gives nothing.
    async fn gets_nothing(&self, place: &Place, what: &str, token: Option<&str>) {
        let digests = place.digests();
        for digest in &digests {
            let heard = self.opens(&place.at, digest, token).await;
            assert!(heard.events == ["refused"] && heard.piece.is_none(), "{what}, {digest}: {heard:?}");
        }
        let told = self.announces(place.control, &digests, token).await;
        let told = told.unwrap_or_else(|error| panic!("{what}: the tracker does not answer: {error}"));
        assert!(told.len() == 3 && told.iter().all(|answer| *answer == TopicAnswer::Refused), "{what}: {told:?}");
        assert_eq!(place.node.metric(SENT).await, 0.0, "{what}");
    }

    /// That the same way leads to the blob where the token is right.
    async fn gets_it(&self, place: &Place, token: &str) {
        let heard = self.opens(&place.at, &digest_of(&place.layer), Some(token)).await;
        assert_eq!((&heard.events[..], heard.piece.as_deref()), (&["opened"][..], Some(&place.layer[..MIB])));
        let told = self.announces(place.control, &[digest_of(&place.layer)], Some(token)).await.expect("it answers");
        let [TopicAnswer::Told(told)] = &told[..] else { panic!("{told:?}") };
        assert_eq!(told.peers.iter().map(|peer| peer.record.peer).collect::<Vec<_>>(), [place.at.peer]);
    }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

async fn a_stranger_gets_nothing_and_learns_nothing() {
    let place = Place::start(9100, &[], &[]).await;
    let (stranger, friend) = (Peer::new(), Peer::new());
    let of_friend = place.token(&place.may, friend.id()).await;
    let of_another_tenant = place.token(&place.may_not, stranger.id()).await;
    stranger.gets_nothing(&place, "no token", None).await;
    stranger.gets_nothing(&place, "one that is made up", Some("e30.e30.c2ln")).await;
    stranger.gets_nothing(&place, "another tenant's", Some(&of_another_tenant)).await;
    // A peer's own proves nothing of who replays it.
    stranger.gets_nothing(&place, "one of another peer", Some(&of_friend)).await;
    friend.gets_it(&place, &of_friend).await;
    let sent = place.node.metric(SENT).await;
    assert!(sent >= MIB as f64, "{sent}");
    let heard = stranger.opens(&place.at, &digest_of(&place.layer), Some(&of_friend)).await;
    assert!(heard.events == ["refused"] && heard.piece.is_none(), "after it was used: {heard:?}");
    // Nor is it one for the registry, or for a client of the mirror.
    for at in [place.registry.client(), place.node.client()] {
        let shown: Client = at.as_bearer(&of_friend);
        for path in ["manifests/v1".to_owned(), format!("blobs/{}", digest_of(&place.layer))] {
            shown.get(&format!("/v2/{REPOSITORY}/{path}")).await.expect_error(401, "UNAUTHORIZED");
        }
    }
    // What is here is not told by the time either.
    let [here, _, nowhere] = place.digests();
    let (mut of_here, mut of_nowhere) = (Vec::new(), Vec::new());
    for _ in 0..5 {
        for (digest, times) in [(&here, &mut of_here), (&nowhere, &mut of_nowhere)] {
            times.push(Peer::new().opens(&place.at, digest, None).await.answered_after);
        }
    }
    let (here, nowhere) = (median(of_here), median(of_nowhere));
    assert!(here.abs_diff(nowhere) < Duration::from_millis(150), "{here:?} where it is here, {nowhere:?} where it is not");
}

async fn a_token_that_has_ended_opens_nothing() {
    let place = Place::start(9110, &[], &[("auth.peer_token_lifetime", "60s".into())]).await;
    let peer = Peer::new();
    let (token, given) = (place.token(&place.may, peer.id()).await, Instant::now());
    peer.gets_it(&place, &token).await;
    // Its end is what this is about.
    tokio::time::sleep((LIFETIME + Duration::from_secs(1)).saturating_sub(given.elapsed())).await;
    let sent = place.node.metric(SENT).await;
    for digest in place.digests() {
        let heard = peer.opens(&place.at, &digest, Some(&token)).await;
        assert!(heard.events == ["refused"] && heard.piece.is_none(), "{digest}: {heard:?}");
    }
    let told = peer.announces(place.control, &place.digests(), Some(&token)).await.expect("the tracker answers");
    assert!(told.iter().all(|answer| *answer == TopicAnswer::Refused), "{told:?}");
    assert_eq!(place.node.metric(SENT).await, sent);
}

async fn a_closed_fleet_says_nothing_to_others() {
    const KEY: &str = "the key of a fleet of these tests, long enough";
    let place = Place::start(9120, &[("swarm.fleet_key", KEY.into())], &[]).await;
    let fleet = |key: &str| Some(FleetKey::new(key).expect("it is long enough"));
    for wrong in [None, fleet("the key of another fleet, which is long, too")] {
        let stranger = Peer { fleet: wrong, ..Peer::new() };
        // Not even one who may pull.
        let token = place.token(&place.may, stranger.id()).await;
        let refused = stranger.connect(&place.at).await;
        assert!(refused.is_err(), "{refused:?}");
        let told = stranger.announces(place.control, &place.digests(), Some(&token)).await;
        assert!(told.is_err(), "{told:?}");
    }
    assert_eq!(place.node.metric(SENT).await, 0.0);
    let friend = Peer { fleet: fleet(KEY), ..Peer::new() };
    let token = place.token(&place.may, friend.id()).await;
    friend.gets_it(&place, &token).await;
}

async fn a_client_is_judged_by_what_it_shows_on_loopback_too() {
    let place = Place::start(9130, &[], &[]).await;
    let paths = ["manifests/v1".to_owned(), format!("blobs/{}", digest_of(&place.layer))];
    let as_account = |account: &Account| place.node.client().as_basic(&account.name, &account.secret);
    for path in paths.map(|path| format!("/v2/{REPOSITORY}/{path}")) {
        place.node.client().get(&path).await.expect(200);
        as_account(&place.may).get(&path).await.expect(200);
        as_account(&place.may_not).get(&path).await.expect_error(403, "DENIED");
        as_account(&Account::of("may", "not its secret")).get(&path).await.expect_error(401, "UNAUTHORIZED");
    }
    // As `docker login` asks it.
    place.node.client().get("/v2/").await.expect(200);
    as_account(&place.may).get("/v2/").await.expect(200);
    as_account(&Account::of("may", "not its secret")).get("/v2/").await.expect_error(401, "UNAUTHORIZED");
    // What is listed is the account's own, too.
    let tags = format!("/v2/{REPOSITORY}/tags/list");
    place.node.client().get(&tags).await.expect(200);
    as_account(&place.may_not).get(&tags).await.expect_error(403, "DENIED");
}
