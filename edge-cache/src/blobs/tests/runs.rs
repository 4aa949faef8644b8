//! Runs of pieces that end early, and pieces that the disk does not take or give.

use std::{collections::VecDeque, fs, path::PathBuf};

use super::*;
use crate::upstream::Pause;

/// The same, whose next answers are these.
struct Failing {
    source: Arc<Scripted>,
    errors: Mutex<VecDeque<SourceError>>,
}

#[async_trait]
impl Source for Failing {
    fn name(&self) -> &str {
        self.source.name
    }

    async fn vouched(&self, digest: &Digest) -> Result<Option<(u64, PieceHashes)>, SourceError> {
        self.source.vouched(digest).await
    }

    async fn read(&self, digest: &Digest, range: Option<Range<u64>>) -> Result<Reading, SourceError> {
        let error = self.errors.lock().unwrap().pop_front();
        match error {
            Some(error) => Err(error),
            None => self.source.read(digest, range).await,
        }
    }
}

/// Where a blob's file lies.
pub(super) fn path_of(cache: &Cache, digest: &Digest) -> PathBuf {
    let hex = digest.hex();
    cache.folder.path().join("blobs").join(digest.algorithm().name()).join(&hex[..2]).join(hex)
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_being_answered_waits_for_a_source_that_is_busy() {
    let (cache, source) = (Cache::roomy(), Scripted::of(3_000_000, true));
    let busy = |_| {
        let (upstream, reason) = ("scripted".into(), Pause::Busy);
        SourceError::Upstream(UpstreamError::Paused { upstream, reason, retry_after: Duration::from_millis(1) })
    };
    // More often than one that fails is asked.
    let failing = Failing { source: source.clone(), errors: Mutex::new((0..4).map(busy).collect()) };
    let opened = cache.blobs.open(&source.digest(), Arc::new(failing), RangeRequest::Whole).await.unwrap();
    assert_eq!(rest(opened.body).await.unwrap(), source.content);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_disk_does_not_take_is_asked_for_once_for_all_who_read_it() {
    let (cache, source) = (Cache::roomy(), Scripted::of(9_500_000, true));
    // Where its file's folder would be.
    fs::write(path_of(&cache, &source.digest()).parent().unwrap(), "").unwrap();
    let read = join_all((0..30).map(|_| cache.whole(&source))).await;
    assert!(read.iter().all(|bytes| bytes.as_ref().unwrap() == &source.content));
    let asked = source.asked();
    // The first run, which was to be longer, and each piece after that.
    assert!(asked.len() <= 15, "{asked:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_dropped_under_its_reader_is_asked_for_as_it_is_read() {
    let (cache, source) = (Cache::new(1 << 30, 0, 16 << 20), Scripted::of(9_500_000, true));
    let digest = source.digest();
    cache.whole(&source).await.unwrap();
    let before = source.asked().len();
    let mut body = cache.blobs.open(&digest, Arc::new(source.clone()), RangeRequest::Whole).await.unwrap().body;
    let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
    assert!(cache.store.evict(&digest).await.unwrap());
    assert_eq!([first, rest(body).await.unwrap()].concat(), source.content);
    let asked = source.asked().split_off(before);
    assert!(asked.iter().all(|range| range.end - range.start <= PIECE_BYTES), "{asked:?}");
    assert!(cache.store.peek(&digest).is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_disk_does_not_give_now_is_fetched_and_stays() {
    let (cache, source) = (Cache::new(1 << 30, 0, 16 << 20), Scripted::of(3_000_000, true));
    let digest = source.digest();
    cache.whole(&source).await.unwrap();
    until(|| cache.blobs.0.provenance.is_whole_checked(&digest)).await;
    cache.store.flush().await.unwrap();
    let folder = path_of(&cache, &digest).parent().unwrap().to_owned();
    let aside = folder.with_extension("aside");
    // The system says neither that the file is there nor that it is not.
    fs::rename(&folder, &aside).unwrap();
    fs::write(&folder, "").unwrap();
    assert_eq!(cache.whole(&source).await.unwrap(), source.content);
    assert!(cache.store.peek(&digest).unwrap().is_complete());
    let asked = source.asked().len();
    fs::remove_file(&folder).unwrap();
    fs::rename(&aside, &folder).unwrap();
    assert_eq!(cache.whole(&source).await.unwrap(), source.content);
    assert_eq!(source.asked().len(), asked, "it is there, and can be read again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_piece_in_memory_is_handed_on_as_it_is() {
    let (cache, source) = (Cache::roomy(), Scripted::of(70_000, true));
    cache.whole(&source).await.unwrap();
    until(|| cache.blobs.0.store.peek(&source.digest()).is_some_and(|entry| entry.is_complete())).await;
    assert_eq!(cache.read(&source, RangeRequest::parse("bytes=5-9")).await.unwrap(), source.content.slice(5..10));
    assert_eq!(cache.whole(&source).await.unwrap(), source.content);
    let (name, metrics) = ([source.name], &cache.blobs.0.metrics);
    assert_eq!(metrics.hit_bytes.with_label_values(&name).get(), 70_005);
    assert_eq!(metrics.served_bytes.with_label_values(&name).get(), 140_005);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_dropped_under_a_reader_is_fetched_for_who_begins_it_anew() {
    let (cache, source) = (Cache::roomy(), Scripted::of(3_000_000, true));
    let digest = source.digest();
    source.chunks.forget_permits(1 << 20);
    let shared: SharedSource = Arc::new(source.clone());
    let opened = cache.blobs.open(&digest, shared.clone(), RangeRequest::Whole).await.unwrap();
    let reading = tokio::spawn(rest(opened.body));
    until(|| !source.asked().is_empty()).await;
    assert!(cache.store.evict(&digest).await.unwrap());
    until(|| !cache.blobs.0.provenance.is_known(&digest)).await;
    let background = Background::new(BackgroundSettings { patience: Duration::ZERO, ..BackgroundSettings::default() });
    let blobs = cache.blobs.clone();
    let of = digest.clone();
    let warming = tokio::spawn(async move { blobs.prewarm(&of, shared, &background, |_| ()).await });
    until(|| cache.store.peek(&digest).is_some()).await;
    // It waits for what the reader's run brings.
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(source.asked().len(), 1);
    source.chunks.add_permits(1 << 20);
    assert_eq!(warming.await.unwrap().unwrap(), Fetched::all_of(3_000_000));
    assert_eq!(reading.await.unwrap().unwrap(), source.content);
    assert!(cache.store.peek(&digest).unwrap().is_complete());
}
