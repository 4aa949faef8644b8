//! What there is too much of.

use std::time::Duration;

use tokio::{io::AsyncReadExt as _, net::TcpStream};

use super::{
    bed::{End, GOOD, settings, soon, told},
    raw::Raw,
};
use crate::control::{
    Announce, AnnouncedTopic, ControlError, ControlSettings, MOST_MESSAGE_BYTES, MOST_TOPICS,
    messages::{
        WireAnswer,
        tests::{record, topic},
    },
};
use crate::wire::MOST_TOKEN_BYTES;

const TRACKER: &str = "/longshore/tracker/1";
const OPEN: &str = r#"longshore_p2p_control_connections{direction="in"}"#;
const DENIED: &str = r#"longshore_p2p_control_connections_failed_total{reason="denied"}"#;

/// So many topics, each with a token of so many bytes.
fn topics(count: usize, token_bytes: usize) -> Vec<AnnouncedTopic> {
    let token = "t".repeat(token_bytes);
    (1..).take(count).map(|number| topic(number, Some(&token))).collect()
}

#[tokio::test]
async fn a_request_too_large_is_refused_and_the_tracker_lives() {
    let (tracker, service, _gone) = End::tracker(settings()).await;
    let mut raw = Raw::<Announce>::to(&tracker, TRACKER).await;
    let one = End::new(settings()).await;
    let mut announce = one.announcement(&[]);
    announce.record.peer = raw.peer();
    announce.topics = topics(80, MOST_TOKEN_BYTES);
    raw.send(announce.clone());
    raw.answer().await.unwrap_err();
    tracker.counts(r#"longshore_p2p_control_unread_total{reason="oversized"}"#, 1).await;

    // Of a size that is read, but with more in it than may be.
    announce.topics = topics(MOST_TOPICS + 1, 1);
    raw.send(announce.clone());
    assert_eq!(raw.answer().await.unwrap(), WireAnswer::Refused);
    announce.topics[MOST_TOPICS - 1] = announce.topics[0].clone();
    announce.topics.truncate(MOST_TOPICS);
    raw.send(announce.clone());
    assert_eq!(raw.answer().await.unwrap(), WireAnswer::Refused);
    assert!(service.heard.lock().unwrap().is_empty());
    announce.topics = topics(MOST_TOPICS, 1);
    raw.send(announce);
    assert!(matches!(raw.answer().await.unwrap(), WireAnswer::Topics { .. }));
    one.announce(&tracker.at(), GOOD).await.unwrap();
}

#[tokio::test]
async fn nonsense_is_refused_and_the_tracker_lives() {
    let (tracker, _service, _gone) = End::tracker(settings()).await;
    let mut raw = Raw::<Vec<u64>>::to(&tracker, TRACKER).await;
    for message in [vec![], vec![1, 2, 3], vec![u64::MAX; 1000]] {
        raw.send(message);
        raw.answer().await.unwrap_err();
    }
    tracker.counts(r#"longshore_p2p_control_unread_total{reason="malformed"}"#, 3).await;
    End::new(settings()).await.announce(&tracker.at(), GOOD).await.unwrap();
}

#[tokio::test]
async fn a_question_too_large_is_no_question() {
    let one = End::new(settings()).await;
    let mut raw = Raw::<Vec<u64>>::to(&one, "/longshore/record/1").await;
    raw.send(vec![u64::MAX; 100]);
    raw.answer().await.unwrap_err();
    one.counts(r#"longshore_p2p_control_unread_total{reason="oversized"}"#, 1).await;
}

#[tokio::test]
async fn who_is_one_too_many_is_turned_away() {
    for bounded in [ControlSettings { most_inbound: 2, ..settings() }, ControlSettings { most_inbound_per_ip: 2, ..settings() }] {
        turns_away_the_third(bounded).await;
    }
}

async fn turns_away_the_third(bounded: ControlSettings) {
    let (tracker, _service, mut gone) = End::tracker(bounded).await;
    let (one, other, third) = (End::new(settings()).await, End::new(settings()).await, End::new(settings()).await);
    one.announce(&tracker.at(), GOOD).await.unwrap();
    other.announce(&tracker.at(), GOOD).await.unwrap();
    let error = third.announce(&tracker.at(), GOOD).await.unwrap_err();
    assert!(matches!(error, ControlError::Unreachable { .. } | ControlError::Broken { .. }), "{error}");
    tracker.counts(DENIED, 1).await;
    assert_eq!(tracker.count(OPEN), 2);
    // Those who were there are served on, and the place of one who leaves is free.
    one.announce(&tracker.at(), GOOD).await.unwrap();
    other.control.shutdown().await;
    assert_eq!(soon(gone.recv()).await, Some(other.peer()));
    let fourth = End::new(settings()).await;
    fourth.announce(&tracker.at(), GOOD).await.unwrap();
}

#[tokio::test]
async fn a_peers_oldest_connection_gives_way() {
    let bounded = ControlSettings { most_per_peer: 2, ..settings() };
    let (tracker, _service, mut gone) = End::tracker(bounded).await;
    let mut twins = vec![End::new(settings()).await];
    for _ in 0..4 {
        twins.push(End::of(twins[0].keypair.clone(), settings(), None).await);
    }
    for twin in &twins {
        twin.announce(&tracker.at(), GOOD).await.unwrap();
    }
    tracker.counts(OPEN, 2).await;
    twins[0].counts(r#"longshore_p2p_control_connections{direction="out"}"#, 0).await;
    assert_eq!(twins[4].count(r#"longshore_p2p_control_connections{direction="out"}"#), 1);
    // It is here as long as one connection is.
    assert!(gone.try_recv().is_err());
}

#[tokio::test]
async fn handshakes_that_do_not_go_on_are_bounded() {
    let handshake_timeout = Duration::from_secs(3);
    for (most_pending, most_pending_per_ip) in [(2, 99), (99, 2)] {
        let bounded = ControlSettings { handshake_timeout, most_pending, most_pending_per_ip, ..settings() };
        turns_away_the_third_handshake(bounded).await;
    }
}

async fn turns_away_the_third_handshake(bounded: ControlSettings) {
    let (tracker, _service, _gone) = End::tracker(bounded).await;
    let mut idle = Vec::new();
    for _ in 0..2 {
        idle.push(TcpStream::connect(tracker.address).await.unwrap());
    }
    let mut surplus = TcpStream::connect(tracker.address).await.unwrap();
    // What it is sent at most is the end.
    soon(surplus.read_to_end(&mut Vec::new())).await.ok();
    tracker.counts(DENIED, 1).await;
    tracker.counts(r#"longshore_p2p_control_connections_failed_total{reason="handshake"}"#, 2).await;
    End::new(settings()).await.announce(&tracker.at(), GOOD).await.unwrap();
    drop(idle);
}

#[tokio::test]
async fn what_the_service_has_in_hand_is_bounded() {
    let bounded = ControlSettings { most_in_hand: 2, ..settings() };
    let (tracker, service, _gone) = End::tracker(bounded).await;
    let busy_retry = settings().busy_retry;
    service.hold.send_replace(true);
    let (one, other, third) = (End::new(settings()).await, End::new(settings()).await, End::new(settings()).await);
    let at = tracker.at();
    let (first, second, ()) = tokio::join!(one.announce(&at, GOOD), other.announce(&at, GOOD), async {
        service.hears(2).await;
        let error = third.announce(&at, GOOD).await.unwrap_err();
        assert!(matches!(error, ControlError::Busy { retry_after, .. } if retry_after == busy_retry), "{error}");
        // It does as it was asked.
        assert!(matches!(third.announce(&at, GOOD).await, Err(ControlError::BackingOff { .. })));
        service.hold.send_replace(false);
    });
    assert!(first.is_ok() && second.is_ok());
    tokio::time::sleep(busy_retry).await;
    third.announce(&at, GOOD).await.unwrap();
}

#[tokio::test]
async fn what_is_read_and_not_answered_is_bounded() {
    let bounded = ControlSettings { budget_bytes: 64 << 10, ..settings() };
    let (tracker, service, _gone) = End::tracker(bounded).await;
    let one = End::new(settings()).await;
    let mut large = one.announcement(&[]);
    large.topics = topics(10, MOST_TOKEN_BYTES - 1000);
    let error = one.control.announce(&tracker.at(), large).await.unwrap_err();
    assert!(matches!(error, ControlError::Busy { .. }), "{error}");
    assert!(service.heard.lock().unwrap().is_empty());
    assert_eq!(tracker.count(r#"longshore_p2p_control_unread_total{reason="no_room"}"#), 1);
    // All of it was given back: there is room for as much as there was.
    for _ in 0..5 {
        let other = End::new(settings()).await;
        let mut fitting = other.announcement(&[]);
        fitting.topics = topics(3, MOST_TOKEN_BYTES - 1000);
        other.control.announce(&tracker.at(), fitting).await.unwrap();
    }
}

#[tokio::test]
async fn a_flood_of_streams_ends_its_connection_alone() {
    let (tracker, service, _gone) = End::tracker(settings()).await;
    service.hold.send_replace(true);
    let mut raw = Raw::<Announce>::to(&tracker, TRACKER).await;
    let one = End::new(settings()).await;
    for _ in 0..2000 {
        raw.send(one.announcement(&[]));
    }
    // Most are dropped; what is not is an answer like any other, as the record is another's.
    let mut refused = 0;
    for _ in 0..2000 {
        refused += usize::from(raw.answer().await.is_ok());
    }
    assert!(refused < 2000, "{refused}");
    service.hold.send_replace(false);
    one.announce(&tracker.at(), GOOD).await.unwrap();
}

#[tokio::test]
async fn calls_are_bounded() {
    let (tracker, service, _gone) = End::tracker(settings()).await;
    let one = End::new(ControlSettings { most_calls: 10, ..settings() }).await;
    service.hold.send_replace(true);
    let at = tracker.at();
    let calls = futures_util::future::join_all((0..30).map(|_| one.announce(&at, GOOD)));
    let (answers, ()) = tokio::join!(calls, async {
        one.counts(r#"longshore_p2p_control_asked_total{outcome="too_many",question="announce"}"#, 20).await;
        service.hold.send_replace(false);
    });
    let too_many = answers.iter().filter(|answer| matches!(answer, Err(ControlError::TooManyCalls { most: 10 }))).count();
    assert_eq!((too_many, answers.iter().filter(|answer| answer.is_ok()).count()), (20, 10));
}

#[tokio::test]
async fn a_large_announcement_of_a_size_that_may_be_is_taken() {
    let (tracker, service, _gone) = End::tracker(settings()).await;
    let one = End::new(settings()).await;
    let mut large = one.announcement(&[]);
    large.topics = topics(64, 15_000);
    let bytes: usize = large.topics.iter().map(|topic| topic.token.as_ref().unwrap().len()).sum();
    assert!(bytes > MOST_MESSAGE_BYTES * 9 / 10);
    let answers = one.control.announce(&tracker.at(), large.clone()).await.unwrap().topics;
    assert_eq!(answers.len(), 64);
    assert_eq!(service.heard.lock().unwrap()[0].2.topics, large.topics);
}

#[tokio::test]
async fn one_peer_does_not_take_the_room_of_all() {
    let bounded = ControlSettings { budget_bytes: 1 << 20, budget_bytes_per_connection: 64 << 10, ..settings() };
    let (tracker, service, _gone) = End::tracker(bounded).await;
    let (one, other) = (End::new(settings()).await, End::new(settings()).await);
    service.hold.send_replace(true);
    let mut large = one.announcement(&[]);
    large.topics = topics(4, MOST_TOKEN_BYTES - 1000);
    let (at, large) = (tracker.at(), &large);
    let others = async {
        service.hears(1).await;
        other.announce(&at, GOOD).await
    };
    let (taken, others, ()) = tokio::join!(one.control.announce(&at, large.clone()), others, async {
        service.hears(2).await;
        let error = one.announce(&at, GOOD).await.unwrap_err();
        assert!(matches!(error, ControlError::Busy { .. }), "{error}");
        service.hold.send_replace(false);
    });
    assert!(taken.is_ok() && others.is_ok());
}

#[tokio::test]
async fn an_answer_has_to_have_room_as_well() {
    for (budget_bytes, has_room) in [(16 << 10, false), (128 << 10, true)] {
        let (tracker, service, _gone) = End::tracker(ControlSettings { budget_bytes, ..settings() }).await;
        let known = |number: u8| {
            let peer = libp2p_identity::PeerId::random();
            (peer, std::sync::Arc::new(record(peer, &[&format!("10.0.0.{number}:7")])))
        };
        service.known.lock().unwrap().extend((1..200).map(known));
        let one = End::new(settings()).await;
        match one.announce(&tracker.at(), GOOD).await {
            Ok(answers) => assert!(has_room && told(&answers[0]).len() == 8),
            Err(error) => assert!(!has_room && matches!(error, ControlError::Busy { .. }), "{error}"),
        }
        // What it took is given back.
        tokio::time::sleep(settings().busy_retry).await;
        service.known.lock().unwrap().clear();
        one.announce(&tracker.at(), GOOD).await.unwrap();
    }
}
