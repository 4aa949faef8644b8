//! `POST /agent/v1/join`: a node wants to belong to the fleet.

use std::sync::Arc;

use http::StatusCode;
use longshore_fleet::{
    Join, Joined, NodeId,
    api::{Change, EventKind},
};
use uuid::Uuid;

use super::{
    Call, Incoming, Outcome,
    acting::{self, Deed, Happening},
    body, join_tokens, reply,
};
use crate::{
    access::{InvalidPublicKey, PublicKeyText},
    error::Error,
    orchestrator::{Orchestrator, now},
    state::{Answer, Expected, NodeRow, StateError, Write},
};

/// What stands among nodes' names in paths and is none.
const OTHERS: [&str; 2] = ["health", "tokens"];

pub async fn join<B: Incoming>(orchestrator: &Arc<Orchestrator>, mut call: Call<B>) -> Outcome {
    let bytes = body::read_short(orchestrator, &mut call).await?;
    let Join { token, name, public_key } = body::typed(body::object(&bytes)?)?;
    let key: PublicKeyText = public_key.parse().map_err(|error: InvalidPublicKey| body::fault("publicKey", error.to_string()))?;
    if OTHERS.contains(&name.as_str()) {
        return Err(body::fault("name", format!("can't be {name}: under /api/v1/nodes that is something else")));
    }
    let public_key = key.to_string();
    // The same node again: it was not told that it is in.
    let known = |row: NodeRow| {
        if row.public_key == public_key {
            return Ok(reply::ok(&Joined { node_id: row.id }));
        }
        let told = format!(
            "there is a node {} with another key: remove that one first, or have this one join by another name",
            row.name
        );
        Err(Error::Taken(told))
    };
    if let Some(row) = orchestrator.state.node_named(&name).await? {
        return known(row);
    }
    let id = NodeId(Uuid::now_v7());
    let row = NodeRow {
        id,
        name: name.clone(),
        public_key: public_key.clone(),
        revision: 1,
        is_cordoned: false,
        is_draining: false,
        facts: None,
        joined: now(),
    };
    let happening = Happening {
        kind: EventKind::Node,
        change: Change::Added,
        id: id.to_string(),
        namespace: None,
        name: name.as_str(),
        reason: "Joined",
        message: format!("it belongs to the fleet, and calls from {}", call.caller.address()),
        object: None,
    };
    let mut event = happening.by(&call);
    event.author = None;
    let joined = serde_json::to_value(Joined { node_id: id }).unwrap_or_else(|_| unreachable!("what we answer is always JSON"));
    let deed = Deed {
        writes: vec![Write::UseJoinToken { hash: join_tokens::hash(&token) }, Write::PutNode(Box::new(row), Expected::None)],
        events: vec![event],
        subject: format!("node {name}"),
        answer: Answer { status: StatusCode::OK.as_u16(), body: joined },
    };
    match acting::act_as(orchestrator, &call, &format!("node:{name}"), None, deed).await {
        Err(Error::State(StateError::Exists)) => match orchestrator.state.node_named(&name).await? {
            Some(row) => known(row),
            None => Err(Error::State(StateError::Exists)),
        },
        Err(Error::State(StateError::NoSuchToken)) => Err(Error::Unauthorized {
            reason: "the token lets nobody in: it is not known, has run out, or was used up".to_owned(),
            challenge: "Bearer realm=\"longshore-nodes\"".to_owned(),
        }),
        outcome => outcome,
    }
}
