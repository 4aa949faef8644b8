//! `GET /api/v1/advice`: which pods would better be elsewhere. Nothing moves by itself.

use std::sync::Arc;

use longshore_fleet::api::{AdviceView, Page};

use super::{Call, Outcome, page, reply};
use crate::{access::Right, error::Error, orchestrator::Orchestrator};

/// How many nodes would be emptied, where the caller does not say.
const USUAL: u32 = 10;
/// How many at most.
const MOST: u32 = 1_000;

pub async fn advice<B>(orchestrator: &Arc<Orchestrator>, call: &Call<B>) -> Outcome {
    let mut parameters = call.parameters(&["limit"]);
    let most = page::limit(&mut parameters, USUAL, MOST);
    let most = parameters.done(most)?;
    orchestrator.access.require(&call.caller, Right::View, None)?;
    let moves = orchestrator.leader()?.advice(most).await.map_err(|_| Error::NoLeader)?;
    let items: Vec<AdviceView> = moves
        .into_iter()
        .map(|one| AdviceView { pod_id: one.pod, from: one.from, to: one.to, missing_bytes: one.missing_bytes })
        .collect();
    let position = orchestrator.state.position().await?;
    Ok(reply::ok(&Page { items, next: None, position }))
}
