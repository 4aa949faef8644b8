//! `POST /agent/v1/logs/{id}`: a node sends what a pod has written to whoever waits for it.

use std::sync::Arc;

use bytes::Bytes;
use http::StatusCode;
use http_body_util::BodyExt as _;
use longshore_fleet::LogsId;

use super::{Call, Incoming, Outcome, reply};
use crate::{error::Error, orchestrator::Orchestrator};

pub async fn agent_logs<B: Incoming>(orchestrator: &Arc<Orchestrator>, id: LogsId, mut call: Call<B>) -> Outcome {
    let node = orchestrator.nodes.identify(&orchestrator.state, &call.parts.headers).await?;
    let Some(pieces) = orchestrator.logs.claim(id, node) else { return Err(Error::not_found("wish to read logs", id)) };
    // Says that it begins, even where nothing was written yet.
    if pieces.send(Bytes::new()).await.is_err() {
        return Ok(reply::status(StatusCode::NO_CONTENT));
    }
    loop {
        let frame = tokio::select! {
            frame = call.body.frame() => frame,
            () = pieces.closed() => break,
        };
        let Some(frame) = frame else { break };
        let Ok(bytes) = frame.map_err(|error| Error::Body(error.to_string()))?.into_data() else { continue };
        orchestrator.received_bytes.inc_by(bytes.len() as u64);
        if pieces.send(bytes).await.is_err() {
            break;
        }
    }
    Ok(reply::status(StatusCode::NO_CONTENT))
}
