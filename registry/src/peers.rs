//! Which peers of a swarm may be told of what: the registry's word, for a tracker that runs beside it.

use std::sync::Arc;

use longshore_oci::{Digest, RepositoryName};
use tokio::sync::Semaphore;

use crate::registry::Registry;

/// How many blobs are looked up for peers at once: whatever they announce, they keep no client from the database.
const MOST_LOOKUPS: usize = 8;

/// Which peers of a swarm may be told of what.
#[derive(Clone)]
pub struct Peers {
    registry: Arc<Registry>,
    lookups: Arc<Semaphore>,
}

impl Peers {
    pub(crate) fn new(registry: Arc<Registry>) -> Self {
        Self { registry, lookups: Arc::new(Semaphore::new(MOST_LOOKUPS)) }
    }

    /// Whether a peer may be told who holds a blob of a repository: it may pull from there, and the repository has the blob.
    ///
    /// It may by a token that the registry gave for that repository and this peer id, while the account that it was given to still may; the
    /// id is one that its connection has proven. Without a token it may what anybody may. What the repository has is looked up only for
    /// who may, so the answer to others says nothing of it. Where the database does not answer nobody is told anything.
    pub async fn may_be_told(&self, repository: &RepositoryName, digest: &Digest, peer_id: &str, token: Option<&str>) -> bool {
        self.may_pull(repository, peer_id, token) && self.has(repository, digest).await
    }

    fn may_pull(&self, repository: &RepositoryName, peer_id: &str, token: Option<&str>) -> bool {
        let Some(access) = &self.registry.access else { return true };
        let caller = match token {
            Some(token) => access.peer(token, peer_id),
            None => Ok(access.anonymous()),
        };
        match caller {
            Ok(caller) => caller.may_pull(repository),
            Err(error) => {
                tracing::debug!(%repository, peer_id, %error, "a peer's token is not taken");
                false
            }
        }
    }

    async fn has(&self, repository: &RepositoryName, digest: &Digest) -> bool {
        let _turn = self.lookups.acquire().await.expect("nobody closes it");
        match self.registry.memory.blob((repository.clone(), digest.clone())).await {
            Ok(blob) => blob.is_some(),
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::debug!(%repository, %digest, error, "a peer is told of nothing, as the database does not answer");
                false
            }
        }
    }
}
