//! Where the blobs come from that are not here: from neighbours first, then from the other edges of the site, then from the upstream.

use std::sync::{Arc, OnceLock};

use longshore_oci::{Digest, RepositoryName};

use crate::{
    Origin,
    neighbours::Neighbours,
    site::{Site, SiteRepository, SiteSource},
    source::SharedSource,
    upstream::Upstream,
    via::Led,
};

/// All from whom an edge may have blobs.
pub struct Sources {
    site: Option<Arc<Site>>,
    /// They are made of parts of the edge, and so come after it.
    neighbours: OnceLock<Arc<dyn Neighbours>>,
}

impl Sources {
    /// The upstreams, and before them the other edges of a site; no neighbours yet.
    pub fn new(site: Option<Arc<Site>>) -> Self {
        Self { site, neighbours: OnceLock::new() }
    }

    /// Puts neighbours before all others; those that are there already stay.
    pub fn set_neighbours(&self, neighbours: Arc<dyn Neighbours>) {
        self.neighbours.set(neighbours).ok();
    }

    /// The edge's neighbours, where it has any.
    pub fn neighbours(&self) -> Option<&dyn Neighbours> {
        self.neighbours.get().map(|neighbours| &**neighbours)
    }

    /// Where the blobs of a repository come from.
    pub fn of(&self, origin: Origin) -> SharedSource {
        let place = || SiteRepository::new(&origin.upstream, origin.repository.clone());
        let neighbours = self.neighbours().map(|neighbours| (neighbours, place()));
        let behind: SharedSource = match &self.site {
            Some(site) => Arc::new(SiteSource::new(site.clone(), origin)),
            None => Led::shared(origin),
        };
        match neighbours {
            Some((neighbours, place)) => neighbours.before(behind, &place),
            None => behind,
        }
    }

    /// Somebody was let at a blob of this repository, which is or will be here: see [`Neighbours::shares`].
    pub fn shares(&self, upstream: &Upstream, repository: &RepositoryName, digest: &Digest) {
        if let Some(neighbours) = self.neighbours() {
            neighbours.shares(&SiteRepository::new(upstream, repository.clone()), digest);
        }
    }
}
