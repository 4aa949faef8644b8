//! A workload's document as it comes: whose namespace it is for is known before it is looked at any further.

use longshore_fleet::{Faults, Name, NamespaceSpec, Place};
use serde_json::{Map, Value};

use super::{Call, wanted::Wanted};
use crate::{access::Right, error::Error, orchestrator::Orchestrator};

/// That a caller may change what runs in the namespace that a document names, before anything is said of the rest.
pub fn admit<B>(orchestrator: &Orchestrator, call: &Call<B>, fields: &Map<String, Value>, right: Right) -> Result<(), Error> {
    let named = fields.get("namespace").and_then(Value::as_str).unwrap_or("default");
    let namespace: Option<Name> = named.parse().ok();
    orchestrator.access.require(&call.caller, right, namespace.as_ref())
}

/// That the namespace of a workload is there, and allows what its pods would do.
pub async fn check_allowed(orchestrator: &Orchestrator, wanted: &Wanted, faults: Faults) -> Result<(), Error> {
    let name = wanted.namespace();
    let namespace = orchestrator.state.namespace(name).await?.ok_or_else(|| Error::no_namespace(name))?;
    check_allowances(&namespace.spec, wanted, faults)
}

/// That a namespace allows what a workload's pods would do.
pub fn check_allowances(namespace: &NamespaceSpec, wanted: &Wanted, mut faults: Faults) -> Result<(), Error> {
    namespace.allow.check(wanted.template(), &Place::root(), &mut faults);
    Ok(faults.or(())?)
}
