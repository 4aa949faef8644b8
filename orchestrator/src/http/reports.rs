//! `POST /agent/v1/reports`: how things are on a node.

use std::sync::Arc;

use http::StatusCode;
use longshore_fleet::Report;

use super::{Call, Incoming, Outcome, acting, body, reply};
use crate::{error::Error, lead::Reported, orchestrator::Orchestrator};

pub async fn reports<B: Incoming>(orchestrator: &Arc<Orchestrator>, mut call: Call<B>) -> Outcome {
    acting::no_parameters(&call)?;
    let node = orchestrator.nodes.identify(&orchestrator.state, &call.parts.headers).await?;
    // Before its body is read: it may be long.
    let leader = orchestrator.leader()?;
    let most_bytes = body::most_bytes(&call, orchestrator.limits.max_report.as_bytes())?;
    let _memory = orchestrator.turns.report(most_bytes).await?;
    let bytes = body::read(orchestrator, &mut call, most_bytes).await?;
    let report: Report =
        serde_json::from_slice(&bytes).map_err(|error| Error::Request(format!("the report can't be read: {error}")))?;
    match leader.report(node, report).await.map_err(|_| Error::NotLeader(None))? {
        Reported::Taken => Ok(reply::status(StatusCode::NO_CONTENT)),
        Reported::StreamUnknown => Err(Error::StreamUnknown),
    }
}
