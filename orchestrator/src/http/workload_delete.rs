//! `DELETE` of a workload: its pods end in their own time, and it goes with the last.

use std::sync::Arc;

use http::StatusCode;
use longshore_fleet::{
    WorkloadId,
    api::{Change, WorkloadState},
};

use super::{
    Call, Incoming, Outcome,
    acting::{self, Deed, Happening, Terms},
    apply, body,
    wanted::event_kind,
};
use crate::{
    access::Right,
    charge,
    error::Error,
    orchestrator::{Orchestrator, now},
    state::{Answer, Charge, Expected, WorkloadRow, Write},
};

/// How often it is tried again where somebody else has changed it in between, and the caller names no revision.
const ATTEMPTS: usize = 5;

pub async fn delete<B: Incoming>(orchestrator: &Arc<Orchestrator>, id: WorkloadId, mut call: Call<B>) -> Outcome {
    let bytes = body::read_short(orchestrator, &mut call).await?;
    let mut fields = body::object(&bytes)?;
    let terms = Terms::plain(&call, &bytes, &mut fields, "revision")?;
    if let Some(field) = fields.keys().next() {
        return Err(body::fault(field, "is no field; there are revision, operationId"));
    }
    if let Some(first) = acting::replay(orchestrator, terms.operation.as_ref()).await? {
        return Ok(first);
    }
    for attempt in 1..=ATTEMPTS {
        let mut found = apply::visible(orchestrator, id, &call, Right::Deploy).await?;
        let seen = found.row.revision;
        if terms.seen.is_some_and(|named| named != seen) {
            return Err(Error::Conflict(Some(seen)));
        }
        if found.row.deleted.is_some() {
            let answer = Answer { status: StatusCode::ACCEPTED.as_u16(), body: found.view()? };
            return acting::nothing(orchestrator, &call, terms.operation, found.told(), answer).await;
        }
        let before = found.wanted()?;
        let mut status = found.row.status.clone();
        status.state = WorkloadState::Deleting;
        found.row = WorkloadRow { revision: seen + 1, deleted: Some(now()), updated: now(), status, ..found.row };
        let view = found.view()?;
        let happening = Happening {
            kind: event_kind(id.kind),
            change: Change::Changed,
            id: id.to_string(),
            namespace: Some(&found.row.namespace),
            name: found.row.name.as_str(),
            reason: "Deleting",
            message: "its pods end, and it goes with the last".to_owned(),
            object: Some(view.clone()),
        };
        let deed = Deed {
            writes: vec![
                // What ends is not asked for any more.
                Write::Charge(found.row.namespace.clone(), charge::difference(Charge::default(), before.charge())),
                Write::PutWorkload(Box::new(found.row.clone()), Expected::At(seen)),
            ],
            events: vec![happening.by(&call)],
            subject: found.told(),
            answer: Answer { status: StatusCode::ACCEPTED.as_u16(), body: view },
        };
        match acting::act(orchestrator, &call, terms.operation.clone(), deed).await {
            Err(Error::Conflict(Some(_))) if terms.seen.is_none() && attempt < ATTEMPTS => {}
            outcome => return outcome,
        }
    }
    unreachable!("the last attempt returns")
}
