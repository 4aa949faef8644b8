//! Why a pod is where it is, or nowhere; and where one more of a workload would be.

use std::sync::Arc;

use longshore_fleet::{PodId, WorkloadId};

use super::{Call, Outcome, acting, apply, pods, reply, wanted::noun};
use crate::{access::Right, error::Error, orchestrator::Orchestrator};

pub async fn pod<B>(orchestrator: &Arc<Orchestrator>, id: PodId, call: &Call<B>) -> Outcome {
    acting::no_parameters(call)?;
    pods::visible(orchestrator, id, call, Right::View).await?;
    let explanation = orchestrator.leader()?.explain_pod(id).await.map_err(|_| Error::NoLeader)?;
    Ok(reply::ok(&explanation.ok_or_else(|| Error::not_found("pod", id))?))
}

pub async fn workload<B>(orchestrator: &Arc<Orchestrator>, id: WorkloadId, call: &Call<B>) -> Outcome {
    acting::no_parameters(call)?;
    apply::visible(orchestrator, id, call, Right::View).await?;
    let explanation = orchestrator.leader()?.explain_workload(id).await.map_err(|_| Error::NoLeader)?;
    Ok(reply::ok(&explanation.ok_or_else(|| Error::not_found(noun(id.kind), id))?))
}
