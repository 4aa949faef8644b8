//! `GET /api/v1/images/{digest}/holders`: which nodes have an image that some workload is made from, or a layer.

use std::sync::Arc;

use longshore_fleet::{NodeName, api::Holder};
use longshore_oci::Digest;

use super::{Call, Outcome, page, reply};
use crate::{access::Right, error::Error, orchestrator::Orchestrator, state::Slice};

pub async fn holders<B>(orchestrator: &Arc<Orchestrator>, digest: Digest, call: &Call<B>) -> Outcome {
    let mut parameters = call.parameters(&["limit", "after"]);
    let slice: Slice<NodeName> = page::slice(&mut parameters, orchestrator.limits.max_page);
    let slice = parameters.done(slice)?;
    orchestrator.access.require(&call.caller, Right::View, None)?;
    let position = orchestrator.state.position().await?;
    let holders = orchestrator.leader()?.holders(digest, slice.clone()).await.map_err(|_| Error::NoLeader)?;
    Ok(reply::ok(&page::page(holders, &slice, |holder: &Holder| holder.node.to_string(), position)))
}
