//! What is right piece by piece, and is to be right as a whole.

use jiff::Timestamp;

use super::*;
use crate::store::Pin;

#[tokio::test(flavor = "multi_thread")]
async fn what_came_by_pieces_is_hashed_when_all_of_it_is_here() {
    let (cache, source) = (Cache::roomy(), Scripted::of(3_500_000, true));
    let (digest, shared) = (source.digest(), &cache.blobs.0);
    cache.read(&source, RangeRequest::parse("bytes=0-2097151")).await.unwrap();
    assert!(!shared.provenance.is_whole_checked(&digest), "there is more of it");
    cache.whole(&source).await.unwrap();
    until(|| shared.provenance.is_whole_checked(&digest)).await;
    // As after a restart that came before it was hashed.
    shared.provenance.set(&digest, "scripted", false);
    cache.read(&source, RangeRequest::parse("bytes=-1")).await.unwrap();
    until(|| shared.provenance.is_whole_checked(&digest)).await;
    assert_eq!((once(&source.asked()), shared.metrics.wrong.with_label_values(&["scripted"]).get()), (3_500_000, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_right_by_pieces_and_wrong_as_a_whole_is_dropped_under_its_readers() {
    let (cache, source) = (Cache::roomy(), Scripted::of(3_500_000, true));
    let (liar, digest) = (Scripted::other(&source, "liar", true, false), source.digest());
    let pin = Pin {
        owner: "somebody".into(),
        reason: "a test".into(),
        image: None,
        digest: digest.clone(),
        size_bytes: 3_500_000,
        expires_at: None,
        created_at: Timestamp::now(),
    };
    cache.store.pin(pin).await.unwrap();
    let mut reader = cache.blobs.open(&digest, Arc::new(liar.clone()), RangeRequest::Whole).await.unwrap();
    reader.body.frame().await.unwrap().unwrap();
    drop(cache.read(&liar, RangeRequest::parse("bytes=1048576-")).await);
    let wrong = cache.blobs.0.metrics.wrong.with_label_values(&["liar"]);
    until(|| wrong.get() == 1).await;
    assert!(cache.store.peek(&digest).is_none(), "pinned or not");
    assert!(rest(reader.body).await.is_err(), "who reads it is cut");
    let asked = liar.asked().len();
    cache.whole(&liar).await.unwrap_err();
    assert_eq!(liar.asked().len(), asked + 1, "its pieces are not gathered again");
    assert!(cache.store.peek(&digest).is_none());
    assert_eq!(cache.whole(&source).await.unwrap(), source.content);
    assert_eq!(once(&source.asked()), 3_500_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_is_away_for_a_moment_is_asked_to_go_on() {
    let (cache, source) = (Cache::roomy(), Scripted::of(3_500_000, false));
    source.chunks.forget_permits(1 << 20);
    *source.breaks_at.lock().unwrap() = vec![2_500_000];
    let opened = cache.blobs.open(&source.digest(), Arc::new(source.clone()), RangeRequest::Whole).await.unwrap();
    source.away.store(1, Ordering::SeqCst);
    source.chunks.add_permits(1 << 20);
    assert_eq!(rest(opened.body).await.unwrap(), source.content);
    assert_eq!((source.away.load(Ordering::SeqCst), source.asked().len()), (0, 2));
}
