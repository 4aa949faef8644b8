//! Nodes: as the leader sees them, and what is asked of them.

use std::{fmt, sync::Arc};

use http::StatusCode;
use longshore_fleet::{
    NodeName, PodId,
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
/// How many pods of a node are looked at to see whether one of them runs.
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
    let all = orchestrator.leader()?.nodes(None).await.map_err(|_| Error::NoLeader)?;
    let is_after = |view: &NodeView| slice.after.as_ref().is_none_or(|after| view.name > *after);
    let views: Vec<NodeView> = all.into_iter().filter(is_after).take(slice.most as usize).collect();
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
            return Ok(reply::ok_at(seen_revision, &view));
        }
        (row.is_cordoned, row.is_draining) = after;
        row.revision += 1;
        let view = NodeView { cordoned: after.0, draining: after.1, ..view };
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
    let operation = acting::operation(&call)?;
    if let Some(first) = acting::replay(orchestrator, operation.as_ref()).await? {
        return Ok(first);
    }
    let row = find(orchestrator, &key).await?;
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

async fn has_pods(orchestrator: &Orchestrator, row: &NodeRow) -> Result<bool, Error> {
    let filter = PodFilter { node: Some(row.id), ..PodFilter::default() };
    let pods = orchestrator.state.pods(&filter, Slice::<PodId> { after: None, most: LOOKED_AT }).await?;
    Ok(pods.len() == LOOKED_AT as usize || pods.iter().any(|pod| !pod.state.phase.has_ended()))
}

async fn find(orchestrator: &Orchestrator, key: &NodeKey) -> Result<NodeRow, Error> {
    let row = match key {
        NodeKey::Id(id) => orchestrator.state.node(*id).await?,
        NodeKey::Named(name) => orchestrator.state.node_named(name).await?,
    };
    row.ok_or_else(|| Error::not_found("node", key))
}

/// A node as the leader sees it; one that it has not heard of yet as the database has it.
async fn seen(orchestrator: &Orchestrator, row: &NodeRow) -> Result<NodeView, Error> {
    let views = orchestrator.leader()?.nodes(Some(row.name.clone())).await.map_err(|_| Error::NoLeader)?;
    Ok(views.into_iter().next().unwrap_or_else(|| crate::view::node(row)))
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
