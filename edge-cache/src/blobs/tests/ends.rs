//! Answers that end before their time, sources that are busy or know no ranges, and blobs that more than one source has.

use super::*;
use crate::upstream::Pause;

/// The same, which is busy at some of the requests for parts, or sends all of the blob for each.
struct Odd {
    source: Arc<Scripted>,
    busy: AtomicUsize,
    is_ranged: bool,
}

#[async_trait]
impl Source for Odd {
    fn name(&self) -> &str {
        self.source.name
    }

    async fn vouched(&self, digest: &Digest) -> Result<Option<(u64, PieceHashes)>, SourceError> {
        self.source.vouched(digest).await
    }

    async fn read(&self, digest: &Digest, range: Option<Range<u64>>) -> Result<Reading, SourceError> {
        let is_busy = || self.busy.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |times| times.checked_sub(1)).is_ok();
        if range.is_some() && is_busy() {
            let (upstream, retry_after) = ("scripted".into(), Duration::from_millis(10));
            return Err(UpstreamError::Paused { upstream, reason: Pause::Busy, retry_after }.into());
        }
        let (asked, cut) = if self.is_ranged { (range, None) } else { (None, range) };
        let reading = self.source.read(digest, asked).await?;
        let Some(Range { start, end }) = cut else { return Ok(reading) };
        let part = self.source.content.slice(usize::try_from(start).unwrap()..usize::try_from(end).unwrap());
        Ok(Reading { is_ranged: false, stream: stream::iter([Ok(part)]).boxed(), ..reading })
    }
}

async fn body(cache: &Cache, digest: &Digest, source: SharedSource) -> BlobBody {
    cache.blobs.open(digest, source, RangeRequest::Whole).await.unwrap().body
}

fn is_of(cache: &Cache, source: &Scripted) -> bool {
    cache.blobs.0.provenance.is_of(&source.digest(), source.name)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_sends_next_to_nothing_each_time_is_given_up() {
    for quota in [1 << 30, 0] {
        let (cache, source) = (Cache::new(quota, 0, 16 << 20), Scripted::of(3_000_000, false));
        *source.breaks_at.lock().unwrap() = (1..1000).collect();
        let read = tokio::time::timeout(Duration::from_secs(20), cache.whole(&source)).await.expect("it comes to an end");
        assert!(read.is_err());
        assert!(source.asked().len() <= 4, "{quota}: {:?}", source.asked());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_being_answered_waits_for_a_source_that_is_busy() {
    for quota in [1 << 30, 0] {
        let (cache, source) = (Cache::new(quota, 0, 16 << 20), Scripted::of(6_000_000, false));
        *source.breaks_at.lock().unwrap() = vec![2_500_000, 3_000_000];
        let odd = Arc::new(Odd { source: source.clone(), busy: 5.into(), is_ranged: true });
        let read = rest(body(&cache, &source.digest(), odd.clone()).await).await;
        assert!(read.unwrap() == source.content, "{quota}");
        assert_eq!(odd.busy.load(Ordering::SeqCst), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_knows_no_ranges_is_not_asked_by_pieces() {
    let (cache, source) = (Cache::new(0, 0, 16 << 20), Scripted::of(6_000_000, false));
    let odd = Arc::new(Odd { source: source.clone(), busy: 0.into(), is_ranged: false });
    let mut body = body(&cache, &source.digest(), odd).await;
    let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
    // That is not known of it before it is asked.
    until(|| source.answering.load(Ordering::SeqCst) == 0).await;
    assert!([first, rest(body).await.unwrap()].concat() == source.content);
    assert_eq!(source.asked().len(), 3, "for the reader, for a piece, and for the rest");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_knows_no_ranges_sends_about_as_much_as_there_is() {
    let (cache, source) = (Cache::roomy(), Scripted::of(20_000_000, true));
    let odd = |source: &Arc<Scripted>| Arc::new(Odd { source: source.clone(), busy: 0.into(), is_ranged: false });
    assert!(rest(body(&cache, &source.digest(), odd(&source)).await).await.unwrap() == source.content);
    assert_eq!(source.asked().len(), 2, "the first run, and all that follows it");
    let another = Scripted::of(3_000_000, true);
    assert!(rest(body(&cache, &another.digest(), odd(&another)).await).await.unwrap() == another.content);
    assert_eq!((another.vouched.load(Ordering::SeqCst), another.asked().len()), (0, 1), "it is known of it by now");
}

#[tokio::test]
async fn who_comes_when_one_has_failed_begins_anew() {
    let (cache, source) = (Cache::roomy(), Scripted::of(2_500_000, false));
    let (shared, from) = (&cache.blobs.0, ("scripted".into(), source.digest()));
    *source.lies_at.lock().unwrap() = Some(1_000_000);
    let failing = body(&cache, &source.digest(), Arc::new(source.clone())).await;
    while shared.whole(&from).is_some_and(|whole| !whole.is_aborted()) {
        tokio::task::yield_now().await;
    }
    assert!(shared.known(&from).is_none());
    *source.lies_at.lock().unwrap() = None;
    assert!(cache.whole(&source).await.unwrap() == source.content);
    assert!(rest(failing).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_is_one_copy_for_all_who_follow() {
    let (cache, source) = (Cache::new(1 << 30, 0, 4 << 20), Scripted::of(3_500_000, false));
    let (shared, from) = (&cache.blobs.0, ("scripted".into(), source.digest()));
    source.chunks.forget_permits(1 << 20);
    // Two pieces, and something of a third.
    source.chunks.add_permits(22);
    let mut bodies = Vec::new();
    for _ in 0..30 {
        bodies.push(body(&cache, &source.digest(), Arc::new(source.clone())).await);
    }
    assert!(shared.whole(&from).unwrap().has_come_to(2 * PIECE_BYTES + 1).await);
    let frames = join_all(bodies.iter_mut().map(http_body_util::BodyExt::frame)).await;
    let frames: Vec<Bytes> = frames.into_iter().map(|frame| frame.unwrap().unwrap().into_data().unwrap()).collect();
    assert!(frames.iter().all(|frame| frame.len() as u64 == PIECE_BYTES && frame.as_ptr() == frames[0].as_ptr()));
    assert_eq!(shared.hot.held_bytes() as u64, PIECE_BYTES);
    drop(frames);
    source.chunks.add_permits(1 << 20);
    let read = join_all(bodies.into_iter().map(rest)).await;
    assert!(read.iter().all(|bytes| bytes.as_ref().unwrap() == &source.content.slice(1 << 20..)));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_another_s_is_shown_once_for_all_who_ask() {
    let (cache, source) = (Cache::roomy(), Scripted::of(3_000_000, false));
    cache.whole(&source).await.unwrap();
    let twin = Scripted::other(&source, "twin", false, true);
    let read = join_all((0..50).map(|_| cache.has_whole(&twin))).await;
    assert!(read.iter().all(|is_right| *is_right));
    assert_eq!(twin.asked().len(), 1);
    until(|| is_of(&cache, &source) && is_of(&cache, &twin)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_second_takes_nothing_from_the_first() {
    let (cache, source) = (Cache::roomy(), Scripted::of(3_000_000, false));
    let twin = Scripted::other(&source, "twin", false, true);
    let mut bodies = Vec::new();
    for source in [&source, &twin] {
        source.chunks.forget_permits(1 << 20);
        bodies.push(body(&cache, &source.digest(), Arc::new(source.clone())).await);
    }
    source.chunks.add_permits(1 << 20);
    twin.chunks.add_permits(1 << 20);
    let read = join_all(bodies.into_iter().map(rest)).await;
    assert!(read.iter().all(|bytes| bytes.as_ref().unwrap() == &source.content));
    until(|| is_of(&cache, &source) && is_of(&cache, &twin)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_dropped_meanwhile_is_nobody_s() {
    // There is no room for it twice, so the twin's is passed on.
    let (cache, source) = (Cache::new(4_000_000, 0, 16 << 20), Scripted::of(3_000_000, false));
    let (digest, provenance) = (source.digest(), &cache.blobs.0.provenance);
    cache.whole(&source).await.unwrap();
    until(|| is_of(&cache, &source)).await;
    let twin = Scripted::other(&source, "twin", false, true);
    twin.chunks.forget_permits(1 << 20);
    let passed = body(&cache, &digest, Arc::new(twin.clone())).await;
    assert!(cache.store.evict(&digest).await.unwrap());
    twin.chunks.add_permits(1 << 20);
    assert!(rest(passed).await.unwrap() == source.content);
    until(|| !provenance.is_known(&digest)).await;
    assert!(!is_of(&cache, &twin), "what it has shown to have is not here any more");
    twin.chunks.forget_permits(1 << 20);
    let coming = body(&cache, &digest, Arc::new(twin.clone())).await;
    assert!(!provenance.is_known(&digest));
    drop(coming);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_room_each_reader_is_one_answer() {
    let (cache, source) = (Cache::new(0, 0, 32 << 20), Scripted::of(3_000_000, false));
    assert!(cache.has_whole(&source).await);
    assert_eq!(source.asked().len(), 1, "that which showed how it can be had");
    let read = join_all((0..5).map(|_| cache.has_whole(&source))).await;
    assert!(read.iter().all(|is_right| *is_right));
    let asked = source.asked();
    assert_eq!(asked.iter().filter(|range| **range == (0..3_000_000)).count(), 6, "{asked:?}");
    // Who only wants to know how it can be had holds nothing of it.
    cache.blobs.find(&source.digest(), &(Arc::new(source.clone()) as SharedSource)).await.unwrap();
    until(|| source.answering.load(Ordering::SeqCst) == 0).await;
}
