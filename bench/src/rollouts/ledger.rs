//! What rollouts come to: which layers nodes have, who runs where, and what had to be fetched. The same count for every scheduler.

use std::collections::{BTreeMap, HashMap, HashSet};

use longshore_fleet::PodId;
use longshore_oci::Digest;
use serde::Serialize;

use super::{
    placer::NewPod,
    story::{CPU_PER_NODE_MILLIS, MEMORY_PER_NODE, Story},
};

const ZONES: usize = 3;

/// What one scheduler came to.
#[derive(Clone, Copy, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Measured {
    /// Pods of the fleet placed in a second, all of them at once.
    pub(crate) first_per_second: f64,
    /// Bytes of layers that were not yet on the node, over the pods of the fleet before any rollout.
    pub(crate) first_cold_bytes: u64,
    /// Pods that rollouts have placed.
    pub(crate) pods: u64,
    /// Pods that fitted nowhere.
    pub(crate) unplaced: u64,
    /// Bytes of layers that were not yet on the node, over pods that rollouts have placed.
    pub(crate) cold_bytes: u64,
    /// Standard deviations of what is asked for, over nodes, in parts of a node.
    pub(crate) cpu_deviation: f64,
    /// The same of memory.
    pub(crate) memory_deviation: f64,
    /// The most pods of one workload on one node.
    pub(crate) most_alike: usize,
    /// How many others of its workload a pod has beside it, on average.
    pub(crate) mean_alike: f64,
    /// By how many pods of a workload's a zone has more than another, in parts of all of them, on average.
    pub(crate) zone_skew: f64,
}

/// The fleet as it stands.
#[derive(Debug)]
pub(crate) struct Ledger {
    /// By node.
    layers: Vec<HashSet<Digest>>,
    /// By workload.
    pods: Vec<BTreeMap<PodId, Standing>>,
    measured: Measured,
}

/// A pod that runs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Standing {
    pub(crate) node: usize,
    pub(crate) revision: u64,
}

impl Ledger {
    /// An empty fleet.
    pub(crate) fn new(story: &Story) -> Self {
        Self {
            layers: vec![HashSet::new(); story.nodes as usize],
            pods: vec![BTreeMap::new(); story.workloads.len()],
            measured: Measured::default(),
        }
    }

    /// Notes where a pod went, and that its node has its image from now on.
    pub(crate) fn note(&mut self, story: &Story, pod: NewPod, node: Option<usize>) {
        let Some(node) = node else {
            self.measured.unplaced += 1;
            return;
        };
        self.measured.pods += 1;
        for (digest, size_bytes) in story.workloads[pod.workload].layers(pod.revision) {
            if self.layers[node].insert(digest) {
                self.measured.cold_bytes += size_bytes;
            }
        }
        self.pods[pod.workload].insert(pod.id, Standing { node, revision: pod.revision });
    }

    /// Forgets a pod.
    pub(crate) fn forget(&mut self, workload: usize, pod: PodId) {
        self.pods[workload].remove(&pod);
    }

    /// Pods of a workload.
    pub(crate) fn pods(&self, workload: usize) -> &BTreeMap<PodId, Standing> {
        &self.pods[workload]
    }

    /// The fleet stands as it was meant to at first: from now on it is counted anew.
    pub(crate) fn begin(&mut self, first_per_second: f64) {
        let Measured { unplaced, cold_bytes: first_cold_bytes, .. } = self.measured;
        self.measured = Measured { first_per_second, first_cold_bytes, unplaced, ..Measured::default() };
    }

    /// What the rollouts came to, and how the fleet stands.
    pub(crate) fn measured(&self, story: &Story) -> Measured {
        let mut cpu = vec![0.0; self.layers.len()];
        let mut memory = cpu.clone();
        let (mut beside, mut skews, mut most_alike) = (0, 0.0, 0);
        for (workload, pods) in story.workloads.iter().zip(&self.pods) {
            let mut alike: HashMap<usize, usize> = HashMap::new();
            let mut zones = [0_usize; ZONES];
            for Standing { node, .. } in pods.values() {
                cpu[*node] += part(workload.cpu_millis, CPU_PER_NODE_MILLIS);
                memory[*node] += part(workload.memory_bytes, MEMORY_PER_NODE);
                *alike.entry(*node).or_default() += 1;
                zones[node % ZONES] += 1;
            }
            most_alike = most_alike.max(alike.values().copied().max().unwrap_or(0));
            beside += alike.values().map(|count| count * (count - 1)).sum::<usize>();
            let [least, most] = [zones.iter().min(), zones.iter().max()].map(|count| count.copied().unwrap_or(0));
            skews += part((most - least) as u64, pods.len().max(1) as u64);
        }
        let all: usize = self.pods.iter().map(BTreeMap::len).sum();
        Measured {
            cpu_deviation: deviation(&cpu),
            memory_deviation: deviation(&memory),
            most_alike,
            mean_alike: part(beside as u64, all.max(1) as u64),
            zone_skew: skews / part(self.pods.len().max(1) as u64, 1),
            ..self.measured
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a part of a whole")]
fn part(amount: u64, whole: u64) -> f64 {
    amount as f64 / whole as f64
}

/// The standard deviation.
fn deviation(values: &[f64]) -> f64 {
    let count = part(values.len().max(1) as u64, 1);
    let mean = values.iter().sum::<f64>() / count;
    (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count).sqrt()
}

#[cfg(test)]
mod tests {
    use longshore_fleet::PodId;
    use uuid::Uuid;

    use super::*;
    use crate::rollouts::RolloutsOptions;

    #[test]
    fn bytes_count_once_a_node_and_places_by_what_runs_there() {
        let options = RolloutsOptions { nodes: 10, pods_per_node: 7.8, rollouts: 2, results: "unused".into() };
        let story = Story::new(&options);
        let mut ledger = Ledger::new(&story);
        let pod = |number| NewPod { id: PodId(Uuid::from_u128(number)), workload: 0, revision: 1 };
        ledger.begin(0.0);
        for (number, node) in [(1, 0), (2, 0), (3, 1)] {
            ledger.note(&story, pod(number), Some(node));
        }
        ledger.note(&story, pod(4), None);
        let image: u64 = story.workloads[0].layers(1).iter().map(|(_, size_bytes)| size_bytes).sum();
        let measured = ledger.measured(&story);
        assert_eq!((measured.pods, measured.unplaced, measured.cold_bytes), (3, 1, 2 * image));
        assert_eq!((measured.most_alike, measured.mean_alike), (2, 2.0 / 3.0));
        let share = part(story.workloads[0].cpu_millis, CPU_PER_NODE_MILLIS);
        // Of ten nodes one has two, one has one: the mean is 0.3 shares, the mean of squares 0.5.
        assert!((measured.cpu_deviation - share * (0.5_f64 - 0.09).sqrt()).abs() < 1e-9);
        ledger.forget(0, pod(1).id);
        assert_eq!(ledger.measured(&story).most_alike, 1);
    }
}
