//! Readers, and a source that does what it is told to.

mod checks;
mod counts;
mod ends;
mod evicting;
mod gathering;
mod leaving;
mod runs;
mod scripted;
mod slow;
mod sources;

use std::{
    ops::Range,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt as _, future::join_all, stream};
use http::HeaderValue;
use http_body_util::BodyExt as _;
use longshore_oci::{Digest, RangeRequest};
use longshore_service::metrics::Metrics;
use scripted::{SCRIPTED, Scripted, refused};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::{
    piece::{PIECE_BYTES, PieceHashes},
    source::{Reading, Source, SourceError},
    store::{StoreMetrics, StoreSettings},
    supply::Supplier,
    upstream::{Identity, UpstreamError},
};

struct Cache {
    blobs: Blobs,
    store: Store,
    stop: CancellationToken,
    folder: tempfile::TempDir,
}

impl Cache {
    fn new(quota_bytes: u64, hot_bytes: u64, in_flight_bytes: u64) -> Self {
        Self::of(quota_bytes, hot_bytes, in_flight_bytes, Duration::from_secs(20))
    }

    fn of(quota_bytes: u64, hot_bytes: u64, in_flight_bytes: u64, budget_wait: Duration) -> Self {
        Self::idle_for(quota_bytes, hot_bytes, in_flight_bytes, budget_wait, Duration::from_millis(200))
    }

    fn idle_for(quota_bytes: u64, hot_bytes: u64, in_flight_bytes: u64, budget_wait: Duration, gathering_idle: Duration) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let metrics = Metrics::new();
        let settings = StoreSettings { sync_delay: Duration::from_millis(5), ..StoreSettings::new(folder.path(), quota_bytes) };
        let (store, keeper) = Store::open(settings, StoreMetrics::new(&metrics)).unwrap();
        let stop = CancellationToken::new();
        tokio::spawn(keeper.run(stop.clone()));
        let settings = BlobSettings {
            hot_bytes,
            in_flight_bytes,
            budget_wait,
            run_pieces: 4,
            read_ahead_pieces: 2,
            attempts: 3,
            gathering_idle,
        };
        let blobs = Blobs::new(store.clone(), settings, BlobMetrics::new(&metrics)).unwrap();
        Self { blobs, store, stop, folder }
    }

    fn roomy() -> Self {
        Self::new(1 << 30, 32 << 20, 16 << 20)
    }

    /// One that goes on for long where clients leave.
    fn patient() -> Self {
        Self::idle_for(1 << 30, 32 << 20, 16 << 20, Duration::from_secs(20), Duration::from_mins(1))
    }

    async fn read(&self, source: &Arc<Scripted>, range: RangeRequest) -> Result<Bytes, String> {
        let opened = self.blobs.open(&source.digest(), Arc::new(source.clone()), range).await;
        rest(opened.map_err(|error| error.to_string())?.body).await
    }

    async fn whole(&self, source: &Arc<Scripted>) -> Result<Bytes, String> {
        self.read(source, RangeRequest::Whole).await
    }

    /// Whether all of it comes and is right; nothing of it is gathered.
    async fn has_whole(&self, source: &Arc<Scripted>) -> bool {
        let opened = self.blobs.open(&source.digest(), Arc::new(source.clone()), RangeRequest::Whole).await;
        let (mut body, mut rest) = (opened.unwrap().body, &source.content[..]);
        while let Some(Ok(frame)) = body.frame().await {
            let Some(left) = rest.strip_prefix(&frame.data_ref().unwrap()[..]) else { return false };
            rest = left;
        }
        rest.is_empty()
    }
}

impl Drop for Cache {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// What is still to come. What is sent is let go, as a socket does.
async fn rest(mut body: BlobBody) -> Result<Bytes, String> {
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        bytes.extend_from_slice(frame.map_err(|error| error.to_string())?.data_ref().unwrap());
    }
    Ok(bytes.into())
}

async fn until(is_so: impl Fn() -> bool) {
    let waiting = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), waiting).await.expect("it comes to be so");
}

/// That no byte was asked for twice, and how many were.
fn once(asked: &[Range<u64>]) -> u64 {
    let mut asked = asked.to_vec();
    asked.sort_by_key(|range| range.start);
    assert!(asked.windows(2).all(|pair| pair[0].end <= pair[1].start), "{asked:?}");
    asked.iter().map(|range| range.end - range.start).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn many_readers_are_one_fetch() {
    for vouches in [true, false] {
        let (cache, source) = (Cache::roomy(), Scripted::of(9_500_000, vouches));
        let read = join_all((0..300).map(|_| cache.has_whole(&source))).await;
        assert!(read.iter().all(|is_right| *is_right));
        assert_eq!(once(&source.asked()), 9_500_000, "vouched for: {vouches}");
        assert_eq!(source.vouched.load(Ordering::SeqCst), 1);
        assert_eq!(cache.whole(&source).await.unwrap(), source.content);
        assert_eq!(once(&source.asked()), 9_500_000);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_range_is_its_pieces_and_no_others() {
    let (cache, source) = (Cache::roomy(), Scripted::of(9_500_000, true));
    let piece = usize::try_from(PIECE_BYTES).unwrap();
    let range = format!("bytes={}-{}", 3 * piece + 5, 4 * piece + 5);
    let read = cache.read(&source, RangeRequest::parse(&range)).await.unwrap();
    assert_eq!(read, source.content.slice(3 * piece + 5..=4 * piece + 5));
    assert_eq!(source.asked(), std::slice::from_ref(&(3 * PIECE_BYTES..5 * PIECE_BYTES)));
    assert_eq!(cache.whole(&source).await.unwrap(), source.content);
    assert_eq!(once(&source.asked()), 9_500_000);
    let past = cache.read(&source, RangeRequest::parse("bytes=9500000-")).await.unwrap_err();
    assert!(past.contains("9500000"), "{past}");
    assert!(cache.read(&Scripted::of(0, true), RangeRequest::Whole).await.unwrap().is_empty());
    assert!(cache.read(&Scripted::of(0, false), RangeRequest::Whole).await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_leaves_ends_nothing_and_who_is_slow_holds_nobody_up() {
    for vouches in [true, false] {
        let (cache, source) = (Cache::roomy(), Scripted::of(6_000_000, vouches));
        source.chunks.forget_permits(1 << 20);
        let leader = cache.blobs.open(&source.digest(), Arc::new(source.clone()), RangeRequest::Whole).await.unwrap();
        let mut slow = cache.blobs.open(&source.digest(), Arc::new(source.clone()), RangeRequest::Whole).await.unwrap();
        source.chunks.add_permits(12);
        let mut body = leader.body;
        body.frame().await.unwrap().unwrap();
        drop(body);
        source.chunks.add_permits(1 << 20);
        assert_eq!(cache.whole(&source).await.unwrap(), source.content);
        let first = slow.body.frame().await.unwrap().unwrap().into_data().unwrap();
        let rest = slow.body.collect().await.unwrap().to_bytes();
        assert_eq!([first, rest].concat(), source.content);
        assert_eq!(once(&source.asked()), 6_000_000, "vouched for: {vouches}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_neither_served_whole_nor_kept() {
    for vouches in [true, false] {
        for place in [0, 3_000_000, 5_999_999] {
            let (cache, source) = (Cache::roomy(), Scripted::of(6_000_000, vouches));
            *source.lies_at.lock().unwrap() = Some(place);
            let read = join_all((0..20).map(|_| cache.whole(&source))).await;
            assert!(read.iter().all(Result::is_err), "{place}");
            let entry = cache.store.peek(&source.digest());
            assert!(entry.is_none_or(|entry| vouches && !entry.is_complete()), "{place}");
            let wrong = &cache.blobs.0.metrics.wrong;
            assert!(wrong.with_label_values(&["scripted"]).get() > 0);
            *source.lies_at.lock().unwrap() = None;
            assert_eq!(cache.whole(&source).await.unwrap(), source.content, "{place}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_a_source_breaks_off_it_is_asked_to_go_on() {
    for vouches in [true, false] {
        let (cache, source) = (Cache::roomy(), Scripted::of(6_000_000, vouches));
        *source.breaks_at.lock().unwrap() = vec![2_500_000, 5_000_000];
        let read = join_all((0..20).map(|_| cache.whole(&source))).await;
        assert!(read.iter().all(|bytes| bytes.as_ref().unwrap() == &source.content), "vouched for: {vouches}");
        assert!(source.asked().len() <= 6, "{:?}", source.asked());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_room_it_is_passed_on() {
    for vouches in [true, false] {
        for quota in [0, 2_500_000] {
            let (cache, source) = (Cache::new(quota, 0, 16 << 20), Scripted::of(6_000_000, vouches));
            for _ in 0..2 {
                let read = join_all((0..5).map(|_| cache.whole(&source))).await;
                assert!(read.iter().all(|bytes| bytes.as_ref().unwrap() == &source.content), "{vouches}, {quota}");
            }
            assert!(cache.store.usage().disk_bytes <= quota, "{:?}", cache.store.usage());
            let tail = cache.read(&source, RangeRequest::parse("bytes=-10")).await.unwrap();
            assert_eq!(tail, source.content.slice(5_999_990..));
            *source.lies_at.lock().unwrap() = Some(5_000_000);
            if quota == 0 {
                cache.whole(&source).await.unwrap_err();
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_is_within_its_budget_however_many_read_slowly() {
    let (hot, in_flight) = (2 << 20, 4 << 20);
    let (cache, source) = (Cache::new(1 << 30, hot, in_flight), Scripted::of(20_000_000, true));
    cache.whole(&source).await.unwrap();
    // Each has had one frame, of a place of its own, and holds it.
    let mut slow = Vec::new();
    for place in 0..4 {
        let range = RangeRequest::parse(&format!("bytes={}-", place * 4_500_000));
        let mut opened = cache.blobs.open(&source.digest(), Arc::new(source.clone()), range).await.unwrap();
        let frame = tokio::time::timeout(Duration::from_secs(5), opened.body.frame()).await;
        slow.push((opened, frame));
    }
    let had = slow.iter().filter(|(_, frame)| matches!(frame, Ok(Some(Ok(_))))).count();
    assert!(had >= 2, "{had} had a frame");
    let held: usize = cache.blobs.0.hot.held_bytes();
    assert!(held as u64 <= hot + in_flight, "{held}");
    drop(slow);
    assert_eq!(cache.whole(&source).await.unwrap(), source.content);
    let rooms = join_all((0..in_flight / PIECE_BYTES).map(|_| cache.blobs.0.hot.room_for(PIECE_BYTES))).await;
    assert!(rooms.iter().all(Result::is_ok), "all that is in flight has been given back");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_evicted_under_its_readers_is_fetched_again() {
    let (cache, source) = (Cache::new(1 << 30, 0, 16 << 20), Scripted::of(9_500_000, true));
    cache.whole(&source).await.unwrap();
    let opened = cache.blobs.open(&source.digest(), Arc::new(source.clone()), RangeRequest::Whole).await.unwrap();
    let (mut body, mut bytes) = (opened.body, Vec::new());
    bytes.extend_from_slice(body.frame().await.unwrap().unwrap().data_ref().unwrap());
    assert!(cache.store.evict(&source.digest()).await.unwrap());
    let rest = tokio::time::timeout(Duration::from_secs(20), async {
        while let Some(frame) = body.frame().await {
            bytes.extend_from_slice(frame.unwrap().data_ref().unwrap());
        }
    });
    rest.await.expect("it comes to an end");
    assert_eq!(bytes, source.content);
}
