//! Trackers beside registries and edges: nodes find them by themselves, and each other by them.

use std::{net::SocketAddr, time::Duration};

use libp2p_identity::{Keypair, PeerId};
use longshore_oci::Digest;
use longshore_p2p::{
    control::{Announce, AnnouncedTopic, Control, ControlAddress, ControlSettings, Holding, TopicAnswer},
    locality::Locality,
    record::PeerRecord,
    topic::Topic,
};
use longshore_service::metrics::Metrics;
use longshore_tests::{Account, Backend, Client, Edge, EdgeUpstream, Image, Registry, digest_of, until};
use serde_json::Value;
use tokio::sync::watch;

longshore_tests::once!(
    nodes_find_each_other_by_their_registry_s_tracker,
    nodes_find_a_tracker_again_that_is_elsewhere_after_a_restart,
    nodes_find_each_other_by_the_tracker_of_an_edge,
    a_registry_s_tracker_tells_those_alone_who_may_pull,
    a_node_says_once_what_is_wrong_with_those_it_joins,
    a_tracker_that_nobody_can_reach_is_told_of,
    a_closed_fleet_tells_strangers_no_more_than_joining_takes,
    a_registry_without_one_says_so,
);

const LIMIT: Duration = Duration::from_secs(60);
const MIB: usize = 1 << 20;
const FROM_ORIGIN: &str = "longshore_swarm_received_bytes_total{from=\"origin\"}";
const RECEIVED: &str = "longshore_swarm_received_bytes_total{";
const KEY: &str = "0123456789abcdef0123456789abcdef";

fn tracker() -> [(&'static str, Value); 2] {
    [("tracker.enabled", true.into()), ("tracker.listen", "127.0.0.1:0".into())]
}

/// The trackers that a node tells of.
async fn trackers_of(node: &Edge) -> Vec<Value> {
    node.json("status", &[]).await["swarm"]["trackers"].as_array().cloned().unwrap_or_default()
}

/// Waits until a node has found a tracker; where it is.
async fn finds(node: &Edge) -> String {
    until("the node to find a tracker", LIMIT, async || {
        let trackers = trackers_of(node).await;
        trackers.iter().find(|tracker| tracker["registry"].is_string())?["address"].as_str().map(str::to_owned)
    })
    .await
}

/// Two nodes that were told nothing of each other share an image.
async fn share(client: &Client, upstream: impl Fn() -> EdgeUpstream) {
    let image = Image::random(700, &[20 * MIB]);
    client.push_image("team/app", "v1", &image).await;
    let first = Edge::node(&[upstream()], &[]).await;
    let second = Edge::node(&[upstream()], &[("swarm.origin_rate", "1MiB".into())]).await;
    assert_eq!(finds(&first).await, finds(&second).await);
    assert_eq!(first.client().pull_image("team/app", "v1").await, image.digest);
    let answers = async || trackers_of(&first).await.iter().all(|tracker| tracker["answers"] == true).then_some(());
    until("the tracker to be told of it", LIMIT, answers).await;
    assert_eq!(second.client().pull_image("team/app", "v1").await, image.digest);
    let (all, origin) = (second.metric(RECEIVED).await, second.metric(FROM_ORIGIN).await);
    assert!(all >= (20 * MIB) as f64 && origin <= (12 * MIB) as f64, "{origin} of {all} bytes came from the registry");
}

async fn nodes_find_each_other_by_their_registry_s_tracker() {
    let registry = Registry::with(Backend::Folder, &tracker()).await;
    share(&registry.client(), || EdgeUpstream::longshore(&registry)).await;
    assert!(registry.metric("longshore_swarm_tracker_announcements_total{answer=\"told\"}").await > 0.0);
}

async fn nodes_find_a_tracker_again_that_is_elsewhere_after_a_restart() {
    let mut registry = Registry::with(Backend::Folder, &tracker()).await;
    let image = Image::random(701, &[2 * MIB]);
    registry.client().push_image("team/app", "v1", &image).await;
    let node = Edge::node(&[EdgeUpstream::longshore(&registry)], &[]).await;
    finds(&node).await;
    assert_eq!(trackers_of(&node).await[0]["answers"], Value::Null, "it was not asked yet");
    node.client().pull_image("team/app", "v1").await;
    let record = async || registry.client().get("/v2/_longshore/swarm").await.expect(200).json();
    let peer = record().await["peer"].clone();
    registry.restart_with(&[("tracker.listen", "127.0.0.1:0".into())]).await;
    let after = registry.client().get("/v2/_longshore/swarm").await.expect(200).json();
    assert_eq!(after["peer"], peer, "it is the same");
    let now_at = after["control"][0].as_str().expect("an address").to_owned();
    until("the node to find it there", LIMIT, async || {
        let trackers = trackers_of(&node).await;
        let [tracker] = &trackers[..] else { panic!("there is one: {trackers:?}") };
        (tracker["address"] == now_at.as_str() && tracker["answers"] == true).then_some(())
    })
    .await;
}

async fn nodes_find_each_other_by_the_tracker_of_an_edge() {
    let registry = Registry::start(Backend::Folder).await;
    let edge = Edge::with(&[EdgeUpstream::longshore(&registry)], &tracker()).await;
    let key = edge.client().get("/v2/_longshore/keys").await;
    assert!(key.status.is_success() || key.status.as_u16() == 404, "{key:?}");
    share(&registry.client(), || EdgeUpstream::new("edge", edge.url())).await;
}

/// A peer of its own, that asks a registry's tracker.
struct Asker {
    control: Control,
    tracker: ControlAddress,
    own: watch::Sender<PeerRecord>,
}

impl Asker {
    async fn new(registry: &Registry) -> Self {
        let record = registry.client().get("/v2/_longshore/swarm").await.expect(200).json();
        let at: SocketAddr = record["control"][0].as_str().expect("an address").parse().expect("an address");
        let peer: PeerId = record["peer"].as_str().expect("a peer id").parse().expect("a peer id");
        let key = Keypair::generate_ed25519();
        let own = PeerRecord {
            peer: key.public().to_peer_id(),
            pieces: vec!["127.0.0.1:9".parse().expect("an address")],
            locality: Locality::default(),
        };
        let (own, receiver) = watch::channel(own);
        let started = Control::start(&key, None, ControlSettings::default(), None, receiver, &Metrics::new()).await;
        Self { control: started.expect("it listens nowhere").0, tracker: ControlAddress::from(at).of_peer(peer), own }
    }

    fn peer(&self) -> PeerId {
        self.own.borrow().peer
    }

    /// The token that an account gets for a peer.
    async fn token(&self, registry: &Registry, account: &Account, repository: &str, peer: PeerId) -> String {
        let path = format!("/token?scope=repository:{repository}:pull&peer_id={peer}");
        let answer = registry.as_account(account).get(&path).await.expect(200).json();
        answer["token"].as_str().expect("a token").to_owned()
    }

    /// Those that it is told of in a blob's swarm; `None` where it is refused.
    async fn told(&self, repository: &str, digest: &Digest, token: Option<String>) -> Option<Vec<PeerId>> {
        let topic = Topic { registry: "any".into(), repository: repository.parse().expect("a name"), digest: digest.clone() };
        let state = Holding { pieces: 1, of: 2 };
        let announced = AnnouncedTopic { topic, token, state, wants_peers: 32, wants_origin: 0 };
        let announce = Announce { record: self.own.borrow().clone(), topics: vec![announced], withdraw: Vec::new() };
        let answer = self.control.announce(&self.tracker, announce).await.expect("the tracker answers");
        match answer.topics.into_iter().next() {
            Some(TopicAnswer::Told(told)) => Some(told.peers.iter().map(|told| told.record.peer).collect()),
            _ => None,
        }
    }
}

async fn a_registry_s_tracker_tells_those_alone_who_may_pull() {
    let registry = Registry::with_accounts(Backend::Folder, &tracker()).await;
    let administrator = registry.admin();
    let image = Image::random(702, &[MIB]);
    administrator.push_image("acme/private", "v1", &image).await;
    let blob = digest_of(&image.blobs[1]);
    let may = administrator.create_robot("may", &[("pull", "acme/*")]).await;
    let may_not = administrator.create_robot("may-not", &[("pull", "other/*")]).await;
    let (holder, asker) = (Asker::new(&registry).await, Asker::new(&registry).await);
    let holders = holder.token(&registry, &may, "acme/private", holder.peer()).await;
    assert_eq!(holder.told("acme/private", &blob, Some(holders.clone())).await, Some(vec![]));
    // Nobody who may not is told of it: not without a token, by a stranger's, by the holder's, or by one for another repository.
    let strangers = asker.token(&registry, &may_not, "acme/private", asker.peer()).await;
    let others = asker.token(&registry, &may, "acme/other", asker.peer()).await;
    for token in [None, Some(strangers), Some(holders), Some(others), Some("no.such.token".to_owned())] {
        assert_eq!(asker.told("acme/private", &blob, token.clone()).await, None, "{token:?}");
    }
    let own = asker.token(&registry, &may, "acme/private", asker.peer()).await;
    // What the repository has not got is nobody's business.
    assert_eq!(asker.told("acme/private", &digest_of(b"another"), Some(own.clone())).await, None);
    assert_eq!(asker.told("acme/private", &blob, Some(own.clone())).await, Some(vec![holder.peer()]));
    // With what anybody may pull it is otherwise.
    administrator.push_image("public/app", "v1", &image).await;
    administrator.grant("anonymous", "pull", "public/*").await;
    until("anybody to be told", LIMIT, async || asker.told("public/app", &blob, None).await.map(|_| ())).await;
    assert_eq!(asker.told("acme/private", &blob, None).await, None);
}

async fn a_node_says_once_what_is_wrong_with_those_it_joins() {
    let registry = Registry::start(Backend::Folder).await;
    let upstream = || EdgeUpstream::longshore(&registry);
    let closed = Edge::node(&[upstream()], &[("swarm.fleet_key", KEY.into())]).await;
    let values = [("swarm.join", vec![closed.authority(), "127.0.0.1:1"].into())];
    let node = Edge::node(&[upstream()], &values).await;
    for words in ["can't be reached in the swarm", "does not say where its swarm is"] {
        node.logs(&[words]).await;
    }
    tokio::time::sleep(Duration::from_secs(8)).await;
    for words in ["can't be reached in the swarm", "does not say where its swarm is"] {
        assert_eq!(node.log().matches(words).count(), 1, "{}", node.log());
    }
}

async fn a_tracker_that_nobody_can_reach_is_told_of() {
    // Of another link than the one that the registry is on, so no node dials it.
    let settings = [&tracker()[..], &[("tracker.advertise", vec!["169.254.7.7:5003"].into())]].concat();
    let registry = Registry::with(Backend::Folder, &settings).await;
    let node = Edge::node(&[EdgeUpstream::longshore(&registry)], &[]).await;
    assert_eq!(finds(&node).await, "169.254.7.7:5003");
    let told = trackers_of(&node).await;
    assert!(told.iter().any(|tracker| tracker["isUnreachable"] == true && tracker["answers"].is_null()), "{told:?}");
    let printed = node.command("status", &[]).await;
    assert!(printed.stdout.contains("can't be reached from here by what it names, 169.254.7.7:5003"), "{printed:?}");
}

async fn a_closed_fleet_tells_strangers_no_more_than_joining_takes() {
    let registry = Registry::embedded().await;
    let place = ("swarm.zone", "a".into());
    for (key, is_told) in [("", true), (KEY, false)] {
        let node = Edge::node(&[EdgeUpstream::longshore(&registry)], &[place.clone(), ("swarm.fleet_key", key.into())]).await;
        let record = node.client().get("/v2/_longshore/swarm").await.expect(200).json();
        assert!(record["peer"].is_string() && record["control"].as_array().is_some_and(|all| !all.is_empty()), "{record}");
        assert_eq!(record["locality"]["zone"] == "a", is_told, "{record}");
        assert_eq!(record["pieces"].as_array().is_some_and(|all| !all.is_empty()), is_told, "{record}");
        // Its own operator is told all the same.
        let status = node.json("status", &[]).await;
        assert_eq!(status["swarm"]["node"]["locality"]["zone"], "a", "{status}");
    }
}

async fn a_registry_without_one_says_so() {
    let registry = Registry::start(Backend::Folder).await;
    registry.client().get("/v2/_longshore/swarm").await.expect(404);
    let tracking = Registry::with(Backend::Folder, &tracker()).await;
    let record = tracking.client().get("/v2/_longshore/swarm").await.expect(200).json();
    assert_eq!((&record["pieces"], record["control"].as_array().map(Vec::len)), (&Value::Array(Vec::new()), Some(1)), "{record}");
}
