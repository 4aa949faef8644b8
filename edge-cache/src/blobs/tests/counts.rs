//! What is counted of what clients are handed.

use super::*;

/// How many bytes were handed to clients, and how many of them counted as hits.
fn served_and_hit(cache: &Cache, source: &Scripted) -> [u64; 2] {
    let metrics = &cache.blobs.0.metrics;
    [&metrics.served_bytes, &metrics.hit_bytes].map(|bytes| bytes.with_label_values(&[source.name]).get())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_follows_another_s_fetch_is_a_hit() {
    for vouches in [true, false] {
        let (cache, source) = (Cache::roomy(), Scripted::of(9_500_000, vouches));
        let read = join_all((0..60).map(|_| cache.has_whole(&source))).await;
        assert!(read.iter().all(|is_right| *is_right));
        assert_eq!(served_and_hit(&cache, &source), [60 * 9_500_000, 59 * 9_500_000], "vouched for: {vouches}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_reads_alone_is_no_hit() {
    for vouches in [true, false] {
        let (cache, source) = (Cache::roomy(), Scripted::of(9_500_000, vouches));
        assert_eq!(cache.whole(&source).await.unwrap(), source.content);
        assert_eq!(served_and_hit(&cache, &source), [9_500_000, 0], "vouched for: {vouches}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_reads_what_is_being_prewarmed_is_a_hit() {
    for vouches in [true, false] {
        let (cache, source) = (Cache::roomy(), Scripted::of(3_000_000, vouches));
        source.chunks.forget_permits(1 << 20);
        let background = Background::new(BackgroundSettings { patience: Duration::ZERO, ..BackgroundSettings::default() });
        let is_told = Arc::new(AtomicBool::new(false));
        let (blobs, digest, by) = (cache.blobs.clone(), source.digest(), Arc::new(source.clone()));
        let telling = is_told.clone();
        let tell = move |_| telling.store(true, Ordering::SeqCst);
        let warming = tokio::spawn(async move { blobs.prewarm(&digest, by, &background, tell).await });
        until(|| is_told.load(Ordering::SeqCst) && !source.asked().is_empty()).await;
        let opened = cache.blobs.open(&source.digest(), Arc::new(source.clone()), RangeRequest::Whole).await.unwrap();
        source.chunks.add_permits(1 << 20);
        assert_eq!(rest(opened.body).await.unwrap(), source.content);
        warming.await.unwrap().unwrap();
        assert_eq!(served_and_hit(&cache, &source), [3_000_000; 2], "vouched for: {vouches}");
        assert_eq!(once(&source.asked()), 3_000_000);
    }
}
