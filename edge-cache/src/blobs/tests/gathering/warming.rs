//! Blobs that are gathered though nobody reads them yet.

use tokio::task::JoinHandle;

use super::*;

type Told = Arc<Mutex<Vec<Fetched>>>;

/// Has a blob prewarmed; and what was told of how far it has come.
fn warm(
    cache: &Cache,
    source: SharedSource,
    digest: Digest,
    background: &Background,
) -> (JoinHandle<Result<Fetched, OpenError>>, Told) {
    let told = Told::default();
    let (blobs, background, telling) = (cache.blobs.clone(), background.clone(), told.clone());
    let tell = move |fetched| telling.lock().unwrap().push(fetched);
    (tokio::spawn(async move { blobs.prewarm(&digest, source, &background, tell).await }), told)
}

fn patient(patience: Duration) -> Background {
    Background::new(BackgroundSettings { pieces: 4, run_pieces: 4, patience })
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_told_how_far_it_has_come_in_whatever_order_it_comes() {
    let (cache, swarm) = (Cache::roomy(), Swarm::of(9_500_000));
    swarm.hold();
    let (warming, told) = warm(&cache, swarm.shared(), swarm.digest(), &patient(Duration::ZERO));
    let pieces = || told.lock().unwrap().last().map_or(0, |fetched| fetched.pieces);
    for count in 1..=10 {
        swarm.pieces.add_permits(1);
        until(|| pieces() == count).await;
    }
    assert_eq!(warming.await.unwrap().unwrap(), Fetched::all_of(9_500_000));
    assert!(cache.blobs.0.provenance.is_whole_checked(&swarm.digest()));
    assert_eq!(swarm.brought(), (0..10).rev().collect::<Vec<u32>>(), "nobody reads it");
    assert!(told.lock().unwrap().is_sorted_by_key(|fetched| fetched.bytes));
    assert_eq!((swarm.begun(), swarm.behind.asked().len()), (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_reads_and_who_warms_have_one_gathering() {
    for reader_is_first in [true, false] {
        let (cache, swarm) = (Cache::roomy(), Swarm::of(9_500_000));
        swarm.hold();
        let warm = || warm(&cache, swarm.shared(), swarm.digest(), &patient(Duration::ZERO)).0;
        let early = (!reader_is_first).then(warm);
        if !reader_is_first {
            until(|| swarm.begun() == 1).await;
            assert_eq!(cache.blobs.0.flights.at_work(), (0, false), "no client waits");
        }
        let reading = cache.reader_at(&swarm, 3).await;
        let warming = early.unwrap_or_else(warm);
        swarm.pieces.add_permits(1);
        let (body, first) = reading.await.unwrap();
        assert_eq!(swarm.brought(), [3], "who reads comes first");
        swarm.pieces.add_permits(100);
        assert_eq!([first, rest(body).await.unwrap()].concat(), swarm.behind.content.slice(3 << 20..));
        assert_eq!(warming.await.unwrap().unwrap(), Fetched::all_of(9_500_000));
        assert_eq!((swarm.begun(), swarm.brought_once()), (1, 10));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_warmed_holds_up_nothing_else_and_clients_do() {
    let (cache, swarm, other) = (Cache::roomy(), Swarm::of(9_500_000), Scripted::of(3_000_000, true));
    let background = patient(Duration::from_mins(1));
    swarm.hold();
    let (warming, _) = warm(&cache, swarm.shared(), swarm.digest(), &background);
    until(|| swarm.begun() == 1).await;
    let (streamed, _) = warm(&cache, Arc::new(other.clone()), other.digest(), &background);
    let streamed = tokio::time::timeout(Duration::from_secs(20), streamed).await;
    assert_eq!(streamed.expect("it takes no turn").unwrap().unwrap(), Fetched::all_of(3_000_000));
    let reading = cache.reader_at(&swarm, 3).await;
    let another = Scripted::of(2_000_000, true);
    let (streamed, _) = warm(&cache, Arc::new(another.clone()), another.digest(), &background);
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(another.asked().is_empty(), "a client waits");
    swarm.pieces.add_permits(100);
    drop(reading.await.unwrap());
    assert_eq!(streamed.await.unwrap().unwrap(), Fetched::all_of(2_000_000));
    warming.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_gives_up_warming_ends_it_at_once_and_not_for_others() {
    let (cache, swarm, left) = (Cache::patient(), Swarm::of(9_500_000), Swarm::of(8_500_000));
    let [warming, leaving] = [&swarm, &left].map(|swarm| {
        swarm.hold();
        warm(&cache, swarm.shared(), swarm.digest(), &patient(Duration::ZERO)).0
    });
    until(|| swarm.begun() == 1 && left.begun() == 1).await;
    leaving.abort();
    until(|| left.running() == 0).await;
    assert_eq!(swarm.running(), 1, "it is waited for");
    swarm.pieces.add_permits(2);
    until(|| swarm.landed() == 2).await;
    let other = warm(&cache, swarm.shared(), swarm.digest(), &patient(Duration::ZERO)).0;
    let reader = cache.reader_at(&swarm, 4).await;
    swarm.pieces.add_permits(1);
    let reader = reader.await.unwrap();
    warming.abort();
    other.abort();
    assert!(warming.await.is_err() && other.await.is_err());
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(swarm.running(), 1, "somebody reads");
    drop(reader);
    // Who reads may come again.
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(swarm.running(), 1);
    let again = warm(&cache, swarm.shared(), swarm.digest(), &patient(Duration::ZERO)).0;
    swarm.pieces.add_permits(100);
    assert_eq!(again.await.unwrap().unwrap(), Fetched::all_of(9_500_000));
    assert_eq!((swarm.begun(), swarm.brought_once()), (1, 10));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_is_tried_again_and_told() {
    let (cache, swarm) = (Cache::roomy(), Swarm::of(3_500_000));
    *swarm.endings.lock().unwrap() = vec![(1, Ending::Fails), (0, Ending::Fails), (1, Ending::Fails)].into();
    let (warming, _) = warm(&cache, swarm.shared(), swarm.digest(), &patient(Duration::ZERO));
    assert_eq!(warming.await.unwrap().unwrap(), Fetched::all_of(3_500_000));
    assert_eq!((swarm.begun(), swarm.brought_once()), (4, 4));
    let (cache, failing) = (Cache::roomy(), Swarm::of(3_000_000));
    *failing.endings.lock().unwrap() = vec![(0, Ending::Fails); 10].into();
    let (warming, _) = warm(&cache, failing.shared(), failing.digest(), &patient(Duration::ZERO));
    warming.await.unwrap().unwrap_err();
    assert_eq!(failing.begun(), 3);
}
