//! `GET` of pods.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    str::FromStr,
    sync::Arc,
};

use longshore_fleet::{
    Image, Name, NodeId, NodeName, OwnerReference, Phase, PodId, WorkloadId,
    api::{Page, PodView},
};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Call, Outcome, acting, page, reply};
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
    let mut names = Names::default();
    let mut items = Vec::with_capacity(page.items.len());
    for row in page.items {
        items.extend(names.view(orchestrator, &row).await?);
    }
    Ok(reply::ok(&Page { items, next: page.next, position: page.position }))
}

pub async fn one<B>(orchestrator: &Arc<Orchestrator>, id: PodId, call: &Call<B>) -> Outcome {
    acting::no_parameters(call)?;
    let row = visible(orchestrator, id, call, Right::View).await?;
    Ok(reply::ok(&seen(orchestrator, &row).await?))
}

/// A pod as callers see it.
pub async fn seen(orchestrator: &Orchestrator, row: &PodRow) -> Result<PodView, Error> {
    let view = Names::default().view(orchestrator, row).await?;
    view.ok_or_else(|| Error::not_found("pod", row.id))
}

/// A pod that a caller may do something with.
pub async fn visible<B>(orchestrator: &Orchestrator, id: PodId, call: &Call<B>, right: Right) -> Result<PodRow, Error> {
    // Whoever may see nothing at all is not told whether it is there.
    if !call.caller.has_token() {
        orchestrator.access.require(&call.caller, right, None)?;
    }
    let row = orchestrator.state.pod(id).await?.ok_or_else(|| Error::not_found("pod", id))?;
    orchestrator.access.require(&call.caller, right, Some(&row.namespace))?;
    Ok(row)
}

/// What pods of one list name again and again.
#[derive(Default)]
struct Names {
    /// None where it has gone meanwhile.
    owners: BTreeMap<(WorkloadId, u64), Option<(OwnerReference, Image)>>,
    nodes: BTreeMap<NodeId, Option<NodeName>>,
}

impl Names {
    async fn view(&mut self, orchestrator: &Orchestrator, row: &PodRow) -> Result<Option<PodView>, Error> {
        let node = match row.node {
            Some(node) => self.node(orchestrator, node).await?,
            None => None,
        };
        let owner = self.owner(orchestrator, row).await?;
        Ok(owner.map(|(owner, image)| view::pod(row, owner, image, node)))
    }

    async fn owner(&mut self, orchestrator: &Orchestrator, row: &PodRow) -> Result<Option<(OwnerReference, Image)>, Error> {
        let vacant = match self.owners.entry((row.workload, row.revision)) {
            Entry::Occupied(known) => return Ok(known.get().clone()),
            Entry::Vacant(vacant) => vacant,
        };
        let workload = orchestrator.state.workload(row.workload).await?;
        let revision = orchestrator.state.revision(row.workload, row.revision).await?;
        let owner = workload.zip(revision).map(|(workload, revision)| {
            let owner = OwnerReference { kind: row.workload.kind, name: workload.name, revision: row.revision };
            (owner, revision.template.image)
        });
        Ok(vacant.insert(owner).clone())
    }

    async fn node(&mut self, orchestrator: &Orchestrator, id: NodeId) -> Result<Option<NodeName>, Error> {
        let vacant = match self.nodes.entry(id) {
            Entry::Occupied(known) => return Ok(known.get().clone()),
            Entry::Vacant(vacant) => vacant,
        };
        let row = orchestrator.state.node(id).await?;
        Ok(vacant.insert(row.map(|row| row.name)).clone())
    }
}
