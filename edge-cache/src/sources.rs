//! Where the blobs come from that are not here: from neighbours first, then from the other edges of the site, then from the upstream.

use std::sync::{Arc, OnceLock};

use jiff::Timestamp;
use longshore_oci::{Digest, Reference, RepositoryName};

use crate::{
    Origin,
    grants::{Grants, Place},
    neighbours::Neighbours,
    site::{Site, SiteRepository, SiteSource},
    source::SharedSource,
    statements::tag_topic,
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

    /// The same of a manifest that was asked for by this reference, where its upstream has given its word for it: neighbours have it by that
    /// alone.
    pub fn shares_manifest(
        &self,
        grants: &Grants,
        upstream: &Upstream,
        repository: &RepositoryName,
        digest: &Digest,
        reference: &Reference,
    ) {
        if self.neighbours().is_none() {
            return;
        }
        let (place, now) = (Place::new(upstream, repository.clone()), Timestamp::now());
        let of_tag = match reference {
            Reference::Tag(tag) => Some(tag_topic(tag)),
            Reference::Digest(_) => None,
        };
        for about in [Some(digest.clone()), of_tag].into_iter().flatten() {
            if grants.statements().counting(&place, &about, now).is_some() {
                self.shares(upstream, repository, &about);
            }
        }
    }
}
