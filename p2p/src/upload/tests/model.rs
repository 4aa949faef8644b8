//! Whatever happens: the bounds hold, and each request that was taken is served once, unless it is taken back.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Event {
    Ask { who: u16, piece: u32, nearness: bool, is_newcomer: bool, bytes: u64 },
    Cancel { who: u16, piece: u32 },
    Forget { who: u16 },
    Next,
    Ended { which: prop::sample::Index, bytes: u64 },
}

fn events() -> impl Strategy<Value = Event> {
    let ask = (0_u16..12, 0_u32..20, any::<bool>(), any::<bool>(), 0..=PIECE_BYTES);
    prop_oneof![
        8 => ask.prop_map(|(who, piece, nearness, is_newcomer, bytes)| Event::Ask { who, piece, nearness, is_newcomer, bytes }),
        2 => (0_u16..12, 0_u32..20).prop_map(|(who, piece)| Event::Cancel { who, piece }),
        1 => (0_u16..12).prop_map(|who| Event::Forget { who }),
        6 => Just(Event::Next),
        4 => (any::<prop::sample::Index>(), 0..=PIECE_BYTES).prop_map(|(which, bytes)| Event::Ended { which, bytes }),
    ]
}

fn settings() -> UploadSettings {
    UploadSettings {
        slots: 3,
        slots_per_peer: 2,
        far_slots: 2,
        queued: 60,
        queued_per_peer: 5,
        peers: 9,
        counted_pieces: 10,
        ..patient()
    }
}

proptest! {
    #[test]
    fn bounds_hold_and_nothing_is_lost(events in prop::collection::vec(events(), 0..300)) {
        let settings = settings();
        let mut uploads = Uploads::new(settings.clone());
        let (mut waiting, mut running) = (BTreeSet::new(), Vec::<(Serve, bool)>::new());
        for event in events {
            match event {
                Event::Ask { who, piece: number, nearness, is_newcomer, bytes } => {
                    let nearness = if nearness { Nearness::Rack } else { Nearness::Elsewhere };
                    let asked = Asked { bytes, nearness, is_newcomer, ..piece(number) };
                    let is_served = uploads.serving.values().any(|serving| serving.is_of(peer(who), &TOPIC, PieceIndex(number)));
                    match uploads.ask(peer(who), asked, ms(0)) {
                        Asking::Taken if !is_served => drop(waiting.insert((peer(who), PieceIndex(number)))),
                        Asking::Taken => {}
                        Asking::Rejected { retry_after } => {
                            prop_assert!(!waiting.contains(&(peer(who), PieceIndex(number))));
                            prop_assert!((settings.least_retry..=settings.most_retry).contains(&retry_after));
                        }
                    }
                }
                Event::Cancel { who, piece } => {
                    let cancelled = uploads.cancel(peer(who), &TOPIC, PieceIndex(piece));
                    prop_assert_eq!(waiting.remove(&(peer(who), PieceIndex(piece))), cancelled == Cancelled::Waiting);
                }
                Event::Forget { who } => {
                    let stopped: BTreeSet<_> = uploads.forget_peer(peer(who)).into_iter().collect();
                    waiting.retain(|(other, _)| *other != peer(who));
                    let of_peer = running.iter().filter(|(serve, is_left)| serve.peer == peer(who) && !is_left);
                    prop_assert_eq!(stopped, of_peer.map(|(serve, _)| serve.id).collect());
                    running.iter_mut().filter(|(serve, _)| serve.peer == peer(who)).for_each(|(_, is_left)| *is_left = true);
                }
                Event::Next => {
                    let next = uploads.next(ms(0));
                    if let Some(serve) = next {
                        prop_assert!(waiting.remove(&(serve.peer, serve.piece)));
                        running.push((serve, false));
                    } else {
                        let of = |who| running.iter().filter(|(serve, is_left)| serve.peer == who && !is_left).count();
                        let is_near = |who| !super::super::is_far(uploads.peers[&who].nearness);
                        let may_near = |who: PeerId| of(who) < settings.slots_per_peer && is_near(who);
                        let is_full = running.len() == settings.slots;
                        prop_assert!(is_full || !waiting.iter().any(|(who, _)| may_near(*who)));
                    }
                }
                Event::Ended { which, bytes } if !running.is_empty() => {
                    let (serve, _) = running.swap_remove(which.index(running.len()));
                    uploads.served(serve.id, bytes.min(serve.bytes), Duration::from_millis(bytes), ms(0));
                }
                Event::Ended { .. } => {}
            }
            let usage = uploads.usage();
            prop_assert_eq!((usage.queued, usage.serving), (waiting.len(), running.len()));
            prop_assert!(usage.queued <= settings.queued && usage.serving <= settings.slots);
            prop_assert!(usage.peers <= settings.peers && usage.counted_pieces <= settings.counted_pieces);
            for who in (0..12).map(peer) {
                prop_assert!(waiting.iter().filter(|(other, _)| *other == who).count() <= settings.queued_per_peer);
                prop_assert!(running.iter().filter(|(serve, is_left)| serve.peer == who && !is_left).count() <= settings.slots_per_peer);
            }
        }
        // Nobody is left waiting.
        running.drain(..).for_each(|(serve, _)| uploads.served(serve.id, serve.bytes, Duration::from_millis(1), ms(0)));
        while let Some(serve) = serve_one(&mut uploads, ms(0)) {
            prop_assert!(waiting.remove(&(serve.peer, serve.piece)));
        }
        prop_assert!(waiting.is_empty());
        prop_assert_eq!((uploads.usage().queued, uploads.usage().queued_bytes), (0, 0));
    }
}
