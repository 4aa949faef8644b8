//! `POST …/{id}/scale`: another number of pods.

use std::sync::Arc;

use longshore_fleet::{MOST_REPLICAS, WorkloadId, api::ScaleRequest};

use super::{
    Call, Incoming, Outcome,
    acting::{self, Terms},
    apply, body, plan,
    wanted::Wanted,
};
use crate::{access::Right, error::Error, orchestrator::Orchestrator};

/// How often it is tried again where somebody else has changed it in between, and the caller names no revision.
const ATTEMPTS: usize = 5;

pub async fn scale<B: Incoming>(orchestrator: &Arc<Orchestrator>, id: WorkloadId, mut call: Call<B>) -> Outcome {
    let bytes = body::read_short(orchestrator, &mut call).await?;
    let mut fields = body::object(&bytes)?;
    let mut terms = Terms::take(&call, &bytes, &mut fields, "ifRevision")?;
    let ScaleRequest { replicas, reason, .. } = body::typed(fields)?;
    if replicas > MOST_REPLICAS {
        return Err(body::fault("replicas", format!("is {replicas}, more than {MOST_REPLICAS}")));
    }
    let seen = terms.seen;
    for attempt in 1..=ATTEMPTS {
        let found = apply::visible(orchestrator, id, &call, Right::Rollback).await?;
        if let Some(first) = acting::replay(orchestrator, terms.operation.as_ref()).await? {
            return Ok(first);
        }
        // A number is meant whatever else has changed, unless the caller says otherwise.
        terms.seen = seen.or(Some(found.row.revision));
        let before = apply::check(&found, &terms)?;
        let Wanted::Deployment(mut spec) = before.clone() else { return Err(Error::PathUnknown) };
        if spec.upkeep.replicas == replicas {
            return apply::unchanged(orchestrator, &call, &found, terms.operation).await;
        }
        apply::check_idle(orchestrator, &found, &terms).await?;
        let was = std::mem::replace(&mut spec.upkeep.replicas, replicas);
        let wanted = Wanted::Deployment(spec);
        if terms.if_fits {
            let same = Some(found.row.template_revision);
            plan::check_fits(orchestrator, Some(id), &wanted, &found.revision.layers, same).await?;
        }
        let why = reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default();
        let told = ("Scaled", format!("from {} to {replicas}{why}", apply::pods(was)));
        let revision = found.revision.clone();
        let again = Terms { operation: terms.operation.clone(), ..terms };
        match apply::put(orchestrator, &call, (found, &before), (&wanted, revision), again, told).await {
            Err(Error::Conflict(Some(_))) if seen.is_none() && attempt < ATTEMPTS => {}
            outcome => return outcome,
        }
    }
    unreachable!("the last attempt returns")
}
