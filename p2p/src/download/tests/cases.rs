use Nearness::{Rack, Region, Zone};

use super::*;

#[test]
fn the_rarest_comes_first() {
    let all: Vec<_> = (0..8).collect();
    let most: Vec<_> = (0..8).filter(|piece| *piece != 5).collect();
    let mut download = with(one_at_a_time(), 8, &[(1, Zone, &all), (2, Zone, &most)]);
    let asked = asks(&download.decide(ms(0), 8));
    assert!(asked.contains(&(peer(1), 5)) && asked.len() == 2, "{asked:?}");
}

#[test]
fn those_who_begin_together_ask_for_different_pieces() {
    let mut seen = [0_u32; 16];
    for seed in 0..800 {
        let mut download = download(16, one_at_a_time(), seed);
        download.add_peer(peer(1), Zone, &PieceSet::all_of(16), ms(0));
        seen[usize::try_from(asks(&download.decide(ms(0), 8))[0].1).unwrap()] += 1;
    }
    // 50 each, give or take five standard deviations of a fair draw.
    assert!(seen.iter().all(|seen| seen.abs_diff(50) < 35), "{seen:?}");
}

#[test]
fn of_some_choices_one_is_the_clients() {
    let settings = DownloadSettings { least_pipeline: 40, most_pipeline: 40, ..DownloadSettings::default() };
    let all: Vec<_> = (0..1_000).collect();
    let mut download = with(settings, 1_000, &[(1, Zone, &all)]);
    download.read_at(Some(PieceIndex(500)), ms(0));
    let asked = asks(&download.decide(ms(0), 32));
    let in_window: Vec<_> = asked.iter().map(|(_, piece)| *piece).filter(|piece| (500..508).contains(piece)).collect();
    assert!(asked.len() == 32 && (500..508).all(|piece| in_window.contains(&piece)), "{asked:?}");
    assert!(in_window.windows(2).filter(|pair| pair[0] > pair[1]).count() <= 1, "{in_window:?}");
}

#[test]
fn the_nearest_come_first() {
    let (one, two, three) = ([0, 1], [0, 1], [0, 1, 2]);
    let mut download = with(one_at_a_time(), 3, &[(1, Zone, &two), (2, Rack, &one), (3, Region, &three)]);
    let asked = asks(&download.decide(ms(0), 8));
    assert_eq!(asked.iter().map(|(peer, _)| *peer).collect::<Vec<_>>(), [peer(2), peer(1)]);
}

#[test]
fn across_the_border_goes_what_nobody_brings() {
    let all: Vec<_> = (0..16).collect();
    let mut download = with(one_at_a_time(), 16, &[(1, Zone, &[]), (2, Region, &all)]);
    // Its own stripe at once, others' once the zone stands still.
    download.set_lease(Lease { stripes: [1].into_iter().collect(), of: 4, until: ms(60_000) }, ms(0));
    let asked = asks(&download.decide(ms(0), 8));
    assert!(asked.len() == 1 && asked[0].1 % 4 == 1, "{asked:?}");
    download.set_lease(Lease { stripes: Stripes::default(), of: 4, until: ms(60_000) }, ms(0));
    download.came(peer(2), PieceIndex(asked[0].1), ms(10));
    assert_eq!(asks(&download.decide(ms(20), 8)), []);
    download.has(peer(1), PieceIndex(0), ms(250));
    assert_eq!(asks(&download.decide(ms(251), 8)), [(peer(1), 0)]);
    download.came(peer(1), PieceIndex(0), ms(260));
    assert_eq!(asks(&download.decide(ms(549), 8)), [], "something came not long ago");
    let wake = download.wake_at().unwrap();
    assert!(wake <= ms(850), "{wake:?}");
    assert_eq!(asks(&download.decide(ms(850), 8)).len(), 1);
    // Alone there is nothing to wait for.
    let mut alone = with(one_at_a_time(), 16, &[(2, Region, &all)]);
    assert_eq!(asks(&alone.decide(ms(0), 8)).len(), 1);
}

#[test]
fn a_silent_peer_is_passed_by_and_rests() {
    let mut download = with(one_at_a_time(), 1, &[(1, Rack, &[0]), (2, Zone, &[0])]);
    assert_eq!(asks(&download.decide(ms(0), 8)), [(peer(1), 0)]);
    // The end's copies are another matter.
    download.settings.endgame = 0;
    assert_eq!((download.decide(ms(199), 0), download.wake_at()), (vec![], Some(ms(200))));
    let piece = PieceIndex(0);
    let passed = [
        Order::Cancel { peer: peer(1), piece },
        Order::Ask { peer: peer(2), piece },
        Order::PassBy { peer: peer(1), why: Why::Silent },
    ];
    assert_eq!(download.decide(ms(200), 0), passed, "though memory is full: what is cancelled is free");
    // The other goes too; the first has rested, and is asked again.
    download.drop_peer(peer(2));
    assert_eq!(asks(&download.decide(ms(399), 8)), []);
    assert_eq!((download.wake_at(), asks(&download.decide(ms(400), 8))), (Some(ms(400)), vec![(peer(1), 0)]));
    // Its patience has grown, and no other has it.
    assert_eq!(cancels(&download.decide(ms(2_399), 8)), []);
    let orders = download.decide(ms(2_400), 8);
    assert_eq!(cancels(&orders), [(peer(1), 0)]);
    // Nobody that counts has it now, so the origin is asked; it can't help.
    let (id, _) = runs(&orders)[0].clone();
    download.origin_ended(id, RunEnd::Failed { retry_after: Duration::from_mins(1) }, ms(2_600));
    assert_eq!((download.decide(ms(2_600), 8), download.wake_at()), (vec![], Some(ms(2_800))));
    assert_eq!(asks(&download.decide(ms(2_800), 8)), [(peer(1), 0)]);
    download.came(peer(1), piece, ms(2_900));
    assert!(download.is_done());
}

#[test]
fn a_sign_of_life_is_enough() {
    let mut download = with(one_at_a_time(), 1, &[(1, Zone, &[0]), (2, Zone, &[0])]);
    download.settings.endgame = 0;
    let (asked, piece) = asks(&download.decide(ms(0), 8))[0];
    for time in 1..10 {
        download.progress(asked, PieceIndex(piece), 0, ms(time * 190));
        assert_eq!(download.decide(ms(time * 190 + 9), 8), []);
    }
}

#[test]
fn a_slow_peer_is_passed_by_where_others_are_quicker() {
    let all: Vec<_> = (0..4).collect();
    for (others, is_passed) in [(20, true), (2_000, false)] {
        let mut download = with(DownloadSettings { endgame: 0, ..one_at_a_time() }, 4, &[(1, Rack, &all), (2, Zone, &all)]);
        // Both show their pace, and then the first isn't what it was.
        for ((asked, piece), takes) in asks(&download.decide(ms(0), 8)).into_iter().zip([100, others]) {
            download.progress(asked, PieceIndex(piece), 0, ms(0));
            download.came(asked, PieceIndex(piece), ms(takes));
        }
        let now = others.max(100);
        let (asked, slow) = asks(&download.decide(ms(now), 1))[0];
        assert_eq!(asked, peer(1));
        // 64 KiB each 150 ms: 2.4 s for the piece.
        let mut passed = Vec::new();
        for step in 1..16 {
            download.progress(asked, PieceIndex(slow), 64 << 10, ms(now + step * 150));
            passed.extend(download.decide(ms(now + step * 150), 0));
        }
        let expected = if is_passed { vec![(peer(1), slow)] } else { vec![] };
        assert_eq!(cancels(&passed), expected);
        assert_eq!(passed.contains(&Order::PassBy { peer: peer(1), why: Why::Slow }), is_passed);
    }
}

#[test]
fn at_the_end_the_first_answer_wins() {
    let mut download = with(one_at_a_time(), 1, &[(1, Rack, &[0]), (2, Zone, &[0])]);
    assert_eq!(asks(&download.decide(ms(0), 8)), [(peer(1), 0)]);
    assert_eq!((download.decide(ms(49), 8), download.wake_at()), (vec![], Some(ms(50))));
    assert_eq!(download.decide(ms(50), 8), [Order::Ask { peer: peer(2), piece: PieceIndex(0) }]);
    download.came(peer(2), PieceIndex(0), ms(60));
    assert_eq!(download.decide(ms(60), 8), [Order::Cancel { peer: peer(1), piece: PieceIndex(0) }]);
    assert_eq!((download.is_done(), download.wake_at()), (true, None));
    // What comes all the same does no harm.
    download.came(peer(1), PieceIndex(0), ms(61));
    assert_eq!(download.decide(ms(61), 8), []);
}

#[test]
fn at_the_end_who_is_quick_helps_who_is_slow() {
    let all: Vec<_> = (0..3).collect();
    let mut download = with(one_at_a_time(), 3, &[(1, Rack, &all), (2, Zone, &all)]);
    for ((asked, piece), takes) in asks(&download.decide(ms(0), 8)).into_iter().zip([2_000, 20]) {
        download.progress(asked, PieceIndex(piece), 0, ms(0));
        download.came(asked, PieceIndex(piece), ms(takes));
    }
    let (asked, last) = asks(&download.decide(ms(2_000), 8))[0];
    assert_eq!((asked, download.decide(ms(2_049), 8)), (peer(1), vec![]));
    assert_eq!(asks(&download.decide(ms(2_050), 8)), [(peer(2), last)]);
}

#[test]
fn what_a_client_waits_for_is_asked_once_more() {
    let all: Vec<_> = (0..100).collect();
    let mut download = with(DownloadSettings { window_share: 1, ..one_at_a_time() }, 100, &[(1, Rack, &all)]);
    download.read_at(Some(PieceIndex(10)), ms(0));
    assert_eq!(asks(&download.decide(ms(0), 8)), [(peer(1), 10)]);
    download.progress(peer(1), PieceIndex(10), 1, ms(150));
    download.add_peer(peer(2), Zone, &pieces_of([10]), ms(150));
    assert_eq!(asks(&download.decide(ms(199), 8)), []);
    assert_eq!(asks(&download.decide(ms(200), 8)), [(peer(2), 10)]);
    // Only that one.
    assert_eq!(asks(&download.decide(ms(201), 8)), []);
}

#[test]
fn a_refusal_holds_for_its_time() {
    let mut download = with(one_at_a_time(), 2, &[(1, Zone, &[0])]);
    assert_eq!(asks(&download.decide(ms(0), 8)), [(peer(1), 0)]);
    download.refused(peer(1), PieceIndex(0), Duration::from_millis(700), ms(10));
    assert_eq!((asks(&download.decide(ms(709), 8)), download.wake_at()), (vec![], Some(ms(710))));
    assert_eq!(asks(&download.decide(ms(710), 8)), [(peer(1), 0)]);
    // Nobody makes it wait for ever, nor spin.
    download.refused(peer(1), PieceIndex(0), Duration::MAX, ms(720));
    download.decide(ms(720), 8);
    assert!(download.wake_at().is_some());
    assert_eq!(asks(&download.decide(ms(5_720), 8)), [(peer(1), 0)]);
    download.refused(peer(1), PieceIndex(0), Duration::ZERO, ms(5_730));
    assert_eq!(asks(&download.decide(ms(5_730), 8)), []);
}

#[test]
fn who_goes_is_asked_no_more() {
    let mut download = with(one_at_a_time(), 1, &[(1, Rack, &[0]), (2, Zone, &[0])]);
    assert_eq!(asks(&download.decide(ms(0), 8)), [(peer(1), 0)]);
    download.drop_peer(peer(1));
    assert_eq!(download.decide(ms(1), 8), [Order::Ask { peer: peer(2), piece: PieceIndex(0) }]);
    for gone in [1, 9] {
        let piece = PieceIndex(0);
        download.came(peer(9), PieceIndex(7), ms(2));
        download.has(peer(gone), piece, ms(2));
        download.progress(peer(gone), piece, 5, ms(2));
        download.refused(peer(gone), piece, Duration::ZERO, ms(2));
        download.drop_peer(peer(gone));
    }
    assert_eq!((download.decide(ms(3), 8), download.is_done()), (vec![], false));
}

#[test]
fn no_more_peers_and_pieces_than_allowed() {
    let settings = DownloadSettings { most_peers: 3, ..DownloadSettings::default() };
    let mut download = download(100, settings, 1);
    let taken: Vec<_> = (0..5).map(|number| download.add_peer(peer(number), Zone, &PieceSet::all_of(100), ms(0))).collect();
    assert_eq!(taken, [true, true, true, false, false]);
    assert!(!download.add_peer(peer(0), Zone, &PieceSet::all_of(100), ms(0)));
    assert_eq!(asks(&download.decide(ms(0), 5)).len(), 5);
    assert_eq!(asks(&download.decide(ms(0), 0)).len(), 0);
    assert_eq!(asks(&download.decide(ms(0), 100)).len(), 1, "two each are enough");
}

#[test]
fn a_bitfield_of_another_length_does_no_harm() {
    let mut download = download(10, DownloadSettings::default(), 1);
    download.add_peer(peer(1), Zone, &pieces_of([3, 10, 9_000]), ms(0));
    download.has(peer(1), PieceIndex(u32::MAX), ms(0));
    download.has(peer(1), PieceIndex(10), ms(0));
    assert_eq!(asks(&download.decide(ms(0), 8)), [(peer(1), 3)]);
    download.drop_peer(peer(1));
    download.here_already(PieceIndex(10));
    download.origin_came(RunId(0), PieceIndex(11), ms(0));
    assert_eq!(download.here().count(), 0);
}

#[test]
fn what_waits_behind_others_goes_to_who_is_idle() {
    let settings = DownloadSettings { least_pipeline: 2, endgame: 0, ..one_at_a_time() };
    let mut download = with(settings, 3, &[(1, Zone, &[0, 1])]);
    let asked = asks(&download.decide(ms(0), 8));
    assert_eq!(asked.len(), 2);
    // What has begun stays.
    download.progress(peer(1), PieceIndex(0), 1, ms(5));
    download.add_peer(peer(2), Zone, &pieces_of([0, 1]), ms(10));
    let piece = PieceIndex(1);
    let moved = [Order::Cancel { peer: peer(1), piece }, Order::Ask { peer: peer(2), piece }];
    assert_eq!(download.decide(ms(10), 0), moved);
    assert_eq!(download.decide(ms(10), 0), []);
}

#[test]
fn who_has_refused_stands_in_for_nobody() {
    let mut download = with(one_at_a_time(), 2, &[(1, Rack, &[0]), (2, Zone, &[0, 1])]);
    assert_eq!(asks(&download.decide(ms(0), 8)), [(peer(1), 0), (peer(2), 1)]);
    download.refused(peer(2), PieceIndex(1), Duration::from_secs(1), ms(10));
    assert_eq!(asks(&download.decide(ms(300), 8)), []);
    assert_eq!(cancels(&download.decide(ms(301), 8)), []);
}

#[test]
fn those_who_all_are_slow_come_to_an_end() {
    let mut download = with(one_at_a_time(), 1, &[(1, Zone, &[0]), (2, Zone, &[0])]);
    (download.settings.endgame, download.settings.takeover) = (0, Duration::from_millis(300));
    let mut due = Vec::new();
    for now in (0..60_000).step_by(10).map(ms) {
        // Each says nothing for 1.5 s, and then all at once.
        for order in download.decide(now, 1) {
            match order {
                Order::Ask { peer, .. } => due.push((now + Duration::from_millis(1_500), peer)),
                Order::Cancel { peer, .. } => due.retain(|(_, asked)| *asked != peer),
                Order::AskOrigin { id, .. } => download.origin_ended(id, RunEnd::Failed { retry_after: Duration::ZERO }, now),
                _ => {}
            }
        }
        for (_, peer) in due.extract_if(.., |(at, _)| *at <= now) {
            download.came(peer, PieceIndex(0), now);
        }
    }
    assert!(download.is_done());
}
