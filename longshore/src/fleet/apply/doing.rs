//! What is asked of the orchestrator for one document.

use longshore_client::{FleetClient, FleetError, Terms, Workload};
use longshore_fleet::{
    Name, NamespaceSpec, Upkeep,
    api::{Applied, Code, DeploymentView, JobView, Plan},
};
use serde::Serialize;

use crate::fleet::manifest::Wish;

/// What was done.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Came {
    Created,
    Changed,
    Unchanged,
    Planned,
    Refused,
}

/// What one request came to.
pub struct Done {
    pub came: Came,
    pub revision: Option<u64>,
    pub plan: Option<Plan>,
}

/// Has it be so.
pub async fn apply(client: &FleetClient, wish: &Wish, terms: Terms) -> Result<Done, FleetError> {
    match wish {
        Wish::Deployment(spec) => {
            workload::<DeploymentView>(client, spec, (&spec.upkeep.namespace, &spec.upkeep.name), terms).await
        }
        Wish::Job(spec) => workload::<JobView>(client, spec, (&spec.work.namespace, &spec.work.name), terms).await,
        Wish::Namespace(spec) => namespace(client, spec).await,
    }
}

async fn workload<W: Workload>(
    client: &FleetClient,
    spec: &W::Spec,
    (namespace, name): (&Name, &Name),
    terms: Terms,
) -> Result<Done, FleetError> {
    let seen: Option<W> = client.workload_named(namespace, name.as_str()).await?;
    let (came, applied) = match seen {
        Some(seen) => (Came::Changed, client.replace::<W>(seen.id(), spec, seen.revision(), terms).await?),
        None => (Came::Created, client.create::<W>(spec, terms).await?),
    };
    let Applied { changed, revision, .. } = applied;
    Ok(Done { came: if changed { came } else { Came::Unchanged }, revision: Some(revision), plan: None })
}

async fn namespace(client: &FleetClient, spec: &NamespaceSpec) -> Result<Done, FleetError> {
    let came = match client.namespace(&spec.name).await {
        Ok(seen) if seen.spec == *spec => {
            return Ok(Done { came: Came::Unchanged, revision: Some(seen.revision), plan: None });
        }
        Ok(seen) => {
            client.put_namespace(spec, Some(seen.revision)).await?;
            Came::Changed
        }
        Err(error) if error.code() == Some(Code::NotFound) => {
            client.put_namespace(spec, None).await?;
            Came::Created
        }
        Err(error) => return Err(error),
    };
    Ok(Done { came, revision: None, plan: None })
}

/// What that would come to; nothing is changed.
pub async fn plan_of(client: &FleetClient, wish: &Wish) -> Result<Done, FleetError> {
    let plan = match wish {
        Wish::Deployment(spec) => {
            let Upkeep { namespace, name, .. } = &spec.upkeep;
            Some(workload_plan::<DeploymentView>(client, spec, namespace, name).await?)
        }
        Wish::Job(spec) => Some(workload_plan::<JobView>(client, spec, &spec.work.namespace, &spec.work.name).await?),
        // A namespace has no pods to place; that it can be asked for is all there is to find out.
        Wish::Namespace(spec) => match client.namespace(&spec.name).await {
            Ok(seen) if seen.spec == **spec => {
                return Ok(Done { came: Came::Unchanged, revision: Some(seen.revision), plan: None });
            }
            Ok(seen) => return Ok(Done { came: Came::Planned, revision: Some(seen.revision), plan: None }),
            Err(error) if error.code() == Some(Code::NotFound) => None,
            Err(error) => return Err(error),
        },
    };
    Ok(Done { came: Came::Planned, revision: plan.as_ref().and_then(|plan| plan.revision), plan })
}

async fn workload_plan<W: Workload>(
    client: &FleetClient,
    spec: &W::Spec,
    namespace: &Name,
    name: &Name,
) -> Result<Plan, FleetError> {
    match client.workload_named::<W>(namespace, name.as_str()).await? {
        Some(seen) => client.plan_change::<W>(seen.id(), spec).await,
        None => client.plan_new::<W>(spec).await,
    }
}
