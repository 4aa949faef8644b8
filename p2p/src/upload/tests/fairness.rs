//! Each gets its share, and nobody waits for ever.

use proptest::prelude::*;

use super::*;

/// Keeps these peers' queues full with pieces of these lengths, and serves so many; how far apart in bytes two of them ever were.
fn apart(uploads: &mut Uploads, askers: &[Asked], lengths: &[u64], serves: u32, seed: usize) -> u64 {
    let (mut next, mut had, mut most) = (0, vec![0_u64; askers.len()], 0);
    let mut running: Vec<Serve> = Vec::new();
    for turn in 0..serves {
        // Who was turned away may come again.
        let now = ms(u64::from(turn) * 5_000);
        for (who, asker) in (0..).zip(askers) {
            let mut asking = Asking::Taken;
            while asking == Asking::Taken {
                next += 1;
                let bytes = lengths[next as usize % lengths.len()];
                // Ever other blobs, so that whoever says it is a newcomer stays one.
                let asked = Asked { topic: TopicKey([(next % 251) as u8; 32]), piece: PieceIndex(next), bytes, ..*asker };
                asking = uploads.ask(peer(who), asked, now);
            }
        }
        let serve = uploads.next(now).unwrap();
        let who = (0..100).position(|who| peer(who) == serve.peer).unwrap();
        had[who] += serve.bytes;
        most = most.max(had.iter().max().unwrap() - had.iter().min().unwrap());
        running.push(serve);
        if running.len() == 8 {
            // They don't end in the order in which they began.
            let ended = running.swap_remove(seed.rotate_left(turn) % running.len());
            uploads.served(ended.id, ended.bytes, Duration::from_millis(10), now);
        }
    }
    most
}

fn settings() -> UploadSettings {
    UploadSettings { slots_per_peer: 8, queued_per_peer: 4, ..patient() }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn equal_demand_gets_equal_shares(
        peers in 1_usize..20, lengths in prop::collection::vec(1..=PIECE_BYTES, 1..40), seed in any::<usize>(),
    ) {
        let askers = vec![piece(0); peers];
        let most = apart(&mut Uploads::new(settings()), &askers, &lengths, 400, seed);
        prop_assert!(most <= PIECE_BYTES, "{most}");
    }

    #[test]
    fn saying_to_be_new_gains_a_few_pieces_once(honest in 1_usize..10, liars in 1_usize..10, seed in any::<usize>()) {
        let askers = [vec![piece(0); honest], vec![first(0); liars]].concat();
        let most = apart(&mut Uploads::new(settings()), &askers, &[PIECE_BYTES], 600, seed);
        prop_assert!(most <= PIECE_BYTES + settings().newcomer_lead_bytes, "{most}");
    }
}

#[test]
fn one_that_asks_for_much_gets_no_more_than_one_that_asks_for_little() {
    let mut uploads = Uploads::new(patient());
    ask_all(&mut uploads, 1, (0..60).map(piece));
    let mut turns = Vec::new();
    for number in 0..10 {
        // It has one request out at a time.
        ask_all(&mut uploads, 2, [piece(number)]);
        turns.extend((0..2).map(|_| serve_one(&mut uploads, ms(0)).unwrap().peer));
    }
    assert_eq!(turns.iter().filter(|who| **who == peer(2)).count(), 10, "{turns:?}");
}

#[test]
fn who_rested_or_was_slow_has_saved_up_nothing() {
    let mut uploads = Uploads::new(patient());
    ask_all(&mut uploads, 2, (0..10).map(piece));
    let slow = [uploads.next(ms(0)).unwrap(), uploads.next(ms(0)).unwrap()];
    for number in 0..200 {
        ask_all(&mut uploads, 1, [piece(number)]);
        assert_eq!(serve_one(&mut uploads, ms(0)).unwrap().peer, peer(1));
    }
    ask_all(&mut uploads, 1, (0..20).map(piece));
    ask_all(&mut uploads, 3, (0..20).map(piece));
    for serve in slow {
        uploads.served(serve.id, serve.bytes, Duration::from_secs(10), ms(0));
    }
    let turns: Vec<_> = (0..15).map(|_| serve_one(&mut uploads, ms(0)).unwrap().peer).collect();
    for who in 1..4 {
        let count = turns.iter().filter(|turn| **turn == peer(who)).count();
        assert!((4..=6).contains(&count), "{turns:?}");
    }
}

#[test]
fn a_newcomer_comes_first_but_every_second_time_only() {
    let mut uploads = Uploads::new(patient());
    for who in 0..10 {
        ask_all(&mut uploads, who, (0..20).map(piece));
    }
    (0..25).for_each(|_| assert!(serve_one(&mut uploads, ms(0)).is_some()));
    ask_all(&mut uploads, 99, [first(0), first(1)]);
    assert_eq!(serve_one(&mut uploads, ms(0)).unwrap().peer, peer(99));
    // Its second piece has no hurry, nor has what it asks for before it can say that it has one.
    ask_all(&mut uploads, 99, [first(2)]);
    assert!((0..9).all(|_| serve_one(&mut uploads, ms(0)).unwrap().peer != peer(99)));
    let mut turns = Vec::new();
    for who in 100..150 {
        ask_all(&mut uploads, who, [first(0)]);
    }
    // Until the round ends: in the next they have a right to their turn.
    for _ in 0..16 {
        turns.push(serve_one(&mut uploads, ms(0)).unwrap().peer >= peer(100));
    }
    assert!(turns.chunks(2).all(|pair| pair[0] != pair[1]), "{turns:?}");
}

#[test]
fn a_first_piece_that_did_not_go_is_first_still() {
    let mut uploads = Uploads::new(patient());
    for who in 0..10 {
        ask_all(&mut uploads, who, (0..20).map(piece));
    }
    ask_all(&mut uploads, 99, [first(0)]);
    let serve = uploads.next(ms(0)).unwrap();
    uploads.served(serve.id, 5, Duration::from_millis(1), ms(0));
    assert_eq!(serve.peer, peer(99));
    serve_one(&mut uploads, ms(0));
    ask_all(&mut uploads, 99, [first(0)]);
    assert_eq!(serve_one(&mut uploads, ms(0)).unwrap().peer, peer(99));
}

#[test]
fn who_asks_and_cancels_is_not_next_for_ever() {
    let mut uploads = Uploads::new(patient());
    ask_all(&mut uploads, 2, (0..20).map(|number| Asked { bytes: PIECE_BYTES / 2, ..piece(number) }));
    for number in 0..30 {
        // It always waits for something.
        ask_all(&mut uploads, 1, [piece(2 * number), piece(2 * number + 1)]);
        let serve = uploads.next(ms(0)).unwrap();
        let went = if serve.peer == peer(1) { 0 } else { serve.bytes };
        uploads.served(serve.id, went, Duration::from_millis(1), ms(0));
    }
    // Two of three turns were the other's, whose pieces are half as long.
    assert!((0..20).all(|number| uploads.cancel(peer(2), &TOPIC, PieceIndex(number)) == Cancelled::Unknown));
}

#[test]
fn comers_and_goers_do_not_starve_who_waits() {
    let mut uploads = Uploads::new(UploadSettings { newcomer_lead_bytes: u64::MAX / 2, ..patient() });
    ask_all(&mut uploads, 0, (0..50).map(piece));
    // There are always ten that nobody has seen before, half of them newcomers; who was served goes.
    (1..11).for_each(|who| ask_all(&mut uploads, who, [if who % 2 == 0 { piece(0) } else { first(0) }]));
    let mut waited = 0;
    for who in 11..1011 {
        let serve = serve_one(&mut uploads, ms(0)).unwrap();
        waited += 1;
        if serve.peer == peer(0) {
            waited = 0;
        } else {
            uploads.forget_peer(serve.peer);
            ask_all(&mut uploads, who, [if who % 2 == 0 { piece(0) } else { first(0) }]);
        }
        assert!(waited <= 22 || uploads.usage().queued == 10, "{waited}");
    }
    assert_eq!(uploads.usage().queued, 10);
}

#[test]
fn the_own_zone_goes_first_and_others_have_their_share() {
    let mut uploads = Uploads::new(UploadSettings { far_every: 4, ..patient() });
    ask_all(&mut uploads, 1, (0..8).map(far));
    ask_all(&mut uploads, 2, (0..20).map(piece));
    let turns: Vec<_> = std::iter::from_fn(|| serve_one(&mut uploads, ms(0))).map(|serve| serve.peer == peer(1)).collect();
    let fars: Vec<_> = turns.iter().enumerate().filter(|(_, is_far)| **is_far).map(|(at, _)| at).collect();
    assert_eq!(fars, [3, 7, 11, 15, 19, 23, 26, 27]);
}

#[test]
fn others_leave_slots_to_the_own_zone() {
    let mut uploads = Uploads::new(UploadSettings { slots: 4, far_slots: 3, slots_per_peer: 4, ..patient() });
    ask_all(&mut uploads, 1, (0..8).map(far));
    assert_eq!(std::iter::from_fn(|| uploads.next(ms(0))).count(), 3);
    ask_all(&mut uploads, 2, (0..8).map(piece));
    assert_eq!(std::iter::from_fn(|| uploads.next(ms(0))).map(|serve| serve.peer).collect::<Vec<_>>(), [peer(2)]);
}
