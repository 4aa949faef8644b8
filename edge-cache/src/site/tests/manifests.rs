//! Manifests, as edges with what they keep of them fetch them from each other.

use std::{
    net::{SocketAddr, TcpListener},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use axum::{Router, extract::Request, response::IntoResponse as _};
use futures_util::future::join_all;
use http::{HeaderValue, header::CONTENT_TYPE};
use longshore_client::RegistryUrl;
use longshore_oci::{Algorithm, Digest, media_type};
use longshore_service::metrics::Metrics;

use super::{
    edge::{Edge, listeners, member, place, settings},
    ranked,
    registry::Registry,
};
use crate::{
    blobs::{BlobMetrics, BlobSettings, Blobs},
    error::Error,
    site::{Behind, Member, Membership, Site, SiteMetrics, SiteRepository, rank, serve},
    source::SharedSource,
    store::{Store, StoreMetrics, StoreSettings},
    tags::{Manifest, TagMetrics, TagSettings, Tags},
    upstream::{Identity, Upstream, UpstreamMetrics, UpstreamSettings},
};

/// As bare as a manifest can be: it does not say what it is.
const MANIFEST: &[u8] = br#"{"schemaVersion":2,"manifests":[]}"#;

/// An edge that keeps manifests, and has nothing else.
struct Keeping {
    site: Arc<Site>,
    metrics: SiteMetrics,
    tags: Tags,
    upstream: Arc<Upstream>,
    blobs: Blobs,
    _folder: tempfile::TempDir,
}

#[async_trait]
impl Behind for Keeping {
    fn source(&self, _: &SiteRepository, _: Identity) -> Option<SharedSource> {
        None
    }

    async fn manifest(&self, asked: &SiteRepository, digest: &Digest, identity: &Identity) -> Option<Result<Manifest, Error>> {
        let manifests = &self.tags.manifests;
        if *asked == SiteRepository::new(&self.upstream, place().repository) {
            Some(manifests.get_for_member(&self.upstream, &asked.repository, digest, identity).await)
        } else {
            None
        }
    }
}

impl Keeping {
    fn start(listener: TcpListener, members: &[Member], registry: SocketAddr) -> Arc<Self> {
        let own = member(listener.local_addr().unwrap());
        let members: Vec<_> = members.iter().map(|member| member.as_str().to_owned()).collect();
        let registered = Metrics::new();
        let metrics = SiteMetrics::new(&registered);
        let membership = Membership::listed(own.as_str(), &members, false).unwrap();
        let site = Site::new(settings(membership), metrics.clone()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let (store, _) = Store::open(StoreSettings::new(folder.path(), 1 << 30), StoreMetrics::new(&registered)).unwrap();
        let counts = BlobMetrics::new(&registered);
        let tag_metrics = TagMetrics::new(&registered, counts.wrong.clone());
        let tag_settings = TagSettings { ttl: Duration::from_secs(30), most: 100, manifest_bytes: 1 << 20, most_asked: 100 };
        let blobs = BlobSettings {
            hot_bytes: 1 << 20,
            in_flight_bytes: 4 << 20,
            budget_wait: Duration::from_secs(1),
            run_pieces: 1,
            read_ahead_pieces: 0,
            attempts: 1,
            gathering_idle: BlobSettings::GATHERING_IDLE,
        };
        let url = RegistryUrl::parse(&format!("http://{registry}"), false).unwrap();
        let keeping = Arc::new(Self {
            tags: Tags::new(store.clone(), Some(site.clone()), tag_settings, tag_metrics).unwrap(),
            upstream: Arc::new(
                Upstream::new(UpstreamSettings::new(place().upstream, url), &UpstreamMetrics::new(&registered)).unwrap(),
            ),
            blobs: Blobs::new(store, blobs, counts).unwrap(),
            site,
            metrics,
            _folder: folder,
        });
        let behind = keeping.clone();
        listen(listener, move |request| {
            let behind = behind.clone();
            async move { serve(&behind.site, &behind.blobs, &*behind, &request.into_parts().0).await }
        });
        keeping
    }

    async fn get(&self) -> Manifest {
        self.tags.manifests.get(&self.upstream, &place().repository, &digest(), &Identity::Edge).await.unwrap()
    }
}

fn digest() -> Digest {
    Digest::of(Algorithm::Sha256, MANIFEST)
}

fn listen<A>(listener: TcpListener, answer: impl Fn(Request) -> A + Clone + Send + Sync + 'static)
where
    A: Future<Output = axum::response::Response> + Send + 'static,
{
    let router = Router::new().fallback(answer);
    tokio::spawn(async move { axum::serve(tokio::net::TcpListener::from_std(listener).unwrap(), router).await });
}

/// A registry that has the manifest; how often it was asked for it.
fn registry() -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = listeners(1).pop().unwrap();
    let (address, asked) = (listener.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
    let counted = asked.clone();
    listen(listener, move |request| {
        assert_eq!(request.uri().path(), format!("/v2/library/a/manifests/{}", digest()));
        counted.fetch_add(1, Ordering::SeqCst);
        async { ([(CONTENT_TYPE, media_type::DOCKER_MANIFEST_LIST)], MANIFEST).into_response() }
    });
    (address, asked)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_site_fetches_each_manifest_once() {
    let (registry, asked) = registry();
    let mut places = listeners(4);
    let members: Vec<_> = places.iter().map(|place| member(place.local_addr().unwrap())).collect();
    let order = rank::first(&members, &digest(), 4);
    // The first home is gone.
    places.retain(|place| member(place.local_addr().unwrap()) != *order[0]);
    let edges: Vec<_> = places.into_iter().map(|place| Keeping::start(place, &members, registry)).collect();
    for manifest in join_all(edges.iter().flat_map(|edge| (0..5).map(|_| edge.get()))).await {
        assert_eq!((&*manifest.bytes, &*manifest.media_type), (MANIFEST, media_type::DOCKER_MANIFEST_LIST));
    }
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    for edge in &edges {
        assert!(edge.get().await.was_here);
    }
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_home_sends_is_not_believed_unless_it_is_the_manifest() {
    let (registry, asked) = registry();
    let mut places = listeners(1);
    // One that stands before the edge.
    let (liar, liars) = loop {
        let place = listeners(1).pop().unwrap();
        let stands = member(place.local_addr().unwrap());
        if rank::is_before(&stands, &member(places[0].local_addr().unwrap()), &digest()) {
            break (place, stands);
        }
    };
    listen(liar, |_| async { ([(CONTENT_TYPE, media_type::OCI_MANIFEST)], r#"{"layers":[]}"#).into_response() });
    let place = places.pop().unwrap();
    let own = member(place.local_addr().unwrap());
    let edge = Keeping::start(place, &[own, liars], registry);
    assert_eq!(&*edge.get().await.bytes, MANIFEST);
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    assert_eq!(edge.metrics.asked.with_label_values(&["malformed"]).get(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_have_a_manifest_has_it_from_nobody() {
    let (edges, registry) = (Edge::site(3), Registry::of(1_000, false));
    let last = ranked(&edges, &registry)[2];
    let as_who = |authorization: &'static str| Identity::Caller(HeaderValue::from_static(authorization));
    let (asked, digest) = (place(), registry.digest());
    assert!(last.site.manifest(&asked, &digest, &as_who("Bearer stranger")).await.is_none());
    assert_eq!((last.asked("refused"), last.asked("answered")), (1, 0));
    let found = last.site.manifest(&asked, &digest, &as_who("Bearer known")).await.unwrap();
    assert_eq!((found.bytes, found.content_type.as_str()), (registry.content(), media_type::OCI_MANIFEST));
    // Neither of another name nor of another address.
    for elsewhere in [
        SiteRepository { upstream: "another".into(), ..place() },
        SiteRepository { address: "registry http://another.example".into(), ..place() },
    ] {
        assert!(last.site.manifest(&elsewhere, &digest, &as_who("Bearer known")).await.is_none());
    }
    assert_eq!((last.asked("unable"), last.asked("answered")), (4, 1), "both homes said so, each time");
}
