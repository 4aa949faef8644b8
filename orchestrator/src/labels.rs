//! What selectors see of pods.

use longshore_fleet::{LabelKey, LabelValue, Labels, Name, Template, WorkloadKind};
use longshore_oci::{Algorithm, Digest};

use crate::control::letters;

/// The label that tells pods made from one template from those of another: while a workload is rolled, its new pods are spread by
/// themselves, for those that go are in nobody's way for long, and are where the image's layers are.
const TEMPLATE: &str = "longshore.io/template";

/// The label that names a pod's workload.
const fn key(kind: WorkloadKind) -> &'static str {
    match kind {
        WorkloadKind::Deployment => "longshore.io/deployment",
        WorkloadKind::Job => "longshore.io/job",
    }
}

/// The labels of pods of a workload, those among them that name it and its template.
pub(crate) fn of_pods(kind: WorkloadKind, name: &Name, template: &Template) -> Labels {
    let mut labels = template.labels.clone();
    for (key, value) in [(key(kind), name.as_str()), (TEMPLATE, &mark(template))] {
        let key: LabelKey = key.parse().unwrap_or_else(|_| unreachable!("it is a key"));
        let value: LabelValue = value.parse().unwrap_or_else(|_| unreachable!("names and letters are a label's value"));
        labels.insert(key, value);
    }
    labels
}

/// A few letters that follow from what pods are made from.
pub(crate) fn mark(template: &Template) -> String {
    let digest = Digest::of(Algorithm::Sha256, &serde_json::to_vec(template).unwrap_or_default());
    let number = digest.hex().get(..16).and_then(|hex| u64::from_str_radix(hex, 16).ok());
    letters(number.unwrap_or_default(), 5)
}

#[cfg(test)]
mod tests {
    use longshore_fleet::DeploymentSpec;
    use serde_json::json;

    use super::*;

    #[test]
    fn pods_of_another_template_have_other_labels_and_their_workload_in_common() {
        let labels = |image: &str| {
            let spec = DeploymentSpec::read(json!({"name": "web", "namespace": "team", "image": image})).unwrap();
            of_pods(WorkloadKind::Deployment, &"web".parse().unwrap(), &spec.template)
        };
        let (one, same, other) = (labels("web:1"), labels("web:1"), labels("web:2"));
        assert_eq!(one, same);
        assert_ne!(one.get(TEMPLATE), other.get(TEMPLATE));
        assert_eq!(one.get("longshore.io/deployment"), other.get("longshore.io/deployment"));
    }
}
