//! Several who have the same, or say so, and several who ask.

use super::{scripted::Caller, *};

#[tokio::test(flavor = "multi_thread")]
async fn what_one_is_refused_another_may_have() {
    for vouches in [true, false] {
        let (cache, source) = (Cache::roomy(), Scripted::of(3_000_000, vouches));
        source.refuses.store(true, Ordering::SeqCst);
        let read = join_all((0..10).map(|_| cache.whole(&source))).await;
        let refused = read.iter().filter(|bytes| bytes.is_err()).count();
        assert!(refused <= 1, "{refused} of 10 were told what one was");
        assert!(read.iter().flatten().all(|bytes| *bytes == source.content));
    }
}

#[tokio::test]
async fn what_limits_one_limits_no_other() {
    for vouches in [true, false] {
        let (cache, source) = (Cache::roomy(), Scripted::of(3_000_000, vouches));
        let digest = source.digest();
        let open = |name, is_limited| {
            let identity = Identity::Caller(HeaderValue::from_static(name));
            cache.blobs.open(&digest, Arc::new(Caller { source: source.clone(), identity, is_limited }), RangeRequest::Whole)
        };
        let (first, same, other) = tokio::join!(open("one", true), open("one", true), open("other", false));
        assert!(first.is_err() && same.is_err() && other.is_ok(), "vouched for: {vouches}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_source_brought_is_not_another_s() {
    for vouches in [true, false] {
        let (cache, source) = (Cache::roomy(), Scripted::of(3_000_000, vouches));
        let liar = Scripted::other(&source, "liar", true, false);
        // It vouches for something else, and has it: its own callers are told that until all of it was seen, and nobody else.
        assert!(cache.whole(&liar).await.ok().is_none_or(|told| told == liar.content));
        for _ in 0..2 {
            assert!(cache.whole(&source).await.unwrap() == source.content, "vouched for: {vouches}");
        }
        assert_eq!(once(&source.asked()), 3_000_000, "and what is right is kept");
        // Who has nothing of it gets nothing of it.
        let bare = Scripted::other(&source, "bare", false, false);
        cache.whole(&bare).await.unwrap_err();
        assert_eq!(bare.asked().len(), 1, "it was asked itself");
        let shown_as = |of: &str| cache.blobs.kept(&source.digest(), of).is_some();
        assert!(shown_as(SCRIPTED) && !shown_as("bare") && !shown_as("twin"), "nor is it shown to who may pull from there");
        assert_eq!(cache.blobs.read_kept(&source.digest(), "twin", PieceIndex(0)).await.unwrap(), None);
        let twin = Scripted::other(&source, "twin", false, true);
        for _ in 0..3 {
            assert_eq!(cache.whole(&twin).await.unwrap(), source.content);
        }
        assert_eq!(twin.asked().len(), 1, "it has shown that it has the same");
        assert_eq!(cache.whole(&source).await.unwrap(), source.content);
        assert_eq!(once(&source.asked()), 3_000_000);
    }
}
