//! The orchestrator's own scheduler.

use std::{collections::HashMap, time::Instant};

use longshore_fleet::{Bytes, Class, Cpu, PodId, Spread, WhenUnsatisfiable};
use longshore_orchestrator::schedule::{Cluster, Demand, DemandIndex, NodeFacts, NodeIndex, Weights};

use super::{
    placer::{NewPod, Placement, Placer},
    story::{CPU_PER_NODE_MILLIS, MEMORY_PER_NODE, Story},
};
use crate::{error::BenchError, played};

/// What pods are placed by, besides the story.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manner {
    pub(crate) class: Class,
    pub(crate) weights: Weights,
    /// How many pods of a workload's revision a node may have.
    pub(crate) most_alike: Option<u32>,
}

/// The scheduler, with a fleet.
#[derive(Debug)]
pub(crate) struct Longshore {
    cluster: Cluster,
    manner: Manner,
    numbers: HashMap<NodeIndex, usize>,
    demands: HashMap<(usize, u64), DemandIndex>,
}

impl Longshore {
    /// An empty fleet.
    pub(crate) fn new(story: &Story, manner: Manner) -> Self {
        let mut cluster = Cluster::new(manner.weights);
        let numbers = (0..story.nodes).map(|number| (cluster.put_node(node(number)), number as usize)).collect();
        Self { cluster, manner, numbers, demands: HashMap::new() }
    }

    fn demand(&mut self, story: &Story, workload: usize, revision: u64) -> DemandIndex {
        let (cluster, manner) = (&mut self.cluster, self.manner);
        *self
            .demands
            .entry((workload, revision))
            .or_insert_with(|| cluster.demand(&demand(&manner, &story.workloads[workload], revision)))
    }
}

impl Placer for Longshore {
    async fn place(&mut self, story: &Story, pods: &[NewPod]) -> Result<Placement, BenchError> {
        let demands: Vec<DemandIndex> = pods.iter().map(|pod| self.demand(story, pod.workload, pod.revision)).collect();
        let layers: HashMap<(usize, u64), _> =
            self.demands.keys().map(|key| (*key, story.workloads[key.0].layers(key.1))).collect();
        let mut nodes = Vec::with_capacity(pods.len());
        let began = Instant::now();
        for (pod, demand) in pods.iter().zip(demands) {
            let placed = self.cluster.place(pod.id, demand);
            if let Some(placed) = &placed {
                for (digest, size_bytes) in &layers[&(pod.workload, pod.revision)] {
                    self.cluster.set_layer(placed.node, digest, *size_bytes, true);
                }
                self.cluster.started(pod.id);
            }
            nodes.push(placed.map(|placed| self.numbers[&placed.node]));
        }
        Ok(Placement { nodes, spent: began.elapsed() })
    }

    async fn end(&mut self, pods: &[PodId]) -> Result<(), BenchError> {
        for pod in pods {
            self.cluster.unbind(*pod);
        }
        Ok(())
    }
}

fn demand(manner: &Manner, workload: &super::story::Workload, revision: u64) -> Demand {
    let mut demand = Demand {
        class: manner.class,
        cpu_millis: workload.cpu_millis,
        memory_bytes: workload.memory_bytes,
        ..played::demand(&workload.name, workload.layers(revision))
    };
    let revision = revision.to_string();
    demand.labels.insert("revision".parse().expect("a key"), revision.parse().expect("a value"));
    if let Some(most) = manner.most_alike {
        demand.spread.push(Spread {
            topology_key: "kubernetes.io/hostname".parse().expect("a key"),
            max_skew: most,
            when_unsatisfiable: WhenUnsatisfiable::DoNotSchedule,
            selector: None,
        });
    }
    demand
}

fn node(number: u32) -> NodeFacts {
    NodeFacts {
        cpu: Cpu::millis(CPU_PER_NODE_MILLIS),
        memory: Bytes::new(MEMORY_PER_NODE),
        disk: Bytes::new(200 << 30),
        ..played::node(number)
    }
}
