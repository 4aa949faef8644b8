//! Trackers that die, freeze, and come back.

use std::time::Duration;

use tokio::time::Instant;

use super::bed::{End, GOOD, Wire, settings, soon};
use crate::control::{ControlAddress, ControlError, ControlSettings};

/// Calls until it is answered; each failure must be a pause's, or what is expected while there is nobody.
async fn until_answered(one: &End, at: &ControlAddress) {
    soon(async {
        while let Err(error) = one.announce(at, GOOD).await {
            match error {
                ControlError::BackingOff { retry_after, .. } => tokio::time::sleep(retry_after).await,
                ControlError::Unreachable { .. } | ControlError::Broken { .. } | ControlError::TimedOut { .. } => {}
                error => panic!("{error}"),
            }
        }
    })
    .await;
}

/// Calls for a while: how many calls did more than to be told of the pause.
async fn tries_within(one: &End, at: &ControlAddress, time: Duration) -> usize {
    let began = Instant::now();
    let mut tries = 0;
    while began.elapsed() < time {
        let called = Instant::now();
        match one.announce(at, GOOD).await.unwrap_err() {
            ControlError::BackingOff { .. } => {
                assert!(called.elapsed() < Duration::from_millis(500), "a pause costs its caller {:?}", called.elapsed());
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            _ => tries += 1,
        }
    }
    tries
}

#[tokio::test]
async fn a_tracker_that_is_gone_costs_nothing_and_is_found_again() {
    let (tracker, _service, _gone) = End::tracker(settings()).await;
    let one = End::new(settings()).await;
    one.announce(&tracker.at(), GOOD).await.unwrap();
    tracker.control.shutdown().await;

    let called = Instant::now();
    let error = one.announce(&tracker.at(), GOOD).await.unwrap_err();
    assert!(called.elapsed() < settings().request_timeout, "{:?}", called.elapsed());
    assert!(matches!(error, ControlError::Unreachable { .. } | ControlError::Broken { .. }), "{error}");
    // Pauses of 100, 200, 400 ms, each at least half as long: at most four in the time.
    let tries = tries_within(&one, &tracker.at(), Duration::from_millis(700)).await;
    assert!((1..=4).contains(&tries), "{tries} tries");

    let again = ControlSettings { listen: vec![tracker.address], ..settings() };
    let (again, service, _gone) = End::tracker_of(tracker.keypair.clone(), again).await;
    until_answered(&one, &again.at()).await;
    assert_eq!(service.heard.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_tracker_that_freezes_is_noticed_in_time() {
    let (tracker, service, mut gone) = End::tracker(settings()).await;
    let request_timeout = Duration::from_secs(1);
    let one = End::new(ControlSettings { request_timeout, ..settings() }).await;
    let wire = Wire::to(tracker.address).await;
    let at = ControlAddress::from(wire.address).of_peer(tracker.peer());
    until_answered(&one, &at).await;
    wire.freeze(true);

    let called = Instant::now();
    let error = one.announce(&at, GOOD).await.unwrap_err();
    assert!(matches!(error, ControlError::TimedOut { .. }), "{error}");
    assert!((request_timeout..request_timeout * 3).contains(&called.elapsed()), "{:?}", called.elapsed());
    assert!(matches!(one.announce(&at, GOOD).await, Err(ControlError::BackingOff { .. })));

    wire.freeze(false);
    // What was closed meanwhile is heard of now.
    assert_eq!(soon(gone.recv()).await, Some(one.peer()));
    until_answered(&one, &at).await;
    assert_eq!(service.heard.lock().unwrap().last().map(|(peer, ..)| *peer), Some(one.peer()));
}

#[tokio::test]
async fn who_accepts_and_says_nothing_is_noticed_in_time() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let request_timeout = Duration::from_millis(300);
    let one = End::new(ControlSettings { request_timeout, ..settings() }).await;
    let at = ControlAddress::from(silent.local_addr().unwrap());
    let called = Instant::now();
    let calls = (0..20).map(|_| one.announce(&at, GOOD));
    for answer in futures_util::future::join_all(calls).await {
        assert!(matches!(answer, Err(ControlError::TimedOut { .. })));
    }
    assert!(called.elapsed() < request_timeout * 3, "{:?}", called.elapsed());
    assert!(matches!(one.announce(&at, GOOD).await, Err(ControlError::BackingOff { .. })));
    // Each call waits, and none dials by itself.
    silent.set_nonblocking(true).unwrap();
    assert_eq!(std::iter::from_fn(|| silent.accept().ok()).count(), 1);
}

#[tokio::test]
async fn a_peer_that_dies_without_a_word_is_gone_in_time() {
    let idle_timeout = Duration::from_millis(500);
    let (tracker, _service, mut gone) = End::tracker(ControlSettings { idle_timeout, ..settings() }).await;
    let one = End::new(settings()).await;
    let wire = Wire::to(tracker.address).await;
    one.announce(&ControlAddress::from(wire.address), GOOD).await.unwrap();
    wire.freeze(true);
    assert_eq!(soon(gone.recv()).await, Some(one.peer()));
}

#[tokio::test]
async fn a_name_that_nobody_knows_is_an_error() {
    let one = End::new(settings()).await;
    let at: ControlAddress = "tracker.invalid:7".parse().unwrap();
    let error = one.announce(&at, GOOD).await.unwrap_err();
    // A machine without a resolver has to wait for none.
    assert!(matches!(error, ControlError::Unresolved { .. } | ControlError::TimedOut { .. }), "{error}");
}

#[tokio::test]
async fn calls_end_when_it_is_shut_down() {
    let (tracker, service, _gone) = End::tracker(settings()).await;
    let one = End::new(settings()).await;
    service.hold.send_replace(true);
    let at = tracker.at();
    let (answer, ()) = tokio::join!(one.announce(&at, GOOD), async {
        tracker.counts(r#"longshore_p2p_control_connections{direction="in"}"#, 1).await;
        one.control.shutdown().await;
    });
    assert!(matches!(answer, Err(ControlError::Closed)));
    assert!(matches!(one.announce(&at, GOOD).await, Err(ControlError::Closed)));
    one.control.shutdown().await;
}
