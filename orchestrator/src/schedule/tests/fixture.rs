//! Nodes and pods, each as plain as it can be.

use longshore_fleet::{Affinity, Bytes, Class, Cpu, Labels, PodId};
use longshore_oci::{Digest, Platform};
use uuid::Uuid;

use super::super::{Cluster, Demand, ImageLayers, NodeFacts, Paths, Weights};

pub(super) const MIB: u64 = 1 << 20;

pub(super) fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().map(|(key, value)| (key.parse().unwrap(), value.parse().unwrap())).collect()
}

/// A node with 4 cores, 8 GiB, and nothing on it.
pub(super) fn node(name: &str) -> NodeFacts {
    NodeFacts {
        name: name.parse().unwrap(),
        labels: Labels::new(),
        taints: Vec::new(),
        platform: Platform { os: "linux".into(), architecture: "amd64".into(), ..Platform::default() },
        is_ready: true,
        is_cordoned: false,
        cpu: Cpu::millis(4_000),
        memory: Bytes::new(8 << 30),
        pods: 10,
        disk: Bytes::new(100 << 30),
        paths: Paths { neighbours: 100e6, outside: 10e6 },
        failures: 0.0,
        upload_load: 0.0,
    }
}

/// A node in a zone.
pub(super) fn node_in(name: &str, zone: &str) -> NodeFacts {
    NodeFacts { labels: labels(&[("topology.kubernetes.io/zone", zone)]), ..node(name) }
}

/// A pod of batch work that asks for a core and a GiB, without an image.
pub(super) fn demand(app: &str) -> Demand {
    Demand {
        namespace: "default".parse().unwrap(),
        labels: labels(&[("app", app)]),
        class: Class::Batch,
        priority: 0,
        cpu_millis: 1_000,
        memory_bytes: 1 << 30,
        ports: Vec::new(),
        node_selector: Labels::new(),
        affinity: Affinity::default(),
        spread: Vec::new(),
        tolerations: Vec::new(),
        images: Vec::new(),
    }
}

pub(super) fn layer(number: u8) -> Digest {
    format!("sha256:{number:064x}").parse().unwrap()
}

/// Such a pod with an image of these layers, of so many MiB each.
pub(super) fn with_image(demand: Demand, layers: &[(u8, u64)]) -> Demand {
    let layers = layers.iter().map(|(number, mib)| (layer(*number), mib * MIB)).collect();
    Demand { images: vec![ImageLayers { os: "linux".into(), architecture: "amd64".into(), layers }], ..demand }
}

pub(super) fn pod(number: u128) -> PodId {
    PodId(Uuid::from_u128(number))
}

/// Weights by which only the wait for bytes counts.
pub(super) fn bytes_alone() -> Weights {
    Weights {
        balance_seconds: 0.0,
        evenness_seconds: 0.0,
        affinity_seconds: 0.0,
        taint_seconds: 0.0,
        spread_seconds: 0.0,
        failure_seconds: 0.0,
        upload_seconds: 0.0,
        pulls_per_node: 10,
    }
}

pub(super) fn cluster(weights: Weights, nodes: impl IntoIterator<Item = NodeFacts>) -> Cluster {
    let mut cluster = Cluster::new(weights);
    for facts in nodes {
        cluster.put_node(facts);
    }
    cluster
}

/// Where a pod is put: the node's name.
pub(super) fn place(cluster: &mut Cluster, number: u128, wanted: &Demand) -> Option<String> {
    let demand = cluster.demand(wanted);
    let placed = cluster.place(pod(number), demand)?;
    cluster.facts(placed.node).map(|facts| facts.name.to_string())
}
