//! Clients that read slowly, and memory that is short.

use longshore_service::budget::NoBudget;

use super::*;
use crate::hot::Room;

/// All memory that there is.
async fn all_memory(cache: &Cache) -> Vec<Room> {
    let mut rooms = Vec::new();
    while let Ok(room) = cache.blobs.0.hot.room_for(PIECE_BYTES).await {
        rooms.push(room);
    }
    rooms
}

#[tokio::test(flavor = "multi_thread")]
async fn where_memory_is_short_that_is_told_before_an_answer_begins() {
    for (vouches, quota) in [(true, 1 << 30), (true, 0), (false, 1 << 30), (false, 0)] {
        let cache = Cache::of(quota, 0, 4 << 20, Duration::from_millis(50));
        let source = Scripted::of(3_500_000, vouches);
        let rooms = all_memory(&cache).await;
        let opened = cache.blobs.open(&source.digest(), Arc::new(source.clone()), RangeRequest::Whole).await;
        assert!(matches!(opened, Err(OpenError::NoBudget(NoBudget))), "{vouches}, {quota}");
        drop(rooms);
        let rooms = all_memory(&cache).await;
        assert_eq!(rooms.len(), 4, "nothing of it is held");
        let patient = Cache::new(quota, 0, 4 << 20);
        assert_eq!(patient.whole(&source).await.unwrap(), source.content, "{vouches}, {quota}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_being_answered_waits_for_memory() {
    for vouches in [true, false] {
        let cache = Cache::of(1 << 30, 0, 8 << 20, Duration::from_millis(100));
        let source = Scripted::of(3_500_000, vouches);
        let opened = cache.blobs.open(&source.digest(), Arc::new(source.clone()), RangeRequest::Whole).await.unwrap();
        let rooms = all_memory(&cache).await;
        let freed = async {
            tokio::time::sleep(Duration::from_millis(350)).await;
            drop(rooms);
        };
        let (read, ()) = tokio::join!(rest(opened.body), freed);
        assert_eq!(read.unwrap(), source.content, "vouched for: {vouches}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_behind_holds_one_piece() {
    let (cache, source) = (Cache::new(1 << 30, 0, 16 << 20), Scripted::of(6_000_000, true));
    let digest = source.digest();
    cache.whole(&source).await.unwrap();
    until(|| cache.blobs.0.provenance.is_whole_checked(&digest)).await;
    let mut body = cache.blobs.open(&digest, Arc::new(source.clone()), RangeRequest::Whole).await.unwrap().body;
    for _ in 0..2 {
        let frame = body.frame().await.unwrap().unwrap();
        tokio::time::sleep(lapsing::BEHIND).await;
        until(|| cache.blobs.0.hot.held_bytes() as u64 == PIECE_BYTES).await;
        drop(frame);
    }
    let rest = rest(body).await.unwrap();
    assert_eq!(rest, source.content.slice(2 << 20..));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_behind_holds_no_answer_of_the_source() {
    let (cache, source) = (Cache::new(0, 0, 16 << 20), Scripted::of(6_000_000, false));
    let mut body = cache.blobs.open(&source.digest(), Arc::new(source.clone()), RangeRequest::Whole).await.unwrap().body;
    let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
    until(|| source.answering.load(Ordering::SeqCst) == 0).await;
    assert_eq!([first, rest(body).await.unwrap()].concat(), source.content);
    // After the answer that showed how it can be had, which is the reader's.
    let asked = source.asked().split_off(1);
    assert!(asked.iter().all(|range| range.end - range.start <= PIECE_BYTES), "{asked:?}");
    assert_eq!(once(&asked), 6_000_000 - asked[0].start, "what was let go is asked for once more, and nothing else");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_larger_than_the_quota_is_one_copy_for_all_who_read_it_together() {
    let (cache, source) = (Cache::new(2_500_000, 32 << 20, 16 << 20), Scripted::of(9_500_000, true));
    let read = join_all((0..100).map(|_| cache.has_whole(&source))).await;
    assert!(read.iter().all(|is_right| *is_right));
    assert_eq!((once(&source.asked()), cache.store.usage().disk_bytes), (9_500_000, 0));
    // Another's word for something else stays apart.
    let liar = Scripted::other(&source, "liar", true, false);
    let (told, read) = tokio::join!(cache.whole(&liar), cache.whole(&source));
    assert_eq!((told.is_err(), read.unwrap()), (true, source.content.clone()));
    assert_eq!(cache.blobs.0.metrics.wrong.with_label_values(&["liar"]).get(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_takes_little_at_a_time_holds_no_answer_of_the_source() {
    let (cache, source) = (Cache::new(0, 0, 16 << 20), Scripted::of(4_000_000, false));
    let mut body = cache.blobs.open(&source.digest(), Arc::new(source.clone()), RangeRequest::Whole).await.unwrap().body;
    let mut bytes = Vec::new();
    for _ in 0..6 {
        bytes.extend_from_slice(body.frame().await.unwrap().unwrap().data_ref().unwrap());
        tokio::time::sleep(lapsing::BEHIND / 4).await;
    }
    assert_eq!(source.answering.load(Ordering::SeqCst), 0);
    bytes.extend_from_slice(&rest(body).await.unwrap());
    assert_eq!(bytes, source.content);
}
