//! Gatherings that end before all has come.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn what_breaks_off_is_begun_anew_where_it_was() {
    for ending in [Ending::Fails, Ending::Stops] {
        let (cache, swarm) = (Cache::roomy(), Swarm::of(9_500_000));
        *swarm.endings.lock().unwrap() = [(3, ending), (0, ending), (4, ending)].into();
        let read = join_all((0..20).map(|_| cache.read_by(&swarm, ""))).await;
        assert!(read.iter().all(|bytes| bytes.as_ref().unwrap() == &swarm.behind.content), "{ending:?}");
        assert_eq!((swarm.begun(), swarm.brought_once()), (4, 10), "{ending:?}");
        assert!(swarm.behind.asked().is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_wrong_again_and_again_is_told() {
    for ending in [Ending::Fails, Ending::Stops, Ending::Cuts] {
        let (cache, swarm) = (Cache::roomy(), Swarm::of(3_500_000));
        *swarm.endings.lock().unwrap() = vec![(0, ending); 3].into();
        let error = cache.read_by(&swarm, "").await.unwrap_err();
        assert!(error.contains(&swarm.digest().to_string()), "{error}");
        assert_eq!(swarm.begun(), 3, "as often as a run is");
        let wrong = cache.blobs.0.metrics.wrong.with_label_values(&[swarm.behind.name]).get();
        assert_eq!(wrong, 3, "{ending:?}");
        assert_eq!(cache.read_by(&swarm, "").await.unwrap(), swarm.behind.content);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_dropped_meanwhile_is_streamed_as_it_is_read() {
    let (cache, swarm) = (Cache::new(1 << 30, 0, 16 << 20), Swarm::of(9_500_000));
    swarm.hold();
    let reading = cache.reader_at(&swarm, 0).await;
    swarm.pieces.add_permits(2);
    let (body, first) = reading.await.unwrap();
    until(|| swarm.landed() == 2).await;
    assert!(cache.store.evict(&swarm.digest()).await.unwrap());
    swarm.pieces.add_permits(1);
    let rest = rest(body).await.unwrap();
    assert_eq!([first, rest].concat(), swarm.behind.content);
    assert!(swarm.behind.asked().iter().all(|range| range.end - range.start <= PIECE_BYTES), "{:?}", swarm.behind.asked());
    assert!(cache.store.peek(&swarm.digest()).is_none());
    until(|| swarm.running() == 0).await;
    assert_eq!(swarm.begun(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_dropped_is_gathered_for_who_begins_it_anew() {
    let (cache, swarm) = (Cache::roomy(), Swarm::of(3_500_000));
    let digest = swarm.digest();
    swarm.hold();
    let reading = cache.reader_at(&swarm, 0).await;
    assert!(cache.store.evict(&digest).await.unwrap());
    until(|| !cache.blobs.0.provenance.is_known(&digest)).await;
    let anew = cache.open_by(&swarm, "").await;
    let anew = tokio::spawn(rest(anew));
    swarm.pieces.add_permits(100);
    let (body, first) = reading.await.unwrap();
    assert_eq!([first, rest(body).await.unwrap()].concat(), swarm.behind.content);
    assert_eq!(anew.await.unwrap().unwrap(), swarm.behind.content);
    assert_eq!(swarm.begun(), 2, "the first knew of other pieces that are here");
    until(|| cache.blobs.0.provenance.is_whole_checked(&digest)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_the_blob_as_a_whole_is_dropped() {
    let cache = Cache::roomy();
    let honest = Scripted::of(3_500_000, true);
    let swarm = Swarm::before(Scripted::other(&honest, "liar", true, false));
    drop(cache.read_by(&swarm, "").await);
    let wrong = cache.blobs.0.metrics.wrong.with_label_values(&["liar"]);
    until(|| wrong.get() == 1).await;
    until(|| cache.blobs.kept(&swarm.digest(), SCRIPTED).is_none()).await;
    assert_eq!((swarm.begun(), swarm.brought_once()), (1, 4));
    assert_eq!(cache.whole(&honest).await.unwrap(), honest.content);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_who_knows_no_ranges_the_rest_comes_as_one_stream() {
    let (cache, swarm) = (Cache::roomy(), Swarm::of(9_500_000));
    *swarm.endings.lock().unwrap() = [(3, Ending::KnowsNoRanges)].into();
    let read = join_all((0..10).map(|_| cache.read_by(&swarm, ""))).await;
    assert!(read.iter().all(|bytes| bytes.as_ref().unwrap() == &swarm.behind.content));
    assert_eq!((swarm.begun(), swarm.brought_once(), swarm.behind.asked().len()), (1, 3, 1));
    // Nor is it asked to gather the next.
    assert!(cache.store.evict(&swarm.digest()).await.unwrap());
    assert_eq!(cache.read_by(&swarm, "").await.unwrap(), swarm.behind.content);
    assert_eq!(swarm.begun(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn at_the_cache_s_end_nothing_more_comes_and_what_came_is_kept() {
    let (cache, swarm) = (Cache::roomy(), Swarm::of(9_500_000));
    swarm.hold();
    swarm.pieces.add_permits(3);
    let (body, _) = cache.reader_at(&swarm, 4).await.await.unwrap();
    until(|| swarm.landed() == 3).await;
    let reading = tokio::spawn(rest(body));
    let streamed = Scripted::of(6_000_000, true);
    streamed.chunks.forget_permits(1 << 20);
    let streaming = cache.blobs.open(&streamed.digest(), Arc::new(streamed.clone()), RangeRequest::Whole).await.unwrap().body;
    let streaming = tokio::spawn(rest(streaming));
    until(|| streamed.answering.load(Ordering::SeqCst) == 1).await;
    tokio::time::timeout(Duration::from_secs(5), cache.blobs.wait_until_kept()).await.expect("nothing keeps it waiting");
    assert_eq!((swarm.running(), streamed.answering.load(Ordering::SeqCst)), (0, 0));
    assert_eq!(cache.store.peek(&swarm.digest()).unwrap().present().count(), 3);
    for cut_off in [reading, streaming] {
        assert!(cut_off.await.unwrap().is_err(), "who still reads is told");
    }
}
