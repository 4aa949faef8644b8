//! `GET` of workloads.

use std::sync::Arc;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use longshore_fleet::{Name, WorkloadId, WorkloadKind};
use serde_json::Value;

use super::{Call, Outcome, acting, apply, page, reply, wanted::Found};
use crate::{
    access::Right,
    error::Error,
    orchestrator::Orchestrator,
    state::{Slice, WorkloadFilter, WorkloadRow},
};

/// How many of a page are looked up at once.
const AT_ONCE: usize = 8;

/// Those of a kind.
pub async fn list<B>(orchestrator: &Arc<Orchestrator>, kind: WorkloadKind, call: &Call<B>) -> Outcome {
    let mut parameters = call.parameters(&["namespace", "name", "limit", "after"]);
    let (namespace, name): (Option<Name>, Option<Name>) = (parameters.optional("namespace"), parameters.optional("name"));
    if name.is_some() && namespace.is_none() {
        parameters.fault("namespace", "must be said where a name is");
    }
    let slice: Slice<WorkloadId> = page::slice(&mut parameters, orchestrator.limits.max_page);
    let (namespace, name, slice) = parameters.done((namespace, name, slice))?;
    orchestrator.access.require(&call.caller, Right::View, namespace.as_ref())?;
    let position = orchestrator.state.position().await?;
    let rows = if let (Some(namespace), Some(name)) = (&namespace, &name) {
        orchestrator.state.workload_named(kind, namespace, name).await?.into_iter().collect()
    } else {
        let filter = WorkloadFilter { kind: Some(kind), namespace };
        orchestrator.state.workloads(&filter, slice.clone()).await?
    };
    let page = page::page(rows, &slice, |row: &WorkloadRow| row.id.to_string(), position);
    let looked_up = page.items.into_iter().map(|row| look_up(orchestrator.clone(), row));
    let items: Vec<Option<Value>> = stream::iter(looked_up).buffered(AT_ONCE).try_collect().await?;
    let items: Vec<Value> = items.into_iter().flatten().collect();
    Ok(reply::ok(&longshore_fleet::api::Page { items, next: page.next, position: page.position }))
}

/// A workload as callers see it; none where it has gone meanwhile.
async fn look_up(orchestrator: Arc<Orchestrator>, row: WorkloadRow) -> Result<Option<Value>, Error> {
    match Found::of(&orchestrator, row).await {
        Ok(found) => found.view().map(Some),
        Err(Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// One.
pub async fn one<B>(orchestrator: &Orchestrator, id: WorkloadId, call: &Call<B>) -> Outcome {
    acting::no_parameters(call)?;
    let found = apply::visible(orchestrator, id, call, Right::View).await?;
    Ok(reply::ok_at(found.row.revision, &found.view()?))
}
