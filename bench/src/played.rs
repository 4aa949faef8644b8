//! Nodes and pods for the scheduler, each as plain as it can be; who plays a fleet says what is otherwise.

use longshore_fleet::{Affinity, Bytes, Class, Cpu, Labels};
use longshore_oci::{Digest, Platform};
use longshore_orchestrator::schedule::{Demand, ImageLayers, NodeFacts, Paths};

/// An empty node in one of three zones, without processor or memory for pods.
pub fn node(number: u32) -> NodeFacts {
    NodeFacts {
        name: format!("n{number}").parse().expect("it is a name"),
        labels: labels("topology.kubernetes.io/zone", &format!("z{}", number % 3)),
        taints: Vec::new(),
        platform: Platform { os: "linux".into(), architecture: "amd64".into(), ..Platform::default() },
        is_ready: true,
        is_cordoned: false,
        cpu: Cpu::millis(0),
        memory: Bytes::new(0),
        pods: 110,
        disk: Bytes::new(500 << 30),
        paths: Paths { neighbours: 125e6, outside: 50e6 },
        failures: 0.0,
        upload_load: 0.0,
    }
}

/// What pods of an app want whose image has these layers: nothing but to run.
pub fn demand(app: &str, layers: Vec<(Digest, u64)>) -> Demand {
    Demand {
        namespace: "default".parse().expect("a name"),
        labels: labels("app", app),
        class: Class::Online,
        priority: 0,
        cpu_millis: 0,
        memory_bytes: 0,
        ports: Vec::new(),
        node_selector: Labels::new(),
        affinity: Affinity::default(),
        spread: Vec::new(),
        tolerations: Vec::new(),
        images: vec![ImageLayers { os: "linux".into(), architecture: "amd64".into(), layers }],
    }
}

/// A layer of somebody's.
pub fn layer(owner: u64, part: u64) -> Digest {
    format!("sha256:{owner:032x}{part:032x}").parse().expect("it is a digest")
}

fn labels(key: &str, value: &str) -> Labels {
    Labels::from([(key.parse().expect("a key"), value.parse().expect("a value"))])
}
