use longshore_oci::piece::PIECE_BYTES;

use super::{rules::end_after, *};
use crate::wire::{MOST_METAINFO_BYTES, MOST_PIECES};

#[tokio::test]
async fn a_metainfo_is_only_taken_where_it_was_wanted() {
    let metainfo = |length: usize| Some(Bytes::from(vec![1; length]));
    let long = written(&Frame::Opened(opened(TopicId(0), 5, metainfo(1 << 20))));
    // No more of it is waited for than says what it is of.
    let start = &long[..HEAD_BYTES + 4];
    let ended = end_after(start).await;
    assert!(matches!(ended, ConnectionError::Rules(Violation::Topic(TopicId(0)))), "{ended:?}");
    for answer in [start, &written(&Frame::Opened(opened(TopicId(0), 5, metainfo(9))))] {
        let (mut raw, mut ours) = raw_pair(Limits::default()).await;
        ours.sender.open(topic(), None, false).unwrap();
        // That it is wanted of another is no leave.
        ours.sender.open(topic(), None, true).unwrap();
        raw.say(answer).await;
        let ended = soon(ours.reader.next()).await;
        assert!(matches!(ended, Err(ConnectionError::Rules(Violation::Metainfo(TopicId(0))))), "{ended:?}");
    }

    // The longest bitfield needs no leave.
    let (mut raw, mut ours) = raw_pair(Limits::default()).await;
    let id = ours.sender.open(topic(), None, false).unwrap();
    let pieces = opened(id, u64::from(MOST_PIECES) * PIECE_BYTES, None);
    let ((), heard) = soon(async { tokio::join!(raw.tell(Frame::Opened(pieces.clone())), ours.reader.next()) }).await;
    assert!(matches!(heard, Ok(Event::Opened { opened, .. }) if opened == pieces));
}

/// Limits by which there is room for one metainfo.
fn narrow(room_timeout: Duration) -> Limits {
    Limits { metainfo_bytes: 1, room_timeout, ..Limits::default() }
}

/// An end that is told a metainfo while another has so much of all room for such, which is room for one, and the end that tells it.
async fn told_without_room(limits: Limits) -> (Running, Running, OwnedSemaphorePermit) {
    let (one, other) = (endpoint_of(None, limits), endpoint_of(None, Limits::default()));
    let room = one.metainfo_room().available_permits();
    assert_eq!(room, Kind::Opened.most_bytes().div_ceil(1024));
    // There is some for a beginning.
    let taken = one.metainfo_room().acquire_many_owned(u32::try_from(room - 100).unwrap()).await.unwrap();
    let mut listener = listener_of(&other).await;
    let address = listener.address();
    let (dialed, accepted) = soon(async { tokio::join!(dial(&one, address, other.id()), listener.accept()) }).await;
    let (dialed, accepted) = (run(dialed.unwrap()), run(accepted));
    let id = dialed.sender.open(topic(), None, true).unwrap();
    accepted.sender.opened(opened(id, 5, Some(Bytes::from(vec![1; 1 << 20])))).unwrap();
    (dialed, accepted, taken)
}

#[tokio::test]
async fn a_topic_whose_answer_has_no_room_is_given_up() {
    let (mut told, mut teller, _taken) = told_without_room(narrow(Duration::from_millis(200))).await;
    let heard = soon(told.reader.next()).await;
    assert!(matches!(heard, Ok(Event::Refused { id: TopicId(0) })), "{heard:?}");
    // And the connection is as good as it was.
    assert!(matches!(soon(teller.reader.next()).await, Ok(Event::Open(_))));
    assert!(matches!(soon(teller.reader.next()).await, Ok(Event::Close { id: TopicId(0) })));
    let id = told.sender.open(topic(), None, true).unwrap();
    assert!(matches!(soon(teller.reader.next()).await, Ok(Event::Open(_))));
    teller.sender.opened(opened(id, 5, Some(Bytes::from_static(b"short")))).unwrap();
    assert!(matches!(soon(told.reader.next()).await, Ok(Event::Opened { opened, .. }) if opened.id == id));
}

#[tokio::test]
async fn waiting_for_room_is_not_the_peers_fault() {
    let [frame_timeout, ping_after, dead_after] = [300, 100, 300].map(Duration::from_millis);
    let limits = Limits { ping_after, dead_after, frame_timeout, ..narrow(PATIENCE) };
    let (mut told, mut teller, taken) = told_without_room(limits).await;
    assert!(timeout(2 * frame_timeout, told.reader.next()).await.is_err(), "there is no room yet");
    drop(taken);
    // It may be asked whether it is there.
    let teller = tokio::spawn(async move { while teller.reader.next().await.is_ok() {} });
    let heard = soon(told.reader.next()).await;
    assert!(matches!(heard, Ok(Event::Opened { room: Some(_), .. })), "{heard:?}");
    drop(told);
    soon(teller).await.unwrap();
}

#[tokio::test]
async fn room_is_taken_as_a_long_frame_comes() {
    let limits = narrow(Duration::from_millis(200));
    let (one, other) = (endpoint_of(None, limits), endpoint_of(None, limits));
    let mut listener = listener_of(&other).await;
    let room = other.metainfo_room();
    let all = room.available_permits();
    // Many say that they will send the longest, and send nothing more.
    let mut silent = Vec::new();
    let answer = |id| written(&Frame::Opened(opened(id, 5, Some(Bytes::from(vec![1; MOST_METAINFO_BYTES])))));
    for _ in 0..4 {
        let (mut raw, accepted) = raw_between(&one, &other, &mut listener).await;
        let mut ours = run(accepted);
        let id = ours.sender.open(topic(), None, true).unwrap();
        raw.say(&answer(id)[..HEAD_BYTES + 4]).await;
        assert!(timeout(Duration::from_millis(100), ours.reader.next()).await.is_err());
        silent.push((raw, ours));
    }
    assert_eq!(room.available_permits(), all - 4 * 64);
    // When one is over its room is free, though its parts are still there.
    let (_raw, mut ours) = silent.pop().unwrap();
    ours.sender.cut();
    assert!(matches!(soon(ours.reader.next()).await, Err(ConnectionError::Ended)));
    assert_eq!(room.available_permits(), all - 3 * 64);
}
