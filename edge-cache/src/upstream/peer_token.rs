//! Tokens that the edge shows to its neighbours in a swarm.

use std::{sync::Arc, time::Instant};

use http::StatusCode;
use longshore_client::Secret;
use longshore_oci::{RepositoryName, Route};

use super::{Ask, Upstream, UpstreamError, asker::Asker, endpoint::Endpoint};

impl Upstream {
    /// A token by which the edge shows, as the peer of this id, that its own account may pull from a repository, or that anybody may. It is
    /// as the upstream gave it: what it is good for is to be checked. `None` where the upstream is no registry of ours, or gives no
    /// tokens.
    pub async fn peer_token(&self, repository: &RepositoryName, peer_id: &str) -> Result<Option<Secret>, UpstreamError> {
        if !self.find_kind().await? {
            return Ok(None);
        }
        let asker = Asker::Edge(self.credentials.get().await);
        let blamed = Ask::get(Route::Token);
        let attempt = |endpoint| self.peer_token_at(endpoint, &asker, repository, peer_id);
        let given = self.attempts(&asker, &blamed, attempt).await;
        if given.as_ref().is_err_and(|error| error.status() == Some(StatusCode::UNAUTHORIZED)) {
            self.credentials.doubt();
        }
        given
    }

    async fn peer_token_at(
        &self,
        endpoint: Arc<Endpoint>,
        asker: &Asker,
        repository: &RepositoryName,
        peer_id: &str,
    ) -> Result<Option<Secret>, UpstreamError> {
        let _slot = self.slots.take(false).await.ok_or_else(|| self.busy())?;
        let (_in_flight, begun) = (self.counts.begin(), Instant::now());
        let given = endpoint.client(asker).peer_token(repository, peer_id).await;
        let given = given.map_err(|error| UpstreamError::of(&self.name, error, endpoint.shows_certificate(asker)));
        let outcome = given.as_ref().map_or_else(UpstreamError::label, |_| "2xx");
        self.counts.answered(Route::Token.label(), outcome, begun.elapsed().as_secs_f64());
        if given.is_ok() {
            endpoint.answers(&self.counts);
            endpoint.succeeds();
        }
        given
    }
}
