//! What ours is recognized by: an agent goes by these alone, and touches nothing that has not its own.

use std::{collections::BTreeMap, time::Duration};

use longshore_fleet::{Assignment, PodId};

/// Labels and annotations of a runtime.
pub type Labels = BTreeMap<String, String>;

/// Which agent made it.
const AGENT: &str = "longshore.agent";
/// Which pod it is of.
const POD: &str = "longshore.pod";
/// The pod's namespace.
const NAMESPACE: &str = "longshore.namespace";
/// The pod's name.
const NAME: &str = "longshore.name";
/// The container's mark.
const MARK: &str = "longshore.mark";
/// How long it has to end, in seconds.
const GRACE: &str = "longshore.grace-seconds";
/// How many containers the pod had before its sandbox.
const CONTAINERS_BEFORE: &str = "longshore.containers-before";

/// How long it has to end where nobody knows any more.
const GRACE_DEFAULT: Duration = Duration::from_secs(30);

fn one(key: &str, value: impl Into<String>) -> (String, String) {
    (key.to_owned(), value.into())
}

/// What selects all that an agent has made.
pub fn of_agent(agent: &str) -> Labels {
    Labels::from([one(AGENT, agent)])
}

/// What selects all that an agent has made of a pod.
pub fn of_pod(agent: &str, pod: PodId) -> Labels {
    Labels::from([one(AGENT, agent), one(POD, pod.to_string())])
}

/// The pod that something is of.
pub fn pod_of(labels: &Labels) -> Option<PodId> {
    labels.get(POD)?.parse().ok()
}

/// The labels of a pod's sandbox and containers.
pub(super) fn labels(agent: &str, assignment: &Assignment) -> Labels {
    let mut labels = of_pod(agent, assignment.id);
    labels.extend([one(NAMESPACE, assignment.namespace.to_string()), one(NAME, &assignment.name)]);
    labels
}

/// The labels of a container.
pub(super) fn with_mark(mut labels: Labels, mark: &str) -> Labels {
    labels.extend([one(MARK, mark)]);
    labels
}

/// What is noted at a sandbox.
pub(super) fn annotations(assignment: &Assignment, before: u32) -> Labels {
    let grace = assignment.template.termination_grace_period_seconds;
    Labels::from([one(GRACE, grace.to_string()), one(CONTAINERS_BEFORE, before.to_string())])
}

/// A container's mark.
pub fn mark_of(labels: &Labels) -> String {
    labels.get(MARK).cloned().unwrap_or_default()
}

/// How many containers a pod had before the sandbox with these annotations.
pub fn containers_before(annotations: &Labels) -> u32 {
    annotations.get(CONTAINERS_BEFORE).and_then(|text| text.parse().ok()).unwrap_or_default()
}

/// How long what is in the sandbox with these annotations has to end.
pub fn grace(annotations: &Labels) -> Duration {
    annotations.get(GRACE).and_then(|text| text.parse().ok()).map_or(GRACE_DEFAULT, Duration::from_secs)
}
