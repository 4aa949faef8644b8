use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

use libp2p::{StreamProtocol, request_response::Codec as _};
use libp2p_identity::PeerId;
use longshore_oci::{Algorithm, Digest};
use proptest::{collection::vec, prelude::*};

use super::*;
use crate::locality::Locality;

const TRACKER: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));

/// A record with these addresses.
pub(crate) fn record(peer: PeerId, pieces: &[&str]) -> PeerRecord {
    let pieces = pieces.iter().map(|address| address.parse().unwrap()).collect();
    let locality = Locality { region: "eu".into(), zone: "a".into(), ..Locality::default() };
    PeerRecord { peer, pieces, locality }
}

/// An announcement of a topic, with this token.
pub(crate) fn topic(number: u32, token: Option<&str>) -> AnnouncedTopic {
    let topic = Topic {
        registry: "registry.example.org".into(),
        repository: "library/alpine".parse().unwrap(),
        digest: Digest::of(Algorithm::Sha256, &number.to_le_bytes()),
    };
    let state = Holding { pieces: 1, of: 4 };
    AnnouncedTopic { topic, token: token.map(str::to_owned), state, wants_peers: 8, wants_origin: 1 }
}

fn told(records: &[Arc<PeerRecord>]) -> Introduction {
    let peers = records.iter().map(|record| ToldPeer { record: Arc::clone(record), has_all: true }).collect();
    let origin = OriginLease { stripes: vec![0, 3], of: 4, for_ms: 5000 };
    Introduction { peers, origin, again_in_ms: 1000 }
}

/// The longest that an answer holds.
const MOST: Duration = Duration::from_secs(45);

/// What was announced that is answered for so many topics.
fn asked(topics: usize, wants_peers: u16) -> Vec<AnnouncedTopic> {
    (0..).take(topics).map(|number| AnnouncedTopic { wants_peers, wants_origin: 9, ..topic(number, None) }).collect()
}

fn records(count: u16) -> Vec<Arc<PeerRecord>> {
    let record = |number: u16| Arc::new(record(PeerId::random(), &[&format!("10.0.{}.{}:7", number / 250, number % 250 + 1)]));
    (0..count).map(record).collect()
}

async fn cbor<M: Send + Serialize + serde::de::DeserializeOwned + 'static>(message: M) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut codec = libp2p::request_response::cbor::codec::Codec::<M, M>::default();
    codec.write_request(&StreamProtocol::new("/test"), &mut bytes, message).await.unwrap();
    bytes
}

#[test]
fn a_token_is_not_shown() {
    let shown = format!("{:?}", topic(1, Some("s3cret")));
    assert!(!shown.contains("s3cret") && shown.contains("library/alpine"), "{shown}");
}

/// What makes an announcement one that no tracker takes.
type Spoil = fn(&mut Announce);

#[test]
fn an_announcement_is_checked_before_it_is_sent() {
    let announce = Announce { record: record(PeerId::random(), &["10.0.0.1:7"]), topics: vec![topic(1, None)], withdraw: vec![] };
    assert!(announce.check().is_ok());
    let wrong: [(&str, Spoil); 8] = [
        ("topics", |announce| announce.topics = (0..257).map(|number| topic(number, None)).collect()),
        ("topics that are in it twice", |announce| announce.topics.push(topic(1, Some("t")))),
        ("withdrawn topics", |announce| announce.withdraw = vec![TopicKey([0; 32]); MOST_WITHDRAWN + 1]),
        ("addresses", |announce| announce.record.pieces = vec![announce.record.pieces[0]; MOST_ADDRESSES + 1]),
        ("bytes of a token", |announce| announce.topics[0].token = Some("t".repeat(MOST_TOKEN_BYTES + 1))),
        ("bytes of a registry's name", |announce| announce.topics[0].topic.registry = "r".repeat(MOST_REGISTRY_BYTES + 1).into()),
        ("names too long of where the peer is", |announce| announce.record.locality.zone = "z".repeat(1000)),
        ("bytes", |announce| {
            announce.topics = (0..64).map(|number| topic(number, Some(&"t".repeat(MOST_TOKEN_BYTES)))).collect();
        }),
    ];
    for (expected, spoil) in wrong {
        let mut announce = announce.clone();
        spoil(&mut announce);
        assert!(matches!(announce.check(), Err(ControlError::TooLarge { what, .. }) if what == expected), "{expected}");
    }
}

#[tokio::test]
async fn a_record_travels_once_whatever_it_is_told_for() {
    let records = records(32);
    let answer = |topics| Answer::Topics(vec![TopicAnswer::Told(told(&records)); topics]);
    let [one, many] = [1, 100].map(|topics| cbor(WireAnswer::fitting(answer(topics)).0));
    let (one, many) = (one.await.len(), many.await.len());
    assert!(many < one * 10, "{one} bytes for a topic, {many} for a hundred");
    let again = WireAnswer::fitting(answer(100)).0.into_answer(PeerId::random(), TRACKER, &asked(100, 32), MOST);
    assert_eq!(again, Ok(answer(100)));
}

#[tokio::test]
async fn an_answer_too_large_tells_each_topic_of_fewer() {
    let topic = || TopicAnswer::Told(told(&records(64)));
    let answer = Answer::Topics((0..MOST_TOPICS).map(|_| topic()).chain([TopicAnswer::Refused]).collect());
    let (wire, most_bytes) = WireAnswer::fitting(answer);
    assert!(cbor(wire.clone()).await.len() <= most_bytes && most_bytes <= MOST_MESSAGE_BYTES);
    let answer = wire.into_answer(PeerId::random(), TRACKER, &asked(MOST_TOPICS + 1, 64), MOST);
    let Ok(Answer::Topics(topics)) = answer else { panic!("it has topics") };
    assert_eq!((topics.len(), topics.last()), (MOST_TOPICS + 1, Some(&TopicAnswer::Refused)));
    let told = |topic: &TopicAnswer| if let TopicAnswer::Told(told) = topic { told.peers.len() } else { usize::MAX };
    assert!(topics.iter().all(|topic| told(topic) >= 16));
}

#[test]
fn nobody_is_told_of_itself_or_of_what_cannot_be() {
    let mut all = records(3);
    let own = all[1].peer;
    Arc::make_mut(&mut all[2]).pieces =
        ["0.0.0.0:7", "10.0.0.9:0", "10.0.0.9:9"].map(|text| text.parse::<SocketAddr>().unwrap()).into();
    let (wire, _) = WireAnswer::fitting(Answer::Topics(vec![TopicAnswer::Told(told(&all))]));
    let Ok(Answer::Topics(topics)) = wire.into_answer(own, TRACKER, &asked(1, 8), MOST) else { panic!("it has topics") };
    let TopicAnswer::Told(told) = &topics[0] else { panic!("it tells of peers") };
    let pieces: Vec<_> = told.peers.iter().map(|peer| (peer.record.peer, peer.record.pieces.len())).collect();
    assert_eq!(pieces, [(all[0].peer, 1), (all[2].peer, 1)]);

    let origin = OriginLease::default();
    let topic = wire::WireTopic::Told { peers: vec![(1, false)], origin, again_in_ms: 0 };
    let wire = WireAnswer::Topics { records: vec![Arc::clone(&all[0])], topics: vec![topic] };
    wire.clone().into_answer(own, TRACKER, &asked(1, 8), MOST).unwrap_err();
    wire.into_answer(own, TRACKER, &asked(2, 8), MOST).unwrap_err();
}

#[test]
fn nobody_is_told_more_than_it_asked_for() {
    let all = records(4);
    let topic = |origin, again_in_ms| {
        // The second twice, by its place and by a second record.
        let peers = [1, 1, 3, 2, 0].map(|place| (place, true)).into();
        wire::WireTopic::Told { peers, origin, again_in_ms }
    };
    let lying = OriginLease { stripes: vec![9, 4, 0, 3, 0, 3, 1], of: 4, for_ms: u32::MAX };
    let records = [0, 1, 2, 1].map(|number: usize| Arc::clone(&all[number])).into();
    let wire = WireAnswer::Topics { records, topics: vec![topic(lying.clone(), 0), topic(lying, u32::MAX)] };
    let asked = [(2, 2), (9, 0)].map(|(wants_peers, wants_origin)| AnnouncedTopic {
        wants_peers,
        wants_origin,
        ..super::tests::topic(1, None)
    });
    let Ok(Answer::Topics(answers)) = wire.into_answer(PeerId::random(), TRACKER, &asked, MOST) else { panic!("it has topics") };
    for (answer, expected) in answers.iter().zip([(&[1, 2][..], &[0, 1][..], 100), (&[1, 2, 0], &[], 45_000)]) {
        let TopicAnswer::Told(told) = answer else { panic!("it tells of peers") };
        let (peers, stripes, again_in_ms) = expected;
        let peers: Vec<PeerId> = peers.iter().map(|number: &usize| all[*number].peer).collect();
        assert_eq!(told.peers.iter().map(|peer| peer.record.peer).collect::<Vec<_>>(), peers);
        assert_eq!((told.origin.stripes.as_slice(), told.origin.for_ms, told.again_in_ms), (stripes, 45_000, again_in_ms));
    }
}

#[test]
fn parts_have_all_in_order_and_are_each_taken() {
    let record = record(PeerId::random(), &["10.0.0.1:7"]);
    let tokens = [0, 1000, MOST_TOKEN_BYTES];
    let topics: Vec<_> = (0..700).map(|number: u32| topic(number, Some(&"t".repeat(tokens[number as usize % 3])))).collect();
    let withdraw: Vec<_> = (0..10_000_u32).map(|number| TopicKey(*blake3::hash(&number.to_le_bytes()).as_bytes())).collect();
    let announce = Announce { record, topics, withdraw };
    let parts = announce.clone().split();
    assert!(parts.iter().all(|part| part.check().is_ok() && part.record == announce.record));
    assert_eq!(parts.iter().flat_map(|part| part.topics.clone()).collect::<Vec<_>>(), announce.topics);
    assert_eq!(parts.iter().flat_map(|part| part.withdraw.clone()).collect::<Vec<_>>(), announce.withdraw);
    let small = Announce { topics: vec![announce.topics[0].clone()], withdraw: vec![], ..announce };
    assert_eq!(small.clone().split(), [small]);
}

prop_compose! {
    fn any_record()(
        pieces in vec(any::<SocketAddr>(), 0..=MOST_ADDRESSES),
        names in prop::array::uniform4("\\PC{0,32}"),
    ) -> PeerRecord {
        let [region, zone, rack, host] = names;
        PeerRecord { peer: PeerId::random(), pieces, locality: Locality { region, zone, rack, host } }
    }
}

prop_compose! {
    fn any_topic()(
        number: u32,
        registry in "[a-z.]{0,260}",
        repository in "[a-z0-9]{1,100}(/[a-z0-9]{1,50}){0,3}",
        algorithm in prop::sample::select(vec![Algorithm::Sha256, Algorithm::Sha512]),
        token in prop::option::of("[!-~]{0,800}"),
        (pieces, of, wants_peers, wants_origin) in any::<(u32, u32, u16, u8)>(),
    ) -> AnnouncedTopic {
        let digest = Digest::of(algorithm, &number.to_le_bytes());
        let topic = Topic { registry: registry.into(), repository: repository.parse().unwrap(), digest };
        AnnouncedTopic { topic, token, state: Holding { pieces, of }, wants_peers, wants_origin }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn an_announcement_is_never_larger_than_reckoned(
        record in any_record(),
        topics in vec(any_topic(), 0..6),
        withdraw in vec(any::<[u8; 32]>().prop_map(TopicKey), 0..6),
    ) {
        let announce = Announce { record, topics, withdraw };
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let bytes = runtime.block_on(cbor(announce.clone()));
        prop_assert!(bytes.len() <= announce.most_bytes(), "{} of {}", bytes.len(), announce.most_bytes());
        let mut codec = libp2p::request_response::cbor::codec::Codec::<Announce, ()>::default();
        let again = runtime.block_on(codec.read_request(&StreamProtocol::new("/test"), &mut bytes.as_slice())).unwrap();
        // What is not of an address travels not: a scope is of one machine.
        let plain = |announce: &Announce| announce.record.pieces.iter().map(|piece| (piece.ip(), piece.port())).collect::<Vec<_>>();
        prop_assert_eq!((plain(&again), &again.topics, &again.withdraw), (plain(&announce), &announce.topics, &announce.withdraw));
    }

    #[test]
    fn an_answer_is_never_larger_than_reckoned(
        records in vec(any_record(), 0..20),
        stripes in vec(any::<u8>(), 0..9),
        (for_ms, again_in_ms) in any::<(u32, u32)>(),
        topics in 0_usize..20,
    ) {
        let records: Vec<_> = records.into_iter().map(Arc::new).collect();
        let told = Introduction { origin: OriginLease { stripes, of: u8::MAX, for_ms }, again_in_ms, ..told(&records) };
        let mut answers = vec![TopicAnswer::Told(told); topics];
        answers.push(TopicAnswer::Refused);
        let (wire, most_bytes) = WireAnswer::of_topics(&answers, usize::MAX);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let bytes = runtime.block_on(cbor(wire));
        prop_assert!(bytes.len() <= most_bytes, "{} of {}", bytes.len(), most_bytes);
    }
}
