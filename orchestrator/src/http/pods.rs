//! `GET` of pods.

use std::{collections::BTreeSet, str::FromStr, sync::Arc};

use longshore_fleet::{
    Name, NodeName, OwnerReference, Phase, PodId,
    api::{Page, PodView},
};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Call, Outcome, acting, page, reply, visible};
use crate::{
    access::Right,
    error::Error,
    orchestrator::Orchestrator,
    state::{PodFilter, PodRow, Slice},
    view,
};

/// One of a few words, as JSON has it.
pub struct Word<T>(pub T);

impl<T: DeserializeOwned> FromStr for Word<T> {
    type Err = serde_json::Error;

    fn from_str(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_value(Value::String(text.to_owned())).map(Self)
    }
}

pub async fn list<B>(orchestrator: &Arc<Orchestrator>, call: &Call<B>) -> Outcome {
    let mut parameters = call.parameters(&["namespace", "workload", "node", "phase", "name", "limit", "after"]);
    let mut filter = PodFilter {
        namespace: parameters.optional::<Name>("namespace"),
        workload: parameters.optional("workload"),
        node: None,
        phase: parameters.optional::<Word<Phase>>("phase").map(|word| word.0),
        name: parameters.optional("name"),
    };
    let node: Option<NodeName> = parameters.optional("node");
    let slice: Slice<PodId> = page::slice(&mut parameters, orchestrator.limits.max_page);
    let slice = parameters.done(slice)?;
    orchestrator.access.require(&call.caller, Right::View, filter.namespace.as_ref())?;
    if let Some(name) = node {
        let row = orchestrator.state.node_named(&name).await?.ok_or_else(|| Error::not_found("node", &name))?;
        filter.node = Some(row.id);
    }
    let position = orchestrator.state.position().await?;
    let rows = orchestrator.state.pods(&filter, slice.clone()).await?;
    let page = page::page(rows, &slice, |row: &PodRow| row.id.to_string(), position);
    let items = views(orchestrator, &page.items).await?;
    Ok(reply::ok(&Page { items, next: page.next, position: page.position }))
}

pub async fn one<B>(orchestrator: &Arc<Orchestrator>, id: PodId, call: &Call<B>) -> Outcome {
    acting::no_parameters(call)?;
    let row = visible(orchestrator, id, call, Right::View).await?;
    Ok(reply::ok(&seen(orchestrator, &row).await?))
}

/// A pod as callers see it.
pub async fn seen(orchestrator: &Orchestrator, row: &PodRow) -> Result<PodView, Error> {
    let views = views(orchestrator, std::slice::from_ref(row)).await?;
    views.into_iter().next().ok_or_else(|| Error::not_found("pod", row.id))
}

/// A pod that a caller may do something with.
pub async fn visible<B>(orchestrator: &Orchestrator, id: PodId, call: &Call<B>, right: Right) -> Result<PodRow, Error> {
    let look_up = async { orchestrator.state.pod(id).await?.ok_or_else(|| Error::not_found("pod", id)) };
    visible::visible(orchestrator, call, right, look_up, |row| Some(&row.namespace)).await
}

/// Pods as callers see them, but for those whose workload has gone meanwhile. What they name is looked up at once for all of them.
async fn views(orchestrator: &Orchestrator, rows: &[PodRow]) -> Result<Vec<PodView>, Error> {
    let of: BTreeSet<_> = rows.iter().map(|row| (row.workload, row.revision)).collect();
    let on: BTreeSet<_> = rows.iter().filter_map(|row| row.node).collect();
    let owners = orchestrator.state.owners(&of).await?;
    let nodes = orchestrator.state.node_names(&on).await?;
    let view = |row: &PodRow| {
        let (name, image) = owners.get(&(row.workload, row.revision))?.clone();
        let owner = OwnerReference { kind: row.workload.kind, name, revision: row.revision };
        Some(view::pod(row, owner, image, row.node.and_then(|node| nodes.get(&node)).cloned()))
    };
    Ok(rows.iter().filter_map(view).collect())
}
