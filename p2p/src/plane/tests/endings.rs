use super::{answers::*, *};

fn quick() -> Limits {
    let [ping_after, dead_after] = [200, 600].map(Duration::from_millis);
    Limits { ping_after, dead_after, write_timeout: Duration::from_millis(300), ..Limits::default() }
}

#[tokio::test]
async fn a_frozen_peer_is_noticed() {
    let (mut raw, mut ours) = raw_pair(quick()).await;
    let ended = soon(ours.reader.next()).await;
    assert!(matches!(ended, Err(ConnectionError::Silent)), "{ended:?}");
    // It was asked first.
    assert_eq!(soon(raw.next()).await.0, Frame::Ping);
    assert_eq!(soon(raw.next()).await.0, Frame::Ping);
    assert!(soon(ours.writing).await.unwrap().is_ok());
}

#[tokio::test]
async fn a_peer_that_only_has_nothing_to_say_is_kept() {
    let (mut one, mut other) = pair_of(quick()).await;
    let quiet = timeout(Duration::from_millis(1800), async {
        tokio::select! { said = one.reader.next() => said, said = other.reader.next() => said }
    });
    assert!(quiet.await.is_err(), "nothing was said, and nobody was taken for dead");
    let id = one.sender.open(topic(), None, false).unwrap();
    let heard = soon(other.reader.next()).await;
    assert!(matches!(heard, Ok(Event::Open(open)) if open.id == id));
}

#[tokio::test]
async fn a_peer_that_nobody_listened_to_for_long_is_asked_first() {
    let (mut one, mut other) = pair_of_two(quick(), Limits::default()).await;
    // Only the other end hears, and answers, what it is asked.
    tokio::spawn(async move { while other.reader.next().await.is_ok() {} });
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let quiet = timeout(Duration::from_secs(1), one.reader.next()).await;
    assert!(quiet.is_err(), "{quiet:?}");
}

#[tokio::test]
async fn a_peer_that_takes_nothing_is_cut() {
    let limits = Limits { ping_after: Duration::from_mins(1), dead_after: Duration::from_mins(1), ..quick() };
    let (mut raw, mut ours) = raw_pair(limits).await;
    ask(&mut raw, &mut ours, 1).await;
    let piece = Bytes::from(vec![1; 64 << 20]);
    let sending = ours.sender.send_piece(TopicId(4), PieceIndex(0), piece);
    let (sent, read) = soon(async { tokio::join!(sending, ours.reader.next()) }).await;
    assert_eq!(sent, Err(SendError::Ended));
    assert!(matches!(read, Err(ConnectionError::Ended)), "{read:?}");
    assert!(matches!(ours.writing.await.unwrap(), Err(ConnectionError::Stalled)));
    assert_eq!(ours.sender.refuse(TopicId(0)), Err(SendError::Ended));
}

#[tokio::test]
async fn a_queue_is_full_rather_than_long() {
    let limits = Limits { most_control_frames: 10, ..Limits::default() };
    let (one, other) = (endpoint_of(None, limits), endpoint_of(None, limits));
    let mut listener = listener_of(&other).await;
    let address = listener.address();
    let (dialed, accepted) = soon(async { tokio::join!(dial(&one, address, other.id()), listener.accept()) }).await;
    let (dialed, mut accepted) = (dialed.unwrap(), run(accepted));
    // Nobody writes yet.
    let told: Vec<_> = (0..12).map(|_| dialed.sender.open(topic(), None, false)).collect();
    assert!(told[..10].iter().all(Result::is_ok) && told[10..].iter().all(|told| *told == Err(SendError::Full)), "{told:?}");
    let dialed = run(dialed);
    for id in 0..10 {
        assert!(matches!(soon(accepted.reader.next()).await, Ok(Event::Open(open)) if open.id == TopicId(id)));
    }
    assert!(dialed.sender.open(topic(), None, false).is_ok());
}

#[tokio::test]
async fn who_leaves_says_so() {
    let (one, mut other) = pair_of(Limits::default()).await;
    one.sender.open(topic(), None, false).unwrap();
    one.sender.leave("enough");
    assert!(matches!(soon(other.reader.next()).await, Ok(Event::Open(_))), "what was said before goes first");
    assert!(matches!(soon(other.reader.next()).await, Err(ConnectionError::Left(reason)) if reason == "enough"));

    let (one, mut other) = pair_of(Limits::default()).await;
    one.sender.leave(&"ö".repeat(150));
    let left = soon(other.reader.next()).await;
    assert!(matches!(left, Err(ConnectionError::Left(reason)) if reason == "ö".repeat(100)));
    assert!(soon(one.writing).await.unwrap().is_ok());
}

#[tokio::test]
async fn a_connection_ends_with_any_of_its_parts() {
    let (one, mut other) = pair_of(Limits::default()).await;
    let Running { sender, reader, writing, .. } = one;
    drop(reader);
    assert!(soon(writing).await.unwrap().is_ok());
    assert!(matches!(soon(other.reader.next()).await, Err(ConnectionError::Broken(_))));
    assert_eq!(sender.refuse(TopicId(0)), Err(SendError::Ended));
    soon(sender.ended()).await;

    let (one, mut other) = pair_of(Limits::default()).await;
    one.writing.abort();
    let mut reader = one.reader;
    assert!(matches!(soon(reader.next()).await, Err(ConnectionError::Ended)));
    drop(reader);
    assert!(matches!(soon(other.reader.next()).await, Err(ConnectionError::Broken(_))));

    let (mut one, mut other) = pair_of(Limits::default()).await;
    drop(one.sender);
    assert!(matches!(soon(other.reader.next()).await, Err(ConnectionError::Left(reason)) if reason.is_empty()));
    assert!(matches!(soon(one.reader.next()).await, Err(ConnectionError::Broken(_) | ConnectionError::Ended)));

    let (mut one, mut other) = pair_of(Limits::default()).await;
    other.sender.cut();
    assert!(matches!(soon(other.reader.next()).await, Err(ConnectionError::Ended)));
    soon(other.writing).await.unwrap().unwrap();
    drop(other.reader);
    assert!(matches!(soon(one.reader.next()).await, Err(ConnectionError::Broken(_))));
}

#[tokio::test]
async fn a_peer_that_takes_a_little_now_and_then_is_cut() {
    let (mut raw, ours, sending) = stuck(quick()).await;
    let taking = tokio::spawn(async move {
        let mut little = [0; 1000];
        while raw.0.read(&mut little).await.is_ok_and(|read| read > 0) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    assert!(matches!(soon(ours.writing).await.unwrap(), Err(ConnectionError::Stalled)));
    assert_eq!(soon(sending).await.unwrap(), Err(SendError::Ended));
    taking.abort();
}

#[tokio::test]
async fn who_leaves_waits_for_nobody() {
    let limits = Limits { write_timeout: Duration::from_mins(5), ..Limits::default() };
    let (_raw, ours, sending) = stuck(limits).await;
    ours.sender.leave("enough");
    assert!(soon(ours.writing).await.unwrap().is_ok());
    assert_eq!(soon(sending).await.unwrap(), Err(SendError::Ended));
}

#[tokio::test]
async fn what_was_being_received_is_free_when_the_end_is_heard() {
    let (mut raw, mut ours) = raw_pair(Limits::default()).await;
    let (id, budget) = (ours.sender.open(topic(), None, false).unwrap(), budget(2));
    raw.tell(Frame::Opened(opened(id, 2 << 20, None))).await;
    soon(ours.reader.next()).await.unwrap();
    for piece in 0..2 {
        ours.sender.ask(id, PieceIndex(piece), memory(&budget)).unwrap();
    }
    let block = BlockHead { id, piece: PieceIndex(0), offset_bytes: 0, length_bytes: 9 };
    raw.say(&block.encode().unwrap()).await;
    assert!(timeout(Duration::from_millis(100), ours.reader.next()).await.is_err(), "it is not all there");
    ours.sender.cut();
    assert_eq!(budget.available_permits(), 1, "all but that for what is being received");
    assert!(matches!(soon(ours.reader.next()).await, Err(ConnectionError::Ended)));
    assert_eq!(budget.available_permits(), 2);
}

#[tokio::test]
async fn a_peer_that_goes_on_is_not_heard_for_long() {
    let (mut raw, mut ours) = raw_pair(Limits::default()).await;
    let talking = tokio::spawn(async move {
        let much = written(&Frame::Ping).repeat(10_000);
        while raw.0.write_all(&much).await.is_ok() {}
    });
    ours.sender.cut();
    assert!(matches!(soon(ours.reader.next()).await, Err(ConnectionError::Ended)));
    drop(ours);
    soon(talking).await.unwrap();
}
