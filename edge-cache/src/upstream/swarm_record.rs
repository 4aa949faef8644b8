//! Where the tracker of an upstream is.

use std::{sync::Arc, time::Instant};

use longshore_client::{RegistryUrl, SwarmRecord};
use longshore_oci::Route;

use super::{Ask, Upstream, UpstreamError, asker::Asker, endpoint::Endpoint};

impl Upstream {
    /// Who the upstream is in the swarm, and at which of its addresses it said so. `None` where it is no registry or cache of ours, or has
    /// no part there. It is asked as nobody in particular.
    pub async fn swarm_record(&self) -> Result<Option<(SwarmRecord, RegistryUrl)>, UpstreamError> {
        if !self.find_kind().await? {
            return Ok(None);
        }
        let (asker, question) = (Asker::Anonymous, Ask::get(Route::Swarm));
        self.attempts(&asker, &question, |endpoint| self.swarm_record_at(endpoint)).await
    }

    async fn swarm_record_at(&self, endpoint: Arc<Endpoint>) -> Result<Option<(SwarmRecord, RegistryUrl)>, UpstreamError> {
        let _slot = self.slots.take(false).await.ok_or_else(|| self.busy())?;
        let (_in_flight, begun) = (self.counts.begin(), Instant::now());
        let told = endpoint.client(&Asker::Anonymous).swarm_record().await;
        let told = told.map_err(|error| UpstreamError::of(&self.name, error, endpoint.shows_certificate(&Asker::Anonymous)));
        let outcome = told.as_ref().map_or_else(UpstreamError::label, |_| "2xx");
        self.counts.answered(Route::Swarm.label(), outcome, begun.elapsed().as_secs_f64());
        if told.is_ok() {
            endpoint.answers(&self.counts);
            endpoint.succeeds();
        }
        told.map(|record| record.map(|record| (record, endpoint.address().clone())))
    }
}
