//! Nodes: as the leader sees them, and what is asked of them.

use std::{collections::HashMap, fmt, sync::Arc};

use http::StatusCode;
use longshore_fleet::{
    NodeId, NodeName, PodId,
    api::{Change as Became, DrainRequest, EventKind, NodeView},
};
use serde_json::Value;

use super::{
    Call, Incoming, Outcome,
    acting::{self, Deed, Happening, Terms},
    body, page, reply,
    route::NodeKey,
};
use crate::{
    access::Right,
    error::Error,
    orchestrator::Orchestrator,
    state::{Answer, Expected, NodeRow, PodFilter, Slice, Write},
};

/// How often it is tried again where somebody else has changed the node in between.
const ATTEMPTS: usize = 5;
/// How many pods of a node are looked at at once to see whether one of them runs.
const LOOKED_AT: u32 = 1_000;

/// What is asked of a node.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Change {
    /// It gets no more pods.
    Cordon,
    /// It gets pods again.
    Uncordon,
    /// It gets no more pods, and those that it has are taken off it, as far as disruption budgets let them.
    Drain,
}

impl Change {
    /// Whether a node is cordoned then, and draining.
    const fn flags(self, before: (bool, bool)) -> (bool, bool) {
        match self {
            Self::Cordon => (true, before.1),
            Self::Uncordon => (false, false),
            Self::Drain => (true, true),
        }
    }

    const fn reason(self) -> &'static str {
        match self {
            Self::Cordon => "Cordoned",
            Self::Uncordon => "Uncordoned",
            Self::Drain => "Draining",
        }
    }

    const fn told(self) -> &'static str {
        match self {
            Self::Cordon => "it gets no more pods",
            Self::Uncordon => "it gets pods again",
            Self::Drain => "its pods are taken off it",
        }
    }
}

impl fmt::Display for NodeKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => id.fmt(formatter),
            Self::Named(name) => name.fmt(formatter),
        }
    }
}

pub async fn list<B>(orchestrator: &Arc<Orchestrator>, call: &Call<B>) -> Outcome {
    let mut parameters = call.parameters(&["limit", "after"]);
    let slice: Slice<NodeName> = page::slice(&mut parameters, orchestrator.limits.max_page);
    let slice = parameters.done(slice)?;
    orchestrator.access.require(&call.caller, Right::View, None)?;
    let position = orchestrator.state.position().await?;
    let rows = orchestrator.state.nodes(slice.clone()).await?;
    let views = views(orchestrator, &rows).await?;
    Ok(reply::ok(&page::page(views, &slice, |view: &NodeView| view.name.to_string(), position)))
}

pub async fn health<B>(orchestrator: &Arc<Orchestrator>, call: &Call<B>) -> Outcome {
    let mut parameters = call.parameters(&["zone"]);
    let zone = parameters.optional("zone");
    let zone: Option<String> = parameters.done(zone)?;
    orchestrator.access.require(&call.caller, Right::View, None)?;
    Ok(reply::ok(&orchestrator.leader()?.health(zone).await.map_err(|_| Error::NoLeader)?))
}

pub async fn one<B>(orchestrator: &Arc<Orchestrator>, key: NodeKey, call: &Call<B>) -> Outcome {
    acting::no_parameters(call)?;
    orchestrator.access.require(&call.caller, Right::View, None)?;
    let row = find(orchestrator, &key).await?;
    Ok(reply::ok_at(row.revision, &seen(orchestrator, &row).await?))
}

/// Cordons, uncordons or drains a node.
pub async fn change<B: Incoming>(orchestrator: &Arc<Orchestrator>, key: NodeKey, change: Change, mut call: Call<B>) -> Outcome {
    orchestrator.access.require(&call.caller, Right::Admin, None)?;
    let bytes = body::read_short(orchestrator, &mut call).await?;
    let mut fields = body::object(&bytes)?;
    let terms = Terms::plain(&call, &bytes, &mut fields, "revision")?;
    let DrainRequest { .. } = body::typed(fields)?;
    if let Some(first) = acting::replay(orchestrator, terms.operation.as_ref()).await? {
        return Ok(first);
    }
    for attempt in 1..=ATTEMPTS {
        let mut row = find(orchestrator, &key).await?;
        let seen_revision = row.revision;
        if terms.seen.is_some_and(|named| named != seen_revision) {
            return Err(Error::Conflict(Some(seen_revision)));
        }
        let view = seen(orchestrator, &row).await?;
        let before = (row.is_cordoned, row.is_draining);
        let after = change.flags(before);
        if before == after {
            let body = serde_json::to_value(&view).unwrap_or_else(|_| unreachable!("what we answer is always JSON"));
            let answer = Answer { status: StatusCode::OK.as_u16(), body };
            return acting::nothing(orchestrator, &call, terms.operation, format!("node {}", row.name), answer).await;
        }
        (row.is_cordoned, row.is_draining) = after;
        row.revision += 1;
        let view = NodeView { revision: row.revision, cordoned: after.0, draining: after.1, ..view };
        let object = serde_json::to_value(&view).unwrap_or_else(|_| unreachable!("what we answer is always JSON"));
        let happening = happening(&row, Became::Changed, (change.reason(), change.told()), Some(object.clone()));
        let deed = Deed {
            events: vec![happening.by(&call)],
            subject: format!("node {}", row.name),
            writes: vec![Write::PutNode(Box::new(row), Expected::At(seen_revision))],
            answer: Answer { status: StatusCode::OK.as_u16(), body: object },
        };
        match acting::act(orchestrator, &call, terms.operation.clone(), deed).await {
            Err(Error::Conflict(Some(_))) if terms.seen.is_none() && attempt < ATTEMPTS => {}
            outcome => return outcome,
        }
    }
    unreachable!("the last attempt returns")
}

/// Removes a node; one that still has pods that run only where the caller says `force`.
pub async fn remove<B: Incoming>(orchestrator: &Arc<Orchestrator>, key: NodeKey, call: Call<B>) -> Outcome {
    let mut parameters = call.parameters(&["force"]);
    let force = parameters.flag("force");
    let force = parameters.done(force)?;
    orchestrator.access.require(&call.caller, Right::Admin, None)?;
    let (operation, seen) = acting::headers(&call)?;
    if let Some(first) = acting::replay(orchestrator, operation.as_ref()).await? {
        return Ok(first);
    }
    let row = find(orchestrator, &key).await?;
    if seen.is_some_and(|seen| seen != row.revision) {
        return Err(Error::Conflict(Some(row.revision)));
    }
    if !force && has_pods(orchestrator, &row).await? {
        let told = format!(
            "the node {} has pods that run: drain it first, or say force=true, and they are made anew elsewhere",
            row.name
        );
        return Err(Error::InUse(told));
    }
    let deed = Deed {
        events: vec![happening(&row, Became::Deleted, ("Removed", "it belongs to the fleet no more"), None).by(&call)],
        subject: format!("node {}", row.name),
        writes: vec![Write::RemoveNode(row.id)],
        answer: Answer { status: StatusCode::NO_CONTENT.as_u16(), body: Value::Null },
    };
    let done = acting::act(orchestrator, &call, operation, deed).await?;
    orchestrator.nodes.forget(row.id);
    Ok(done)
}

/// Whether a node has pods that have not ended, as those of jobs do.
async fn has_pods(orchestrator: &Orchestrator, row: &NodeRow) -> Result<bool, Error> {
    let filter = PodFilter { node: Some(row.id), ..PodFilter::default() };
    let mut after: Option<PodId> = None;
    loop {
        let pods = orchestrator.state.pods(&filter, Slice { after, most: LOOKED_AT }).await?;
        if pods.iter().any(|pod| !pod.state.phase.has_ended()) {
            return Ok(true);
        }
        match pods.last() {
            Some(last) if pods.len() == LOOKED_AT as usize => after = Some(last.id),
            _ => return Ok(false),
        }
    }
}

async fn find(orchestrator: &Orchestrator, key: &NodeKey) -> Result<NodeRow, Error> {
    let row = match key {
        NodeKey::Id(id) => orchestrator.state.node(*id).await?,
        NodeKey::Named(name) => orchestrator.state.node_named(name).await?,
    };
    row.ok_or_else(|| Error::not_found("node", key))
}

/// A node as the leader sees it.
async fn seen(orchestrator: &Orchestrator, row: &NodeRow) -> Result<NodeView, Error> {
    let views = views(orchestrator, std::slice::from_ref(row)).await?;
    views.into_iter().next().ok_or_else(|| Error::not_found("node", &row.name))
}

/// Nodes as the leader sees them; those that it has not heard of yet as the database has them. What callers have asked of them is as the
/// database has it in any case: the leader looks there now and then, and whoever has cordoned a node sees at once that it is.
async fn views(orchestrator: &Orchestrator, rows: &[NodeRow]) -> Result<Vec<NodeView>, Error> {
    let ids = rows.iter().map(|row| row.id).collect();
    let known = orchestrator.leader()?.nodes(ids).await.map_err(|_| Error::NoLeader)?;
    let mut known: HashMap<NodeId, NodeView> = known.into_iter().map(|view| (view.node_id, view)).collect();
    let view = |row: &NodeRow| {
        let view = known.remove(&row.id).unwrap_or_else(|| crate::view::node(row));
        NodeView { revision: row.revision, cordoned: row.is_cordoned, draining: row.is_draining, ..view }
    };
    Ok(rows.iter().map(view).collect())
}

fn happening<'a>(row: &'a NodeRow, change: Became, (reason, message): (&'a str, &str), object: Option<Value>) -> Happening<'a> {
    Happening {
        kind: EventKind::Node,
        change,
        id: row.id.to_string(),
        namespace: None,
        name: row.name.as_str(),
        reason,
        message: message.to_owned(),
        object,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_that_is_drained_is_cordoned_too() {
        assert_eq!(Change::Drain.flags((false, false)), (true, true));
        assert_eq!(Change::Cordon.flags((false, true)), (true, true));
        assert_eq!(Change::Uncordon.flags((true, true)), (false, false));
    }
}
