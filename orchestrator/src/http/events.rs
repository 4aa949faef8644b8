//! `GET /api/v1/events`: what happened last, the newest first.

use std::sync::Arc;

use longshore_fleet::{Name, api::Page};

use super::{Call, Outcome, page, reply};
use crate::{access::Right, orchestrator::Orchestrator};

/// How many there are where the caller does not say.
const USUAL: u32 = 100;

pub async fn events<B>(orchestrator: &Arc<Orchestrator>, call: &Call<B>) -> Outcome {
    let mut parameters = call.parameters(&["namespace", "id", "limit"]);
    let (namespace, id): (Option<Name>, Option<String>) = (parameters.optional("namespace"), parameters.optional("id"));
    let most = page::limit(&mut parameters, USUAL, orchestrator.limits.max_page);
    let (namespace, id, most) = parameters.done((namespace, id, most))?;
    orchestrator.access.require(&call.caller, Right::View, namespace.as_ref())?;
    let position = orchestrator.state.position().await?;
    let items = orchestrator.state.events_of(namespace.as_ref(), id.as_deref(), most).await?;
    Ok(reply::ok(&Page { items, next: None, position }))
}
