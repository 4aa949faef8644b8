//! Blobs that are dropped, and what memory has of them.

use super::*;

/// A cache that has all of a blob, on the disk and in memory, and who brought it.
async fn full() -> (Cache, Arc<Scripted>) {
    let (cache, source) = (Cache::roomy(), Scripted::of(9_500_000, true));
    cache.whole(&source).await.unwrap();
    until(|| cache.blobs.0.provenance.is_whole_checked(&source.digest())).await;
    (cache, source)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_evicted_by_hand_is_not_in_memory_either() {
    let (cache, source) = full().await;
    let (shared, digest) = (&cache.blobs.0, source.digest());
    let keys: Vec<PieceKey> = {
        let entry = shared.store.peek(&digest).unwrap();
        (0..10).map(|piece| entry.hashes().get(PieceIndex(piece)).unwrap()).collect()
    };
    assert!(keys.iter().all(|key| shared.hot.has(key)));
    assert!(cache.blobs.evict(&digest).await.unwrap());
    until(|| !keys.iter().any(|key| shared.hot.has(key))).await;
    assert!(!cache.blobs.evict(&digest).await.unwrap());
    assert_eq!(cache.whole(&source).await.unwrap(), source.content);
    until(|| shared.store.peek(&digest).is_some_and(|entry| entry.is_complete())).await;
    let asked = source.asked();
    assert_eq!(asked.iter().map(|range| range.end - range.start).sum::<u64>(), 2 * 9_500_000, "{asked:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_memory_has_of_a_dropped_blob_is_kept_again_and_not_fetched() {
    let (cache, source) = full().await;
    let (shared, digest) = (&cache.blobs.0, source.digest());
    // As where room is made: what is asked for often stays in memory.
    assert!(cache.store.evict(&digest).await.unwrap());
    until(|| !shared.provenance.is_known(&digest)).await;
    assert_eq!(cache.whole(&source).await.unwrap(), source.content);
    until(|| shared.provenance.is_whole_checked(&digest)).await;
    assert!(shared.store.peek(&digest).unwrap().is_complete());
    assert_eq!(once(&source.asked()), 9_500_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_short_blob_that_memory_has_is_kept_again() {
    let (cache, source) = (Cache::roomy(), Scripted::of(70_000, true));
    cache.whole(&source).await.unwrap();
    let digest = source.digest();
    until(|| cache.blobs.0.provenance.is_whole_checked(&digest)).await;
    assert!(cache.store.evict(&digest).await.unwrap());
    assert_eq!(cache.whole(&source).await.unwrap(), source.content);
    until(|| cache.store.peek(&digest).is_some_and(|entry| entry.is_complete())).await;
    assert_eq!(once(&source.asked()), 70_000);
}
