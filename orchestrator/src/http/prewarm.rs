//! `POST /api/v1/operations/prewarm`: images are to be fetched before they are needed.

use std::sync::Arc;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use http::StatusCode;
use longshore_fleet::{
    Faults, Image, Name, OperationId, Place, WorkloadKind,
    api::{Change, EventKind, OperationState, OperationView, PrewarmRequest},
};
use uuid::Uuid;

use super::{
    Call, Incoming, Outcome,
    acting::{self, Deed, Happening, Terms},
    body,
};
use crate::{
    access::Right,
    error::Error,
    image::{ImageError, ImageResolver, Resolved},
    orchestrator::{Orchestrator, now},
    state::{Answer, OperationRow, Write},
    view,
};

/// How many images one operation is for at most.
const MOST_IMAGES: usize = 64;
/// How many of them are asked for at once.
const AT_ONCE: usize = 4;
/// The longest that they stay or may take, in seconds.
const MOST_SECONDS: u64 = 365 * 24 * 3600;

pub async fn prewarm<B: Incoming>(orchestrator: &Arc<Orchestrator>, mut call: Call<B>) -> Outcome {
    let bytes = body::read_short(orchestrator, &mut call).await?;
    let mut fields = body::object(&bytes)?;
    let terms = Terms::plain(&call, &bytes, &mut fields, "revision")?;
    let mut request: PrewarmRequest = body::typed(fields)?;
    let default: Name = "default".parse().unwrap_or_else(|_| unreachable!("it is a name"));
    let namespace = request.workload.as_ref().map(|_| request.namespace.clone().unwrap_or(default));
    orchestrator.access.require(&call.caller, Right::Deploy, namespace.as_ref())?;
    check(&request)?;
    if let Some(first) = acting::replay(orchestrator, terms.operation.as_ref()).await? {
        return Ok(first);
    }
    if let (Some(name), Some(namespace)) = (&request.workload, &namespace) {
        let found = orchestrator.state.workload_named(WorkloadKind::Deployment, namespace, name).await?;
        found.ok_or_else(|| Error::not_found("deployment", format!("{namespace}/{name}")))?;
    }
    let asked = std::mem::take(&mut request.images).into_iter().map(|image| resolve(orchestrator.resolver.clone(), image));
    let resolved: Vec<_> = stream::iter(asked).buffered(AT_ONCE).try_collect().await?;
    request.images = resolved.into_iter().map(|resolved| resolved.image).collect();
    request.namespace.clone_from(&namespace);
    let now = now();
    let id = OperationId(Uuid::now_v7());
    let operation = OperationView {
        operation_id: id,
        state: OperationState::Running,
        created_at: view::timestamp(now),
        ended_at: None,
        request,
        nodes: std::collections::BTreeMap::new(),
        bytes_done: 0,
        bytes_total: 0,
    };
    let object = serde_json::to_value(&operation).unwrap_or_else(|_| unreachable!("what we answer is always JSON"));
    let images: Vec<String> = operation.request.images.iter().map(ToString::to_string).collect();
    let happening = Happening {
        kind: EventKind::Operation,
        change: Change::Added,
        id: id.to_string(),
        namespace: namespace.as_ref(),
        name: "prewarm",
        reason: "Created",
        message: format!("{} to be fetched", images.join(", ")),
        object: Some(object.clone()),
    };
    let deed = Deed {
        events: vec![happening.by(&call)],
        subject: format!("operation {id}"),
        writes: vec![Write::PutOperation(Box::new(OperationRow { id, view: operation, created: now, ended: None }))],
        answer: Answer { status: StatusCode::ACCEPTED.as_u16(), body: object },
    };
    acting::act(orchestrator, &call, terms.operation, deed).await
}

/// An image by digest.
async fn resolve(resolver: ImageResolver, image: Image) -> Result<Resolved, ImageError> {
    resolver.resolve(&image).await
}

/// What serde does not see.
fn check(request: &PrewarmRequest) -> Result<(), Faults> {
    let (root, mut faults) = (Place::root(), Faults::default());
    if !(1..=MOST_IMAGES).contains(&request.images.len()) {
        faults.add(&root.field("images"), format!("must be from 1 to {MOST_IMAGES} images"));
    }
    if request.workload.is_some() && (request.nodes.is_some() || request.zone.is_some()) {
        faults.add(&root.field("workload"), "goes with neither nodes nor zone: it says itself where");
    }
    if request.namespace.is_some() && request.workload.is_none() {
        faults.add(&root.field("namespace"), "says where the workload is, and there is none");
    }
    for (field, seconds) in [("pinSeconds", request.pin_seconds), ("deadlineSeconds", request.deadline_seconds)] {
        if seconds.is_some_and(|seconds| !(1..=MOST_SECONDS).contains(&seconds)) {
            faults.add(&root.field(field), format!("must be from 1 to {MOST_SECONDS}"));
        }
    }
    faults.or(())
}
