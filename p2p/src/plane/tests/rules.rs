use longshore_oci::piece::PIECE_BYTES;
use proptest::prelude::*;
use tokio::runtime::Runtime;

use super::*;
use crate::wire::{InvalidFrame, Open};

const TWO_PIECES: u64 = PIECE_BYTES + 70_000;

/// How a connection ends whose other end says this.
pub(super) async fn end_after(bytes: &[u8]) -> ConnectionError {
    let (mut raw, mut ours) = raw_pair(Limits::default()).await;
    raw.say(bytes).await;
    loop {
        if let Err(error) = soon(ours.reader.next()).await {
            assert!(soon(ours.writing).await.unwrap().is_ok(), "the writer ends with the reader");
            return error;
        }
    }
}

/// A topic that is open at a raw peer, of which piece 1 was asked for.
async fn asked(limits: Limits) -> (Raw, Running, Arc<Semaphore>) {
    let (mut raw, mut ours) = raw_pair(limits).await;
    let id = ours.sender.open(topic(), None, false).unwrap();
    raw.tell(Frame::Opened(opened(id, TWO_PIECES, None))).await;
    soon(ours.reader.next()).await.unwrap();
    let budget = budget(1);
    ours.sender.ask(id, PieceIndex(1), memory(&budget)).unwrap();
    (raw, ours, budget)
}

/// How a connection ends on which piece 1 was asked for.
async fn violation(say: impl AsyncFnOnce(&mut Raw)) -> Violation {
    let (mut raw, mut ours, budget) = asked(Limits::default()).await;
    say(&mut raw).await;
    loop {
        match soon(ours.reader.next()).await {
            Ok(_) => {}
            Err(ConnectionError::Rules(violation)) => {
                assert_eq!(budget.available_permits(), 1, "no memory is kept for a connection that has ended");
                return violation;
            }
            Err(error) => panic!("{error:?}"),
        }
    }
}

#[tokio::test]
async fn blocks_are_those_that_were_asked_for_one_after_another() {
    let (id, piece) = (TopicId(0), PieceIndex(1));
    let not_next = Violation::NotNext(id, piece);
    assert_eq!(violation(async |raw| raw.block(0, 1, 5, &[1; 9]).await).await, not_next);
    assert_eq!(violation(async |raw| raw.block(0, 1, u32::MAX, &[1; 9]).await).await, not_next);
    let twice = async |raw: &mut Raw| {
        raw.block(0, 1, 0, &[1; 9]).await;
        raw.block(0, 1, 0, &[1; 9]).await;
    };
    assert_eq!(violation(twice).await, not_next);
    let too_many = async |raw: &mut Raw| {
        raw.block(0, 1, 0, &vec![1; 60_000]).await;
        raw.block(0, 1, 60_000, &vec![1; 10_001]).await;
    };
    assert_eq!(violation(too_many).await, not_next);
    let past_the_end = async |raw: &mut Raw| {
        raw.block(0, 1, 0, &vec![1; 60_000]).await;
        raw.block(0, 1, 60_000, &vec![1; 10_000]).await;
        raw.block(0, 1, 70_000, &[1]).await;
    };
    assert_eq!(violation(past_the_end).await, Violation::NotAsked(id, piece));
    assert_eq!(violation(async |raw| raw.block(0, 0, 0, &[1; 9]).await).await, Violation::NotAsked(id, PieceIndex(0)));
    assert_eq!(violation(async |raw| raw.block(7, 1, 0, &[1; 9]).await).await, Violation::Topic(TopicId(7)));
}

#[tokio::test]
async fn a_peer_answers_what_it_was_asked() {
    let (id, strange) = (TopicId(0), TopicId(1));
    let tell = |frame: Frame| async move |raw: &mut Raw| raw.tell(frame).await;
    let have = |id, piece| Frame::Have { id, piece: PieceIndex(piece) };
    let rejected = |id, piece| Frame::Rejected { id, piece: PieceIndex(piece), retry_after_ms: 0 };
    assert_eq!(violation(tell(have(id, 2))).await, Violation::NoSuchPiece(id, PieceIndex(2)));
    assert_eq!(violation(tell(have(strange, 0))).await, Violation::Topic(strange));
    assert_eq!(violation(tell(rejected(id, 0))).await, Violation::NotAsked(id, PieceIndex(0)));
    assert_eq!(violation(tell(rejected(strange, 0))).await, Violation::Topic(strange));
    assert_eq!(violation(tell(Frame::Refused { id: strange })).await, Violation::Topic(strange));
    assert_eq!(violation(tell(Frame::Introduce { id: strange, records: Vec::new() })).await, Violation::Topic(strange));
    assert_eq!(violation(tell(Frame::Opened(opened(id, 5, None)))).await, Violation::Topic(id), "it was answered already");
    assert_eq!(violation(tell(Frame::Opened(opened(strange, 5, None)))).await, Violation::Topic(strange));
}

#[tokio::test]
async fn a_peer_speaks_of_topics_that_it_has_opened() {
    let id = TopicId(3);
    let piece = PieceIndex(0);
    let open = || Frame::Open(Open { id, topic: topic(), token: None, want_metainfo: false });
    for frame in [Frame::Ask { id, piece }, Frame::Cancel { id, piece }, Frame::Close { id }] {
        let ended = end_after(&written(&frame)).await;
        assert!(matches!(ended, ConnectionError::Rules(Violation::Id(TopicId(3)))), "{ended:?}");
    }
    let ended = end_after(&[written(&open()), written(&Frame::Close { id }), written(&open())].concat()).await;
    assert!(matches!(ended, ConnectionError::Rules(Violation::Id(TopicId(3)))), "{ended:?}");
    let hello = endpoint_of(None, Limits::default()).own();
    let ended = end_after(&written(&Frame::Hello(hello))).await;
    assert!(matches!(ended, ConnectionError::Rules(Violation::SecondHello)), "{ended:?}");
}

#[tokio::test]
async fn what_is_no_frame_ends_the_connection() {
    for kind in Kind::ALL {
        let most = kind.most_bytes();
        let [a, b, c, d] = u32::try_from(most + 1).unwrap().to_le_bytes();
        let ended = end_after(&[a, b, c, d, kind as u8]).await;
        let is_right = matches!(ended, ConnectionError::Frame(InvalidFrame::TooLong { kind: Some(found), .. }) if found == kind);
        assert!(is_right, "{kind:?} ended in {ended:?}");
    }
    let ended = end_after(&[0, 0, 0, 0, 99]).await;
    assert!(matches!(ended, ConnectionError::Frame(InvalidFrame::UnknownKind(99))), "{ended:?}");
    let ended = end_after(&[5, 0, 0, 0, Kind::Block as u8]).await;
    assert!(matches!(ended, ConnectionError::Frame(InvalidFrame::Malformed { kind: Kind::Block, .. })), "{ended:?}");
}

#[tokio::test]
async fn what_may_be_skipped_is() {
    let (mut raw, mut ours) = raw_pair(Limits::default()).await;
    let open = Open { id: TopicId(1), topic: topic(), token: None, want_metainfo: false };
    let mut bytes = Vec::new();
    for length in [0_u32, 5, 40_000, 64 << 10] {
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.push(0x80 | 9);
        bytes.resize(bytes.len() + usize::try_from(length).unwrap(), 7);
    }
    bytes.extend(written(&Frame::Open(open.clone())));
    raw.say(&bytes).await;
    let heard = soon(ours.reader.next()).await;
    assert!(matches!(heard, Ok(Event::Open(heard)) if heard == open));
}

#[tokio::test]
async fn what_is_not_open_is_not_closed() {
    let (mut raw, mut ours) = raw_pair(Limits::default()).await;
    let open = |id| written(&Frame::Open(Open { id: TopicId(id), topic: topic(), token: None, want_metainfo: false }));
    let close = written(&Frame::Close { id: TopicId(1) });
    raw.say(&[open(1), close.clone(), close.clone(), close.clone(), open(2)].concat()).await;
    for expected in ["Open", "Close", "Open"] {
        let heard = format!("{:?}", soon(ours.reader.next()).await.unwrap());
        assert!(heard.starts_with(expected), "{heard}");
    }
    // Nor what was refused here.
    ours.sender.refuse(TopicId(2)).unwrap();
    raw.say(&[written(&Frame::Close { id: TopicId(2) }), open(3)].concat()).await;
    assert!(matches!(soon(ours.reader.next()).await, Ok(Event::Open(open)) if open.id == TopicId(3)));
}

#[tokio::test]
async fn a_frame_that_trickles_is_not_waited_for() {
    let limits = Limits { frame_timeout: Duration::from_millis(300), ..Limits::default() };
    let (mut raw, mut ours) = raw_pair(limits).await;
    let trickle = tokio::spawn(async move {
        for byte in written(&Frame::Bye { reason: "x".repeat(200) }) {
            if raw.0.write_all(&[byte]).await.and(raw.0.flush().await).is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    let ended = soon(ours.reader.next()).await;
    assert!(matches!(ended, Err(ConnectionError::SlowFrame)), "{ended:?}");
    drop(ours);
    soon(trickle).await.unwrap();
}

#[tokio::test]
async fn reading_may_be_given_up_at_any_time() {
    let (mut raw, mut ours, _) = asked(Limits::default()).await;
    let bytes: Vec<u8> = (0..70_000_u32).map(|at| at.to_le_bytes()[1]).collect();
    let sent = bytes.clone();
    let sending = tokio::spawn(async move {
        for (at, part) in (0..).step_by(9000).zip(sent.chunks(9000)) {
            let length_bytes = u32::try_from(part.len()).unwrap();
            let block = BlockHead { id: TopicId(0), piece: PieceIndex(1), offset_bytes: at, length_bytes };
            for part in [block.encode().unwrap().as_slice(), part].concat().chunks(1700) {
                raw.say(part).await;
                tokio::task::yield_now().await;
            }
        }
        raw
    });
    let piece = soon(async {
        loop {
            tokio::select! {
                biased;
                heard = ours.reader.next() => if let Event::Piece(piece) = heard.unwrap() { break piece },
                () = tokio::task::yield_now() => {}
            }
        }
    });
    assert!(piece.await.bytes == bytes);
    drop(sending.await.unwrap());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever a peer says and however it is cut into writes, it is read or refused; and so is what breaks off.
    #[test]
    fn garbage_is_lived_with(
        frames in prop::collection::vec((0..18_u8, any::<bool>(), prop::collection::vec(any::<u8>(), 0..60)), 0..12),
        changes in prop::collection::vec(any::<(prop::sample::Index, u8)>(), 0..3),
    ) {
        let mut bytes = Vec::new();
        for (kind, is_optional, body) in frames {
            bytes.extend(u32::try_from(body.len()).unwrap().to_le_bytes());
            bytes.push(kind | (u8::from(is_optional) << 7));
            bytes.extend(body);
        }
        for (place, change) in changes {
            if !bytes.is_empty() {
                let place = place.index(bytes.len());
                bytes[place] ^= change;
            }
        }
        Runtime::new().unwrap().block_on(async {
            let (mut raw, mut ours, budget) = asked(Limits::default()).await;
            raw.say(&bytes).await;
            drop(raw);
            while soon(ours.reader.next()).await.is_ok() {}
            prop_assert_eq!(budget.available_permits(), 1);
            Ok(())
        })?;
    }
}
