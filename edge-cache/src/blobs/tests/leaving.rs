//! Blobs that come whole, whose readers come and go; and blobs that are dropped.

use super::*;

/// The same, as somebody whose right ends after the first request.
struct Lapsed {
    source: Arc<Scripted>,
    identity: Identity,
    refused: AtomicUsize,
    has_ended: bool,
}

impl Lapsed {
    fn new(source: &Arc<Scripted>, name: &'static str, has_ended: bool) -> Arc<Self> {
        let identity = Identity::Caller(HeaderValue::from_static(name));
        Arc::new(Self { source: source.clone(), identity, refused: 0.into(), has_ended })
    }

    fn refusals(&self) -> usize {
        self.refused.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl Source for Lapsed {
    fn name(&self) -> &str {
        self.source.name
    }

    fn caller(&self) -> Option<&Identity> {
        Some(&self.identity)
    }

    async fn vouched(&self, digest: &Digest) -> Result<Option<(u64, PieceHashes)>, SourceError> {
        self.source.vouched(digest).await
    }

    async fn read(&self, digest: &Digest, range: Option<Range<u64>>) -> Result<Reading, SourceError> {
        if self.has_ended && range.is_some() {
            self.refused.fetch_add(1, Ordering::SeqCst);
            return Err(refused());
        }
        self.source.read(digest, range).await
    }
}

async fn body(cache: &Cache, source: &Arc<Scripted>, by: SharedSource) -> BlobBody {
    cache.blobs.open(&source.digest(), by, RangeRequest::Whole).await.unwrap().body
}

/// One that sends nothing yet, and then breaks off once.
fn breaking() -> Arc<Scripted> {
    let source = Scripted::of(6_000_000, false);
    source.chunks.forget_permits(1 << 20);
    *source.breaks_at.lock().unwrap() = vec![2_500_000];
    source
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_refused_hands_over_to_another_reader() {
    let (cache, source) = (Cache::roomy(), breaking());
    let [leader, other] = ["leader", "other"].map(|name| Lapsed::new(&source, name, true));
    let begun = body(&cache, &source, leader.clone()).await;
    let following = body(&cache, &source, Lapsed::new(&source, "follower", false)).await;
    let last = body(&cache, &source, other.clone()).await;
    source.chunks.add_permits(1 << 20);
    let read = join_all([begun, following, last].map(rest)).await;
    assert!(read.iter().all(|bytes| bytes.as_ref().unwrap() == &source.content));
    assert_eq!([leader.refusals(), other.refusals()], [1, 1]);
    assert_eq!(source.asked().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_all_are_refused_each_is_asked_as_once() {
    let (cache, source) = (Cache::roomy(), breaking());
    let readers = ["a", "b", "c"].map(|name| Lapsed::new(&source, name, true));
    let mut bodies = Vec::new();
    for reader in &readers {
        bodies.push(body(&cache, &source, reader.clone()).await);
    }
    source.chunks.add_permits(1 << 20);
    assert!(join_all(bodies.into_iter().map(rest)).await.iter().all(Result::is_err));
    assert_eq!(readers.map(|reader| reader.refusals()), [1, 1, 1]);
    assert_eq!(cache.whole(&source).await.unwrap(), source.content);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_reads_leaves_its_place_to_who_waits() {
    let (cache, source) = (Cache::roomy(), Scripted::of(6_000_000, false));
    let from = (source.name.into(), source.digest());
    source.chunks.forget_permits(1 << 20);
    source.is_waited_for.store(true, Ordering::SeqCst);
    let read = body(&cache, &source, Arc::new(source.clone())).await;
    tokio::time::sleep(3 * lapsing::BEHIND).await;
    assert_eq!(source.answering.load(Ordering::SeqCst), 1, "somebody reads it");
    drop(read);
    until(|| source.answering.load(Ordering::SeqCst) == 0).await;
    assert!(cache.blobs.0.whole(&from).is_none());
    source.chunks.add_permits(1 << 20);
    assert_eq!(cache.whole(&source).await.unwrap(), source.content);
    assert_eq!(source.asked().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_reads_goes_on_where_nobody_waits() {
    let (cache, source) = (Cache::roomy(), Scripted::of(6_000_000, false));
    source.chunks.forget_permits(1 << 20);
    drop(body(&cache, &source, Arc::new(source.clone())).await);
    tokio::time::sleep(3 * lapsing::BEHIND).await;
    source.chunks.add_permits(1 << 20);
    assert_eq!(cache.whole(&source).await.unwrap(), source.content);
    assert_eq!(once(&source.asked()), 6_000_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_what_is_dropped_nothing_is_remembered() {
    let (cache, source) = (Cache::roomy(), Scripted::of(3_000_000, true));
    let (digest, provenance) = (source.digest(), &cache.blobs.0.provenance);
    cache.whole(&source).await.unwrap();
    until(|| provenance.is_whole_checked(&digest)).await;
    assert!(provenance.of_nothing().is_empty());
    assert!(cache.store.evict(&digest).await.unwrap());
    until(|| !provenance.is_known(&digest)).await;
    // As where it was missed.
    provenance.set(&digest, source.name, false);
    assert_eq!(provenance.of_nothing(), [Arc::new(digest)]);
}
