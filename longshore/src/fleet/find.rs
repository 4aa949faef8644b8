//! What is meant by a name, or by an id.

use longshore_client::{FleetClient, PodFilter, Workload};
use longshore_fleet::{
    Name, NodeName, OperationId, PodId,
    api::{NodeView, OperationView, PodView},
};

use super::{connection::told, kind::Kind};
use crate::failure::Failure;

/// The workload of this name in a namespace, or of this id.
pub async fn workload<W: Workload>(client: &FleetClient, namespace: &Name, name: &str) -> Result<W, Failure> {
    if let Ok(id) = name.parse::<W::Id>() {
        return client.workload(id).await.map_err(|error| told(&error));
    }
    let found = client.workload_named(namespace, name).await.map_err(|error| told(&error))?;
    found.ok_or_else(|| missing(W::PATH.trim_end_matches('s'), name, Some(namespace)))
}

/// The pod of this name in a namespace, or of this id.
pub async fn pod(client: &FleetClient, namespace: &Name, name: &str) -> Result<PodView, Failure> {
    if let Ok(id) = name.parse::<PodId>() {
        return client.pod(id).await.map_err(|error| told(&error));
    }
    let filter = PodFilter { namespace: Some(namespace.clone()), name: Some(name.to_owned()), ..PodFilter::default() };
    let found = client.pods(&filter).first().await.map_err(|error| told(&error))?;
    found.ok_or_else(|| missing("pod", name, Some(namespace)))
}

/// The node of this name.
pub async fn node(client: &FleetClient, name: &str) -> Result<NodeView, Failure> {
    let name: NodeName = name.parse().map_err(|error| Failure::Usage(format!("{name:?}: {error}")))?;
    client.node(&name).await.map_err(|error| told(&error))
}

/// The operation of this id.
pub async fn operation(client: &FleetClient, id: &str) -> Result<OperationView, Failure> {
    client.operation(operation_id(id)?).await.map_err(|error| told(&error))
}

/// An operation's id.
pub fn operation_id(text: &str) -> Result<OperationId, Failure> {
    text.parse().map_err(|error| Failure::Usage(format!("{text:?}: {error}")))
}

/// A namespace's name, or a workload's.
pub fn name(text: &str) -> Result<Name, Failure> {
    text.parse().map_err(|error| Failure::Usage(format!("{text:?}: {error}")))
}

fn missing(kind: &str, name: &str, namespace: Option<&Name>) -> Failure {
    let place = namespace.map(|namespace| format!(" in the namespace {namespace}")).unwrap_or_default();
    Failure::NotFound(format!("there is no {kind} {name}{place}; `longshore get {kind}s -A` lists all"))
}

/// That there is no verb for things of this kind.
pub fn unfit(verb: &str, kind: Kind, others: &str) -> Failure {
    Failure::Usage(format!("{verb} is not for {kind}s; it is for {others}"))
}
