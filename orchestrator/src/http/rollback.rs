//! `POST …/{id}/rollback`: back to what pods were made from before. The registry is not asked: what a revision needs is kept with it.

use std::sync::Arc;

use longshore_fleet::{WorkloadId, api::RollbackRequest};

use super::{
    Call, Incoming, Outcome,
    acting::{self, Terms},
    apply, body, document, plan,
    wanted::{Found, Wanted},
};
use crate::{access::Right, error::Error, orchestrator::Orchestrator, state::RevisionRow};

/// How often it is tried again where somebody else has changed it in between, and the caller names no revision that it saw.
const ATTEMPTS: usize = 5;

pub async fn rollback<B: Incoming>(orchestrator: &Arc<Orchestrator>, id: WorkloadId, mut call: Call<B>) -> Outcome {
    let bytes = body::read_short(orchestrator, &mut call).await?;
    let mut fields = body::object(&bytes)?;
    let mut terms = Terms::take(&call, &bytes, &mut fields, "ifRevision")?;
    let RollbackRequest { revision: to, reason, .. } = body::typed(fields)?;
    let seen = terms.seen;
    for attempt in 1..=ATTEMPTS {
        let found = apply::visible(orchestrator, id, &call, Right::Rollback).await?;
        if let Some(first) = acting::replay(orchestrator, terms.operation.as_ref()).await? {
            return Ok(first);
        }
        // What was there before the caller's own last change is not what was before another's, so without a number it must say what it saw.
        terms.seen = seen.or_else(|| to.map(|_| found.row.revision));
        let before = apply::check(&found, &terms)?;
        let target = target(orchestrator, &found, to).await?;
        if target.number == found.row.template_revision {
            return apply::unchanged(orchestrator, &call, &found, terms.operation).await;
        }
        apply::check_idle(orchestrator, &found, &terms).await?;
        let Wanted::Deployment(mut spec) = before.clone() else { return Err(Error::PathUnknown) };
        spec.template.clone_from(&target.template);
        spec.template.image.clone_from(&target.image);
        let wanted = Wanted::Deployment(spec);
        document::check_allowed(orchestrator, &wanted, longshore_fleet::Faults::default()).await?;
        if terms.if_fits {
            plan::check_fits(orchestrator, Some(id), &wanted, &target.layers, None).await?;
        }
        let why = reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default();
        let told = ("RolledBack", format!("to revision {}, {}{why}", target.number, target.template.image));
        let again = Terms { operation: terms.operation.clone(), ..terms };
        match apply::put(orchestrator, &call, (found, &before), (&wanted, target), again, told).await {
            Err(Error::Conflict(Some(_))) if seen.is_none() && attempt < ATTEMPTS => {}
            outcome => return outcome,
        }
    }
    unreachable!("the last attempt returns")
}

/// The revision to go back to: the one of a number, or the one that was wanted before the one that is wanted now.
async fn target(orchestrator: &Orchestrator, found: &Found, to: Option<u64>) -> Result<RevisionRow, Error> {
    let current = found.row.template_revision;
    if to == Some(current) {
        return Ok(found.revision.clone());
    }
    let kept = orchestrator.state.revisions(found.row.id).await?;
    let numbers: Vec<String> = kept.iter().map(|revision| revision.number.to_string()).collect();
    let is_meant = |revision: &RevisionRow| to.map_or(revision.number != current, |number| revision.number == number);
    let target = kept.into_iter().filter(is_meant).max_by_key(|revision| revision.wanted);
    target.ok_or_else(|| match to {
        Some(number) => body::fault("revision", format!("is {number}, and there are {}", numbers.join(", "))),
        None => body::fault("revision", format!("can't be left out: there is none but {}", numbers.join(", "))),
    })
}
