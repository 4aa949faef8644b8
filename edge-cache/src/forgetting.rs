//! What an upstream has told of its changes, taken to heart: what was remembered of what changed is asked for anew.

use std::sync::Arc;

use jiff::Timestamp;
use longshore_oci::{Digest, RepositoryName, Tag};

use crate::{
    edge::Upstreams,
    events::Invalidate,
    grants::{Grants, Place},
    tags::Tags,
    upstream::Upstream,
};

/// Whoever remembers what upstreams have said.
pub struct Forgetting {
    upstreams: Arc<Upstreams>,
    tags: Arc<Tags>,
    grants: Arc<Grants>,
}

impl Forgetting {
    /// These.
    pub fn new(upstreams: Arc<Upstreams>, tags: Arc<Tags>, grants: Arc<Grants>) -> Self {
        Self { upstreams, tags, grants }
    }

    fn upstream(&self, name: &str) -> Option<&Arc<Upstream>> {
        self.upstreams.iter().find(|upstream| upstream.name() == name)
    }
}

impl Invalidate for Forgetting {
    fn tag_changed(&self, upstream: &str, repository: &RepositoryName, tag: &Tag) {
        if let Some(upstream) = self.upstream(upstream) {
            self.tags.outdate(&Place::new(upstream, repository.clone()), tag);
        }
    }

    fn deleted(&self, upstream: &str, repository: &RepositoryName, digest: &Digest, at: Timestamp) {
        if let Some(upstream) = self.upstream(upstream) {
            self.grants.forget(&Place::new(upstream, repository.clone()), digest, at);
        }
    }

    fn all(&self, upstream: &str) {
        if let Some(upstream) = self.upstream(upstream) {
            self.tags.outdate_all(upstream.key());
            self.grants.forget_all(upstream.key());
        }
    }

    fn begun(&self, upstream: &str) {
        if let Some(upstream) = self.upstream(upstream) {
            self.tags.outdate_all(upstream.key());
            self.grants.ask_all_anew(upstream.key());
        }
    }
}
