use std::sync::Arc;

use longshore_oci::RepositoryName;

use crate::upstream::Upstream;

/// A repository, in words that all edges of a site understand: they must call their upstreams alike.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SiteRepository {
    /// The upstream's name.
    pub upstream: String,
    /// What tells it from others of that name: its name and address.
    pub address: Arc<str>,
    /// The repository there.
    pub repository: RepositoryName,
}

impl SiteRepository {
    /// This repository of this upstream.
    pub fn new(upstream: &Upstream, repository: RepositoryName) -> Self {
        Self { upstream: upstream.name().to_owned(), address: upstream.key().clone(), repository }
    }
}
