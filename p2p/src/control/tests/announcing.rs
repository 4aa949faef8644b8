//! A peer tells a tracker, and is told.

use std::{sync::Arc, time::Duration};

use super::bed::{End, GOOD, HANG, PANIC, SHORT, settings, soon, told};
use crate::control::{
    ControlAddress, ControlError, ControlSettings, TopicAnswer,
    messages::tests::{record, topic},
};
use crate::wire::MOST_TOKEN_BYTES;

const OPEN: &str = r#"longshore_p2p_control_connections{direction="in"}"#;

#[tokio::test]
async fn two_peers_hear_of_each_other() {
    let (tracker, service, _gone) = End::tracker(settings()).await;
    let (one, other) = (End::new(settings()).await, End::new(settings()).await);
    let first = one.announce(&tracker.at(), GOOD).await.unwrap();
    assert_eq!(told(&first[0]), []);
    // Without the tracker's id it is found as well.
    let answer = other.announce(&ControlAddress::from(tracker.address), GOOD).await.unwrap();
    // The address that stands for all of its own is the one that it came from.
    assert_eq!(told(&answer[0]), [Arc::new(record(one.peer(), &["127.0.0.1:7001"]))]);
    let TopicAnswer::Told(told) = &answer[0] else { panic!("refused") };
    assert_eq!((told.origin.stripes.as_slice(), told.origin.for_ms, told.again_in_ms), ([2].as_slice(), 5000, 15_000));

    let heard = service.heard.lock().unwrap().clone();
    let heard: Vec<_> = heard.iter().map(|(peer, from, announce)| (*peer, from.is_loopback(), announce.topics.clone())).collect();
    assert_eq!(heard, [one.peer(), other.peer()].map(|peer| (peer, true, vec![topic(1, Some(GOOD))])));
    assert_eq!(tracker.count(r#"longshore_p2p_control_answered_total{answer="told",question="announce"}"#), 2);
}

#[tokio::test]
async fn who_may_not_have_a_topic_learns_nothing_of_it() {
    let (tracker, _service, _gone) = End::tracker(settings()).await;
    let (one, stranger) = (End::new(settings()).await, End::new(settings()).await);
    one.announce(&tracker.at(), GOOD).await.unwrap();
    let announce = stranger.announcement(&[None, Some("bad"), Some(GOOD)]);
    let answers = stranger.control.announce(&tracker.at(), announce).await.unwrap().topics;
    assert_eq!((&answers[..2], told(&answers[2]).len()), (&[TopicAnswer::Refused, TopicAnswer::Refused][..], 1));
}

#[tokio::test]
async fn anothers_record_is_refused() {
    let (tracker, service, _gone) = End::tracker(settings()).await;
    let (one, other) = (End::new(settings()).await, End::new(settings()).await);
    let error = one.control.announce(&tracker.at(), other.announcement(&[Some(GOOD)])).await.unwrap_err();
    assert!(matches!(error, ControlError::Refused { .. }), "{error}");
    assert!(service.heard.lock().unwrap().is_empty());
    // Who was refused is not left alone for it.
    one.announce(&tracker.at(), GOOD).await.unwrap();
}

#[tokio::test]
async fn an_announcement_too_large_is_not_sent() {
    let (tracker, _service, _gone) = End::tracker(settings()).await;
    let one = End::new(settings()).await;
    let token = "t".repeat(MOST_TOKEN_BYTES + 1);
    let error = one.announce(&tracker.at(), &token).await.unwrap_err();
    assert!(matches!(error, ControlError::TooLarge { .. }), "{error}");
    assert_eq!(tracker.count(OPEN), 0);
}

#[tokio::test]
async fn a_connection_serves_all_calls() {
    let (tracker, service, _gone) = End::tracker(settings()).await;
    let one = End::new(settings()).await;
    let at = tracker.at();
    let calls = (0..100).map(|_| one.announce(&at, GOOD));
    for answer in futures_util::future::join_all(calls).await {
        answer.unwrap();
    }
    assert_eq!((tracker.count(OPEN), service.heard.lock().unwrap().len()), (1, 100));
}

#[tokio::test]
async fn a_peer_is_gone_with_its_last_connection() {
    let (tracker, _service, mut gone) = End::tracker(settings()).await;
    let one = End::new(settings()).await;
    let twin = End::of(one.keypair.clone(), settings(), None).await;
    let silent = End::new(settings()).await;
    one.announce(&tracker.at(), GOOD).await.unwrap();
    twin.announce(&tracker.at(), GOOD).await.unwrap();
    silent.control.record_of(&tracker.at()).await.unwrap();
    silent.control.shutdown().await;
    one.control.shutdown().await;
    tracker.counts(OPEN, 1).await;
    assert!(gone.try_recv().is_err());
    twin.control.shutdown().await;
    assert_eq!(soon(gone.recv()).await, Some(one.peer()));
    assert_eq!(tracker.count("longshore_p2p_control_gone_total"), 1);
}

#[tokio::test]
async fn a_dropped_handle_is_the_end_of_it() {
    let (tracker, _service, mut gone) = End::tracker(settings()).await;
    let one = End::new(settings()).await;
    one.announce(&tracker.at(), GOOD).await.unwrap();
    let peer = one.peer();
    drop(one);
    assert_eq!(soon(gone.recv()).await, Some(peer));
}

#[tokio::test]
async fn who_renews_stays_and_who_does_not_is_gone() {
    let idle_timeout = Duration::from_millis(1500);
    let (tracker, _service, mut gone) = End::tracker(ControlSettings { idle_timeout, ..settings() }).await;
    let one = End::new(ControlSettings { idle_timeout, ..settings() }).await;
    for _ in 0..7 {
        one.announce(&tracker.at(), GOOD).await.unwrap();
        tokio::time::sleep(idle_timeout / 4).await;
    }
    assert!(gone.try_recv().is_err());
    assert_eq!(soon(gone.recv()).await, Some(one.peer()));
    assert_eq!(tracker.count(OPEN), 0);
    // Nothing failed: it is called again at once.
    one.announce(&tracker.at(), GOOD).await.unwrap();
}

#[tokio::test]
async fn an_answer_to_something_else_is_none() {
    let (tracker, _service, _gone) = End::tracker(settings()).await;
    let one = End::new(settings()).await;
    let error = one.announce(&tracker.at(), SHORT).await.unwrap_err();
    assert!(matches!(error, ControlError::Nonsense { .. }), "{error}");
}

#[tokio::test]
async fn a_service_that_fails_costs_its_caller_alone() {
    let judging_timeout = Duration::from_millis(200);
    let (tracker, _service, _gone) = End::tracker(ControlSettings { judging_timeout, ..settings() }).await;
    for token in [PANIC, HANG] {
        let one = End::new(settings()).await;
        let error = one.announce(&tracker.at(), token).await.unwrap_err();
        assert!(matches!(error, ControlError::Busy { .. }), "{token}: {error}");
    }
    let other = End::new(settings()).await;
    other.announce(&tracker.at(), GOOD).await.unwrap();
}

#[tokio::test]
async fn a_peer_hears_that_its_announcements_are_forgotten() {
    let (tracker, _service, mut gone) = End::tracker(settings()).await;
    let (one, other) = (End::new(settings()).await, End::new(settings()).await);
    let announce = || async { one.control.announce(&tracker.at(), one.announcement(&[Some(GOOD)])).await.unwrap().standing };
    let (first, second) = (announce().await, announce().await);
    assert!(!first.is_over() && !second.is_over());
    let others = other.control.announce(&tracker.at(), other.announcement(&[Some(GOOD)])).await.unwrap().standing;
    tracker.control.shutdown().await;
    for standing in [&first, &second, &others] {
        soon(standing.ended()).await;
        assert!(standing.is_over());
    }
    assert!(soon(gone.recv()).await.is_some());

    // The same where it is this end that leaves.
    let (tracker, _service, _gone) = End::tracker(settings()).await;
    let standing = one.control.announce(&tracker.at(), one.announcement(&[Some(GOOD)])).await.unwrap().standing;
    assert!(!standing.is_over());
    one.control.shutdown().await;
    soon(standing.ended()).await;
}

#[tokio::test]
async fn an_announcement_that_is_too_large_is_made_in_parts() {
    let (tracker, service, _gone) = End::tracker(settings()).await;
    let one = End::new(settings()).await;
    let mut announce = one.announcement(&[]);
    announce.topics = (0..150).map(|number| topic(number, Some(&"t".repeat(MOST_TOKEN_BYTES)))).collect();
    let error = one.control.announce(&tracker.at(), announce.clone()).await.unwrap_err();
    assert!(matches!(error, ControlError::TooLarge { .. }), "{error}");
    for part in announce.clone().split() {
        one.control.announce(&tracker.at(), part).await.unwrap();
    }
    let heard: Vec<_> = service.heard.lock().unwrap().iter().flat_map(|(.., announce)| announce.topics.clone()).collect();
    assert_eq!(heard, announce.topics);
}
