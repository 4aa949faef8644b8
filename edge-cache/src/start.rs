//! From a configuration to an edge cache that is ready to serve.

use std::{
    path::PathBuf,
    sync::{Arc, OnceLock},
    time::Duration,
};

use jiff::Timestamp;
use longshore_service::{
    admin::{Admin, Readiness},
    descriptor_limit,
    doors::Doors,
    listener::{BindError, TlsError},
    metrics::{HttpMetrics, Metrics},
};
use tokio::sync::Semaphore;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    app::{App, ROUTES},
    blobs::{BlobMetrics, BlobSettings, Blobs, most_known},
    config::{Cache, Config},
    control::{AdminToken, LayerFollowers, Scrubbing},
    edge::{Edge, Upstreams},
    events::{EventMetrics, Follower},
    forgetting::Forgetting,
    grants::{GrantSettings, Grants},
    images::UpstreamImages,
    piece::PIECE_BYTES,
    prewarm::{Prewarm, PrewarmMetrics, PrewarmSettings},
    site::{Site, SiteError, SiteMetrics},
    sources::Sources,
    statements::MOST as MOST_STATEMENTS,
    store::{Keeper, Store, StoreError, StoreMetrics, StoreSettings},
    tags::{MOST_MANIFEST_KINDS, TagMetrics, TagSettings, Tags},
    upstream::{Upstream, UpstreamError, UpstreamMetrics, metainfo_room},
    vouching::{Vouching, VouchingError},
};

/// How long a readiness check may take.
const READINESS_TIMEOUT: Duration = Duration::from_secs(5);
/// How often a run of pieces is asked for anew where it broke off or came wrong, at most.
const RUN_ATTEMPTS: u32 = 4;
/// How many records there may be beside those of what is remembered: some of each upstream, and those that go in a moment.
const SPARE_RECORDS: usize = 131_072;

/// Why an edge could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address can't be had.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// What TLS is made of can't be read.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// What is kept can't be opened.
    #[error("the cache's folder {} could not be opened", folder.display())]
    Store {
        /// The folder.
        folder: PathBuf,
        /// Why not.
        #[source]
        source: StoreError,
    },
    /// The task that opens it ended early.
    #[error("the cache's folder could not be opened")]
    Task(#[from] tokio::task::JoinError),
    /// See [`VouchingError`].
    #[error(transparent)]
    Vouching(#[from] VouchingError),
    /// An upstream can't be asked as it is set up.
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
    /// The site can't be opened.
    #[error(transparent)]
    Site(#[from] SiteError),
    /// The site is not set up in a way that makes sense; a configuration that was checked is.
    #[error("the site can't be as it is set up: {0}")]
    SiteSettings(String),
    /// An upstream has no URL that can be read; a configuration that was checked has none such.
    #[error("the upstream at position {0} has no name or no URL")]
    UpstreamUrl(usize),
}

/// Opens what is kept, and takes the addresses.
pub async fn build(config: Config) -> Result<App, StartError> {
    descriptor_limit::raise();
    let certificates = config.listen.certificates()?;
    let doors = Doors::open(&config.listen, certificates).await?;
    let metrics = Metrics::new();
    let http_metrics = Arc::new(HttpMetrics::new(&metrics, ROUTES));
    let upstreams = open_upstreams(&config, &metrics)?;
    let site = open_site(&config, &metrics)?;
    let (store, keeper) = open_store(&config.cache, &metrics).await?;
    let folder = config.cache.folder.clone();
    let vouching = tokio::task::spawn_blocking(move || Vouching::open(&folder)).await??;
    let unopened = |source| StartError::Store { folder: config.cache.folder.clone(), source };
    let edge = Arc::new(assemble(&config, upstreams, site, store, vouching, &metrics).map_err(unopened)?);
    let followers = follow(&config, &edge, &metrics);
    let draining = CancellationToken::new();
    let admin = Admin::new(readiness(&edge, draining.clone()), metrics.clone());
    Ok(App {
        summary: format!("up to {}", config.cache.quota),
        upstreams: edge.upstreams.iter().map(|upstream| upstream.name().to_owned()).collect(),
        doors: doors.counted_in(http_metrics.connections.clone()),
        admin,
        metrics,
        edge,
        http_metrics,
        keeper,
        followers,
        draining,
    })
}

/// Those who follow the changes of upstreams, where that is wanted.
fn follow(config: &Config, edge: &Edge, metrics: &Metrics) -> Vec<Follower> {
    let forgetting = Arc::new(Forgetting::new(edge.upstreams.clone(), edge.tags.clone(), edge.grants.clone()));
    let counts = EventMetrics::new(metrics);
    let followed = config.upstream.iter().zip(edge.upstreams.iter()).filter(|(settings, _)| settings.follow_events);
    followed.map(|(_, one)| Follower::new(one.clone(), edge.store.clone(), forgetting.clone(), counts.clone())).collect()
}

/// Reads files of certificates, and blocks for that; nothing is asked of the upstreams yet.
fn open_upstreams(config: &Config, metrics: &Metrics) -> Result<Upstreams, StartError> {
    let (metrics, room) = (UpstreamMetrics::new(metrics), metainfo_room());
    let default = config.default_upstream();
    let all = config.upstream.iter().enumerate().map(|(position, upstream)| -> Result<_, StartError> {
        let settings = upstream.to_settings(position == default).ok_or(StartError::UpstreamUrl(position))?;
        Ok(Arc::new(Upstream::new(settings, &metrics)?.sharing(&room)))
    });
    all.collect::<Result<_, StartError>>().map(Upstreams::new)
}

/// Reads a file of certificates, and blocks for that.
fn open_site(config: &Config, metrics: &Metrics) -> Result<Option<Arc<Site>>, StartError> {
    let settings = config.site.to_settings().map_err(StartError::SiteSettings)?;
    settings.map(|settings| Ok(Site::new(settings, SiteMetrics::new(metrics))?)).transpose()
}

async fn open_store(cache: &Cache, metrics: &Metrics) -> Result<(Store, Keeper), StartError> {
    let settings = StoreSettings {
        max_idle: (cache.max_idle.as_milliseconds() > 0).then(|| cache.max_idle.get()),
        sync_delay: cache.sync_delay.get(),
        scrub_bytes_per_second: cache.scrub_rate.as_bytes(),
        max_entries: cache.max_entries,
        max_records: max_records(cache),
        ..StoreSettings::new(&cache.folder, cache.quota.as_bytes())
    };
    let metrics = StoreMetrics::new(metrics);
    let opened = tokio::task::spawn_blocking(move || Store::open(settings, metrics)).await?;
    opened.map_err(|source| StartError::Store { folder: cache.folder.clone(), source })
}

/// How many records there may be: as many as are remembered of all kinds together, so that each of those is written down.
fn max_records(cache: &Cache) -> usize {
    // What repositories have, what anybody may see, and what of it was taken back, as upstreams tell and as they answer.
    let grants = cache.max_grants.saturating_mul(4);
    let others = cache.max_tags.saturating_add(grants).saturating_add(MOST_MANIFEST_KINDS).saturating_add(2 * MOST_STATEMENTS);
    let others = usize::try_from(others).unwrap_or(usize::MAX);
    most_known(cache.max_entries).saturating_add(others).saturating_add(SPARE_RECORDS)
}

fn assemble(
    config: &Config,
    upstreams: Upstreams,
    site: Option<Arc<Site>>,
    store: Store,
    vouching: Vouching,
    metrics: &Metrics,
) -> Result<Edge, StoreError> {
    let cache = &config.cache;
    let pieces = |bytes: u64| u32::try_from(bytes / PIECE_BYTES).unwrap_or(u32::MAX);
    let blobs = BlobSettings {
        hot_bytes: cache.memory.as_bytes(),
        in_flight_bytes: cache.in_flight.as_bytes(),
        budget_wait: cache.budget_wait.get(),
        run_pieces: pieces(cache.run_size.as_bytes()),
        read_ahead_pieces: pieces(cache.read_ahead.as_bytes()),
        attempts: RUN_ATTEMPTS,
        gathering_idle: BlobSettings::GATHERING_IDLE,
    };
    let grants = GrantSettings {
        ttl: cache.grant_ttl.get(),
        stale: cache.grant_stale.get(),
        public_stale: cache.public_stale.get(),
        most: cache.max_grants,
        most_asked: config.requests.max_checks,
    };
    let counts = BlobMetrics::new(metrics);
    let (stopping, blobs) = (CancellationToken::new(), Blobs::new(store.clone(), blobs, counts.clone())?);
    let counted = TagMetrics::new(metrics, counts.wrong.clone());
    let tags = TagSettings {
        ttl: cache.tag_ttl.get(),
        most: cache.max_tags,
        manifest_bytes: cache.manifest_memory.as_bytes(),
        most_asked: config.requests.max_tag_checks,
    };
    let (upstreams, sources) = (Arc::new(upstreams), Arc::new(Sources::new(site.clone())));
    let tags = Arc::new(Tags::new(store.clone(), site.clone(), tags, counted)?.with_neighbours_of(sources.clone()));
    let grants = Arc::new(Grants::new(store.clone(), grants, config.requests.login_limits())?);
    upstreams.iter().for_each(|upstream| upstream.keep_statements(grants.statements().clone()));
    let images = Arc::new(UpstreamImages::new(upstreams.clone(), tags.clone(), grants.clone(), sources.clone()));
    let prewarm = PrewarmSettings { follows_pulls: cache.prefetch, ..PrewarmSettings::default() };
    let (counted, tasks) = (PrewarmMetrics::new(metrics), TaskTracker::new());
    Ok(Edge {
        prewarm: Prewarm::new(prewarm, blobs.clone(), store.clone(), images, counted, tasks.clone(), stopping.clone()),
        blobs,
        upstreams,
        sources,
        site,
        vouching,
        tags,
        grants,
        store,
        counts,
        looking_ahead: Edge::room_to_look_ahead(),
        in_flight: Arc::new(Semaphore::new(config.requests.max_in_flight)),
        first_byte_limit: config.requests.first_byte_limit(),
        tasks,
        stopping,
        layers: LayerFollowers::default(),
        scrubbing: Scrubbing::default(),
        admin_token: AdminToken::new(&config.listen.admin_token),
        is_on_loopback: config.listen.is_on_loopback(),
        swarm_record: OnceLock::new(),
        started_at: Timestamp::now(),
    })
}

/// An edge is ready while its index can be written, or nothing but a full disk keeps it from that: what it can't keep it passes
/// on. That an upstream is away is what an edge is for.
fn readiness(edge: &Arc<Edge>, draining: CancellationToken) -> Readiness {
    let edge = edge.clone();
    Readiness::new(READINESS_TIMEOUT, draining).check("store", move || {
        let store = edge.store.clone();
        async move {
            match store.flush().await {
                Err(error) if error.is_disk_full() => {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(
                        error,
                        "the cache's index was not written; the cache is ready, and passes on what it can't keep"
                    );
                    Ok(())
                }
                flushed => Ok(flushed?),
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_is_remembered_is_written_down() {
        let cache = Cache { max_entries: 3_000_000, max_tags: 40, max_grants: 5_000, ..Cache::default() };
        assert!(max_records(&cache) > 3_000_000 + 40 + 4 * 5_000 + 200_000);
        let most = Cache { max_entries: usize::MAX, max_tags: u64::MAX, max_grants: u64::MAX, ..cache };
        assert_eq!(max_records(&most), usize::MAX);
    }
}
