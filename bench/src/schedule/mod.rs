//! How many pods the orchestrator's scheduler places in a second, over all nodes of a fleet: pods that differ, one by one; and pods that
//! are alike, many at once.
//!
//! The fleet is in three zones, of nodes with 32 cores, 128 GiB and links of 1.25 GB/s; 40 images stand on 6 bases, and half of the nodes
//! have each base. Once three quarters of all processor are taken, the oldest pods go as new ones come, so that the scheduler works on a
//! full fleet. What is timed is the placing: the decision, and what it changes of room, layers on their way and counts of pods. What the
//! oldest pods leave behind as they go is not timed, but what the next decisions have to look at again because of it is.

use std::{
    collections::VecDeque,
    path::PathBuf,
    time::{Duration, Instant},
};

use clap::Args;
use longshore_fleet::{Bytes, Class, Cpu, PodId};
use longshore_orchestrator::schedule::{Cluster, Demand, DemandIndex, NodeFacts, Paths, Weights};
use serde::Serialize;
use uuid::Uuid;

use crate::{
    error::BenchError,
    load::dice::Dice,
    played::{self, layer},
    report::{
        table::{significant, table},
        write_json,
    },
};

/// Pods of a node.
const PODS_PER_NODE: u32 = 150;
const CPU_PER_NODE_MILLIS: u64 = 32_000;
const BASES: u64 = 6;
const IMAGES: u64 = 40;
/// Kinds of pods, where pods differ.
const KINDS: u64 = 400;

/// Measures how many pods the scheduler places in a second.
#[derive(Clone, Debug, Args)]
pub struct ScheduleOptions {
    /// How many nodes there are, in turns
    #[arg(long, value_delimiter = ',', default_value = "100,1000,8000", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub nodes: Vec<u32>,
    /// How long each is measured
    #[arg(long, default_value_t = 5, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..=600))]
    pub seconds: u32,
    /// How many pods that are alike come at once
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(2..=10_000))]
    pub batch: u32,
    /// Where the JSON goes
    #[arg(long, value_name = "DIR", default_value = "bench/results")]
    pub results: PathBuf,
}

/// What one fleet came to.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Measured {
    nodes: u32,
    /// Pods that differ, placed in a second.
    one_by_one_per_second: f64,
    /// Pods that are alike, placed in a second.
    many_at_once_per_second: f64,
}

/// Measures each fleet, prints a table and writes the figures.
pub fn schedule(options: &ScheduleOptions) -> Result<(), BenchError> {
    let duration = Duration::from_secs(options.seconds.into());
    let mut all = Vec::new();
    for nodes in &options.nodes {
        let one_by_one_per_second = Fleet::new(*nodes).run(duration, 1);
        let many_at_once_per_second = Fleet::new(*nodes).run(duration, options.batch as usize);
        all.push(Measured { nodes: *nodes, one_by_one_per_second, many_at_once_per_second });
    }
    let head = ["nodes", "each its own kind, pods/s", "µs a pod", "alike and many at once, pods/s", "µs a pod"];
    let mut shown = table(head.map(str::to_owned).to_vec());
    for measured in &all {
        let Measured { nodes, one_by_one_per_second, many_at_once_per_second } = measured;
        shown.add_row(vec![
            nodes.to_string(),
            significant(*one_by_one_per_second),
            significant(1e6 / one_by_one_per_second),
            significant(*many_at_once_per_second),
            significant(1e6 / many_at_once_per_second),
        ]);
    }
    println!("{shown}");
    write_json(&options.results, "schedule", &all)
}

/// A fleet that is kept three quarters full.
struct Fleet {
    cluster: Cluster,
    demands: Vec<(DemandIndex, u64)>,
    /// Pods from the oldest on, with what they take.
    pods: VecDeque<(PodId, u64)>,
    taken_millis: u64,
    whole_millis: u64,
    made: u128,
}

impl Fleet {
    fn new(nodes: u32) -> Self {
        let mut dice = Dice::new(11);
        let mut cluster = Cluster::new(Weights::default());
        for number in 0..nodes {
            let node = cluster.put_node(facts(number));
            for base in 0..BASES {
                if dice.next_bits().is_multiple_of(2) {
                    cluster.set_layer(node, &layer(base, 0), 300 << 20, true);
                }
            }
        }
        let kinds: Vec<Demand> = (0..KINDS).map(|kind| demand(kind, &mut dice)).collect();
        let demands = kinds.iter().map(|demand| (cluster.demand(demand), demand.cpu_millis)).collect();
        let whole_millis = u64::from(nodes) * CPU_PER_NODE_MILLIS;
        Self { cluster, demands, pods: VecDeque::new(), taken_millis: 0, whole_millis, made: 0 }
    }

    /// Pods placed in a second, so many of a kind at once.
    fn run(&mut self, duration: Duration, batch: usize) -> f64 {
        while self.taken_millis < self.whole_millis / 4 * 3 {
            self.step(batch);
        }
        let (mut spent, mut placed) = (Duration::ZERO, 0_u32);
        while spent < duration {
            let (taken, count) = self.step(batch);
            spent += taken;
            placed += u32::try_from(count).unwrap_or(u32::MAX);
        }
        f64::from(placed) / spent.as_secs_f64()
    }

    /// Places pods of the next kind, and lets as much go; how long the placing took, and of how many.
    fn step(&mut self, batch: usize) -> (Duration, usize) {
        let (demand, millis) = self.demands[usize::try_from(self.made).unwrap_or(0) / batch % self.demands.len()];
        while self.taken_millis > self.whole_millis / 4 * 3
            && let Some((pod, millis)) = self.pods.pop_front()
        {
            self.cluster.unbind(pod);
            self.taken_millis -= millis;
        }
        let first = self.made;
        let pods: Vec<PodId> = (0..batch).map(|at| PodId(Uuid::from_u128(first + at as u128))).collect();
        self.made += batch as u128;
        let began = Instant::now();
        let placed = match pods.as_slice() {
            [pod] => usize::from(self.cluster.place(*pod, demand).is_some()),
            pods => self.cluster.place_many(pods, demand).len(),
        };
        let spent = began.elapsed();
        for pod in pods.into_iter().take(placed) {
            self.cluster.started(pod);
            self.pods.push_back((pod, millis));
            self.taken_millis += millis;
        }
        (spent, placed)
    }
}

fn facts(number: u32) -> NodeFacts {
    NodeFacts {
        cpu: Cpu::millis(CPU_PER_NODE_MILLIS),
        memory: Bytes::new(128 << 30),
        pods: PODS_PER_NODE,
        paths: Paths { neighbours: 1.25e9, outside: 0.25e9 },
        ..played::node(number)
    }
}

/// A kind of pod: one of the images, and amounts of its own.
fn demand(kind: u64, dice: &mut Dice) -> Demand {
    let image = kind % IMAGES;
    let mut layers = vec![(layer(image % BASES, 0), 300 << 20)];
    layers.extend((1..5).map(|part| (layer(1_000 + image, part), (20 + dice.next_bits() % 60) << 20)));
    Demand {
        class: if kind.is_multiple_of(4) { Class::Batch } else { Class::Online },
        cpu_millis: 100 + dice.next_bits() % 900,
        memory_bytes: (128 + dice.next_bits() % 3_000) << 20,
        ..played::demand(&format!("a{kind}"), layers)
    }
}
