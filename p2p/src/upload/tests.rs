//! What is promised of serving, as those who are served see it.

mod fairness;
mod limiting;
mod model;

use std::time::Duration;

use libp2p_identity::PeerId;
use longshore_oci::piece::{PIECE_BYTES, PieceIndex};

use super::{Asked, Asking, Cancelled, Serve, UploadSettings, Uploads};
use crate::{locality::Nearness, moment::Moment, topic::TopicKey};

const TOPIC: TopicKey = TopicKey([7; 32]);

fn peer(number: u16) -> PeerId {
    let [high, low] = number.to_be_bytes();
    // The identity multihash of two bytes.
    PeerId::from_bytes(&[0, 2, high, low]).unwrap()
}

fn ms(ms: u64) -> Moment {
    Moment(Duration::from_millis(ms))
}

/// Whoever comes may wait.
fn patient() -> UploadSettings {
    UploadSettings { slots: 8, far_slots: 6, queued_for: Duration::MAX, ..UploadSettings::default() }
}

/// A piece of [`TOPIC`], for a neighbour that has others already.
fn piece(number: u32) -> Asked {
    let piece = PieceIndex(number);
    Asked { topic: TOPIC, piece, bytes: PIECE_BYTES, nearness: Nearness::Zone, is_newcomer: false }
}

fn first(number: u32) -> Asked {
    Asked { is_newcomer: true, ..piece(number) }
}

fn far(number: u32) -> Asked {
    Asked { nearness: Nearness::Region, ..piece(number) }
}

/// Serves one and says that it went at once.
fn serve_one(uploads: &mut Uploads, now: Moment) -> Option<Serve> {
    let serve = uploads.next(now)?;
    uploads.served(serve.id, serve.bytes, Duration::from_millis(10), now);
    Some(serve)
}

fn ask_all(uploads: &mut Uploads, who: u16, asked: impl IntoIterator<Item = Asked>) {
    for asked in asked {
        assert_eq!(uploads.ask(peer(who), asked, ms(0)), Asking::Taken);
    }
}

#[test]
fn slots_are_bounded_in_all_and_of_each() {
    let mut uploads = Uploads::new(UploadSettings { slots: 3, ..patient() });
    ask_all(&mut uploads, 1, (0..5).map(piece));
    let served: Vec<_> = std::iter::from_fn(|| uploads.next(ms(0))).collect();
    assert_eq!(served.len(), 2);
    ask_all(&mut uploads, 2, (0..5).map(piece));
    let third = uploads.next(ms(0)).unwrap();
    assert_eq!((third.peer, uploads.next(ms(0))), (peer(2), None));
    uploads.served(served[0].id, PIECE_BYTES, Duration::from_millis(1), ms(1));
    assert!(uploads.next(ms(1)).is_some());
    // What has ended has ended: the slot is not freed twice.
    uploads.served(served[0].id, PIECE_BYTES, Duration::from_millis(1), ms(1));
    assert_eq!((uploads.next(ms(1)), uploads.usage().serving), (None, 3));
}

#[test]
fn what_goes_to_one_that_left_holds_its_slot_until_it_has_ended() {
    let mut uploads = Uploads::new(UploadSettings { slots: 2, ..patient() });
    ask_all(&mut uploads, 1, (0..5).map(piece));
    let old = [uploads.next(ms(0)).unwrap(), uploads.next(ms(0)).unwrap()];
    assert_eq!(uploads.forget_peer(peer(1)), old.map(|serve| serve.id));
    assert_eq!(uploads.forget_peer(peer(1)), []);
    assert_eq!((uploads.usage().serving, uploads.usage().queued, uploads.usage().peers), (2, 0, 0));
    // It is back on another connection, and asks for the same: it is served again, once there is a slot.
    ask_all(&mut uploads, 1, (0..2).map(piece));
    assert_eq!((uploads.usage().queued, uploads.next(ms(0))), (2, None));
    assert_eq!(uploads.forget_peer(peer(1)), []);
    ask_all(&mut uploads, 1, (0..2).map(piece));
    for serve in old {
        uploads.served(serve.id, 0, Duration::ZERO, ms(0));
    }
    let new = [uploads.next(ms(0)).unwrap(), uploads.next(ms(0)).unwrap()];
    assert!(new.iter().all(|new| new.peer == peer(1) && old.iter().all(|old| old.id != new.id)));
    assert_eq!(uploads.next(ms(0)), None);
}

#[test]
fn queues_are_bounded_and_who_comes_finds_room() {
    let settings = UploadSettings { queued: 512, queued_per_peer: 8, ..patient() };
    let mut uploads = Uploads::new(settings);
    let asked = |uploads: &mut Uploads, who| {
        (0..20).filter(|number| uploads.ask(peer(who), piece(*number), ms(0)) == Asking::Taken).count()
    };
    assert_eq!(asked(&mut uploads, 0), 8);
    let counts: Vec<_> = (1..100).map(|who| asked(&mut uploads, who)).collect();
    // The less room there is, the less of it one peer gets, and each gets some.
    assert!(counts.is_sorted_by(|one, next| one >= next) && counts[0] == 8 && counts[98] < 4 && counts[98] > 0, "{counts:?}");
    assert!(uploads.usage().queued <= 512);
}

#[test]
fn who_is_turned_away_is_told_when_to_come_again() {
    let mut uploads = Uploads::new(UploadSettings { queued_per_peer: 4, ..patient() });
    let retry_after = |uploads: &mut Uploads, who, now| {
        let answers = (0..5).map(|number| uploads.ask(peer(who), piece(number), now));
        match answers.last().unwrap() {
            Asking::Rejected { retry_after } => retry_after,
            Asking::Taken => panic!("there is no room"),
        }
    };
    let alone = retry_after(&mut uploads, 0, ms(0));
    let in_a_crowd = (1..100).map(|who| retry_after(&mut uploads, who, ms(0))).last().unwrap();
    assert!(
        alone >= Duration::from_millis(50) && in_a_crowd > 10 * alone && in_a_crowd <= Duration::from_secs(5),
        "{in_a_crowd:?}"
    );
    // A slow node says so.
    for _ in 0..20 {
        let serve = uploads.next(ms(0)).unwrap();
        uploads.served(serve.id, serve.bytes, Duration::from_secs(100), ms(0));
    }
    assert_eq!(retry_after(&mut uploads, 0, ms(60_000)), Duration::from_secs(5));
}

#[test]
fn who_would_wait_for_long_is_sent_to_others() {
    let waiting = |takes: Option<Duration>| {
        let mut uploads = Uploads::new(UploadSettings::default());
        for number in takes.iter().cycle().take(100) {
            uploads.pace.saw(PIECE_BYTES, *number);
        }
        (0..500).for_each(|who| _ = uploads.ask(peer(who), piece(0), ms(0)));
        uploads.usage().queued
    };
    // 4 slots of 10 MiB/s, as is believed at first, send 2 pieces in 50 ms; slots of 1 GiB/s send 200. However slow, some wait.
    assert_eq!((waiting(None), waiting(Some(Duration::from_mins(1)))), (2, 2));
    assert!((190..=210).contains(&waiting(Some(Duration::from_millis(1)))));
}

#[test]
fn who_comes_before_it_was_told_to_is_no_better_off() {
    let mut uploads = Uploads::new(UploadSettings::default());
    (1..3).for_each(|who| ask_all(&mut uploads, who, [piece(0)]));
    let retry_after = Duration::from_millis(50);
    assert_eq!(uploads.ask(peer(3), piece(0), ms(0)), Asking::Rejected { retry_after });
    assert!(serve_one(&mut uploads, ms(10)).is_some());
    for time in [10, 20, 49] {
        let retry_after = Duration::from_millis(50 - time);
        assert_eq!(uploads.ask(peer(3), piece(1), ms(time)), Asking::Rejected { retry_after });
    }
    assert_eq!(uploads.ask(peer(4), piece(0), ms(49)), Asking::Taken, "there is room");
    assert!(serve_one(&mut uploads, ms(50)).is_some());
    assert_eq!(uploads.ask(peer(3), piece(0), ms(50)), Asking::Taken);
}

#[test]
fn the_same_is_not_taken_twice() {
    let mut uploads = Uploads::new(patient());
    ask_all(&mut uploads, 1, [piece(0), piece(0)]);
    assert_eq!(uploads.usage().queued, 1);
    let serve = uploads.next(ms(0)).unwrap();
    ask_all(&mut uploads, 1, [piece(0)]);
    assert_eq!((uploads.usage().queued, uploads.next(ms(0))), (0, None));
    // Cancelled and asked again it is another request.
    assert_eq!(uploads.cancel(peer(1), &TOPIC, PieceIndex(0)), Cancelled::Serving(serve.id));
    assert_eq!(uploads.cancel(peer(1), &TOPIC, PieceIndex(0)), Cancelled::Unknown);
    ask_all(&mut uploads, 1, [piece(0)]);
    assert_eq!(uploads.usage().queued, 1);
    assert_eq!(uploads.cancel(peer(1), &TOPIC, PieceIndex(0)), Cancelled::Waiting);
    assert_eq!((uploads.usage().queued, uploads.usage().queued_bytes, uploads.next(ms(0))), (0, 0, None));
}

#[test]
fn a_flash_crowd_is_served_distinct_pieces() {
    let mut uploads = Uploads::new(UploadSettings { queued_per_peer: 16, ..patient() });
    for who in 0..32 {
        ask_all(&mut uploads, who, (0..16).map(first));
    }
    let pieces: Vec<_> = (0..48).map(|_| serve_one(&mut uploads, ms(0)).unwrap().piece.0).collect();
    for round in pieces.chunks(16) {
        let mut round = round.to_vec();
        round.sort_unstable();
        assert_eq!(round, (0..16).collect::<Vec<_>>());
    }
}

#[test]
fn what_is_sent_often_is_sent_still() {
    let mut uploads = Uploads::new(patient());
    for who in 2..12 {
        ask_all(&mut uploads, who, [piece(0)]);
        assert!(serve_one(&mut uploads, ms(0)).is_some());
    }
    ask_all(&mut uploads, 1, [piece(0)]);
    // Its peer goes on to ask for what nobody had.
    let turn = (1..100).position(|number| {
        ask_all(&mut uploads, 1, [piece(number)]);
        serve_one(&mut uploads, ms(0)).unwrap().piece == PieceIndex(0)
    });
    assert_eq!(turn, Some(32));
}

#[test]
fn peers_are_bounded_and_the_idle_make_room() {
    let mut uploads = Uploads::new(UploadSettings { peers: 2, ..patient() });
    ask_all(&mut uploads, 1, [piece(0)]);
    ask_all(&mut uploads, 2, [piece(0)]);
    assert!(matches!(uploads.ask(peer(3), piece(0), ms(0)), Asking::Rejected { .. }));
    let served = serve_one(&mut uploads, ms(0)).unwrap().peer;
    ask_all(&mut uploads, 3, [piece(0)]);
    assert_eq!(uploads.usage().peers, 2);
    let rest: Vec<_> = std::iter::from_fn(|| serve_one(&mut uploads, ms(0))).map(|serve| serve.peer).collect();
    assert!(rest.len() == 2 && !rest.contains(&served) && rest.contains(&peer(3)));
}
