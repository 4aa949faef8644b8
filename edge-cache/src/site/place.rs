use std::sync::Arc;

use longshore_oci::RepositoryName;

use crate::{grants, upstream::Upstream};

/// Where a blob belongs, in words that all edges of a site understand: they must call their upstreams alike.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Place {
    /// The upstream's name.
    pub upstream: String,
    /// What tells it from others of that name: its name and address.
    pub address: Arc<str>,
    /// The repository there.
    pub repository: RepositoryName,
}

impl Place {
    /// This repository of this upstream.
    pub fn new(upstream: &Upstream, repository: RepositoryName) -> Self {
        Self { upstream: upstream.name().to_owned(), address: grants::address(upstream), repository }
    }
}
