//! `POST` of a workload; `PUT` and `PATCH` of one that is there.

use std::sync::Arc;

use http::StatusCode;
use longshore_fleet::{
    DeploymentId, Faults, Image, JobId, WorkloadId, WorkloadKind,
    api::{Applied, Change, WorkloadState, WorkloadStatus},
};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::{
    Call, Incoming, Outcome,
    acting::{self, Deed, Happening, Terms},
    body, document, merge, plan, visible,
    wanted::{Found, Wanted, event_kind, noun},
};
use crate::{
    access::Right,
    charge,
    error::Error,
    image::Resolved,
    orchestrator::{Orchestrator, now},
    state::{Answer, Charge, Expected, OperationKey, RevisionRow, WorkloadRow, Write},
};

/// Makes a workload; or changes the one of this name, where the caller says which revision of it it saw.
pub async fn create<B: Incoming>(orchestrator: &Arc<Orchestrator>, kind: WorkloadKind, mut call: Call<B>) -> Outcome {
    let bytes = body::read_short(orchestrator, &mut call).await?;
    let mut fields = body::object(&bytes)?;
    let terms = Terms::take(&call, &bytes, &mut fields, "revision")?;
    document::admit(orchestrator, &call, &fields, Right::Deploy)?;
    let wanted = Wanted::read(kind, Value::Object(fields))?;
    if let Some(first) = acting::replay(orchestrator, terms.operation.as_ref()).await? {
        return Ok(first);
    }
    let (namespace, name) = (wanted.namespace(), wanted.name());
    match (orchestrator.state.workload_named(kind, namespace, name).await?, terms.seen) {
        (Some(row), Some(_)) => {
            let found = Found::of(orchestrator, row).await?;
            Box::pin(change(orchestrator, &call, found, wanted, terms)).await
        }
        (Some(row), None) if row.deleted.is_some() => {
            Err(Error::BeingDeleted(format!("the {} {namespace}/{name} of before", noun(kind))))
        }
        (Some(_), None) => Err(Error::Exists { what: noun(kind), name: format!("{namespace}/{name}") }),
        (None, Some(_)) => Err(Error::Conflict(None)),
        (None, None) => make(orchestrator, &call, kind, wanted, terms).await,
    }
}

/// Puts another spec in place of a workload's.
pub async fn replace<B: Incoming>(orchestrator: &Arc<Orchestrator>, id: WorkloadId, mut call: Call<B>) -> Outcome {
    let bytes = body::read_short(orchestrator, &mut call).await?;
    let (fields, terms, found) = begin(orchestrator, id, &call, &bytes).await?;
    if let Some(first) = acting::replay(orchestrator, terms.operation.as_ref()).await? {
        return Ok(first);
    }
    let wanted = Wanted::read(id.kind, Value::Object(fields))?;
    Box::pin(change(orchestrator, &call, found, wanted, terms)).await
}

/// Merges a patch into a workload's spec (RFC 7386).
pub async fn patch<B: Incoming>(orchestrator: &Arc<Orchestrator>, id: WorkloadId, mut call: Call<B>) -> Outcome {
    let bytes = body::read_short(orchestrator, &mut call).await?;
    let (fields, terms, found) = begin(orchestrator, id, &call, &bytes).await?;
    if let Some(first) = acting::replay(orchestrator, terms.operation.as_ref()).await? {
        return Ok(first);
    }
    let mut value = found.wanted()?.value();
    merge::merge(&mut value, Value::Object(fields));
    let wanted = Wanted::read(id.kind, value)?;
    Box::pin(change(orchestrator, &call, found, wanted, terms)).await
}

async fn begin<B>(
    orchestrator: &Orchestrator,
    id: WorkloadId,
    call: &Call<B>,
    bytes: &[u8],
) -> Result<(Map<String, Value>, Terms, Found), Error> {
    let mut fields = body::object(bytes)?;
    let terms = Terms::take(call, bytes, &mut fields, "revision")?;
    let found = visible(orchestrator, id, call, Right::Deploy).await?;
    Ok((fields, terms, found))
}

/// A workload that a caller may do something with.
pub async fn visible<B>(orchestrator: &Orchestrator, id: WorkloadId, call: &Call<B>, right: Right) -> Result<Found, Error> {
    visible::visible(orchestrator, call, right, Found::by_id(orchestrator, id), |found| Some(&found.row.namespace)).await
}

/// Makes a new workload.
async fn make<B>(orchestrator: &Orchestrator, call: &Call<B>, kind: WorkloadKind, wanted: Wanted, terms: Terms) -> Outcome {
    document::check_allowed(orchestrator, &wanted, Faults::default()).await?;
    let resolved = Box::pin(orchestrator.resolver.resolve(&wanted.template().image)).await?;
    if terms.if_fits {
        plan::check_fits(orchestrator, None, &wanted, &resolved.layers, None).await?;
    }
    let now = now();
    let id = WorkloadId { kind, uuid: Uuid::now_v7() };
    let row = WorkloadRow {
        id,
        namespace: wanted.namespace().clone(),
        name: wanted.name().clone(),
        revision: 1,
        template_revision: 1,
        spec: wanted.stored(),
        created: now,
        updated: now,
        deleted: None,
        status: WorkloadStatus { wanted: wanted.pods(), ..WorkloadStatus::default() },
    };
    let revision = revision_row(call, id, 1, &wanted, resolved);
    let found = Found { row, revision };
    let writes = vec![
        Write::Charge(found.row.namespace.clone(), wanted.charge()),
        Write::PutWorkload(Box::new(found.row.clone()), Expected::None),
        Write::PutRevision(Box::new(found.revision.clone())),
    ];
    let message = format!("{}, by {}", pods(wanted.pods()), found.revision.template.image);
    finish(orchestrator, call, &found, terms, (StatusCode::CREATED, writes, ("Created", message))).await
}

/// Changes a workload to what is wanted now.
pub async fn change<B>(orchestrator: &Orchestrator, call: &Call<B>, found: Found, wanted: Wanted, terms: Terms) -> Outcome {
    let before = check(&found, &terms)?;
    if before == wanted {
        return unchanged(orchestrator, call, &found, terms.operation).await;
    }
    let mut faults = Faults::default();
    wanted.check_against(&before, &mut faults);
    document::check_allowed(orchestrator, &wanted, faults).await?;
    check_idle(orchestrator, &found, &terms).await?;
    let next = found.row.revision + 1;
    let is_same_template = before.template() == wanted.template();
    let revision = if is_same_template {
        found.revision.clone()
    } else {
        let resolved = Box::pin(orchestrator.resolver.resolve(&wanted.template().image)).await?;
        of_before(orchestrator, revision_row(call, found.row.id, next, &wanted, resolved)).await?
    };
    if terms.if_fits {
        let same = (revision.number == found.row.template_revision).then_some(revision.number);
        plan::check_fits(orchestrator, Some(found.row.id), &wanted, &revision.layers, same).await?;
    }
    let changed = merge::changes(&before.value(), &wanted.value());
    let fields: Vec<&str> = changed.iter().take(10).map(|change| change.field.as_str()).collect();
    let more = if changed.len() > fields.len() { " and more" } else { "" };
    let message = format!("{}{more} changed", fields.join(", "));
    put(orchestrator, call, (found, &before), (&wanted, revision), terms, ("Changed", message)).await
}

/// Writes a workload as it is wanted now, with what its pods are made from.
pub async fn put<B>(
    orchestrator: &Orchestrator,
    call: &Call<B>,
    (found, before): (Found, &Wanted),
    (wanted, mut revision): (&Wanted, RevisionRow),
    terms: Terms,
    told: (&str, String),
) -> Outcome {
    let seen = found.row.revision;
    let is_other = revision.number != found.row.template_revision;
    let row = WorkloadRow {
        revision: seen + 1,
        template_revision: revision.number,
        spec: wanted.stored(),
        updated: now(),
        ..found.row
    };
    let mut writes = Vec::new();
    let more = charge::difference(wanted.charge(), before.charge());
    if more != Charge::default() {
        writes.push(Write::Charge(row.namespace.clone(), more));
    }
    writes.push(Write::PutWorkload(Box::new(row.clone()), Expected::At(seen)));
    if is_other {
        // Also one that was there before: it is the last that was wanted now, and the leader may be forgetting it at this moment.
        revision.wanted = seen + 1;
        writes.push(Write::PutRevision(Box::new(revision.clone())));
    }
    let found = Found { row, revision };
    finish(orchestrator, call, &found, terms, (StatusCode::OK, writes, told)).await
}

async fn finish<B>(
    orchestrator: &Orchestrator,
    call: &Call<B>,
    found: &Found,
    terms: Terms,
    (status, writes, (reason, message)): (StatusCode, Vec<Write>, (&str, String)),
) -> Outcome {
    let row = &found.row;
    let happening = Happening {
        kind: event_kind(row.id.kind),
        change: if status == StatusCode::CREATED { Change::Added } else { Change::Changed },
        id: row.id.to_string(),
        namespace: Some(&row.namespace),
        name: row.name.as_str(),
        reason,
        message,
        object: Some(found.view()?),
    };
    let deed = Deed {
        writes,
        events: vec![happening.by(call)],
        subject: found.told(),
        answer: Answer { status: status.as_u16(), body: value(&applied(found, true)) },
    };
    let outcome = acting::act(orchestrator, call, terms.operation, deed).await;
    match outcome {
        // Between the look and the act somebody has made one of this name.
        Err(Error::State(crate::state::StateError::Exists)) => {
            Err(Error::Exists { what: noun(row.id.kind), name: format!("{}/{}", row.namespace, row.name) })
        }
        other => other,
    }
}

/// That a workload can be changed by whoever saw what there is. What is wanted of it now.
pub fn check(found: &Found, terms: &Terms) -> Result<Wanted, Error> {
    let seen = terms.seen.ok_or(Error::PreconditionRequired(terms.field))?;
    if found.row.deleted.is_some() {
        return Err(Error::BeingDeleted(found.told()));
    }
    if seen != found.row.revision {
        return Err(Error::Conflict(Some(found.row.revision)));
    }
    found.wanted()
}

/// That no rollout goes on, where the caller asks for that: pods of another template than the one that is wanted are there, or not enough.
pub async fn check_idle(orchestrator: &Orchestrator, found: &Found, terms: &Terms) -> Result<(), Error> {
    if !terms.if_idle || found.row.id.kind == WorkloadKind::Job {
        return Ok(());
    }
    let last = orchestrator.state.rollouts(found.row.id, 1).await?.into_iter().next();
    let is_over = |state: &str| state == "done" || state == "replaced";
    let is_done = last.is_some_and(|last| last.template_revision == found.row.template_revision && is_over(&last.state));
    if is_done { Ok(()) } else { Err(Error::RolloutInProgress(found.row.template_revision)) }
}

/// Nothing is other than before.
pub async fn unchanged<B>(
    orchestrator: &Orchestrator,
    call: &Call<B>,
    found: &Found,
    operation: Option<OperationKey>,
) -> Outcome {
    let answer = Answer { status: StatusCode::OK.as_u16(), body: value(&applied(found, false)) };
    acting::nothing(orchestrator, call, operation, found.told(), answer).await
}

fn applied(found: &Found, changed: bool) -> Applied {
    let WorkloadRow { id, revision, status, .. } = &found.row;
    let mut status = status.clone();
    if changed && status.state != WorkloadState::Deleting {
        status.state = WorkloadState::Progressing;
    }
    Applied {
        deployment_id: (id.kind == WorkloadKind::Deployment).then_some(DeploymentId(id.uuid)),
        job_id: (id.kind == WorkloadKind::Job).then_some(JobId(id.uuid)),
        status,
        revision: *revision,
        changed,
        image: found.revision.template.image.clone(),
    }
}

fn value(applied: &Applied) -> Value {
    serde_json::to_value(applied).unwrap_or_else(|_| unreachable!("what we answer is always JSON"))
}

/// What pods are made from, from now on.
fn revision_row<B>(call: &Call<B>, workload: WorkloadId, number: u64, wanted: &Wanted, resolved: Resolved) -> RevisionRow {
    let mut template = wanted.template().clone();
    let image: Image = std::mem::replace(&mut template.image, resolved.image);
    let (created, author) = (now(), call.caller.author());
    RevisionRow { workload, number, wanted: number, template, image, layers: resolved.layers, created, author, refused: None }
}

/// A revision of before that is the same, so that its pods stay; or else this one.
async fn of_before(orchestrator: &Orchestrator, row: RevisionRow) -> Result<RevisionRow, Error> {
    let before = orchestrator.state.revisions(row.workload).await?;
    let same = before.into_iter().find(|known| known.template == row.template && known.image == row.image);
    Ok(same.unwrap_or(row))
}

/// So many pods, in words.
pub fn pods(count: u32) -> String {
    if count == 1 { "1 pod".to_owned() } else { format!("{count} pods") }
}
