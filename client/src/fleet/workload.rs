use std::{fmt::Display, str::FromStr};

use longshore_fleet::{
    DeploymentId, DeploymentSpec, JobId, JobSpec, Name, NamespaceSpec, WorkloadId,
    api::{Applied, DeploymentView, ExplanationView, JobView, Plan, RevisionView, RollbackRequest, ScaleRequest},
};
use reqwest::{Method, Url};
use serde::{Serialize, de::DeserializeOwned};

use super::{FleetClient, FleetError, FleetPages, act::Seen, with_query};

/// A kind of workload, as the orchestrator shows it.
pub trait Workload: DeserializeOwned + Serialize + Send + Sync {
    /// What is wanted of one.
    type Spec: Serialize + Send + Sync;
    /// What names one.
    type Id: Display + FromStr + Copy + Into<WorkloadId> + Send + Sync;
    /// What a list of them is called in a path.
    const PATH: &'static str;

    /// What names it.
    fn id(&self) -> Self::Id;
    /// Counts its changes.
    fn revision(&self) -> u64;
}

macro_rules! workload {
    ($view:ty, $spec:ty, $id:ty, $path:literal, $id_field:ident) => {
        impl Workload for $view {
            type Spec = $spec;
            type Id = $id;
            const PATH: &'static str = $path;

            fn id(&self) -> $id {
                self.$id_field
            }

            fn revision(&self) -> u64 {
                self.revision
            }
        }
    };
}

workload!(DeploymentView, DeploymentSpec, DeploymentId, "deployments", deployment_id);
workload!(JobView, JobSpec, JobId, "jobs", job_id);

/// When a change is made at all; always where nothing is said.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Terms {
    /// Only where no rollout goes on.
    pub if_idle: bool,
    /// Only where each pod of it has room.
    pub if_fits: bool,
}

impl Terms {
    fn on(self, url: Url) -> Url {
        let flag = |is_set: bool| is_set.then(|| "true".to_owned());
        with_query(url, [("ifIdle", flag(self.if_idle)), ("ifFits", flag(self.if_fits))])
    }
}

/// Which workloads to list; all of what is not said.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct WorkloadFilter {
    /// Where they are.
    pub namespace: Option<Name>,
    /// What they are called.
    pub name: Option<String>,
}

/// What is planned, and where.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Planned<'a, S> {
    #[serde(flatten)]
    spec: &'a S,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace_spec: Option<&'a NamespaceSpec>,
}

impl FleetClient {
    /// Workloads of a kind by namespace and name.
    pub fn workloads<W: Workload>(&self, filter: &WorkloadFilter) -> FleetPages<'_, W> {
        let namespace = filter.namespace.as_ref().map(ToString::to_string);
        let asked = [("namespace", namespace), ("name", filter.name.clone())];
        FleetPages::new(self, with_query(self.all_of::<W>(), asked))
    }

    /// The workload of a name, where there is one.
    pub async fn workload_named<W: Workload>(&self, namespace: &Name, name: &str) -> Result<Option<W>, FleetError> {
        let filter = WorkloadFilter { namespace: Some(namespace.clone()), name: Some(name.to_owned()) };
        self.workloads(&filter).first().await
    }

    /// One workload.
    pub async fn workload<W: Workload>(&self, id: W::Id) -> Result<W, FleetError> {
        self.get(self.one_of::<W>(id)).await
    }

    /// Makes a workload; one of its name is a refusal.
    pub async fn create<W: Workload>(&self, spec: &W::Spec, terms: Terms) -> Result<Applied, FleetError> {
        self.apply(Method::POST, terms.on(self.all_of::<W>()), Seen::Anything, spec).await
    }

    /// Has a workload be so, where it still is as it was seen.
    pub async fn replace<W: Workload>(
        &self,
        id: W::Id,
        spec: &W::Spec,
        revision: u64,
        terms: Terms,
    ) -> Result<Applied, FleetError> {
        self.apply(Method::PUT, terms.on(self.one_of::<W>(id)), Seen::Revision(revision), spec).await
    }

    /// Ends a workload and its pods, where it still is as it was seen.
    pub async fn delete<W: Workload>(&self, id: W::Id, revision: u64) -> Result<(), FleetError> {
        self.bare_act(Method::DELETE, self.one_of::<W>(id), Seen::Revision(revision)).await.map(drop)
    }

    /// What it would come to if a workload were as this says, and in no other way: whether it is there or not, its name tells. Its
    /// namespace may be one that is yet to be, or to be another.
    pub async fn plan_workload<W: Workload>(
        &self,
        spec: &W::Spec,
        namespace: Option<&NamespaceSpec>,
    ) -> Result<Plan, FleetError> {
        self.plan(self.at(&[&"workloads", &format!("{}:plan", W::PATH)]), &Planned { spec, namespace_spec: namespace }).await
    }

    /// What a deployment's pods were made from.
    pub fn revisions(&self, id: DeploymentId) -> FleetPages<'_, RevisionView> {
        FleetPages::new(self, self.under::<DeploymentView>(id, "revisions"))
    }

    /// Where one more pod of a workload would go, and why nowhere else.
    pub async fn explain_workload<W: Workload>(&self, id: W::Id) -> Result<ExplanationView, FleetError> {
        self.get(self.under::<W>(id, "explain")).await
    }

    /// Has a deployment have so many pods, where it still is as it was seen.
    pub async fn scale(
        &self,
        id: DeploymentId,
        request: &ScaleRequest,
        revision: u64,
        terms: Terms,
    ) -> Result<Applied, FleetError> {
        let url = terms.on(self.under::<DeploymentView>(id, "scale"));
        self.apply(Method::POST, url, Seen::Revision(revision), request).await
    }

    /// Has a deployment's pods be made from what they were made from before, where it still is as it was seen.
    pub async fn rollback(&self, id: DeploymentId, request: &RollbackRequest, revision: u64) -> Result<Applied, FleetError> {
        let url = self.under::<DeploymentView>(id, "rollback");
        self.apply(Method::POST, url, Seen::Revision(revision), request).await
    }

    fn all_of<W: Workload>(&self) -> Url {
        self.at(&[&"workloads", &W::PATH])
    }

    fn one_of<W: Workload>(&self, id: W::Id) -> Url {
        self.at(&[&"workloads", &W::PATH, &id])
    }

    fn under<W: Workload>(&self, id: W::Id, verb: &str) -> Url {
        self.at(&[&"workloads", &W::PATH, &id, &verb])
    }
}
