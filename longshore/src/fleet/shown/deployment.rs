use longshore_fleet::api::{DeploymentView, WorkloadStatus};

use super::{Column, Kind, Named, Shown, age, always, namespace, wide};

impl Shown for DeploymentView {
    const COLUMNS: &'static [Column<Self>] = &[
        namespace(|deployment, _| deployment.spec.upkeep.namespace.to_string()),
        always("DEPLOYMENT", |deployment, _| deployment.spec.upkeep.name.to_string()),
        always("READY", |deployment, _| format!("{}/{}", deployment.status.ready, deployment.status.wanted)),
        always("UPDATED", |deployment, _| deployment.status.updated.to_string()),
        always("AVAILABLE", |deployment, _| deployment.status.available.to_string()),
        always("STATE", |deployment, _| state(&deployment.status)),
        always("IMAGE", |deployment, _| deployment.spec.template.image.to_string()),
        always("AGE", |deployment, now| age(now, deployment.created_at)),
        wide("REVISION", |deployment, _| deployment.revision.to_string()),
        wide("RUNS", |deployment, _| deployment.image.to_string()),
        wide("MESSAGE", |deployment, _| super::or_nothing(deployment.status.message.as_ref())),
    ];
}

impl Named for DeploymentView {
    const KIND: Kind = Kind::Deployment;
}

/// How a workload is, in a word or three.
pub fn state(status: &WorkloadStatus) -> String {
    match status.unplaced {
        0 => status.state.to_string(),
        unplaced => format!("{}, {unplaced} unplaced", status.state),
    }
}
