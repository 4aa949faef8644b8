//! What is asked of the orchestrator for one document.

use longshore_client::{FleetClient, FleetError, Terms, Workload};
use longshore_fleet::{
    Name, NamespaceSpec,
    api::{Applied, Code, DeploymentView, JobView, Plan},
};
use serde::Serialize;

use crate::fleet::manifest::{Manifest, Wish};

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

/// What that would come to where these were done before it; nothing is changed.
pub async fn plan_of(client: &FleetClient, before: &[Manifest], wish: &Wish) -> Result<Done, FleetError> {
    let plan = match wish {
        Wish::Deployment(spec) => {
            let there = namespace_of(before, &spec.upkeep.namespace);
            client.plan_workload::<DeploymentView>(spec, there).await?
        }
        Wish::Job(spec) => client.plan_workload::<JobView>(spec, namespace_of(before, &spec.work.namespace)).await?,
        Wish::Namespace(spec) => return plan_of_namespace(client, spec).await,
    };
    Ok(Done { came: Came::Planned, revision: plan.revision, plan: Some(plan) })
}

/// A namespace as the last of these documents wants it that is about it.
fn namespace_of<'a>(before: &'a [Manifest], name: &Name) -> Option<&'a NamespaceSpec> {
    before.iter().rev().find_map(|manifest| match &manifest.wish {
        Wish::Namespace(spec) if spec.name == *name => Some(&**spec),
        _ => None,
    })
}

/// A namespace has no pods to place; that it can be asked for is all there is to find out.
async fn plan_of_namespace(client: &FleetClient, spec: &NamespaceSpec) -> Result<Done, FleetError> {
    match client.namespace(&spec.name).await {
        Ok(seen) => {
            let came = if seen.spec == *spec { Came::Unchanged } else { Came::Planned };
            Ok(Done { came, revision: Some(seen.revision), plan: None })
        }
        Err(error) if error.code() == Some(Code::NotFound) => Ok(Done { came: Came::Planned, revision: None, plan: None }),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::manifest::{self, Source};

    #[test]
    fn a_plan_is_made_in_the_namespace_that_the_documents_before_make() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("a.yaml");
        let text = "{kind: Namespace, name: team}\n---\n{kind: Namespace, name: team, quota: {pods: 9}}\n---\n{kind: Namespace, name: other}\n";
        std::fs::write(&file, text).expect("it can be written");
        let manifests = manifest::read(&[Source::Path(file)], None).expect("they are right");
        let team = "team".parse().expect("a name");
        let pods = |before: &[Manifest]| namespace_of(before, &team).map(|spec| spec.quota.pods);
        assert_eq!(pods(&manifests), Some(Some(9)), "the last one counts");
        assert_eq!(pods(&manifests[..1]), Some(None));
        assert_eq!(pods(&manifests[2..]), None, "it is another");
    }
}
