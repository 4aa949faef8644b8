//! Peers that trickle, refuse, or are slow, and whom that may hold up.

use Nearness::{Rack, Region, Zone};

use super::*;

/// Drives a download whose peers send a byte each 100 ms and no more, and whose origin brings a piece each 20 ms.
fn among_tricklers(download: &mut Download, most: Duration) -> Moment {
    let mut runs = Vec::new();
    for now in (0..).step_by(20).map(ms).take_while(|now| *now <= Moment(most)) {
        let orders = download.decide(now, 64);
        for (id, run) in super::runs(&orders) {
            runs.extend(run.map(|piece| (id, piece)));
        }
        if download.is_done() {
            return now;
        }
        let asked: Vec<_> =
            download.peers.iter().flat_map(|(_, peer)| peer.asked.iter().map(|piece| (peer.id, *piece))).collect();
        for (peer, piece) in asked.into_iter().filter(|_| now.0.as_millis() % 100 == 0) {
            download.progress(peer, PieceIndex(piece), 1, now);
        }
        if !runs.is_empty() {
            let (id, piece) = runs.remove(0);
            download.origin_came(id, PieceIndex(piece), now);
        }
    }
    panic!("{} pieces are here", download.here().count())
}

#[test]
fn who_trickles_holds_nothing_for_ever() {
    // Two that say they have all, and nothing else to go by; the second blob is asked for at once as a whole.
    for pieces in [100, 2] {
        let all: Vec<_> = (0..pieces).collect();
        let mut download = with(DownloadSettings::default(), pieces, &[(1, Zone, &all), (2, Zone, &all)]);
        let done = among_tricklers(&mut download, Duration::from_mins(2));
        assert!(done <= ms(30_000), "{done:?}");
    }
}

#[test]
fn who_trickles_among_others_is_soon_found_out() {
    let all: Vec<_> = (0..100).collect();
    let mut download = with(DownloadSettings { endgame: 0, ..one_at_a_time() }, 100, &[(1, Rack, &all), (2, Zone, &all)]);
    for time in (0..4_000).step_by(20) {
        download.decide(ms(time), 64);
        let asked: Vec<_> =
            download.peers.iter().flat_map(|(_, peer)| peer.asked.iter().map(|piece| (peer.id, *piece))).collect();
        for (asked, piece) in asked {
            if asked == peer(2) {
                download.came(asked, PieceIndex(piece), ms(time + 20));
            } else {
                download.progress(asked, PieceIndex(piece), 1, ms(time + 20));
            }
        }
    }
    assert!(download.is_done());
}

#[test]
fn a_client_in_vain_is_helped_by_the_origin_besides() {
    let all: Vec<_> = (0..100).collect();
    let settings = DownloadSettings { window_share: 1, ..one_at_a_time() };
    let mut download = with(settings, 100, &[(1, Rack, &all), (2, Zone, &[10])]);
    download.read_at(Some(PieceIndex(10)), ms(0));
    let mut asked = Vec::new();
    for time in (0..=12_000).step_by(100) {
        let orders = download.decide(ms(time), 64);
        asked.extend(runs(&orders).into_iter().map(|(_, run)| (time, run)));
        for peer in [peer(1), peer(2)] {
            download.progress(peer, PieceIndex(10), 10_000, ms(time));
        }
    }
    assert_eq!(download.asks.get(10).map(asks::Asked::copies), Some(3), "of both peers and the origin");
    let (time, run) = asked.first().expect("the origin is asked");
    assert!((6_000..=12_000).contains(time) && run.start == 10, "{asked:?}");
}

#[test]
fn nobodys_own_pace_buys_it_more_than_some_patience() {
    let mut download = with(one_at_a_time(), 2, &[(1, Zone, &[0, 1])]);
    let piece = asks(&download.decide(ms(0), 8))[0].1;
    for time in 0..100 {
        download.progress(peer(1), PieceIndex(piece), PIECE_BYTES / 100, ms(time * 1_000));
    }
    download.came(peer(1), PieceIndex(piece), ms(100_000));
    assert_eq!(asks(&download.decide(ms(100_000), 8)).len(), 1);
    assert_eq!(cancels(&download.decide(ms(109_999), 8)), []);
    assert_eq!(cancels(&download.decide(ms(110_000), 8)).len(), 1);
}

#[test]
fn the_end_does_not_wait_for_who_rests() {
    let mut download = with(one_at_a_time(), 2, &[(1, Rack, &[0]), (2, Rack, &[1]), (3, Zone, &[1])]);
    assert_eq!(asks(&download.decide(ms(0), 8)).len(), 2);
    download.refused(peer(1), PieceIndex(0), Duration::from_secs(3), ms(1));
    assert_eq!(asks(&download.decide(ms(50), 8)), [(peer(3), 1)]);
}

#[test]
fn who_serves_others_first_is_counted_on() {
    let mut download = with(one_at_a_time(), 1, &[(1, Zone, &[0])]);
    for time in (0..1_900).step_by(100) {
        assert_eq!(asks(&download.decide(ms(time), 8)), [(peer(1), 0)]);
        download.refused(peer(1), PieceIndex(0), Duration::from_millis(50), ms(time));
        assert!(!download.wanted.is_nobodys(PieceIndex(0)), "at {time}");
    }
}

#[test]
fn a_burst_of_refusals_is_one() {
    let settings = DownloadSettings { least_pipeline: 4, endgame: 0, ..DownloadSettings::default() };
    let all: Vec<_> = (0..4).collect();
    let mut download = with(settings, 4, &[(1, Zone, &all)]);
    for round in 0..3 {
        let now = ms(3_000 + round * 1_000);
        let asked = asks(&download.decide(now, 8));
        assert_eq!(asked.len(), 4);
        for (peer, piece) in asked {
            assert!(!download.wanted.is_nobodys(PieceIndex(0)), "it has it and waits for others to be served, in round {round}");
            download.refused(peer, PieceIndex(piece), Duration::from_secs(1), now);
        }
    }
    assert!(download.wanted.is_nobodys(PieceIndex(0)));
}

#[test]
fn what_is_late_here_is_not_asked_for_across_the_border() {
    let mut download = with(one_at_a_time(), 1, &[(1, Zone, &[0]), (2, Region, &[0])]);
    assert_eq!(asks(&download.decide(ms(0), 1)).iter().map(|(peer, _)| *peer).collect::<Vec<_>>(), [peer(1)]);
    for time in [50, 200, 1_000, 1_999] {
        assert_eq!(asks(&download.decide(ms(time), 1)), [], "at {time}");
    }
    // Who says nothing at all is as good as gone.
    assert_eq!(asks(&download.decide(ms(2_000), 1))[0].0, peer(2));
}

#[test]
fn nothing_is_taken_back_for_an_origin_that_rests() {
    let mut download = with(one_at_a_time(), 1, &[(1, Region, &[0])]);
    download.set_lease(Lease { stripes: Stripes::all(4), of: 4, until: ms(60_000) }, ms(0));
    download.origin.rests_until = ms(5_000);
    assert_eq!(asks(&download.decide(ms(0), 8)).len(), 1);
    assert_eq!(download.decide(ms(200), 8), []);
    download.origin.rests_until = ms(0);
    assert!(!runs(&download.decide(ms(400), 8)).is_empty());
}

#[test]
fn who_has_rested_helps_out_at_once() {
    let mut download = with(one_at_a_time(), 2, &[(1, Rack, &[0]), (2, Zone, &[0, 1])]);
    assert_eq!(asks(&download.decide(ms(0), 8)).len(), 2);
    download.refused(peer(2), PieceIndex(1), Duration::from_millis(130), ms(0));
    download.progress(peer(1), PieceIndex(0), 1, ms(50));
    // The other piece is done, so that nothing else wakes it then.
    download.here_already(PieceIndex(1));
    assert_eq!((asks(&download.decide(ms(100), 8)), download.wake_at()), (vec![], Some(ms(130))));
    assert_eq!(asks(&download.decide(ms(130), 8)), [(peer(2), 0)]);
}
