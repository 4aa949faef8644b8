//! The fleet that is rolled.

use std::collections::{BTreeMap, HashMap};

use longshore_fleet::{Bytes, Class, Cpu, PodId, Share, Strategy, StrategyKind};
use longshore_oci::Digest;
use longshore_orchestrator::{
    rollout::{RolloutPod, Stage, Wanted, step},
    schedule::{Cluster, Demand, DemandIndex, NodeFacts, NodeIndex, Weights},
};
use uuid::Uuid;

use super::{Measured, RolloutsOptions};
use crate::{
    load::dice::Dice,
    played::{self, layer},
};

const WORKLOADS: u64 = 40;
const BASES: u64 = 6;
const CPU_PER_NODE_MILLIS: u64 = 16_000;
const MEMORY_PER_NODE: u64 = 64 << 30;
const MIB: u64 = 1 << 20;

/// Nodes, and workloads on them.
pub(super) struct Fleet {
    cluster: Cluster,
    workloads: Vec<Workload>,
    measured: Measured,
    made: u128,
}

struct Workload {
    name: String,
    cpu_millis: u64,
    memory_bytes: u64,
    replicas: u32,
    revision: u64,
    base: Vec<(Digest, u64)>,
    /// What each revision adds to the base, in bytes.
    own: Vec<u64>,
    pods: BTreeMap<PodId, u64>,
}

impl Fleet {
    /// All workloads running, in a random order of their pods.
    pub(super) fn new(options: &RolloutsOptions, class: Class, weights: Weights) -> Self {
        let mut dice = Dice::new(5);
        let mut between = |least: u64, most: u64| least + dice.next_bits() % (most - least);
        let mut cluster = Cluster::new(weights);
        for number in 0..options.nodes {
            cluster.put_node(node(number));
        }
        let bases: Vec<Vec<(Digest, u64)>> =
            (0..BASES).map(|base| (0..4).map(|part| (layer(base, part), between(40, 160) * MIB)).collect()).collect();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is a number of pods, at most 200,000")]
        let mut left = (f64::from(options.nodes) * options.pods_per_node) as u64;
        let mean = left / WORKLOADS;
        let mut workloads = Vec::new();
        for number in 0..WORKLOADS {
            let replicas = if number == WORKLOADS - 1 { left } else { (mean * between(40, 160) / 100).min(left) };
            left -= replicas;
            workloads.push(Workload {
                name: format!("a{number}"),
                cpu_millis: between(300, 2_200),
                memory_bytes: between(512, 9_000) * MIB,
                replicas: u32::try_from(replicas).unwrap_or(u32::MAX),
                revision: 0,
                base: bases[usize::try_from(number % BASES).unwrap_or(0)].clone(),
                own: (0..=options.rollouts).map(|_| between(20, 75) * MIB).collect(),
                pods: BTreeMap::new(),
            });
        }
        let mut order: Vec<usize> =
            workloads.iter().enumerate().flat_map(|(at, workload)| vec![at; workload.replicas as usize]).collect();
        for at in (1..order.len()).rev() {
            order.swap(at, dice.below(at + 1));
        }
        let measured = Measured {
            class,
            balance_seconds: weights.balance_seconds,
            spread_seconds: weights.spread_seconds,
            pods: 0,
            unplaced: 0,
            cold_bytes: 0,
            cpu_deviation: 0.0,
            memory_deviation: 0.0,
            most_alike: 0,
        };
        let mut fleet = Self { cluster, workloads, measured, made: 0 };
        for workload in order {
            fleet.place(workload);
        }
        fleet.measured.pods = 0;
        fleet.measured.unplaced = 0;
        fleet.measured.cold_bytes = 0;
        fleet
    }

    /// Gives so many workloads a new image, one after the other.
    pub(super) fn roll(&mut self, rollouts: u32) {
        let strategy =
            Strategy { kind: StrategyKind::RollingUpdate, max_unavailable: Share::Count(0), max_surge: Share::Percent(25) };
        for number in 0..rollouts as usize {
            let at = number * 7 % self.workloads.len();
            self.workloads[at].revision += 1;
            let wanted = Wanted { replicas: self.workloads[at].replicas, revision: self.workloads[at].revision, strategy };
            loop {
                let pod = |(id, revision): (&PodId, &u64)| RolloutPod { id: *id, revision: *revision, stage: Stage::Available };
                let pods: Vec<RolloutPod> = self.workloads[at].pods.iter().map(pod).collect();
                let next = step(&wanted, &pods);
                for pod in &next.end {
                    self.cluster.unbind(*pod);
                    self.workloads[at].pods.remove(pod);
                }
                let placed = (0..next.make).filter(|_| self.place(at)).count();
                if next.is_done || (placed == 0 && next.end.is_empty()) {
                    break;
                }
            }
        }
    }

    /// Places a pod of a workload, and has its node fetch what it lacks. False where it fits nowhere.
    fn place(&mut self, at: usize) -> bool {
        let wanted = self.demand(at);
        let demand: DemandIndex = self.cluster.demand(&wanted);
        self.made += 1;
        let pod = PodId(Uuid::from_u128(self.made));
        let Some(placed) = self.cluster.place(pod, demand) else {
            self.measured.unplaced += 1;
            return false;
        };
        for (digest, size_bytes) in &wanted.images[0].layers {
            self.cluster.set_layer(placed.node, digest, *size_bytes, true);
        }
        self.cluster.started(pod);
        let revision = self.workloads[at].revision;
        self.workloads[at].pods.insert(pod, revision);
        self.measured.pods += 1;
        self.measured.cold_bytes += placed.missing_bytes;
        true
    }

    fn demand(&self, at: usize) -> Demand {
        let workload = &self.workloads[at];
        let own = layer(1_000 + at as u64, workload.revision);
        let mut layers = workload.base.clone();
        layers.push((own, workload.own[usize::try_from(workload.revision).unwrap_or(usize::MAX)]));
        Demand {
            class: self.measured.class,
            cpu_millis: workload.cpu_millis,
            memory_bytes: workload.memory_bytes,
            ..played::demand(&workload.name, layers)
        }
    }

    /// What the rollouts came to, and how the fleet stands after them.
    pub(super) fn measured(mut self) -> Measured {
        let mut cpu: HashMap<NodeIndex, f64> = HashMap::new();
        let mut memory: HashMap<NodeIndex, f64> = HashMap::new();
        for workload in &self.workloads {
            let mut alike: HashMap<NodeIndex, usize> = HashMap::new();
            for node in workload.pods.keys().filter_map(|pod| self.cluster.node_of(*pod)) {
                *cpu.entry(node).or_default() += part(workload.cpu_millis, CPU_PER_NODE_MILLIS);
                *memory.entry(node).or_default() += part(workload.memory_bytes, MEMORY_PER_NODE);
                *alike.entry(node).or_default() += 1;
            }
            self.measured.most_alike = self.measured.most_alike.max(alike.into_values().max().unwrap_or(0));
        }
        let nodes: Vec<NodeIndex> = self.cluster.nodes().collect();
        let of = |used: &HashMap<NodeIndex, f64>| -> Vec<f64> {
            nodes.iter().map(|node| used.get(node).copied().unwrap_or(0.0)).collect()
        };
        self.measured.cpu_deviation = deviation(&of(&cpu));
        self.measured.memory_deviation = deviation(&of(&memory));
        self.measured
    }
}

#[expect(clippy::cast_precision_loss, reason = "a part of a whole")]
fn part(amount: u64, whole: u64) -> f64 {
    amount as f64 / whole as f64
}

/// The standard deviation.
#[expect(clippy::cast_precision_loss, reason = "there are at most 20,000")]
fn deviation(values: &[f64]) -> f64 {
    let count = values.len().max(1) as f64;
    let mean = values.iter().sum::<f64>() / count;
    (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count).sqrt()
}

fn node(number: u32) -> NodeFacts {
    NodeFacts {
        cpu: Cpu::millis(CPU_PER_NODE_MILLIS),
        memory: Bytes::new(MEMORY_PER_NODE),
        disk: Bytes::new(200 << 30),
        ..played::node(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pod_is_replaced_and_what_is_fetched_is_counted() {
        let options = RolloutsOptions { nodes: 60, pods_per_node: 7.8, rollouts: 4, results: "unused".into() };
        let measure = |weights| {
            let mut fleet = Fleet::new(&options, Class::Online, weights);
            fleet.roll(options.rollouts);
            let rolled: u32 = (0..4).map(|number| fleet.workloads[number * 7].replicas).sum();
            assert!(fleet.workloads.iter().all(|workload| workload.pods.values().all(|revision| *revision == workload.revision)));
            let measured = fleet.measured();
            assert_eq!((measured.pods, measured.unplaced), (rolled.into(), 0));
            measured
        };
        let near = measure(Weights { balance_seconds: 0.0, spread_seconds: 0.0, ..Weights::default() });
        let even = measure(Weights { balance_seconds: 100.0, spread_seconds: 10.0, ..Weights::default() });
        assert!(near.cold_bytes < even.cold_bytes, "{near:?} {even:?}");
        assert!(near.cpu_deviation > even.cpu_deviation, "{near:?} {even:?}");
    }
}
