use Nearness::Zone;

use super::*;

#[test]
fn alone_it_asks_the_origin_by_itself() {
    let mut download = download(16, DownloadSettings::default(), 1);
    assert_eq!(download.decide(ms(0), 64), [Order::NeedLease]);
    assert_eq!((download.decide(ms(1_499), 64), download.wake_at()), (vec![], Some(ms(1_500))));
    let first = runs(&download.decide(ms(1_500), 64));
    assert_eq!(first.len(), 1);
    let (id, pieces) = first[0].clone();
    // The next begins when this one has little left, and goes on where it ends.
    let mut next = Vec::new();
    for piece in pieces.clone() {
        download.origin_came(id, PieceIndex(piece), ms(1_600));
        next.extend(runs(&download.decide(ms(1_600), 64)));
    }
    assert!(next.len() == 1 && (next[0].1.start == pieces.end || pieces.end == 16), "{pieces:?}, {next:?}");
    // What came by other ways needn't come of the origin.
    download.origin_ended(id, RunEnd::Done, ms(1_601));
    next[0].1.clone().for_each(|piece| download.here_already(PieceIndex(piece)));
    assert!(download.decide(ms(1_601), 64).contains(&Order::CancelOrigin { id: next[0].0, has_stalled: false }));
}

#[test]
fn a_lease_of_all_is_fetched_at_once() {
    let mut download = download(16, DownloadSettings::default(), 1);
    download.set_lease(Lease { stripes: Stripes::all(4), of: 4, until: ms(5_000) }, ms(0));
    let orders = download.decide(ms(0), 3);
    assert_eq!((orders.len(), runs(&orders)[0].1.len() <= 3), (1, true), "{orders:?}");
    // Not what neighbours have or others fetch.
    let mut shared = with(DownloadSettings::default(), 16, &[(1, Zone, &[0, 1, 2])]);
    shared.set_lease(Lease { stripes: Stripes::all(1), of: 4, until: ms(5_000) }, ms(0));
    assert_eq!(runs(&shared.decide(ms(0), 64)).iter().map(|(_, run)| run.clone()).collect::<Vec<_>>(), vec![4..5]);
}

#[test]
fn an_origin_that_fails_is_left_alone_for_a_while() {
    let mut download = download(4, DownloadSettings::default(), 1);
    download.set_lease(Lease { stripes: Stripes::all(4), of: 4, until: ms(60_000) }, ms(0));
    let (id, pieces) = runs(&download.decide(ms(0), 64))[0].clone();
    download.origin_ended(id, RunEnd::Failed { retry_after: Duration::from_secs(3) }, ms(10));
    assert_eq!((download.decide(ms(3_009), 64), download.wake_at()), (vec![], Some(ms(3_010))));
    let (again, pieces_again) = runs(&download.decide(ms(3_010), 64))[0].clone();
    assert!(again != id && pieces_again == pieces);
    // One that says nothing is given up.
    download.origin_progress(again, 5, ms(4_000));
    assert_eq!(download.decide(ms(13_999), 64), []);
    assert_eq!(download.decide(ms(14_000), 64), [Order::CancelOrigin { id: again, has_stalled: true }]);
    assert_eq!(runs(&download.decide(ms(16_000), 64)).len(), 1);
}

#[test]
fn neighbours_far_slower_than_the_origin_are_helped_out() {
    let all: Vec<_> = (0..200).collect();
    let mut download = with(DownloadSettings::default(), 200, &[]);
    download.set_lease(Lease { stripes: Stripes::all(4), of: 4, until: ms(50) }, ms(0));
    // The origin has shown 100 pieces a second.
    let pieces = runs(&download.decide(ms(0), 4))[0].1.clone();
    for (piece, time) in pieces.zip(1..) {
        download.origin_progress(RunId(0), 0, ms(0));
        download.origin_came(RunId(0), PieceIndex(piece), ms(time * 10));
    }
    download.add_peer(peer(1), Zone, &pieces_of(all), ms(50));
    let mut from_origin = 0;
    for time in (100..8_000).step_by(50) {
        let orders = download.decide(ms(time), 64);
        // The neighbour brings a piece each half second.
        for (asked, piece) in
            download.asks.iter().flat_map(|(piece, asked)| asked.of.iter().map(move |_| (peer(1), piece))).collect::<Vec<_>>()
        {
            download.progress(asked, PieceIndex(piece), PIECE_BYTES / 20, ms(time));
            if time % 500 == 0 {
                download.came(asked, PieceIndex(piece), ms(time));
            }
        }
        for (id, run) in runs(&orders) {
            from_origin += run.len();
            for piece in run {
                download.origin_progress(id, 0, ms(time + 30));
                download.origin_came(id, PieceIndex(piece), ms(time + 40));
            }
        }
    }
    assert!(from_origin > 100, "{from_origin}");
}

/// The grounds on which the origin is asked in ten seconds, while it takes so long for a piece, and the one neighbour gets a piece a second
/// from elsewhere, or nothing.
fn grounds_beside(origin_takes: u64, neighbour_gets: bool) -> Vec<Ground> {
    let mut download = with(DownloadSettings::default(), 400, &[(1, Zone, &[])]);
    download.set_lease(Lease { stripes: Stripes::all(1), of: 4, until: ms(origin_takes) }, ms(0));
    let (id, run) = runs(&download.decide(ms(0), 64)).remove(0);
    download.origin_progress(id, 0, ms(0));
    run.for_each(|piece| download.origin_came(id, PieceIndex(piece), ms(origin_takes)));
    let (mut seen, mut next) = (Vec::new(), 1);
    for time in (origin_takes + 50..origin_takes + 10_000).step_by(50) {
        if neighbour_gets && time % 1_000 < 50 {
            download.has(peer(1), PieceIndex(next), ms(time));
            next += 1;
        }
        for order in download.decide(ms(time), 64) {
            match order {
                Order::Ask { peer, piece } => download.came(peer, piece, ms(time)),
                Order::AskOrigin { id, ground, .. } => {
                    seen.push(ground);
                    download.origin_ended(id, RunEnd::Failed { retry_after: Duration::ZERO }, ms(time));
                }
                _ => {}
            }
        }
    }
    seen
}

#[test]
fn neighbours_are_slow_by_what_the_origin_takes() {
    assert!(grounds_beside(50, true).contains(&Ground::SlowPeers));
    assert!(!grounds_beside(400, true).contains(&Ground::SlowPeers));
    // Where a piece takes 5 s, nobody can have any for a while.
    assert!(!grounds_beside(5_000, false).contains(&Ground::SlowPeers));
}

#[test]
fn two_who_stand_in_for_one_are_one_too_many() {
    let mut yielded = 0;
    for seed in 0..40 {
        let mut download = download(64, DownloadSettings::default(), seed);
        download.add_peer(peer(1), Zone, &PieceSet::none_of(64), ms(0));
        download.decide(ms(0), 64);
        let taken = runs(&download.decide(ms(12_000), 8));
        assert!(!taken.is_empty(), "nothing has come for too long");
        let stripe = download.origin.striping.of(PieceIndex(taken[0].1.start));
        let theirs = (0..64).map(PieceIndex).rev().find(|piece| download.origin.striping.of(*piece) == stripe).unwrap();
        download.has(peer(1), theirs, ms(12_010));
        yielded += u32::from(!download.origin.has_taken(theirs));
    }
    assert!((5..35).contains(&yielded), "{yielded}");
}

#[test]
fn a_lease_says_into_how_many_stripes_a_blob_falls() {
    let mut download = download(16, DownloadSettings::default(), 1);
    download.set_lease(Lease { stripes: [1].into_iter().collect(), of: 2, until: ms(60_000) }, ms(0));
    let mut seen = Vec::new();
    for time in 0..20 {
        for (id, run) in runs(&download.decide(ms(time), 64)) {
            seen.extend(run.clone());
            run.for_each(|piece| download.origin_came(id, PieceIndex(piece), ms(time)));
        }
    }
    seen.sort_unstable();
    assert_eq!(seen, (1..16).step_by(2).collect::<Vec<_>>());
}

#[test]
fn a_request_that_has_nothing_left_to_bring_is_called_off() {
    let mut download = download(4, DownloadSettings { origin_run: 4, ..DownloadSettings::default() }, 1);
    download.set_lease(Lease { stripes: Stripes::all(4), of: 4, until: ms(60_000) }, ms(0));
    let (id, run) = runs(&download.decide(ms(0), 64)).remove(0);
    assert!(run.len() > 1);
    download.here_already(PieceIndex(run.end - 1));
    (run.start..run.end - 1).for_each(|piece| download.origin_came(id, PieceIndex(piece), ms(1)));
    assert!(download.decide(ms(1), 64).contains(&Order::CancelOrigin { id, has_stalled: false }));
}

#[test]
fn a_request_that_trickles_is_given_up_and_ever_later() {
    let mut download = download(1, DownloadSettings::default(), 1);
    download.set_lease(Lease { stripes: Stripes::all(4), of: 4, until: ms(3_600_000) }, ms(0));
    let (mut began, mut lasted) = (0, Vec::new());
    let mut run = None;
    for time in (0..400_000).step_by(500) {
        for order in download.decide(ms(time), 64) {
            match order {
                Order::AskOrigin { id, .. } => (began, run) = (time, Some(id)),
                Order::CancelOrigin { id, .. } if run == Some(id) => lasted.push(time - began),
                order => panic!("{order:?}"),
            }
        }
        download.origin_progress(run.unwrap(), 1, ms(time));
    }
    assert_eq!(lasted, [120_000, 240_000]);
}

#[test]
fn no_origin_is_left_alone_for_ever() {
    let mut download = download(4, DownloadSettings::default(), 1);
    download.set_lease(Lease { stripes: Stripes::all(4), of: 4, until: ms(3_600_000) }, ms(0));
    let (id, _) = runs(&download.decide(ms(0), 64)).remove(0);
    download.origin_ended(id, RunEnd::Failed { retry_after: Duration::MAX }, ms(0));
    assert_eq!((runs(&download.decide(ms(1), 64)).len(), runs(&download.decide(ms(60_000), 64)).len()), (0, 1));
}

#[test]
fn those_whose_neighbours_are_slow_begin_at_different_places() {
    let mut starts = std::collections::BTreeSet::new();
    for seed in 0..20 {
        let mut download = download(400, DownloadSettings::default(), seed);
        download.add_peer(peer(1), Zone, &PieceSet::all_of(400), ms(0));
        download.origin.pace.came(PIECE_BYTES, ms(10));
        download.decide(ms(0), 0);
        starts.insert(runs(&download.decide(ms(2_000), 8))[0].1.start);
    }
    assert!(starts.len() > 10, "{starts:?}");
}
