//! What is behind an edge that another asks: its upstreams, and nothing that asks the site again.

use async_trait::async_trait;
use longshore_oci::Digest;

use super::SiteRepository;
use crate::{error::Error, source::SharedSource, tags::Manifest, upstream::Identity};

/// The upstreams of an edge, by the names that all edges of a site call them by.
#[async_trait]
pub trait Behind: Send + Sync {
    /// The blobs of a repository, as somebody who asks its upstream; `None` where there is none of that name.
    fn source(&self, place: &SiteRepository, identity: Identity) -> Option<SharedSource>;

    /// A manifest, from here or else from the upstream alone; `None` likewise.
    async fn manifest(&self, place: &SiteRepository, digest: &Digest, identity: &Identity) -> Option<Result<Manifest, Error>>;
}
