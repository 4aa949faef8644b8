//! What all requests share.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use async_trait::async_trait;
use futures_util::{StreamExt as _, stream};
use jiff::Timestamp;
use longshore_oci::{Digest, RepositoryName};
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    Origin,
    blobs::{BlobMetrics, Blobs},
    control::{AdminToken, LayerFollowers, Scrubbing},
    error::Error,
    grants::Grants,
    http::DROPPED,
    names,
    neighbours::Neighbours,
    prewarm::{Prewarm, blobs_of},
    seldom::Seldom,
    site::{Behind, Site, SiteRepository},
    source::SharedSource,
    sources::Sources,
    store::Store,
    tags::{Manifest, Tags},
    upstream::{Identity, Upstream},
    via::{Led, Way},
    vouching::Vouching,
};

/// An edge cache at work.
pub struct Edge {
    /// Blobs, from wherever they are.
    pub blobs: Blobs,
    /// What is kept on disk.
    pub store: Store,
    /// The registries that it speaks for.
    pub upstreams: Arc<Upstreams>,
    /// What tags name, and the manifests.
    pub tags: Arc<Tags>,
    /// Who may see what.
    pub grants: Arc<Grants>,
    /// What is counted of blobs.
    pub counts: BlobMetrics,
    /// Where blobs come from.
    pub sources: Arc<Sources>,
    /// The other edges of its site, where there are any.
    pub site: Option<Arc<Site>>,
    /// Its own word for blobs that no registry vouches for.
    pub vouching: Vouching,
    /// What is fetched before it is asked for.
    pub prewarm: Prewarm,
    /// Leave to look ahead for a manifest's blobs.
    pub looking_ahead: Arc<Semaphore>,
    /// Requests at work; over its permits they are sent away.
    pub in_flight: Arc<Semaphore>,
    /// How long a client waits for the first byte of what it asks for; `None`: as long as it takes.
    pub first_byte_limit: Option<Duration>,
    /// Work that outlives the request that began it, and what is to be over before the store writes what is left.
    pub tasks: TaskTracker,
    /// Cancelled where what runs by itself is to end.
    pub stopping: CancellationToken,
    /// Those who follow what is here.
    pub layers: LayerFollowers,
    /// The scrub that was last asked for.
    pub scrubbing: Scrubbing,
    /// What whoever looks after the edge from elsewhere must show.
    pub admin_token: AdminToken,
    /// Whether only this machine reaches it.
    pub is_on_loopback: bool,
    /// What is told of the tracker that runs beside it, where one does.
    pub swarm_record: OnceLock<Value>,
    /// When it started.
    pub started_at: Timestamp,
}

impl Edge {
    /// Leave to look ahead, for all.
    pub(crate) fn room_to_look_ahead() -> Arc<Semaphore> {
        Arc::new(Semaphore::new(MOST_LOOKED_AHEAD))
    }

    /// A count that grows whenever anything comes from anywhere.
    pub fn came_bytes(&self) -> u64 {
        let by_neighbours = self.sources.neighbours().map_or(0, Neighbours::came_bytes);
        let of = |upstream: &Arc<Upstream>| upstream.came_bytes() + self.counts.came_bytes(upstream.name());
        by_neighbours + self.upstreams.iter().map(of).sum::<u64>()
    }

    /// Where the blobs of a repository come from: see [`Sources::of`].
    pub fn source(&self, origin: Origin) -> SharedSource {
        self.sources.of(origin)
    }
}

/// How many manifests' blobs are looked ahead for at once; of more nothing is asked before it is needed.
const MOST_LOOKED_AHEAD: usize = 16;
/// How many blobs of each, at most: what an image has more is asked about when it is needed.
const MOST_BLOBS_AHEAD: usize = 128;
/// How many of them are asked about at once.
const ASKED_AHEAD: usize = 4;

impl Edge {
    /// Somebody pulls this manifest: asks the upstream what its blobs are made of, so that neighbours can bring them though it
    /// goes away meanwhile. Returns at once.
    pub fn look_ahead(&self, origin: &Origin, manifest: &Manifest) {
        if self.sources.neighbours().is_none() || manifest.was_here {
            return;
        }
        let Ok(parsed) = longshore_oci::Manifest::parse(&manifest.bytes, Some(&manifest.media_type)) else { return };
        let Ok(turn) = self.looking_ahead.clone().try_acquire_owned() else { return };
        let lacks = |(digest, _): &(Digest, u64)| self.blobs.kept(digest, origin.upstream.key()).is_none();
        let blobs: Vec<_> = blobs_of(&parsed).into_iter().filter(lacks).take(MOST_BLOBS_AHEAD).collect();
        let (origin, stopping, way) = (origin.clone(), self.stopping.clone(), Way::now());
        let asks = blobs.into_iter().map(move |(digest, _)| ask_ahead(origin.clone(), digest));
        self.tasks.spawn(async move {
            let asking = stream::iter(asks).buffer_unordered(ASKED_AHEAD).for_each(std::future::ready);
            stopping.run_until_cancelled(way.lead(asking)).await;
            drop(turn);
        });
    }
}

async fn ask_ahead(Origin { upstream, repository, who }: Origin, digest: Digest) {
    if let Err(error) = upstream.metainfo_ahead(&who, &repository, &digest).await {
        // Whoever wants it asks for it, and is told.
        tracing::debug!(upstream = upstream.name(), %digest, %error, "a blob's metainfo was not fetched ahead");
    }
}

#[async_trait]
impl Behind for Edge {
    fn source(&self, place: &SiteRepository, identity: Identity) -> Option<SharedSource> {
        let upstream = self.upstreams.of(place)?.clone();
        Some(Led::shared(Origin { upstream, repository: place.repository.clone(), who: identity }))
    }

    async fn manifest(&self, place: &SiteRepository, digest: &Digest, identity: &Identity) -> Option<Result<Manifest, Error>> {
        let upstream = self.upstreams.of(place)?;
        Some(self.tags.manifests.get_for_member(upstream, &place.repository, digest, identity).await)
    }
}

/// The registries that an edge speaks for, in the order of its configuration.
pub struct Upstreams {
    all: Vec<Arc<Upstream>>,
    /// That clients mean one that is none of these.
    unknown: Seldom,
    /// That what clients show is not shown on.
    dropped: Seldom,
}

/// How much of a name that a client gives is told, in characters.
const NAME_TOLD: usize = 100;

impl Upstreams {
    /// These.
    pub fn new(all: Vec<Arc<Upstream>>) -> Self {
        Self { all, unknown: Seldom::default(), dropped: Seldom::default() }
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Upstream>> {
        self.all.iter()
    }

    /// What a neighbour means that has a registry by this name: the upstream that is called so; or what a request that names none
    /// means, for this cache may be the registry that it knows. With the repository as the upstream calls it.
    pub fn of_neighbour(&self, registry: &str, repository: &RepositoryName) -> Option<(Arc<Upstream>, RepositoryName)> {
        names::of_neighbour(self.all.iter(), registry, repository)
    }

    /// Tells, once in a while, that a client means none of these by a name.
    pub fn tell_unknown(&self, name: &str) {
        if let Some(count) = self.unknown.due() {
            let name: String = name.chars().take(NAME_TOLD).collect();
            tracing::warn!(name, count, "clients ask for a registry that is not known here; an upstream's `hosts` names it");
        }
    }

    /// Tells, once in a while, that what clients show is not shown to the upstream that they name.
    pub fn tell_dropped(&self, upstream: &Upstream) {
        if let Some(count) = self.dropped.due() {
            let upstream = upstream.name();
            tracing::warn!(
                upstream,
                count,
                "clients are refused, and the credentials that they show are not passed on: {DROPPED}"
            );
        }
    }

    /// The one that another edge of the site means, or a neighbour.
    pub fn of(&self, place: &SiteRepository) -> Option<&Arc<Upstream>> {
        self.all.iter().find(|upstream| upstream.name() == place.upstream && *upstream.key() == place.address)
    }
}

#[cfg(test)]
mod tests {
    use longshore_client::RegistryUrl;
    use longshore_service::metrics::Metrics;

    use super::*;
    use crate::upstream::{UpstreamMetrics, UpstreamSettings};

    fn upstream(name: &str, url: &str) -> Arc<Upstream> {
        let settings = UpstreamSettings::new(name, RegistryUrl::parse(url, false).unwrap());
        Arc::new(Upstream::new(settings, &UpstreamMetrics::new(&Metrics::new())).unwrap())
    }

    #[test]
    fn an_upstream_of_that_name_at_another_address_is_another() {
        let place = |upstream: &Upstream| SiteRepository::new(upstream, "team/app".parse().unwrap());
        let (known, other) = (upstream("up", "https://a.example"), upstream("other", "https://b.example"));
        let upstreams = Upstreams::new(vec![known.clone(), other]);
        assert!(upstreams.of(&place(&known)).is_some_and(|found| found.name() == "up"));
        assert!(upstreams.of(&place(&upstream("up", "https://b.example"))).is_none());
        assert!(upstreams.of(&place(&upstream("others", "https://a.example"))).is_none());
        assert!(upstreams.of(&SiteRepository { address: "".into(), ..place(&known) }).is_none());
    }
}
