//! `GET /api/v1/audit`: who did what, the newest first.

use std::sync::Arc;

use longshore_fleet::api::AuditView;

use super::{Call, Outcome, page, reply};
use crate::{
    access::Right,
    orchestrator::Orchestrator,
    state::{AuditLine, Slice},
    view,
};

pub async fn audit<B>(orchestrator: &Arc<Orchestrator>, call: &Call<B>) -> Outcome {
    let mut parameters = call.parameters(&["limit", "after"]);
    let slice: Slice<u64> = page::slice(&mut parameters, orchestrator.limits.max_page);
    let slice = parameters.done(slice)?;
    orchestrator.access.require(&call.caller, Right::Admin, None)?;
    let position = orchestrator.state.position().await?;
    let lines = orchestrator.state.audit(slice.after, slice.most).await?;
    let views: Vec<AuditView> = lines.into_iter().map(seen).collect();
    Ok(reply::ok(&page::page(views, &slice, |view: &AuditView| view.number.to_string(), position)))
}

fn seen((number, line): (u64, AuditLine)) -> AuditView {
    AuditView {
        number,
        at: view::timestamp(line.at),
        account: line.account,
        address: line.address,
        request: line.request,
        subject: line.subject,
        outcome: line.outcome,
        request_id: line.request_id,
    }
}
