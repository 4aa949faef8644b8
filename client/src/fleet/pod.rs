use longshore_fleet::{
    Name, NodeName, Phase, PodId, WorkloadId,
    api::{ExplanationView, PodView},
};
use reqwest::Method;

use super::{FleetClient, FleetError, FleetPages, act::Seen, with_query};

/// Which pods to list; all of what is not said.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct PodFilter {
    /// Where they are.
    pub namespace: Option<Name>,
    /// Of which workload.
    pub workload: Option<WorkloadId>,
    /// On which node.
    pub node: Option<NodeName>,
    /// How far they have come.
    pub phase: Option<Phase>,
    /// What they are called.
    pub name: Option<String>,
}

impl FleetClient {
    /// Pods by namespace and name.
    pub fn pods(&self, filter: &PodFilter) -> FleetPages<'_, PodView> {
        let asked = [
            ("namespace", filter.namespace.as_ref().map(ToString::to_string)),
            ("workload", filter.workload.map(|workload| workload.to_string())),
            ("node", filter.node.as_ref().map(ToString::to_string)),
            ("phase", filter.phase.map(|phase| phase.to_string())),
            ("name", filter.name.clone()),
        ];
        FleetPages::new(self, with_query(self.at(&[&"pods"]), asked))
    }

    /// One pod.
    pub async fn pod(&self, id: PodId) -> Result<PodView, FleetError> {
        self.get(self.at(&[&"pods", &id])).await
    }

    /// Ends a pod; its workload makes another where it wants one.
    pub async fn delete_pod(&self, id: PodId) -> Result<(), FleetError> {
        self.bare_act(Method::DELETE, self.at(&[&"pods", &id]), Seen::Anything).await.map(drop)
    }

    /// Why a pod is where it is, or nowhere.
    pub async fn explain_pod(&self, id: PodId) -> Result<ExplanationView, FleetError> {
        self.get(self.at(&[&"pods", &id, &"explain"])).await
    }
}
