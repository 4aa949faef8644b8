//! Limits on what goes up, and over the zone's border.

use std::num::NonZeroU64;

use super::*;
use crate::upload::limits::{LimitSettings, Rate};

fn pieces_per_s(pieces: u64) -> Rate {
    Rate { bytes_per_s: NonZeroU64::new(pieces * PIECE_BYTES).unwrap(), burst_bytes: 2 * PIECE_BYTES }
}

/// Serves whenever something may be; how many pieces went to the peer by then.
fn serve_until(uploads: &mut Uploads, until: Moment) -> [usize; 2] {
    let (mut now, mut went) = (ms(0), [0, 0]);
    while now <= until {
        while let Some(serve) = serve_one(uploads, now) {
            went[usize::from(serve.peer == peer(2))] += 1;
        }
        let Some(wake_at) = uploads.wake_at() else { break };
        assert!(wake_at > now);
        now = wake_at;
    }
    went
}

#[test]
fn what_goes_up_is_limited() {
    let limits = LimitSettings { up: Some(pieces_per_s(10)), ..LimitSettings::default() };
    let mut uploads = Uploads::new(UploadSettings { limits, ..patient() });
    ask_all(&mut uploads, 1, (0..60).map(piece));
    ask_all(&mut uploads, 2, (0..60).map(piece));
    assert_eq!(serve_until(&mut uploads, ms(3000)), [16, 16]);
    assert_eq!(uploads.next(ms(3000)), None);
}

#[test]
fn the_border_holds_back_only_who_crosses_it() {
    let limits = LimitSettings { border_up: Some(pieces_per_s(4)), ..LimitSettings::default() };
    let mut uploads = Uploads::new(UploadSettings { limits, ..patient() });
    ask_all(&mut uploads, 1, (0..60).map(piece));
    ask_all(&mut uploads, 2, (0..60).map(far));
    assert_eq!(serve_until(&mut uploads, ms(2000)), [60, 10]);
}

#[test]
fn short_pieces_do_not_use_up_what_a_long_one_waits_for() {
    let limits = LimitSettings { up: Some(pieces_per_s(1)), ..LimitSettings::default() };
    let mut uploads = Uploads::new(UploadSettings { limits, far_every: 2, ..patient() });
    ask_all(&mut uploads, 1, (0..20).map(piece));
    ask_all(&mut uploads, 2, (0..60).map(|number| Asked { bytes: PIECE_BYTES / 8, ..far(number) }));
    let went = serve_until(&mut uploads, ms(10_000));
    assert!(went[0] >= 10 && went[1].abs_diff(went[0]) <= 1, "{went:?}");
}

#[test]
fn what_did_not_go_does_not_count() {
    let limits = LimitSettings { up: Some(pieces_per_s(1)), border_up: Some(pieces_per_s(1)), ..LimitSettings::default() };
    let mut uploads = Uploads::new(UploadSettings { limits, ..patient() });
    ask_all(&mut uploads, 2, (0..20).map(far));
    for _ in 0..10 {
        let serve = uploads.next(ms(0)).unwrap();
        uploads.served(serve.id, 0, Duration::ZERO, ms(0));
    }
    assert_eq!(serve_until(&mut uploads, ms(0)), [0, 2]);
}

#[test]
fn who_asks_and_leaves_uses_up_no_limit() {
    let limits = LimitSettings { up: Some(pieces_per_s(1)), border_up: Some(pieces_per_s(1)), ..LimitSettings::default() };
    let mut uploads = Uploads::new(UploadSettings { limits, ..patient() });
    for who in 10..20 {
        ask_all(&mut uploads, who, (0..2).map(far));
        while let Some(serve) = uploads.next(ms(0)) {
            assert_eq!(uploads.forget_peer(serve.peer), [serve.id]);
            uploads.served(serve.id, 0, Duration::ZERO, ms(0));
        }
    }
    // What did go counts still.
    ask_all(&mut uploads, 20, [far(0)]);
    let serve = uploads.next(ms(0)).unwrap();
    uploads.forget_peer(serve.peer);
    uploads.served(serve.id, PIECE_BYTES, Duration::ZERO, ms(0));
    ask_all(&mut uploads, 2, (0..20).map(far));
    assert_eq!(serve_until(&mut uploads, ms(0)), [0, 1]);
}
