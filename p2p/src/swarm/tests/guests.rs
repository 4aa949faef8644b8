//! What guests of a node can do to it and to each other.

use std::{sync::atomic::Ordering, time::Duration};

use longshore_oci::piece::PieceIndex;
use tokio::time::Instant;

use super::{
    bed::{Bed, Blob, Spec, soon},
    host::{FINE, HANGS, Host, PANICS},
};
use crate::{plane::Event, topic::Topic};

/// Who opens more than can be judged keeps only itself waiting.
#[tokio::test]
async fn who_keeps_the_judge_busy_keeps_nobody_else_out() {
    let host = Host::new(1, |settings| settings.callback_timeout = Duration::from_mins(10)).await;
    let greedy = host.guest().await;
    for number in 0..400 {
        let id = greedy.open(&host.another(number), HANGS);
        if number % 2 == 0 {
            greedy.sender.close(id).unwrap();
        }
    }
    while host.judged() < 16 {
        tokio::task::yield_now().await;
    }
    host.guest_inside().await;
    assert_eq!(host.judged(), 17);
}

/// A judge that never answers, or fails, lets nobody in; and costs nobody's place.
#[tokio::test]
async fn who_is_not_judged_is_refused() {
    let change = |settings: &mut crate::swarm::SwarmSettings| {
        (settings.callback_timeout, settings.most_judged) = (Duration::from_millis(100), 2);
    };
    let host = Host::new(1, change).await;
    let mut guest = host.guest().await;
    for token in [HANGS, PANICS, HANGS, PANICS, PANICS] {
        guest.open(&host.topic, token);
        assert!(matches!(guest.next().await.unwrap(), Event::Refused { .. }), "{token}");
    }
    guest.open(&host.topic, FINE);
    assert!(matches!(guest.next().await.unwrap(), Event::Opened { .. }));
    assert_eq!(host.judged(), 6);
}

/// A disk that does not answer holds no slot for good.
#[tokio::test]
async fn what_cannot_be_read_in_time_is_rejected_and_others_are_served() {
    let change = |settings: &mut crate::swarm::SwarmSettings| {
        (settings.callback_timeout, settings.upload.slots) = (Duration::from_millis(100), 1);
    };
    let host = Host::new(2, change).await;
    host.ways.may_read.forget_permits(1000);
    let (mut unlucky, id) = host.guest_inside().await;
    unlucky.ask(id, 0);
    assert!(matches!(unlucky.next().await.unwrap(), Event::Rejected { .. }));
    host.ways.may_read.add_permits(1);
    let (mut other, id) = host.guest_inside().await;
    other.ask(id, 1);
    assert!(matches!(other.next().await.unwrap(), Event::Piece(_)));
}

/// Who takes nothing of what it asked for holds no slot for longer than a piece may take.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_not_read_holds_up_nobody() {
    let change = |settings: &mut crate::swarm::SwarmSettings| {
        (settings.upload.serve_timeout, settings.upload.slots) = (Duration::from_millis(200), 1);
    };
    let host = Host::new(33, change).await;
    let (stuck, id) = host.guest_inside().await;
    (0..32).for_each(|piece| stuck.ask(id, piece));
    let mut sent = 0;
    loop {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let before = std::mem::replace(&mut sent, host.swarm.status().await.unwrap().peers[0].sent_bytes);
        if sent > 0 && sent == before {
            break;
        }
    }
    let (mut other, id) = host.guest_inside().await;
    let begun = Instant::now();
    other.ask(id, 32);
    assert!(matches!(other.next().await.unwrap(), Event::Piece(_)));
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
}

/// A right that is not renewed is asked about once more, and then ends.
#[tokio::test]
async fn a_right_that_ends_is_not_asked_about_all_the_time() {
    let host = Host::new(1, |_| {}).await;
    host.rights_end_in(Duration::from_secs(3));
    let (mut guest, _) = host.guest_inside().await;
    assert!(matches!(guest.next().await.unwrap(), Event::Refused { .. }));
    assert_eq!(host.judged(), 2);
}

/// One that is renewed goes on.
#[tokio::test]
async fn a_right_that_is_renewed_goes_on() {
    let host = Host::new(1, |_| {}).await;
    host.rights_end_in(Duration::from_secs(2));
    let (mut guest, id) = host.guest_inside().await;
    host.rights_end_in(Duration::from_hours(1));
    let refused = tokio::time::timeout(Duration::from_secs(3), guest.next()).await;
    assert!(refused.is_err(), "{refused:?}");
    guest.ask(id, 0);
    assert!(matches!(guest.next().await.unwrap(), Event::Piece(_)));
}

/// Nothing is said of a piece to who may not have it any more, though it was not told so yet.
#[tokio::test]
async fn who_may_not_have_a_blob_any_more_hears_of_no_piece() {
    let host = Host::new(1, |_| {}).await;
    let (topic, mut arrivals) = host.wait_for(8);
    let mut guest = host.guest().await;
    host.rights_end_in(Duration::from_millis(100));
    guest.open(&topic, FINE);
    assert!(matches!(guest.next().await.unwrap(), Event::Opened { .. }));
    tokio::time::sleep(Duration::from_millis(110)).await;
    arrivals.landed(PieceIndex(3));
    let event = guest.next().await.unwrap();
    assert!(matches!(event, Event::Refused { .. }), "{event:?}");
}

/// A piece that lands while the metainfo is looked for is told in the answer, and not before it.
#[tokio::test]
async fn a_piece_that_lands_before_the_answer_breaks_no_rule() {
    let host = Host::new(1, |_| {}).await;
    let (topic, mut arrivals) = host.wait_for(8);
    let mut guest = host.guest().await;
    guest.sender.open(topic, Some(crate::wire::Token(FINE.into())), true).unwrap();
    while host.judged() < 1 {
        tokio::task::yield_now().await;
    }
    // The judgement has been heard when a question that came after it is answered.
    host.guest_inside().await;
    arrivals.landed(PieceIndex(3));
    host.guest_inside().await;
    host.ways.may_tell_metainfo.add_permits(1);
    let event = guest.next().await.unwrap();
    assert!(matches!(event, Event::Opened { ref opened, .. } if opened.metainfo.is_some()), "{event:?}");
    arrivals.landed(PieceIndex(4));
    let event = guest.next().await.unwrap();
    assert!(matches!(event, Event::Have { piece: PieceIndex(4), .. }), "{event:?}");
}

/// However much lands at once, neighbours hear of each piece.
#[tokio::test]
async fn no_piece_that_lands_goes_untold() {
    let host = Host::new(1, |_| {}).await;
    let (topic, mut arrivals) = host.wait_for(700);
    let mut guest = host.guest().await;
    guest.open(&topic, FINE);
    assert!(matches!(guest.next().await.unwrap(), Event::Opened { .. }));
    (0..700).for_each(|piece| arrivals.landed(PieceIndex(piece)));
    drop(arrivals);
    for expected in 0..700 {
        let event = guest.next().await.unwrap();
        assert!(matches!(event, Event::Have { piece, .. } if piece.0 == expected), "{event:?}");
    }
}

/// Who asks for a piece of a blob that is gone is told that, and needs not ask for each.
#[tokio::test]
async fn a_blob_that_is_gone_is_refused() {
    let host = Host::new(4, |_| {}).await;
    let (mut guest, id) = host.guest_inside().await;
    host.ways.has_blob.store(false, Ordering::Relaxed);
    guest.ask(id, 2);
    let event = guest.next().await.unwrap();
    assert!(matches!(event, Event::Refused { .. }), "{event:?}");
}

/// A tracker that refuses a topic leases nothing of it: who may have it from the origin need not wait for that.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_refused_by_all_trackers_asks_the_origin() {
    let bed = Bed::new().await;
    let blob = Blob::new(5, 42);
    let node = bed.node(Spec::default()).await;
    bed.law.forbid(node.swarm.peer());
    let begun = Instant::now();
    assert_eq!(soon(node.get(&blob)).await.unwrap().from_origin, 5);
    assert!(begun.elapsed() < Duration::from_millis(1500), "{:?}", begun.elapsed());
}

/// A topic that no tracker takes keeps no other from being announced.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_topic_that_is_too_large_keeps_no_other_back() {
    let bed = Bed::new().await;
    let blob = Blob::new(1, 41);
    let node = bed.node(Spec { holds: Some(&blob), ..Spec::default() }).await;
    node.swarm.share(Topic { registry: "x".repeat(1000).into(), ..blob.topic() }).await;
    node.swarm.share(blob.topic()).await;
    bed.tracks(&blob, &node).await;
}
