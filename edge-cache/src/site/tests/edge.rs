//! An edge of a site.

use std::{
    net::{SocketAddr, TcpListener},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use axum::extract::Request;
use bytes::Bytes;
use futures_util::FutureExt as _;
use http_body_util::BodyExt as _;
use longshore_oci::{Digest, RangeRequest};
use longshore_service::metrics::Metrics;
use tokio::runtime::{Builder, Runtime};
use tokio_util::sync::CancellationToken;

use super::registry::{AsCaller, Registry};
use crate::{
    blobs::{BlobMetrics, BlobSettings, Blobs},
    error::Error,
    site::{Behind, Member, Membership, Site, SiteMetrics, SiteRepository, SiteSecret, SiteSettings, SiteSource, serve},
    source::SharedSource,
    store::{Store, StoreMetrics, StoreSettings},
    tags::Manifest,
    upstream::Identity,
};

pub const SECRET: &str = "what the edges of a test know";
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// What is read, or why not.
pub type Read = futures_util::future::BoxFuture<'static, Result<Bytes, String>>;

/// All registries of the tests, as one upstream.
struct Registries;

#[async_trait]
impl Behind for Registries {
    fn source(&self, asked: &SiteRepository, identity: Identity) -> Option<SharedSource> {
        (*asked == place()).then(|| AsCaller::shared(identity))
    }

    async fn manifest(&self, asked: &SiteRepository, digest: &Digest, identity: &Identity) -> Option<Result<Manifest, Error>> {
        (*asked == place()).then(|| AsCaller(identity.clone()).manifest(digest))
    }
}

/// One that serves, until it is ended.
pub struct Edge {
    pub site: Arc<Site>,
    pub metrics: SiteMetrics,
    blobs: Blobs,
    runtime: Option<Runtime>,
    _folder: tempfile::TempDir,
}

pub fn listeners(count: usize) -> Vec<TcpListener> {
    let listeners: Vec<_> = (0..count).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    for listener in &listeners {
        listener.set_nonblocking(true).unwrap();
    }
    listeners
}

pub fn member(address: SocketAddr) -> Member {
    Member::parse(&format!("http://{address}"), false).unwrap()
}

pub fn place() -> SiteRepository {
    let address = "registry http://registry.example".into();
    SiteRepository { upstream: "registry".into(), address, repository: "library/a".parse().unwrap() }
}

pub fn settings(membership: Membership) -> SiteSettings {
    SiteSettings {
        membership,
        secret: SiteSecret::new(SECRET).unwrap(),
        homes: 2,
        connect_timeout: CONNECT_TIMEOUT,
        read_timeout: Duration::from_secs(20),
        max_connections: 16,
        ca_file: None,
        allow_plain_http: false,
    }
}

impl Edge {
    /// The edges of a site of so many.
    pub fn site(count: usize) -> Vec<Self> {
        let listeners = listeners(count);
        let members: Vec<_> = listeners.iter().map(|listener| member(listener.local_addr().unwrap())).collect();
        listeners.into_iter().map(|listener| Self::start(listener, &members)).collect()
    }

    /// One that is together with these.
    pub fn start(listener: TcpListener, others: &[Member]) -> Self {
        let own = member(listener.local_addr().unwrap());
        let members: Vec<_> = others.iter().map(|member| member.as_str().to_owned()).chain([own.as_str().to_owned()]).collect();
        let membership = Membership::listed(own.as_str(), &members, false).unwrap();
        let registered = Metrics::new();
        let metrics = SiteMetrics::new(&registered);
        let site = Site::new(settings(membership), metrics.clone()).unwrap();
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let store = StoreSettings { sync_delay: Duration::from_millis(5), ..StoreSettings::new(folder.path(), 1 << 30) };
        let (store, keeper) = Store::open(store, StoreMetrics::new(&registered)).unwrap();
        runtime.spawn(keeper.run(CancellationToken::new()));
        let blobs = BlobSettings {
            hot_bytes: 32 << 20,
            in_flight_bytes: 16 << 20,
            budget_wait: Duration::from_secs(20),
            run_pieces: 4,
            read_ahead_pieces: 2,
            attempts: 3,
            gathering_idle: BlobSettings::GATHERING_IDLE,
        };
        let blobs = Blobs::new(store, blobs, BlobMetrics::new(&registered)).unwrap();
        let edge = Self { site, metrics, blobs, runtime: Some(runtime), _folder: folder };
        edge.listen(listener);
        edge
    }

    fn listen(&self, listener: TcpListener) {
        let (site, blobs) = (self.site.clone(), self.blobs.clone());
        let router = axum::Router::new().fallback(move |request: Request| {
            let (site, blobs) = (site.clone(), blobs.clone());
            async move {
                let parts = request.into_parts().0;
                serve(&site, &blobs, &Registries, &parts).await
            }
        });
        self.runtime.as_ref().unwrap().spawn(async move {
            axum::serve(tokio::net::TcpListener::from_std(listener).unwrap(), router).await.unwrap();
        });
    }

    pub fn member(&self) -> Member {
        self.site.own().unwrap()
    }

    /// Its machine goes.
    pub fn end(&mut self) {
        self.runtime.take().unwrap().shutdown_background();
    }

    /// A client of this edge reads what a registry has.
    pub fn read(&self, registry: &Arc<Registry>) -> Read {
        self.read_as(registry, Identity::Edge)
    }

    /// The same, as somebody.
    pub fn read_as(&self, registry: &Arc<Registry>, identity: Identity) -> Read {
        let source = SiteSource::of(self.site.clone(), place(), identity.clone(), AsCaller::shared(identity));
        let (blobs, digest) = (self.blobs.clone(), registry.digest());
        let reading = self.runtime.as_ref().unwrap().spawn(async move {
            let opened = blobs.open(&digest, Arc::new(source), RangeRequest::Whole).await.map_err(|error| error.to_string())?;
            // Frames hold memory of the edge's budget, as long as they are held.
            let (mut body, mut read) = (opened.body, Vec::new());
            while let Some(frame) = body.frame().await {
                read.extend_from_slice(frame.map_err(|error| error.to_string())?.data_ref().expect("a blob has no trailers"));
            }
            Ok(read.into())
        });
        reading.map(Result::unwrap).boxed()
    }

    /// How often other members were asked, to this outcome.
    pub fn asked(&self, outcome: &str) -> u64 {
        self.metrics.asked.with_label_values(&[outcome]).get()
    }
}

impl Drop for Edge {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
