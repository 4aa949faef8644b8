//! A source that gathers: pieces in an order of its own, and who waits for them.

mod ends;
mod keeping;
mod swarm;
mod warming;

use super::*;
use swarm::{Ending, Swarm};

impl Cache {
    async fn open_by(&self, swarm: &Arc<Swarm>, range: &str) -> BlobBody {
        let range = if range.is_empty() { RangeRequest::Whole } else { RangeRequest::parse(range) };
        self.blobs.open(&swarm.digest(), swarm.shared(), range).await.unwrap().body
    }

    async fn read_by(&self, swarm: &Arc<Swarm>, range: &str) -> Result<Bytes, String> {
        rest(self.open_by(swarm, range).await).await
    }

    /// One who reads from the beginning of a piece on, and waits for it.
    async fn reader_at(&self, swarm: &Arc<Swarm>, piece: u32) -> tokio::task::JoinHandle<(BlobBody, Bytes)> {
        let mut body = self.open_by(swarm, &format!("bytes={}-", u64::from(piece) * PIECE_BYTES)).await;
        let reading = tokio::spawn(async move {
            let frame = body.frame().await.unwrap().unwrap();
            (body, frame.into_data().unwrap())
        });
        until(|| swarm.read_at() == Some(piece)).await;
        reading
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn in_whatever_order_each_piece_comes_once_for_all() {
    let (cache, swarm) = (Cache::roomy(), Swarm::of(9_500_000));
    let read = join_all((0..60).map(|_| cache.read_by(&swarm, ""))).await;
    assert!(read.iter().all(|bytes| bytes.as_ref().unwrap() == &swarm.behind.content));
    assert_eq!((swarm.begun(), swarm.brought_once(), swarm.landed()), (1, 10, 10));
    assert!(swarm.behind.asked().is_empty(), "nothing of it came as a stream");
    let (name, metrics) = ([swarm.behind.name], &cache.blobs.0.metrics);
    let counted =
        || [&metrics.served_bytes, &metrics.hit_bytes, &metrics.fetched_bytes].map(|bytes| bytes.with_label_values(&name).get());
    let [served, hit, fetched] = counted();
    assert_eq!((served, fetched), (60 * 9_500_000, 0), "nothing of it came from the upstream");
    assert!(hit <= 59 * 9_500_000, "{hit} were here when they were asked for, and there was nothing for the first");
    assert_eq!(metrics.supplied_bytes.with_label_values(&[name[0], "neighbours"]).get(), 9_500_000);
    let came = cache.blobs.transfers().of(&swarm.digest()).unwrap();
    assert_eq!((came.supplied.neighbour_bytes, came.supplied.sum(), came.size_bytes), (9_500_000, 9_500_000, 9_500_000));
    until(|| cache.blobs.0.provenance.is_whole_checked(&swarm.digest()) && swarm.running() == 0).await;
    assert_eq!(metrics.pieces_in_flight.get(), 0);
    assert!(!cache.blobs.transfers().of(&swarm.digest()).unwrap().is_coming);
    assert_eq!(cache.read_by(&swarm, "").await.unwrap(), swarm.behind.content);
    assert_eq!(swarm.begun(), 1);
    assert_eq!(counted(), [61 * 9_500_000, hit + 9_500_000, 0], "now it is here");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_a_client_reads_comes_first() {
    let (cache, swarm) = (Cache::roomy(), Swarm::of(9_500_000));
    swarm.hold();
    let reading = cache.reader_at(&swarm, 5).await;
    swarm.pieces.add_permits(1);
    let (mut body, first) = reading.await.unwrap();
    assert_eq!(first, swarm.behind.content.slice(5 << 20..6 << 20));
    swarm.pieces.add_permits(1);
    body.frame().await.unwrap().unwrap();
    assert_eq!(swarm.brought(), [5, 6]);
    swarm.pieces.add_permits(100);
    assert_eq!(rest(body).await.unwrap(), swarm.behind.content.slice(7 << 20..));
    until(|| swarm.running() == 0).await;
    assert_eq!(swarm.brought_once(), 10, "the rest of the blob comes too");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_readers_who_waits_comes_first_and_who_leaves_is_forgotten() {
    let (cache, swarm) = (Cache::roomy(), Swarm::of(9_500_000));
    swarm.hold();
    let one = cache.reader_at(&swarm, 1).await;
    let other = cache.reader_at(&swarm, 7).await;
    assert_eq!(cache.blobs.0.flights.at_work(), (0, true));
    swarm.pieces.add_permits(1);
    let other = other.await.unwrap();
    until(|| swarm.read_at() == Some(1)).await;
    swarm.pieces.add_permits(1);
    let one = one.await.unwrap();
    assert_eq!((swarm.brought(), swarm.begun()), (vec![7, 1], 1));
    assert_eq!(cache.blobs.0.flights.at_work(), (0, false), "both have what they waited for");
    drop(one);
    until(|| swarm.read_at() == Some(7)).await;
    drop(other);
    until(|| swarm.read_at().is_none()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_wants_ends_and_what_came_stays() {
    let (cache, swarm) = (Cache::roomy(), Swarm::of(9_500_000));
    let idle = cache.blobs.0.settings.gathering_idle;
    swarm.hold();
    swarm.pieces.add_permits(3);
    let reading = cache.reader_at(&swarm, 4).await;
    let reader = reading.await.unwrap();
    until(|| swarm.landed() == 3).await;
    let other = Swarm::of(8_500_000);
    other.hold();
    cache.reader_at(&other, 0).await.abort();
    until(|| other.running() == 0).await;
    assert_eq!(swarm.running(), 1, "somebody reads");
    let left = std::time::Instant::now();
    drop(reader);
    until(|| swarm.running() == 0).await;
    assert!(left.elapsed() >= idle);
    assert_eq!(cache.blobs.0.metrics.pieces_in_flight.get(), 0);
    assert_eq!(cache.store.peek(&swarm.digest()).unwrap().present().count(), 3);
    swarm.pieces.add_permits(100);
    assert_eq!(cache.read_by(&swarm, "").await.unwrap(), swarm.behind.content);
    assert_eq!((swarm.begun(), swarm.brought_once()), (2, 10));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_streams_is_not_waited_for_by_another_way() {
    let (cache, swarm) = (Cache::roomy(), Swarm::of(9_500_000));
    swarm.behind.chunks.forget_permits(1 << 20);
    let range = RangeRequest::parse(&format!("bytes={}-{}", 2 << 20, (4 << 20) - 1));
    let streamed = cache.blobs.open(&swarm.digest(), Arc::new(swarm.behind.clone()), range).await.unwrap().body;
    let streamed = tokio::spawn(rest(streamed));
    until(|| !swarm.behind.asked().is_empty()).await;
    let stuck =
        |what: &str| format!("{what}: {} began, came {:?}, asked {:?}", swarm.begun(), swarm.brought(), swarm.behind.asked());
    let limit = Duration::from_mins(1);
    let opened = tokio::time::timeout(limit, cache.open_by(&swarm, "")).await;
    let body = opened.unwrap_or_else(|_| panic!("{}", stuck("it does not open")));
    swarm.behind.chunks.add_permits(1 << 20);
    let read = tokio::time::timeout(limit, rest(body)).await;
    assert_eq!(read.unwrap_or_else(|_| panic!("{}", stuck("it does not end"))).unwrap(), swarm.behind.content);
    let streamed = tokio::time::timeout(limit, streamed).await;
    let streamed = streamed.unwrap_or_else(|_| panic!("{}", stuck("the stream does not end")));
    assert_eq!(streamed.unwrap().unwrap(), swarm.behind.content.slice(2 << 20..4 << 20));
    assert_eq!((swarm.begun(), swarm.behind.asked().len()), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_is_within_its_budget_and_given_back() {
    let (cache, swarm) = (Cache::new(1 << 30, 0, 4 << 20), Swarm::of(20_000_000));
    let all = async {
        let mut rooms = Vec::new();
        for _ in 0..4 {
            rooms.push(cache.blobs.0.hot.room_for(PIECE_BYTES).await.unwrap());
        }
        rooms
    };
    let body = cache.open_by(&swarm, "").await;
    let rooms = all.await;
    let reading = tokio::spawn(rest(body));
    until(|| swarm.begun() == 1).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(swarm.brought().is_empty(), "there is no memory for any");
    drop(rooms);
    assert_eq!(reading.await.unwrap().unwrap(), swarm.behind.content);
    until(|| swarm.running() == 0).await;
    let rooms = join_all((0..4).map(|_| cache.blobs.0.hot.room_for(PIECE_BYTES))).await;
    assert!(rooms.iter().all(Result::is_ok));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_short_piece_takes_no_more_memory_than_it_is_long() {
    let (cache, swarm) = (Cache::new(1 << 30, 4 << 20, 4 << 20), Swarm::of(70_000));
    assert_eq!(cache.read_by(&swarm, "").await.unwrap(), swarm.behind.content);
    let all_but = |kibibytes: u64| cache.blobs.0.hot.budget().try_take((8 << 20) - (kibibytes << 10));
    until(|| all_but(69).is_some()).await;
    assert!(all_but(68).is_none(), "it stays in memory");
}
