use longshore_fleet::{
    OperationId,
    api::{OperationView, PrewarmRequest},
};
use reqwest::Method;

use super::{FleetClient, FleetError, FleetPages, act::Seen};

impl FleetClient {
    /// Has nodes fetch images before they are needed.
    pub async fn prewarm(&self, request: &PrewarmRequest) -> Result<OperationView, FleetError> {
        let response = self.act(Method::POST, self.at(&[&"operations", &"prewarm"]), Seen::Anything, Some(request)).await?;
        self.read_json(response).await
    }

    /// Long work, the newest first.
    pub fn operations(&self) -> FleetPages<'_, OperationView> {
        FleetPages::new(self, self.at(&[&"operations"]))
    }

    /// One operation.
    pub async fn operation(&self, id: OperationId) -> Result<OperationView, FleetError> {
        self.get(self.at(&[&"operations", &id])).await
    }

    /// Has an operation end.
    pub async fn cancel_operation(&self, id: OperationId) -> Result<(), FleetError> {
        self.bare_act(Method::POST, self.at(&[&"operations", &id, &"cancel"]), Seen::Anything).await.map(drop)
    }
}
