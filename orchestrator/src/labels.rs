//! What selectors see of pods.

use longshore_fleet::{LabelKey, LabelValue, Labels, Name, Template, WorkloadKind};

/// The label that names a pod's workload.
const fn key(kind: WorkloadKind) -> &'static str {
    match kind {
        WorkloadKind::Deployment => "longshore.io/deployment",
        WorkloadKind::Job => "longshore.io/job",
    }
}

/// The labels of pods of a workload, the one that names it among them.
pub(crate) fn of_pods(kind: WorkloadKind, name: &Name, template: &Template) -> Labels {
    let key: LabelKey = key(kind).parse().unwrap_or_else(|_| unreachable!("it is a key"));
    let value: LabelValue = name.as_str().parse().unwrap_or_else(|_| unreachable!("a name is a label's value"));
    let mut labels = template.labels.clone();
    labels.insert(key, value);
    labels
}
