use std::collections::{BTreeMap, BTreeSet};

use longshore_oci::piece::PIECE_BYTES;
use proptest::prelude::*;
use tokio::runtime::Runtime;

use super::{answers::stuck, *};
use crate::{
    record::PeerRecord,
    wire::{BLOCK_BYTES, MOST_METAINFO_BYTES, Open, Token, tests::peer_id},
};

/// So many bytes that no other seed has.
pub(super) fn content(seed: u32, length: usize) -> Bytes {
    let mut bytes = vec![0; length];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
    bytes.into()
}

/// Has one end open a topic at the other, whose blob is so long.
async fn open(one: &mut Running, other: &mut Running, size_bytes: u64) -> TopicId {
    let id = one.sender.open(topic(), None, false).unwrap();
    assert!(matches!(soon(other.reader.next()).await, Ok(Event::Open(open)) if open.id == id));
    other.sender.opened(opened(id, size_bytes, None)).unwrap();
    assert!(matches!(soon(one.reader.next()).await, Ok(Event::Opened { .. })));
    id
}

#[tokio::test]
async fn a_topic_is_opened_and_spoken_of() {
    let (mut one, mut other) = pair_of(Limits::default()).await;
    let token = Some(Token("t".repeat(9000)));
    let id = one.sender.open(topic(), token.clone(), true).unwrap();
    let heard = soon(other.reader.next()).await.unwrap();
    assert!(matches!(heard, Event::Open(open) if open == Open { id, topic: topic(), token, want_metainfo: true }));
    // One that is as long as may be, and so not read in place.
    let metainfo = content(1, MOST_METAINFO_BYTES);
    let there = opened(id, 3 * PIECE_BYTES, Some(metainfo.clone()));
    other.sender.opened(there.clone()).unwrap();
    other.sender.have(id, PieceIndex(2)).unwrap();
    let record = PeerRecord { peer: peer_id([1; 32]), pieces: Vec::new(), locality: Locality::default() };
    other.sender.introduce(id, vec![record.clone()]).unwrap();
    other.sender.refuse(id).unwrap();
    let room = match soon(one.reader.next()).await {
        Ok(Event::Opened { opened, room: Some(room) }) if opened == there => room,
        heard => panic!("{heard:?}"),
    };
    assert_eq!(room.num_permits(), written(&Frame::Opened(there)).len().div_ceil(1024));
    assert!(matches!(soon(one.reader.next()).await, Ok(Event::Have { piece: PieceIndex(2), .. })));
    assert!(matches!(soon(one.reader.next()).await, Ok(Event::Introduced { records, .. }) if records == [record]));
    assert!(matches!(soon(one.reader.next()).await, Ok(Event::Refused { id: refused }) if refused == id));
    assert_eq!(one.sender.ask(id, PieceIndex(0), memory(&budget(1))), Err(SendError::NotOpen));
}

#[tokio::test]
async fn a_piece_comes_in_blocks_into_memory_that_was_set_aside() {
    let (mut one, mut other) = pair_of(Limits::default()).await;
    let id = open(&mut one, &mut other, PIECE_BYTES + 100).await;
    let budget = budget(3);
    one.sender.ask(id, PieceIndex(0), memory(&budget)).unwrap();
    one.sender.ask(id, PieceIndex(1), memory(&budget)).unwrap();
    assert_eq!(one.sender.ask(id, PieceIndex(1), memory(&budget)), Err(SendError::AlreadyAsked));
    assert_eq!(one.sender.ask(id, PieceIndex(2), memory(&budget)), Err(SendError::NotOpen), "there is no such piece");
    let pieces = [content(0, 1 << 20), content(1, 100)];
    let sent = pieces.clone();
    let sending = tokio::spawn(async move {
        for (index, bytes) in (0..).zip(sent) {
            assert!(matches!(soon(other.reader.next()).await, Ok(Event::Ask { piece, .. }) if piece == PieceIndex(index)));
            assert_eq!(soon(other.sender.send_piece(id, PieceIndex(index), bytes)).await, Ok(Sent::Whole));
        }
        other
    });
    for received in 1..16 {
        let expected = received * u32::try_from(BLOCK_BYTES).unwrap();
        let heard = soon(one.reader.next()).await;
        assert!(matches!(heard, Ok(Event::Progress { received_bytes, .. }) if received_bytes == expected), "{heard:?}");
    }
    for (index, bytes) in (0..).zip(&pieces) {
        let Ok(Event::Piece(piece)) = soon(one.reader.next()).await else { panic!("the piece comes") };
        assert_eq!((piece.id, piece.piece, piece.bytes.as_slice()), (id, PieceIndex(index), bytes.as_ref()));
        assert_eq!(piece.bytes.capacity(), bytes.len(), "no more was taken than it needs");
        drop(piece);
    }
    assert_eq!(budget.available_permits(), 3);
    let other = soon(sending).await.unwrap();
    let pieces_bytes = PIECE_BYTES + 100;
    assert_eq!(
        (other.sender.traffic().sent_piece_bytes(), one.sender.traffic().received_piece_bytes()),
        (pieces_bytes, pieces_bytes)
    );
    assert_eq!(other.sender.traffic().sent_bytes(), one.sender.traffic().received_bytes());
    assert!(other.sender.traffic().sent_bytes() > pieces_bytes);
}

#[tokio::test]
async fn a_closed_topic_is_over_for_both() {
    let (mut raw, mut ours, sending) = stuck(Limits::default()).await;
    raw.tell(Frame::Close { id: TopicId(4) }).await;
    assert!(matches!(soon(ours.reader.next()).await, Ok(Event::Close { id: TopicId(4) })));
    soon(raw.next()).await;
    assert_eq!(soon(sending).await.unwrap(), Ok(Sent::Cancelled));

    // What is on its way for who has closed it does no harm.
    let (mut one, mut other) = pair_of(Limits::default()).await;
    let id = open(&mut one, &mut other, 4 * PIECE_BYTES).await;
    let budget = budget(4);
    for piece in 0..4 {
        one.sender.ask(id, PieceIndex(piece), memory(&budget)).unwrap();
    }
    for _ in 0..4 {
        assert!(matches!(soon(other.reader.next()).await, Ok(Event::Ask { .. })));
    }
    one.sender.close(id).unwrap();
    assert_eq!(budget.available_permits(), 4);
    let late = one.sender.open(topic(), None, true).unwrap();
    one.sender.close(late).unwrap();
    let next = one.sender.open(topic(), None, false).unwrap();
    let sending = tokio::spawn(async move {
        for piece in 0..3 {
            assert_eq!(soon(other.sender.send_piece(id, PieceIndex(piece), content(piece, 1 << 20))).await, Ok(Sent::Whole));
        }
        other.sender.reject(id, PieceIndex(3), Duration::ZERO).unwrap();
        other.sender.have(id, PieceIndex(3)).unwrap();
        other.sender.opened(opened(late, 5, Some(content(1, 1 << 20)))).unwrap();
        other.sender.refuse(id).unwrap();
        while !matches!(soon(other.reader.next()).await.unwrap(), Event::Open(open) if open.id == next) {}
        other.sender.opened(opened(next, 5, None)).unwrap();
        other
    });
    // Nothing of it is told.
    let heard = soon(one.reader.next()).await;
    assert!(matches!(&heard, Ok(Event::Opened { opened, .. }) if opened.id == next), "{heard:?}");
    soon(sending).await.unwrap();
}

#[tokio::test]
async fn not_more_is_asked_than_may_be() {
    let limits = Limits { most_topics: 2, most_asked: 2, ..Limits::default() };
    let (mut one, mut other) = pair_of(limits).await;
    let id = open(&mut one, &mut other, 9 * PIECE_BYTES).await;
    let budget = budget(9);
    one.sender.open(topic(), None, false).unwrap();
    assert_eq!(one.sender.open(topic(), None, false), Err(SendError::TooMuchAsked));
    one.sender.ask(id, PieceIndex(0), memory(&budget)).unwrap();
    one.sender.ask(id, PieceIndex(1), memory(&budget)).unwrap();
    assert_eq!(one.sender.ask(id, PieceIndex(2), memory(&budget)), Err(SendError::TooMuchAsked));
    // What was cancelled counts until the peer has answered that.
    assert!(matches!(soon(other.reader.next()).await, Ok(Event::Open(_))));
    for _ in 0..2 {
        assert!(matches!(soon(other.reader.next()).await, Ok(Event::Ask { .. })));
    }
    one.sender.cancel(id, PieceIndex(1)).unwrap();
    assert_eq!(budget.available_permits(), 8);
    assert_eq!(one.sender.ask(id, PieceIndex(2), memory(&budget)), Err(SendError::TooMuchAsked));
    assert_eq!(one.sender.ask(id, PieceIndex(1), memory(&budget)), Err(SendError::AlreadyAsked));
    other.sender.reject(id, PieceIndex(1), Duration::ZERO).unwrap();
    other.sender.reject(id, PieceIndex(0), Duration::from_millis(70)).unwrap();
    let heard = soon(one.reader.next()).await;
    let expected = Duration::from_millis(70);
    assert!(
        matches!(heard, Ok(Event::Rejected { piece: PieceIndex(0), retry_after, .. }) if retry_after == expected),
        "{heard:?}"
    );
    one.sender.ask(id, PieceIndex(1), memory(&budget)).unwrap();
    one.sender.close(id).unwrap();
    assert!(one.sender.open(topic(), None, false).is_ok());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever is cancelled when, each piece that is still wanted comes, and no other; all memory is given back.
    #[test]
    fn what_is_asked_for_ends_once(
        pieces in 1..12_u32,
        last in 1..200_000_u64,
        cancelled in prop::collection::btree_map(0..12_u32, 0..40_u32, 0..8),
        rejected in prop::collection::btree_set(0..12_u32, 0..4),
    ) {
        Runtime::new().unwrap().block_on(check_ends(pieces, last, cancelled, rejected))?;
    }
}

/// Pieces are cancelled after so many events.
async fn check_ends(pieces: u32, last: u64, cancelled: BTreeMap<u32, u32>, rejected: BTreeSet<u32>) -> Result<(), TestCaseError> {
    let (mut one, mut other) = pair_of(Limits::default()).await;
    let size_bytes = u64::from(pieces - 1) * PIECE_BYTES + last;
    let id = open(&mut one, &mut other, size_bytes).await;
    let geometry = Geometry::new(size_bytes).unwrap();
    let expected = move |piece: PieceIndex| {
        let bytes = geometry.bytes_of(piece);
        content(piece.0, usize::try_from(bytes.end - bytes.start).unwrap())
    };
    let serving = tokio::spawn(async move {
        let Running { sender, mut reader, .. } = other;
        while let Ok(event) = reader.next().await {
            let Event::Ask { id, piece } = event else { continue };
            if rejected.contains(&piece.0) {
                sender.reject(id, piece, Duration::ZERO).unwrap();
                continue;
            }
            let sender = sender.clone();
            tokio::spawn(async move { sender.send_piece(id, piece, expected(piece)).await });
        }
    });
    let budget = budget(usize::try_from(pieces).unwrap());
    let mut wanted: BTreeSet<u32> = (0..pieces).collect();
    for piece in 0..pieces {
        one.sender.ask(id, PieceIndex(piece), memory(&budget)).unwrap();
    }
    for events in 0.. {
        for (&piece, _) in cancelled.iter().filter(|(_, after)| **after == events) {
            one.sender.cancel(id, PieceIndex(piece)).unwrap();
            wanted.remove(&piece);
        }
        if wanted.is_empty() {
            break;
        }
        match soon(one.reader.next()).await.unwrap() {
            Event::Progress { piece, .. } => prop_assert!(wanted.contains(&piece.0)),
            Event::Piece(piece) => {
                prop_assert!(wanted.remove(&piece.piece.0), "{:?} is not wanted", piece.piece);
                prop_assert!(piece.bytes == expected(piece.piece), "{:?} is another", piece.piece);
            }
            Event::Rejected { piece, .. } => prop_assert!(wanted.remove(&piece.0)),
            event => return Err(TestCaseError::fail(format!("{event:?}"))),
        }
    }
    prop_assert_eq!(budget.available_permits(), usize::try_from(pieces).unwrap());
    drop(one);
    soon(serving).await.unwrap();
    Ok(())
}
