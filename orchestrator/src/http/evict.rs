//! `DELETE` of a pod: it leaves its node, as far as its workload's disruption budget lets it.

use std::{sync::Arc, time::Duration};

use http::StatusCode;
use longshore_fleet::{PodId, api::PodView};

use super::{
    Call, Outcome,
    acting::{self, Deed},
    pods,
};
use crate::{access::Right, error::Error, lead::Evicted, orchestrator::Orchestrator, state::Answer};

/// How long after the leader has decided it is looked first whether that is written, and how long at most between two looks.
const LOOKS: [Duration; 2] = [Duration::from_millis(5), Duration::from_millis(200)];

pub async fn evict<B>(orchestrator: &Arc<Orchestrator>, id: PodId, call: &Call<B>) -> Outcome {
    acting::no_parameters(call)?;
    let operation = acting::operation(call)?;
    if let Some(first) = acting::replay(orchestrator, operation.as_ref()).await? {
        return Ok(first);
    }
    let row = pods::visible(orchestrator, id, call, Right::Deploy).await?;
    let view = pods::seen(orchestrator, &row).await?;
    let leader = orchestrator.leader()?;
    match leader.evict(id, call.caller.author()).await.map_err(|_| Error::NoLeader)? {
        Evicted::Ending => {}
        Evicted::Kept(reason) => return Err(Error::NotNow(reason)),
        Evicted::NoSuchPod => return Err(Error::not_found("pod", id)),
    }
    until_written(orchestrator, id, leader.term).await?;
    let view = PodView { ending: true, ..view };
    let body = serde_json::to_value(view).unwrap_or_else(|_| unreachable!("what we answer is always JSON"));
    let deed = Deed {
        writes: Vec::new(),
        // The leader tells of it.
        events: Vec::new(),
        subject: format!("pod {}/{}", row.namespace, row.name),
        answer: Answer { status: StatusCode::ACCEPTED.as_u16(), body },
    };
    acting::act(orchestrator, call, operation, deed).await
}

/// Waits until it is written that a pod is to end: what a leader has decided, and not written, its successor knows nothing of.
async fn until_written(orchestrator: &Orchestrator, id: PodId, term: u64) -> Result<(), Error> {
    let [mut pause, longest] = LOOKS;
    loop {
        let row = orchestrator.state.pod(id).await?;
        if row.is_none_or(|row| row.end_within_seconds.is_some() || row.state.phase.has_ended()) {
            return Ok(());
        }
        if orchestrator.leader()?.term != term {
            return Err(Error::NoLeader);
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(longest);
    }
}
