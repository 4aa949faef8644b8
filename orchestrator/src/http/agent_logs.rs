//! `POST /agent/v1/logs/{id}`: a node sends what a pod has written to whoever waits for it, or why it can't.

use std::sync::Arc;

use http::{StatusCode, header};
use http_body_util::BodyExt as _;
use longshore_fleet::LogsId;

use super::{Call, Incoming, Outcome, body, reply};
use crate::{error::Error, logs::Piece, orchestrator::Orchestrator};

pub async fn agent_logs<B: Incoming>(orchestrator: &Arc<Orchestrator>, id: LogsId, mut call: Call<B>) -> Outcome {
    let node = orchestrator.nodes.identify(&orchestrator.state, &call.parts.headers).await?;
    let Some(pieces) = orchestrator.logs.claim(id, node) else { return Err(Error::not_found("wish to read logs", id)) };
    let nothing = || Ok(reply::status(StatusCode::NO_CONTENT));
    if call.header(header::CONTENT_TYPE).is_some_and(|kind| kind.starts_with("application/json")) {
        let refused = body::typed(body::object(&body::read_short(orchestrator, &mut call).await?)?)?;
        // Whoever asked may have gone.
        let _ = pieces.send(Piece::Refused(refused)).await;
        return nothing();
    }
    // Even where nothing was written yet.
    if pieces.send(Piece::Begin).await.is_err() {
        return nothing();
    }
    loop {
        let frame = tokio::select! {
            frame = call.body.frame() => frame,
            () = pieces.closed() => break,
        };
        let Some(frame) = frame else {
            let _ = pieces.send(Piece::End).await;
            break;
        };
        // What broke off is told by the lack of an end.
        let Ok(bytes) = frame.map_err(|error| Error::Body(error.to_string()))?.into_data() else { continue };
        orchestrator.received_bytes.inc_by(bytes.len() as u64);
        if pieces.send(Piece::Bytes(bytes)).await.is_err() {
            break;
        }
    }
    nothing()
}
