//! Nodes, pods and what owns them, as Kubernetes has them.

use serde_json::{Value, json};

use crate::rollouts::story::{CPU_PER_NODE_MILLIS, MEMORY_PER_NODE, Workload};

/// Nodes.
pub(super) const NODES: &str = "/api/v1/nodes";
/// Pods.
pub(super) const PODS: &str = "/api/v1/namespaces/default/pods";
/// What owns pods.
pub(super) const REPLICA_SETS: &str = "/apis/apps/v1/namespaces/default/replicasets";

/// How many images a kubelet reports.
const MOST_IMAGES: usize = 50;

/// An empty node that is ready, in one of three zones.
pub(super) fn node(number: u32) -> Value {
    let has = json!({
        "cpu": format!("{CPU_PER_NODE_MILLIS}m"),
        "memory": MEMORY_PER_NODE.to_string(),
        "pods": "110",
        "ephemeral-storage": (200_u64 << 30).to_string(),
    });
    json!({
        "apiVersion": "v1", "kind": "Node",
        "metadata": {"name": node_name(number as usize), "labels": {
            "kubernetes.io/hostname": node_name(number as usize), "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64",
            "topology.kubernetes.io/zone": format!("z{}", number % 3),
        }},
        "status": {"capacity": has, "allocatable": has, "conditions": [{"type": "Ready", "status": "True"}]},
    })
}

/// What a node is called.
pub(super) fn node_name(number: usize) -> String {
    format!("n{number}")
}

/// The number of the node of this name.
pub(super) fn node_number(name: &str) -> Option<usize> {
    name.strip_prefix('n')?.parse().ok()
}

/// What a workload's revision is called, as image and as owner.
pub(super) fn owner_name(workload: &Workload, revision: u64) -> String {
    format!("{}-{revision}", workload.name)
}

fn image(workload: &Workload, revision: u64) -> String {
    format!("registry.example/{}:{revision}", workload.name)
}

/// What a node's status says of these images.
pub(super) fn images<'a>(of: impl Iterator<Item = (&'a Workload, u64)>) -> Value {
    let bytes = |workload: &Workload, revision| -> u64 { workload.layers(revision).iter().map(|(_, size)| size).sum() };
    let mut all: Vec<(u64, String)> =
        of.map(|(workload, revision)| (bytes(workload, revision), image(workload, revision))).collect();
    all.sort_unstable_by(|one, other| other.cmp(one));
    all.truncate(MOST_IMAGES);
    all.into_iter().map(|(bytes, name)| json!({"names": [name], "sizeBytes": bytes})).collect()
}

/// The owner of a revision's pods: what the scheduler spreads them by.
pub(super) fn replica_set(workload: &Workload, revision: u64) -> Value {
    let labels = labels(workload, revision);
    json!({
        "apiVersion": "apps/v1", "kind": "ReplicaSet",
        "metadata": {"name": owner_name(workload, revision), "labels": labels},
        "spec": {"replicas": workload.replicas, "selector": {"matchLabels": labels}, "template": {
            "metadata": {"labels": labels}, "spec": {"containers": [{"name": "main", "image": image(workload, revision)}]},
        }},
    })
}

/// A pod of a revision; of which a node has only so many, if there is such a limit.
pub(super) fn pod(name: &str, workload: &Workload, revision: u64, owner_uid: &str, most_alike: Option<u32>) -> Value {
    let labels = labels(workload, revision);
    let asked = json!({"cpu": format!("{}m", workload.cpu_millis), "memory": workload.memory_bytes.to_string()});
    let constraints: Vec<Value> = most_alike
        .into_iter()
        .map(|most| {
            json!({
                "maxSkew": most, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "DoNotSchedule",
                "labelSelector": {"matchLabels": labels},
            })
        })
        .collect();
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "labels": labels, "ownerReferences": [{
            "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": owner_name(workload, revision), "uid": owner_uid,
            "controller": true,
        }]},
        "spec": {
            "automountServiceAccountToken": false,
            "topologySpreadConstraints": constraints,
            "containers": [{"name": "main", "image": image(workload, revision), "resources": {"requests": asked}}],
        },
    })
}

fn labels(workload: &Workload, revision: u64) -> Value {
    json!({"app": workload.name, "revision": revision.to_string()})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rollouts::{RolloutsOptions, story::Story};

    #[test]
    fn a_node_reports_the_largest_of_its_images_as_a_kubelet_does() {
        let options = RolloutsOptions { nodes: 10, pods_per_node: 7.8, rollouts: 60, results: "unused".into() };
        let story = Story::new(&options);
        let images = images((0..60).map(|revision| (&story.workloads[0], revision)));
        let sizes: Vec<u64> = images.as_array().unwrap().iter().map(|image| image["sizeBytes"].as_u64().unwrap()).collect();
        assert_eq!(sizes.len(), MOST_IMAGES);
        assert!(sizes.is_sorted_by(|one, other| one >= other), "{sizes:?}");
        let name = images[0]["names"][0].as_str().unwrap();
        let pods = (0..60).map(|revision| pod("p", &story.workloads[0], revision, "u", Some(1)));
        assert!(pods.into_iter().any(|pod| pod["spec"]["containers"][0]["image"] == name), "{name} is what pods run");
    }

    #[test]
    fn nodes_are_known_by_their_numbers() {
        assert_eq!(node_number(&node_name(17)), Some(17));
        assert_eq!(node_number("minikube"), None);
    }
}
