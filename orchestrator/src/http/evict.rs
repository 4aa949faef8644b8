//! `DELETE` of a pod: it leaves its node, as far as its workload's disruption budget lets it.

use std::sync::Arc;

use http::StatusCode;
use longshore_fleet::PodId;

use super::{Call, Outcome, acting, pods, reply};
use crate::{
    access::Right,
    error::Error,
    lead::Evicted,
    orchestrator::{Orchestrator, now},
    state::AuditLine,
};

pub async fn evict<B>(orchestrator: &Arc<Orchestrator>, id: PodId, call: &Call<B>) -> Outcome {
    acting::no_parameters(call)?;
    let row = pods::visible(orchestrator, id, call, Right::Deploy).await?;
    let view = pods::seen(orchestrator, &row).await?;
    let evicted = orchestrator.leader()?.evict(id, call.caller.author()).await.map_err(|_| Error::NoLeader)?;
    match evicted {
        Evicted::Ending => {}
        Evicted::Kept(reason) => return Err(Error::NotNow(reason)),
        Evicted::NoSuchPod => return Err(Error::not_found("pod", id)),
    }
    orchestrator.audit.note(AuditLine {
        at: now(),
        account: call.caller.name().to_owned(),
        address: Some(call.caller.address().to_string()),
        request: call.line(),
        subject: format!("pod {}/{}", row.namespace, row.name),
        outcome: StatusCode::ACCEPTED.as_str().to_owned(),
        request_id: Some(call.id.to_string()),
    });
    Ok(reply::json(StatusCode::ACCEPTED, &longshore_fleet::api::PodView { ending: true, ..view }))
}
