use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicUsize, Ordering},
};

use super::{pieces::content, *};
use crate::wire::Open;

/// Has a raw peer open the topic 4 and ask for its first few pieces.
pub(super) async fn ask(raw: &mut Raw, ours: &mut Running, pieces: u32) {
    raw.tell(Frame::Open(Open { id: TopicId(4), topic: topic(), token: None, want_metainfo: false })).await;
    assert!(matches!(soon(ours.reader.next()).await, Ok(Event::Open(_))));
    for piece in (0..pieces).map(PieceIndex) {
        raw.tell(Frame::Ask { id: TopicId(4), piece }).await;
        assert!(matches!(soon(ours.reader.next()).await, Ok(Event::Ask { piece: asked, .. }) if asked == piece));
    }
}

fn rejected(piece: u32) -> Frame {
    Frame::Rejected { id: TopicId(4), piece: PieceIndex(piece), retry_after_ms: 0 }
}

/// A raw peer that takes nothing more, and to which more than sockets hold is being sent.
pub(super) async fn stuck(limits: Limits) -> (Raw, Running, JoinHandle<Result<Sent, SendError>>) {
    let (mut raw, mut ours) = raw_pair(limits).await;
    ask(&mut raw, &mut ours, 1).await;
    let sender = ours.sender.clone();
    let sending =
        tokio::spawn(async move { sender.send_piece(TopicId(4), PieceIndex(0), Bytes::from(vec![1; STUCK_BYTES])).await });
    while ours.sender.traffic().sent_piece_bytes() == 0 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    (raw, ours, sending)
}

const STUCK_BYTES: usize = 64 << 20;

#[tokio::test]
async fn what_is_small_overtakes_blocks() {
    let (mut raw, ours, sending) = stuck(Limits::default()).await;
    let have = Frame::Have { id: TopicId(4), piece: PieceIndex(1) };
    ours.sender.have(TopicId(4), PieceIndex(1)).unwrap();
    let metainfo = opened(TopicId(4), 1, Some(content(1, 100_000)));
    ours.sender.opened(metainfo.clone()).unwrap();
    ours.sender.have(TopicId(4), PieceIndex(1)).unwrap();
    let (first, before) = soon(raw.next()).await;
    assert_eq!(first, have);
    assert!(before < STUCK_BYTES / 2, "{before} bytes came before it");
    let (second, third) = (soon(raw.next()).await, soon(raw.next()).await);
    assert!(second.0 == Frame::Opened(metainfo) && third == (have, 0));
    raw.tell(Frame::Ping).await;
    let mut reader = ours.reader;
    let pong = soon(async {
        tokio::select! { heard = reader.next() => panic!("{heard:?}"), pong = raw.next() => pong }
    });
    assert_eq!(pong.await.0, Frame::Pong);
    drop(raw);
    assert_eq!(soon(sending).await.unwrap(), Err(SendError::Ended));
}

#[tokio::test]
async fn a_piece_is_cancelled_between_blocks() {
    let (mut raw, mut ours, sending) = stuck(Limits::default()).await;
    assert_eq!(ours.sender.send_piece(TopicId(4), PieceIndex(0), content(1, 9)).await, Err(SendError::AlreadySending));
    raw.tell(Frame::Cancel { id: TopicId(4), piece: PieceIndex(0) }).await;
    // It is nothing for whoever reads, as it was being sent; another piece is.
    raw.tell(Frame::Ask { id: TopicId(4), piece: PieceIndex(1) }).await;
    raw.tell(Frame::Cancel { id: TopicId(4), piece: PieceIndex(1) }).await;
    assert!(matches!(soon(ours.reader.next()).await, Ok(Event::Ask { piece: PieceIndex(1), .. })));
    assert!(matches!(soon(ours.reader.next()).await, Ok(Event::Cancel { piece: PieceIndex(1), .. })));
    assert_eq!(soon(raw.next()).await.0, rejected(1));
    let (end, sent) = soon(raw.next()).await;
    assert_eq!(end, rejected(0));
    assert!(sent < STUCK_BYTES, "{sent} bytes came before");
    assert_eq!(soon(sending).await.unwrap(), Ok(Sent::Cancelled));
    // It can be asked for again, and is sent from the start.
    raw.tell(Frame::Ask { id: TopicId(4), piece: PieceIndex(0) }).await;
    assert!(matches!(soon(ours.reader.next()).await, Ok(Event::Ask { piece: PieceIndex(0), .. })));
    let again = ours.sender.send_piece(TopicId(4), PieceIndex(0), content(1, 9));
    assert_eq!(soon(again).await, Ok(Sent::Whole));
}

#[tokio::test]
async fn who_stops_sending_a_piece_answers_to_an_end() {
    let limits = Limits { most_pieces_queued: 1, ..Limits::default() };
    let (mut raw, ours, sending) = stuck(Limits::default()).await;
    sending.abort();
    assert!(sending.await.unwrap_err().is_cancelled());
    assert_eq!(soon(raw.next()).await.0, rejected(0));
    drop((raw, ours));

    // Also one that has no place in the queue yet.
    let (mut raw, mut ours) = raw_pair(limits).await;
    ask(&mut raw, &mut ours, 3).await;
    let sender = &ours.sender;
    let large = || Bytes::from(vec![1; STUCK_BYTES]);
    let sending = async {
        tokio::join!(
            sender.send_piece(TopicId(4), PieceIndex(0), large()),
            sender.send_piece(TopicId(4), PieceIndex(1), large()),
            sender.send_piece(TopicId(4), PieceIndex(2), large()),
        )
    };
    assert!(timeout(Duration::from_millis(100), sending).await.is_err(), "the peer takes nothing");
    let mut ends: Vec<Frame> = Vec::new();
    for _ in 0..3 {
        ends.push(soon(raw.next()).await.0);
    }
    ends.sort_by_key(|end| format!("{end:?}"));
    assert_eq!(ends, [0, 1, 2].map(rejected));
}

#[tokio::test]
async fn what_is_asked_for_is_answered_once() {
    let (mut raw, mut ours) = raw_pair(Limits { most_owed: 5, ..Limits::default() }).await;
    ask(&mut raw, &mut ours, 5).await;
    let sender = &ours.sender;
    let (id, send) = (TopicId(4), |piece| sender.send_piece(TopicId(4), PieceIndex(piece), content(piece, 9)));
    assert_eq!(soon(send(9)).await, Err(SendError::NotOwed));
    // One is sent, one rejected, and one cancelled; nothing that comes after that is said.
    assert_eq!(soon(send(0)).await, Ok(Sent::Whole));
    sender.reject(id, PieceIndex(1), Duration::from_millis(7)).unwrap();
    raw.tell(Frame::Cancel { id, piece: PieceIndex(0) }).await;
    raw.tell(Frame::Cancel { id, piece: PieceIndex(2) }).await;
    assert!(matches!(soon(ours.reader.next()).await, Ok(Event::Cancel { piece: PieceIndex(2), .. })));
    for piece in 0..3 {
        assert_eq!(soon(send(piece)).await, Err(SendError::NotOwed));
        sender.reject(id, PieceIndex(piece), Duration::ZERO).unwrap();
    }
    assert_eq!(soon(raw.next()).await, (Frame::Rejected { id, piece: PieceIndex(1), retry_after_ms: 7 }, 9));
    assert_eq!(soon(raw.next()).await, (rejected(2), 0));
    // With its topic a question is over.
    sender.refuse(id).unwrap();
    assert_eq!(soon(send(3)).await, Err(SendError::NotOwed));
    assert_eq!(soon(raw.next()).await.0, Frame::Refused { id });
    sender.have(id, PieceIndex(0)).unwrap();
    assert_eq!(soon(raw.next()).await, (Frame::Have { id, piece: PieceIndex(0) }, 0), "nothing else was said");
}

#[tokio::test]
async fn a_peer_is_owed_no_more_than_may_be() {
    let (mut raw, mut ours) = raw_pair(Limits { most_owed: 2, ..Limits::default() }).await;
    ask(&mut raw, &mut ours, 2).await;
    let id = TopicId(4);
    raw.tell(Frame::Ask { id, piece: PieceIndex(2) }).await;
    let heard = timeout(Duration::from_millis(100), ours.reader.next()).await;
    assert!(heard.is_err(), "{heard:?}");
    let (refused, _) = soon(raw.next()).await;
    assert!(matches!(refused, Frame::Rejected { piece: PieceIndex(2), retry_after_ms: 1.., .. }), "{refused:?}");
    // One that was answered makes place, also when it is asked for at once again.
    for _ in 0..20 {
        let sending = ours.sender.send_piece(id, PieceIndex(0), content(0, 9));
        let asking = async {
            raw.block_of(9).await;
            raw.tell(Frame::Ask { id, piece: PieceIndex(0) }).await;
        };
        let (sent, (), asked) = soon(async { tokio::join!(sending, asking, ours.reader.next()) }).await;
        assert!(sent == Ok(Sent::Whole) && matches!(asked, Ok(Event::Ask { piece: PieceIndex(0), .. })), "{sent:?} {asked:?}");
    }
    raw.tell(Frame::Ask { id, piece: PieceIndex(1) }).await;
    let ended = soon(ours.reader.next()).await;
    assert!(matches!(ended, Err(ConnectionError::Rules(Violation::AskedTwice(TopicId(4), PieceIndex(1))))), "{ended:?}");
    assert!(matches!(ours.reader.next().await, Err(ConnectionError::Ended)), "after an error there is nothing");
}

#[tokio::test]
async fn nobody_waits_to_send_on_a_connection_that_was_cut() {
    let (mut raw, accepted) = raw_connection(Limits { most_pieces_queued: 1, ..Limits::default() }).await;
    // Its writer is there, and does not run.
    let Connection { sender, mut reader, writer: _writer, .. } = accepted;
    raw.tell(Frame::Open(Open { id: TopicId(4), topic: topic(), token: None, want_metainfo: false })).await;
    soon(reader.next()).await.unwrap();
    for piece in 0..2 {
        raw.tell(Frame::Ask { id: TopicId(4), piece: PieceIndex(piece) }).await;
        soon(reader.next()).await.unwrap();
    }
    let send = |piece| sender.send_piece(TopicId(4), PieceIndex(piece), content(piece, 9));
    let cutting = async {
        tokio::task::yield_now().await;
        sender.cut();
    };
    let (queued, without_place, ()) = soon(async { tokio::join!(send(0), send(1), cutting) }).await;
    assert_eq!([queued, without_place], [Err(SendError::Ended); 2]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_asked_of_a_topic_after_its_close() {
    const TOPICS: usize = 3000;
    let limits = Limits { most_topics: TOPICS, most_asked: TOPICS, most_control_frames: 9 * TOPICS, ..Limits::default() };
    let (mut one, mut other) = pair_of(limits).await;
    let mut ids = Vec::new();
    for _ in 0..TOPICS {
        let id = one.sender.open(topic(), None, false).unwrap();
        other.sender.opened(opened(id, 5, None)).unwrap();
        ids.push(id);
    }
    for _ in 0..TOPICS {
        soon(other.reader.next()).await.unwrap();
        soon(one.reader.next()).await.unwrap();
    }
    // Two go through the topics side by side.
    let budget = budget(TOPICS);
    let reached = [const { AtomicUsize::new(0) }; 2];
    let side_by_side = |own: usize, what: &dyn Fn(TopicId)| {
        for (at, &id) in ids.iter().enumerate() {
            reached[own].store(at, Ordering::SeqCst);
            for turn in 0_u32.. {
                if reached[1 - own].load(Ordering::SeqCst) >= at {
                    break;
                }
                // Near enough to each other that one comes between what the other does.
                if turn.is_multiple_of(2000) { std::thread::yield_now() } else { std::hint::spin_loop() }
            }
            what(id);
        }
        reached[own].store(TOPICS, Ordering::SeqCst);
    };
    let ask = |id| {
        let asked = one.sender.ask(id, PieceIndex(0), memory(&budget));
        assert!(matches!(asked, Ok(()) | Err(SendError::NotOpen)), "{asked:?}");
    };
    std::thread::scope(|scope| {
        scope.spawn(|| side_by_side(0, &ask));
        side_by_side(1, &|id| one.sender.close(id).unwrap());
    });
    assert_eq!(budget.available_permits(), TOPICS);
    let mut closed = BTreeSet::new();
    while closed.len() < TOPICS {
        match soon(other.reader.next()).await.unwrap() {
            Event::Ask { id, .. } => assert!(!closed.contains(&id), "{id:?} was closed before"),
            Event::Close { id } => assert!(closed.insert(id)),
            event => panic!("{event:?}"),
        }
    }
}
