//! Long work: `GET`, and `POST …/cancel`.

use std::sync::Arc;

use http::StatusCode;
use longshore_fleet::{
    OperationId,
    api::{Change, EventKind, OperationState, OperationView},
};

use super::{
    Call, Incoming, Outcome,
    acting::{self, Deed, Happening, Terms},
    body, page, reply, visible,
};
use crate::{
    access::Right,
    error::Error,
    orchestrator::{Orchestrator, now},
    state::{Answer, OperationKey, OperationRow, Slice, Write},
    view,
};

pub async fn list<B>(orchestrator: &Arc<Orchestrator>, call: &Call<B>) -> Outcome {
    let mut parameters = call.parameters(&["running", "limit", "after"]);
    let running = parameters.flag("running");
    let slice: Slice<OperationId> = page::slice(&mut parameters, orchestrator.limits.max_page);
    let (running, slice) = parameters.done((running, slice))?;
    orchestrator.access.require(&call.caller, Right::View, None)?;
    let position = orchestrator.state.position().await?;
    let rows = orchestrator.state.operations(running, slice.clone()).await?;
    let views: Vec<OperationView> = rows.into_iter().map(|row| row.view).collect();
    Ok(reply::ok(&page::page(views, &slice, |view: &OperationView| view.operation_id.to_string(), position)))
}

pub async fn one<B>(orchestrator: &Orchestrator, id: OperationId, call: &Call<B>) -> Outcome {
    acting::no_parameters(call)?;
    Ok(reply::ok(&find(orchestrator, id, call, Right::View).await?.view))
}

/// Stops what goes on; what has ended stays as it is.
pub async fn cancel<B: Incoming>(orchestrator: &Arc<Orchestrator>, id: OperationId, mut call: Call<B>) -> Outcome {
    let bytes = body::read_short(orchestrator, &mut call).await?;
    let mut fields = body::object(&bytes)?;
    let terms = Terms::plain(&call, &bytes, &mut fields, "revision")?;
    if let Some(field) = fields.keys().next() {
        return Err(body::fault(field, "is no field; there is operationId"));
    }
    let mut row = find(orchestrator, id, &call, Right::Deploy).await?;
    if let Some(first) = acting::replay(orchestrator, terms.operation.as_ref()).await? {
        return Ok(first);
    }
    if row.view.state.has_ended() {
        return ended(orchestrator, &call, terms.operation, &row.view).await;
    }
    let at = now();
    row.view.state = OperationState::Cancelled;
    row.view.ended_at = Some(view::timestamp(at));
    row.ended = Some(at);
    let object = serde_json::to_value(&row.view).unwrap_or_else(|_| unreachable!("what we answer is always JSON"));
    let namespace = row.view.request.namespace.clone();
    let happening = Happening {
        kind: EventKind::Operation,
        change: Change::Changed,
        id: id.to_string(),
        namespace: namespace.as_ref(),
        name: "prewarm",
        reason: "Cancelled",
        message: "nothing more of it is fetched".to_owned(),
        object: Some(object.clone()),
    };
    let deed = Deed {
        events: vec![happening.by(&call)],
        subject: format!("operation {id}"),
        writes: vec![Write::CancelOperation(Box::new(row))],
        answer: Answer { status: StatusCode::OK.as_u16(), body: object },
    };
    match acting::act(orchestrator, &call, terms.operation.clone(), deed).await {
        // The leader has ended it between the look and the act.
        Err(Error::Conflict(_)) => {
            let row = find(orchestrator, id, &call, Right::Deploy).await?;
            ended(orchestrator, &call, terms.operation, &row.view).await
        }
        outcome => outcome,
    }
}

/// It has ended, and stays as it is.
async fn ended<B>(orchestrator: &Orchestrator, call: &Call<B>, operation: Option<OperationKey>, view: &OperationView) -> Outcome {
    let body = serde_json::to_value(view).unwrap_or_else(|_| unreachable!("what we answer is always JSON"));
    let answer = Answer { status: StatusCode::OK.as_u16(), body };
    acting::nothing(orchestrator, call, operation, format!("operation {}", view.operation_id), answer).await
}

async fn find<B>(orchestrator: &Orchestrator, id: OperationId, call: &Call<B>, right: Right) -> Result<OperationRow, Error> {
    let look_up = async { orchestrator.state.operation(id).await?.ok_or_else(|| Error::not_found("operation", id)) };
    visible::visible(orchestrator, call, right, look_up, |row| row.view.request.namespace.as_ref()).await
}
