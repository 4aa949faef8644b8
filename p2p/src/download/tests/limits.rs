//! Downloads to which little is allowed.

use Nearness::Zone;

use super::*;

/// What so many pieces a second at most came to, of the peer and of the origin in 20 s, and the peers passed by. Each piece takes 15 ms.
fn limited(download: &mut Download, a_second: u64) -> (usize, usize, usize) {
    let (mut used, mut of_peer, mut of_origin, mut passed_by) = (0, 0, 0, 0);
    for time in (0..20_000).step_by(5) {
        let (mut asked, mut ran) = (Vec::new(), Vec::new());
        let may_ask = u32::try_from(time * a_second / 1_000 + 1 - used).unwrap();
        for order in download.decide(ms(time), may_ask) {
            match order {
                Order::Ask { peer, piece } => asked.push((peer, piece)),
                Order::AskOrigin { id, pieces, .. } => ran.push((id, pieces)),
                Order::PassBy { .. } => passed_by += 1,
                _ => {}
            }
        }
        used += u64::try_from(asked.len() + ran.iter().map(|(_, run)| run.len()).sum::<usize>()).unwrap();
        for (peer, piece) in asked {
            download.progress(peer, piece, 0, ms(time));
            download.came(peer, piece, ms(time + 4));
            of_peer += 1;
        }
        for (id, run) in ran {
            download.origin_progress(id, 0, ms(time));
            of_origin += run.len();
            run.for_each(|piece| download.origin_came(id, PieceIndex(piece), ms(time + 4)));
        }
    }
    (of_peer, of_origin, passed_by)
}

#[test]
fn a_limit_is_no_slowness_of_peers() {
    let all: Vec<_> = (0..1_000).collect();
    let mut download = with(DownloadSettings::default(), 1_000, &[(1, Zone, &all)]);
    // The origin has shown its pace, and isn't asked for more.
    download.set_lease(Lease { stripes: Stripes::all(1), of: 4, until: ms(3_600_000) }, ms(0));
    download.origin.pace.came(PIECE_BYTES * 4, ms(10));
    let (of_peer, of_origin, passed_by) = limited(&mut download, 10);
    assert!(of_peer >= 199 && (of_origin, passed_by) == (0, 0), "{of_peer}, {of_origin}, {passed_by}");
}

#[test]
fn under_a_limit_what_the_zone_waits_for_comes_first() {
    // The neighbour has the second half; the first is this node's to bring.
    let half: Vec<_> = (500..1_000).collect();
    let mut download = with(DownloadSettings::default(), 1_000, &[(1, Zone, &half)]);
    download.set_lease(Lease { stripes: Stripes::all(1), of: 1, until: ms(3_600_000) }, ms(0));
    let (of_peer, of_origin, _) = limited(&mut download, 40);
    assert!(of_origin >= 480 && of_peer >= 200, "{of_peer}, {of_origin}");
}

#[test]
fn a_limit_of_the_border_holds_back_what_crosses_it_and_blames_nobody() {
    let all: Vec<_> = (0..100).collect();
    let mut download = with(DownloadSettings::default(), 100, &[(1, Nearness::Region, &all), (2, Nearness::Region, &all)]);
    download.limit_border(3);
    let asked = asks(&download.decide(ms(0), 64));
    assert_eq!(asked.len(), 3);
    for (peer, piece) in asked {
        download.came(peer, PieceIndex(piece), ms(50));
    }
    download.limit_border(0);
    for time in (50..5_000).step_by(50) {
        let orders = download.decide(ms(time), 64);
        assert!(asks(&orders).is_empty() && !orders.iter().any(|order| matches!(order, Order::PassBy { .. })), "{orders:?}");
    }
    download.limit_border(u32::MAX);
    assert!(asks(&download.decide(ms(5_000), 64)).len() > 3);
}
