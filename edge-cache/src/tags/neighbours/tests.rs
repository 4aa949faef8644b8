//! A registry that is gone, and neighbours that say what they like.

use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use futures_util::stream::{self, BoxStream};
use longshore_oci::{Algorithm, ManifestVoucher};
use longshore_service::{
    metrics::Metrics,
    signing::{KeySet, SigningKey},
};
use serde_json::Value;

use super::*;
use crate::{
    blobs::BlobMetrics,
    grants::{Client, GrantSettings, LoginLimits, What},
    neighbours::Neighbours,
    source::SharedSource,
    statements::Statements,
    store::{Store, StoreMetrics, StoreSettings},
    tags::{TagMetrics, TagSettings},
    upstream::{UpstreamMetrics, UpstreamSettings, tests::settings},
};

const MANIFEST: &str = r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"a/b","digest":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","size":0},"layers":[]}"#;

/// Neighbours who say this, whatever they are asked.
struct Saying {
    answers: Vec<Bytes>,
    asked: AtomicUsize,
}

#[async_trait]
impl Neighbours for Saying {
    fn before(&self, behind: SharedSource, _: &SiteRepository) -> SharedSource {
        behind
    }

    fn shares(&self, _: &SiteRepository, _: &Digest) {}

    fn places(&self, _: &Digest) -> Vec<longshore_client::LayerPlace> {
        Vec::new()
    }

    fn ask_about(&self, _: &SiteRepository, _: &Digest, _: Duration) -> BoxStream<'static, (String, Bytes)> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        stream::iter(self.answers.clone()).map(|answer| ("somebody".to_owned(), answer)).boxed()
    }

    fn came_bytes(&self) -> u64 {
        0
    }

    fn record(&self) -> Option<Value> {
        None
    }

    async fn status(&self) -> Option<Value> {
        None
    }
}

struct Bed {
    tags: Tags,
    grants: Grants,
    upstream: Arc<Upstream>,
    neighbours: Arc<Saying>,
    _folder: tempfile::TempDir,
}

fn digest() -> Digest {
    Digest::of(Algorithm::Sha256, MANIFEST.as_bytes())
}

fn said() -> ManifestVoucher {
    let now = Timestamp::now().as_second();
    ManifestVoucher {
        issued_at: now,
        repository: repository(),
        digest: digest(),
        media_type: "application/vnd.oci.image.manifest.v1+json".into(),
        tag: Some("v1".parse().unwrap()),
        is_whole: true,
        stale_until: now + 60,
    }
}

fn repository() -> RepositoryName {
    "team/app".parse().unwrap()
}

fn handed_on(key: &SigningKey, said: &ManifestVoucher, content: &str) -> Bytes {
    let voucher = key.sign(ManifestVoucher::KIND, said);
    serde_json::to_vec(&VouchedManifest { voucher, content: content.into() }).unwrap().into()
}

impl Bed {
    /// A cache whose account may all, whose registry had this key, and whose neighbours say this.
    fn new(key: &SigningKey, shares_access: bool, answers: Vec<Bytes>) -> Self {
        let (folder, metrics) = (tempfile::tempdir().unwrap(), Metrics::new());
        let (store, _) = Store::open(StoreSettings::new(folder.path(), 1 << 30), StoreMetrics::new(&metrics)).unwrap();
        let nobody = "127.0.0.1:1".parse().unwrap();
        let settings = UpstreamSettings { attempts: 1, shares_access, ..settings(nobody) };
        let upstream = Arc::new(Upstream::new(settings, &UpstreamMetrics::new(&metrics)).unwrap());
        Statements::new(Some(store.clone())).unwrap().put_keys(upstream.key(), Some(&KeySet::from_iter([key.public()])));
        let long = Duration::from_hours(1);
        let settings = GrantSettings { ttl: long, stale: long, public_stale: long, most: 100, most_asked: 100 };
        let grants = Grants::new(store.clone(), settings, LoginLimits::default()).unwrap();
        upstream.keep_statements(grants.statements().clone());
        let neighbours = Arc::new(Saying { answers, asked: AtomicUsize::new(0) });
        let sources = Sources::new(None);
        sources.set_neighbours(neighbours.clone());
        let settings = TagSettings { ttl: long, most: 100, manifest_bytes: 1 << 20, most_asked: 100 };
        let counted = TagMetrics::new(&metrics, BlobMetrics::new(&metrics).wrong);
        let tags = Tags::new(store, None, settings, counted).unwrap().with_neighbours_of(Arc::new(sources));
        Self { tags, grants, upstream, neighbours, _folder: folder }
    }

    async fn tag(&self) -> Result<super::super::Named, Denied> {
        let tag = "v1".parse().unwrap();
        self.tags.resolve(&self.grants, &self.upstream, &repository(), &tag, &Client::default()).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_registry_signed_is_served_while_it_is_gone() {
    let key = SigningKey::generate().0;
    let bed = Bed::new(&key, true, vec![handed_on(&key, &said(), MANIFEST)]);
    let named = bed.tag().await.unwrap();
    assert_eq!((&named.digest, named.is_stale), (&digest(), true));
    assert!(named.granted.lifetime.is_some_and(|lifetime| lifetime.stale_if_error <= Duration::from_mins(1)));
    let manifest = bed.tags.manifest(&bed.grants, &bed.upstream, &repository(), &digest(), &named.granted.identity).await;
    assert_eq!(manifest.unwrap().bytes, MANIFEST);
    assert_eq!(bed.neighbours.asked.load(Ordering::Relaxed), 1, "it came with the tag");
    // What it names is in the repository, by the registry's word.
    let config = What::Blob(Digest::of(Algorithm::Sha256, b""));
    bed.grants.allowed(&bed.upstream, &repository(), &Client::default(), &config).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_has_it_by_a_neighbour_s_word() {
    let (key, other) = (SigningKey::generate().0, SigningKey::generate().0);
    let changed = |change: &dyn Fn(&mut ManifestVoucher)| {
        let mut said = said();
        change(&mut said);
        handed_on(&key, &said, MANIFEST)
    };
    for (number, answer) in [
        handed_on(&other, &said(), MANIFEST),
        handed_on(&key, &said(), "{}"),
        changed(&|said| said.stale_until = said.issued_at),
        changed(&|said| said.repository = "team/other".parse().unwrap()),
        changed(&|said| said.tag = Some("v2".parse().unwrap())),
        changed(&|said| said.tag = None),
        handed_on(&key, &said(), &" ".repeat(MOST_BYTES + 1)),
        Bytes::from_static(b"{}"),
        Bytes::from_static(b"\xff"),
        Bytes::new(),
    ]
    .into_iter()
    .enumerate()
    {
        let bed = Bed::new(&key, true, vec![answer]);
        assert!(bed.tag().await.is_err(), "{number}");
        assert_eq!(bed.neighbours.asked.load(Ordering::Relaxed), 1, "{number}");
        assert!(bed.tag().await.is_err());
        assert_eq!(bed.neighbours.asked.load(Ordering::Relaxed), 1, "{number}: they were asked a moment ago");
    }
}

/// It was said before the registry was followed, which nothing says otherwise of; but not where that has told of a change since.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_said_before_counts_unless_it_was_taken_back() {
    let key = SigningKey::generate().0;
    let said = ManifestVoucher { issued_at: said().issued_at - 30, ..said() };
    let bed = || Bed::new(&key, true, vec![handed_on(&key, &said, MANIFEST)]);
    let begun = bed();
    begun.tags.outdate_all(begun.upstream.key());
    begun.grants.ask_all_anew(begun.upstream.key());
    assert_eq!(begun.tag().await.unwrap().digest, digest());
    let takings_back: [fn(&Bed); 2] = [
        |bed| bed.grants.forget(&Place::new(&bed.upstream, repository()), &digest(), Timestamp::now()),
        |bed| bed.grants.forget_all(bed.upstream.key()),
    ];
    for take_back in takings_back {
        let changed = bed();
        take_back(&changed);
        assert!(changed.tag().await.is_err());
        let place = Place::new(&changed.upstream, repository());
        assert!(changed.grants.statements().manifest(&place, &digest()).is_none(), "it is not handed on either");
    }
}

/// A lie of one keeps nobody from what another hands on; and of a tag the latest word counts.
#[tokio::test(flavor = "multi_thread")]
async fn the_latest_that_is_proven_is_taken() {
    let key = SigningKey::generate().0;
    let before = ManifestVoucher { issued_at: said().issued_at - 30, digest: Digest::of(Algorithm::Sha256, b"{}"), ..said() };
    let answers = vec![Bytes::from_static(b"no"), handed_on(&key, &before, "{}"), handed_on(&key, &said(), MANIFEST)];
    let bed = Bed::new(&key, true, answers);
    assert_eq!(bed.tag().await.unwrap().digest, digest());
}

/// Whose right to the repository is not known has nothing by it, and nobody is asked for them.
#[tokio::test(flavor = "multi_thread")]
async fn who_was_not_let_in_is_not_by_this() {
    let key = SigningKey::generate().0;
    let bed = Bed::new(&key, false, vec![handed_on(&key, &said(), MANIFEST)]);
    assert!(bed.tag().await.is_err());
    assert_eq!(bed.neighbours.asked.load(Ordering::Relaxed), 0);
}
