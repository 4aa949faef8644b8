//! What a download promises: case by case, under random events, and in a swarm.

mod cases;
mod late;
mod limits;
mod origin;
mod random;
mod simulation;

use std::ops::Range;

use libp2p_identity::PeerId;
use longshore_oci::piece::PIECE_BYTES;

use super::*;
use crate::locality::Nearness;

fn peer(number: u32) -> PeerId {
    let [a, b, c, d] = number.to_be_bytes();
    PeerId::from_bytes(&[0, 4, a, b, c, d]).unwrap()
}

fn ms(ms: u64) -> Moment {
    Moment(Duration::from_millis(ms))
}

fn pieces_of(pieces: impl IntoIterator<Item = u32>) -> PieceSet {
    let mut set = PieceSet::none_of(10_000);
    pieces.into_iter().for_each(|piece| assert!(set.insert(PieceIndex(piece))));
    set
}

fn download(pieces: u32, settings: DownloadSettings, seed: u64) -> Download {
    let geometry = Geometry::new(u64::from(pieces) * PIECE_BYTES).unwrap();
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
    Download::new(geometry, &PieceSet::none_of(pieces), settings, ms(0), &mut rng)
}

/// The pieces that are asked of peers, in order.
fn asks(orders: &[Order]) -> Vec<(PeerId, u32)> {
    let ask = |order: &Order| match order {
        Order::Ask { peer, piece } => Some((*peer, piece.0)),
        _ => None,
    };
    orders.iter().filter_map(ask).collect()
}

fn cancels(orders: &[Order]) -> Vec<(PeerId, u32)> {
    let cancel = |order: &Order| match order {
        Order::Cancel { peer, piece } => Some((*peer, piece.0)),
        _ => None,
    };
    orders.iter().filter_map(cancel).collect()
}

/// One request at a time to each, nothing by the window.
fn one_at_a_time() -> DownloadSettings {
    DownloadSettings { least_pipeline: 1, most_pipeline: 1, window_share: 1_000, ..DownloadSettings::default() }
}

fn with(settings: DownloadSettings, pieces: u32, peers: &[(u32, Nearness, &[u32])]) -> Download {
    let mut download = download(pieces, settings, 7);
    for (number, nearness, has) in peers {
        assert!(download.add_peer(peer(*number), *nearness, &pieces_of(has.iter().copied()), ms(0)));
    }
    download
}

fn runs(orders: &[Order]) -> Vec<(RunId, Range<u32>)> {
    let run = |order: &Order| match order {
        Order::AskOrigin { id, pieces, .. } => Some((*id, pieces.clone())),
        _ => None,
    };
    orders.iter().filter_map(run).collect()
}
