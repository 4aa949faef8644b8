//! Namespaces: `GET`, `PUT` and `DELETE`.

use std::sync::Arc;

use http::{StatusCode, header};
use longshore_fleet::{
    Amounts, Bytes, Cpu, Name, NamespaceSpec,
    api::{Change, EventKind, NamespaceView},
};
use serde_json::Value;

use super::{
    Call, Incoming, Outcome,
    acting::{self, Deed, Happening, Terms},
    body, page, reply,
};
use crate::{
    access::Right,
    error::Error,
    orchestrator::Orchestrator,
    state::{Answer, Charge, Expected, NamespaceRow, Slice, StateError, Write},
};

pub async fn list<B>(orchestrator: &Arc<Orchestrator>, call: &Call<B>) -> Outcome {
    let mut parameters = call.parameters(&["limit", "after"]);
    let slice: Slice<Name> = page::slice(&mut parameters, orchestrator.limits.max_page);
    let slice = parameters.done(slice)?;
    orchestrator.access.require(&call.caller, Right::View, None)?;
    let position = orchestrator.state.position().await?;
    let rows = orchestrator.state.namespaces(slice.clone()).await?;
    let views = rows.into_iter().map(view).collect();
    Ok(reply::ok(&page::page(views, &slice, |view: &NamespaceView| view.spec.name.to_string(), position)))
}

pub async fn one<B>(orchestrator: &Orchestrator, name: Name, call: &Call<B>) -> Outcome {
    acting::no_parameters(call)?;
    orchestrator.access.require(&call.caller, Right::View, Some(&name))?;
    let row = orchestrator.state.namespace(&name).await?.ok_or_else(|| Error::no_namespace(&name))?;
    Ok(reply::ok_at(row.revision, &view(row)))
}

/// Makes a namespace, or changes the one that is there from what the caller saw.
pub async fn put<B: Incoming>(orchestrator: &Arc<Orchestrator>, name: Name, mut call: Call<B>) -> Outcome {
    orchestrator.access.require(&call.caller, Right::Admin, None)?;
    let bytes = body::read_short(orchestrator, &mut call).await?;
    let mut fields = body::object(&bytes)?;
    let terms = Terms::plain(&call, &bytes, &mut fields, "revision")?;
    fields.entry("name").or_insert_with(|| Value::String(name.to_string()));
    let spec = NamespaceSpec::read(Value::Object(fields))?;
    if spec.name != name {
        return Err(body::fault("name", format!("is {}, and the path says {name}", spec.name)));
    }
    if let Some(first) = acting::replay(orchestrator, terms.operation.as_ref()).await? {
        return Ok(first);
    }
    let before = orchestrator.state.namespace(&name).await?;
    let (revision, expected, asked) = match (&before, terms.seen) {
        (Some(row), _) if row.spec == spec => {
            let answer = Answer { status: StatusCode::OK.as_u16(), body: value(&view(row.clone())) };
            return acting::nothing(orchestrator, &call, terms.operation, format!("namespace {name}"), answer).await;
        }
        (Some(row), Some(seen)) if row.revision == seen => (seen + 1, Expected::At(seen), row.asked),
        (Some(row), Some(_)) => return Err(Error::Conflict(Some(row.revision))),
        (Some(_), None) if call.header(header::IF_NONE_MATCH).is_some() => {
            return Err(Error::Exists { what: "namespace", name: name.to_string() });
        }
        (Some(_), None) => return Err(Error::PreconditionRequired(terms.field)),
        (None, Some(_)) => return Err(Error::Conflict(None)),
        (None, None) => (1, Expected::None, Charge::default()),
    };
    let row = NamespaceRow { spec, revision, asked };
    let is_new = before.is_none();
    let told = if is_new { ("Created", Change::Added) } else { ("Changed", Change::Changed) };
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    let object = value(&view(row.clone()));
    let deed = Deed {
        writes: vec![Write::PutNamespace(row, expected)],
        events: vec![happening(&name, told, Some(object.clone())).by(&call)],
        subject: format!("namespace {name}"),
        answer: Answer { status: status.as_u16(), body: object },
    };
    match acting::act(orchestrator, &call, terms.operation, deed).await {
        Err(Error::State(StateError::Exists)) => Err(Error::Exists { what: "namespace", name: name.to_string() }),
        outcome => outcome,
    }
}

/// Removes a namespace that has no workloads.
pub async fn delete<B: Incoming>(orchestrator: &Arc<Orchestrator>, name: Name, mut call: Call<B>) -> Outcome {
    orchestrator.access.require(&call.caller, Right::Admin, None)?;
    let bytes = body::read_short(orchestrator, &mut call).await?;
    let mut fields = body::object(&bytes)?;
    let terms = Terms::plain(&call, &bytes, &mut fields, "revision")?;
    if let Some(first) = acting::replay(orchestrator, terms.operation.as_ref()).await? {
        return Ok(first);
    }
    let row = orchestrator.state.namespace(&name).await?.ok_or_else(|| Error::no_namespace(&name))?;
    if terms.seen.is_some_and(|seen| seen != row.revision) {
        return Err(Error::Conflict(Some(row.revision)));
    }
    let deed = Deed {
        writes: vec![Write::RemoveNamespace(name.clone(), Expected::At(row.revision))],
        events: vec![happening(&name, ("Deleted", Change::Deleted), None).by(&call)],
        subject: format!("namespace {name}"),
        answer: Answer { status: StatusCode::NO_CONTENT.as_u16(), body: Value::Null },
    };
    acting::act(orchestrator, &call, terms.operation, deed).await
}

fn happening<'a>(name: &'a Name, (reason, change): (&'a str, Change), object: Option<Value>) -> Happening<'a> {
    Happening {
        kind: EventKind::Namespace,
        change,
        id: name.to_string(),
        namespace: Some(name),
        name: name.as_str(),
        reason,
        message: String::new(),
        object,
    }
}

fn view(NamespaceRow { spec, revision, asked }: NamespaceRow) -> NamespaceView {
    let count = |amount: i64| u64::try_from(amount).unwrap_or_default();
    NamespaceView {
        revision,
        spec,
        asked: Amounts { cpu: Some(Cpu::millis(count(asked.cpu_millis))), memory: Some(Bytes::new(count(asked.memory_bytes))) },
        pods: u32::try_from(asked.pods.max(0)).unwrap_or(u32::MAX),
    }
}

fn value(view: &NamespaceView) -> Value {
    serde_json::to_value(view).unwrap_or_else(|_| unreachable!("what we answer is always JSON"))
}
