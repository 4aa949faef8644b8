//! What is closed for silence, and what is not.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::bed::{End, GOOD, HANG, Wire, settings, soon};
use crate::control::{ControlAddress, ControlError, ControlSettings};

const OPEN: &str = r#"longshore_p2p_control_connections{direction="in"}"#;

#[tokio::test]
async fn a_call_that_was_sent_late_does_not_end_the_connection() {
    let (tracker, service, mut gone) = End::tracker(settings()).await;
    let request_timeout = Duration::from_secs(2);
    let one = End::new(ControlSettings { request_timeout, ..settings() }).await;
    let wire = Wire::to(tracker.address).await;
    let at = ControlAddress::from(wire.address).of_peer(tracker.peer());
    wire.freeze(true);
    service.hold.send_replace(true);
    let began = Instant::now();
    let (answer, ()) = tokio::join!(one.announce(&at, GOOD), async {
        sleep_until(began + request_timeout / 2).await;
        wire.freeze(false);
        service.hears(1).await;
    });
    let error = answer.unwrap_err();
    assert!(matches!(error, ControlError::TimedOut { .. }), "{error}");
    // Nor is the tracker left alone for it.
    service.hold.send_replace(false);
    one.announce(&at, GOOD).await.unwrap();
    assert!(gone.try_recv().is_err() && tracker.count(OPEN) == 1);
}

#[tokio::test]
async fn a_call_that_waited_for_others_does_not_end_the_connection() {
    let request_timeout = Duration::from_secs(2);
    let judging_timeout = request_timeout * 3 / 4;
    let (tracker, service, mut gone) = End::tracker(ControlSettings { judging_timeout, ..settings() }).await;
    let one = End::new(ControlSettings { request_timeout, most_streams: 1, ..settings() }).await;
    let at = tracker.at();
    service.hold.send_replace(true);
    let began = Instant::now();
    // The first is answered after half of the time. The second is sent then and answered too late, and the third is never sent.
    let (first, second, third, ()) =
        tokio::join!(one.announce(&at, GOOD), one.announce(&at, HANG), one.announce(&at, GOOD), async {
            sleep_until(began + request_timeout / 2).await;
            service.hold.send_replace(false);
        });
    first.unwrap();
    for late in [second, third] {
        assert!(matches!(late, Err(ControlError::TimedOut { .. })));
    }
    one.announce(&at, GOOD).await.unwrap();
    assert!(gone.try_recv().is_err() && tracker.count(OPEN) == 1);
}

#[tokio::test]
async fn an_address_that_gives_way_leaves_anothers_announcements() {
    let (tracker, _service, mut gone) = End::tracker(settings()).await;
    let other = End::new(settings()).await;
    let one = End::new(ControlSettings { most_links: 2, ..settings() }).await;
    let by_name: ControlAddress = format!("localhost:{}", tracker.address.port()).parse().unwrap();
    // What goes to the tracker takes turns on its connections, whichever address was called.
    for at in [&tracker.at(), &by_name, &by_name] {
        one.announce(at, GOOD).await.unwrap();
    }
    assert_eq!(tracker.count(OPEN), 2);
    one.control.record_of(&other.at()).await.unwrap();
    one.announce(&by_name, GOOD).await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(gone.try_recv().is_err() && tracker.count(OPEN) == 2);
}

#[tokio::test]
async fn who_is_silent_loses_all_its_connections() {
    let (tracker, _service, mut gone) = End::tracker(settings()).await;
    let request_timeout = Duration::from_secs(1);
    let one = End::new(ControlSettings { request_timeout, ..settings() }).await;
    let (wire, other_wire) = (Wire::to(tracker.address).await, Wire::to(tracker.address).await);
    let [at, other_at] = [&wire, &other_wire].map(|wire| ControlAddress::from(wire.address).of_peer(tracker.peer()));
    for at in [&at, &other_at, &at, &other_at] {
        one.announce(at, GOOD).await.unwrap();
    }
    assert_eq!(tracker.count(OPEN), 2);
    let standing = one.control.announce(&at, one.announcement(&[Some(GOOD)])).await.unwrap().standing;
    wire.freeze(true);
    other_wire.freeze(true);
    let error = one.announce(&at, GOOD).await.unwrap_err();
    assert!(matches!(error, ControlError::TimedOut { .. }), "{error}");
    // Whichever of them it went on, none is left on which later calls would go.
    soon(standing.ended()).await;
    one.counts(r#"longshore_p2p_control_connections{direction="out"}"#, 0).await;
    wire.freeze(false);
    other_wire.freeze(false);
    assert_eq!(soon(gone.recv()).await, Some(one.peer()));
}
