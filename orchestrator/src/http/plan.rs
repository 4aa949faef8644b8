//! What a change would come to. Nothing is changed by asking.

use std::sync::Arc;

use longshore_fleet::{
    Faults, NamespaceSpec, Place, WorkloadId, WorkloadKind,
    api::{Nearest, Plan},
};
use serde_json::Value;

use super::{
    Call, Incoming, Outcome, acting, apply, body, document, merge, reply,
    wanted::{Found, Wanted},
};
use crate::{
    access::Right,
    error::Error,
    labels,
    lead::PlanQuestion,
    orchestrator::Orchestrator,
    schedule::{Demand, ImageLayers},
};

/// Beside a spec, its namespace as it is yet to be: so that all documents of a file can be planned before any is applied.
const NAMESPACE_SPEC: &str = "namespaceSpec";

/// What a spec would come to.
pub async fn of_spec<B: Incoming>(orchestrator: &Arc<Orchestrator>, kind: WorkloadKind, mut call: Call<B>) -> Outcome {
    acting::no_parameters(&call)?;
    let bytes = body::read_short(orchestrator, &mut call).await?;
    let mut fields = body::object(&bytes)?;
    fields.remove("revision");
    fields.remove("operationId");
    let namespace = fields.remove(NAMESPACE_SPEC);
    document::admit(orchestrator, &call, &fields, Right::View)?;
    let wanted = Wanted::read(kind, Value::Object(fields))?;
    let namespace = namespace.map(|value| namespace_of(value, &wanted)).transpose()?;
    let row = orchestrator.state.workload_named(kind, wanted.namespace(), wanted.name()).await?;
    let found = match row {
        Some(row) => Some(Found::of(orchestrator, row).await?),
        None => None,
    };
    answer(orchestrator, &call, found, wanted, namespace.as_ref()).await
}

/// The namespace of a workload as it is yet to be.
fn namespace_of(value: Value, wanted: &Wanted) -> Result<NamespaceSpec, Error> {
    let root = Place::root();
    let place = root.field(NAMESPACE_SPEC);
    let spec = NamespaceSpec::read(value).map_err(|faults| {
        let mut within = Faults::default();
        for fault in faults.iter() {
            let of_field = place.field(&fault.field);
            within.add(if fault.field.is_empty() { &place } else { &of_field }, fault.message.clone());
        }
        within
    })?;
    let name = wanted.namespace();
    if spec.name != *name {
        return Err(body::fault(
            &format!("{NAMESPACE_SPEC}.name"),
            format!("is {}, and the workload's namespace is {name}", spec.name),
        ));
    }
    Ok(spec)
}

/// What a patch of a workload would come to.
pub async fn of_patch<B: Incoming>(orchestrator: &Arc<Orchestrator>, id: WorkloadId, mut call: Call<B>) -> Outcome {
    acting::no_parameters(&call)?;
    let bytes = body::read_short(orchestrator, &mut call).await?;
    let mut fields = body::object(&bytes)?;
    fields.remove("revision");
    fields.remove("operationId");
    let found = apply::visible(orchestrator, id, &call, Right::View).await?;
    let mut value = found.wanted()?.value();
    merge::merge(&mut value, Value::Object(fields));
    let wanted = Wanted::read(id.kind, value)?;
    answer(orchestrator, &call, Some(found), wanted, None).await
}

async fn answer<B>(
    orchestrator: &Orchestrator,
    call: &Call<B>,
    found: Option<Found>,
    wanted: Wanted,
    namespace: Option<&NamespaceSpec>,
) -> Outcome {
    let before = found.as_ref().map(Found::wanted).transpose()?;
    let mut faults = Faults::default();
    if let Some(before) = &before {
        wanted.check_against(before, &mut faults);
    }
    match namespace {
        Some(namespace) => document::check_allowances(namespace, &wanted, faults)?,
        None => document::check_allowed(orchestrator, &wanted, faults).await?,
    }
    let is_same = before.as_ref().is_some_and(|before| before.template() == wanted.template());
    let (image, layers) = if let Some(found) = found.as_ref().filter(|_| is_same) {
        (found.revision.template.image.clone(), found.revision.layers.clone())
    } else {
        // A registry is asked with the orchestrator's account, which only those may have done who may run what it sees.
        orchestrator.access.require(&call.caller, Right::Deploy, Some(wanted.namespace()))?;
        let resolved = Box::pin(orchestrator.resolver.resolve(&wanted.template().image)).await?;
        (resolved.image, resolved.layers)
    };
    let same = found.as_ref().filter(|_| is_same).map(|found| found.row.template_revision);
    let question = question(found.as_ref().map(|found| found.row.id), &wanted, &layers, same);
    let outcome = orchestrator.leader()?.plan(question).await.map_err(|_| Error::NoLeader)?;
    let nothing = Value::Object(serde_json::Map::new());
    let changes = merge::changes(&before.as_ref().map_or(nothing, Wanted::value), &wanted.value());
    Ok(reply::ok(&Plan {
        name: wanted.name().to_string(),
        is_new: found.is_none(),
        revision: found.map(|found| found.row.revision),
        changes,
        image,
        placements: outcome.placements,
        unplaced: outcome.unplaced,
        remedies: outcome.remedies.into_iter().map(|(remedy, nodes)| told(&remedy, nodes)).collect(),
        makes: outcome.makes,
        ends: outcome.ends,
    }))
}

/// That all pods would fit.
pub async fn check_fits(
    orchestrator: &Orchestrator,
    workload: Option<WorkloadId>,
    wanted: &Wanted,
    layers: &[ImageLayers],
    template_revision: Option<u64>,
) -> Result<(), Error> {
    let question = question(workload, wanted, layers, template_revision);
    let outcome = orchestrator.leader()?.plan(question).await.map_err(|_| Error::NoLeader)?;
    if outcome.unplaced == 0 {
        return Ok(());
    }
    let nearest = outcome.remedies.into_iter().map(|(remedy, nodes)| Nearest { remedy: told(&remedy, nodes), nodes });
    Err(Error::NoRoom { unplaced: outcome.unplaced, nearest: nearest.collect() })
}

fn question(
    workload: Option<WorkloadId>,
    wanted: &Wanted,
    layers: &[ImageLayers],
    template_revision: Option<u64>,
) -> PlanQuestion {
    let kind = match wanted {
        Wanted::Deployment(_) => WorkloadKind::Deployment,
        Wanted::Job(_) => WorkloadKind::Job,
    };
    let labels = labels::of_pods(kind, wanted.name(), wanted.template());
    let demand = Demand::of(&wanted.owner(), labels, wanted.template(), layers.to_vec());
    PlanQuestion { workload, demand, replicas: wanted.pods(), template_revision }
}

fn told(remedy: &str, nodes: u64) -> String {
    format!("{remedy} ({nodes} {})", if nodes == 1 { "node" } else { "nodes" })
}
