//! What successive rollouts make nodes fetch, and how evenly nodes are used meanwhile, by the orchestrator's own scheduler and rollout
//! arithmetic: a curve, as the exchange rate between bytes and balance moves.
//!
//! A fleet in three zones runs 40 workloads of many pods each, whose images stand on 6 bases. One workload after the other gets a new
//! image, on the same base, and is rolled in steps of 25 %. A pod that is placed is ready at once, and its node has its image from then
//! on; bytes are counted where they were missing when it was placed.

mod fleet;

use std::path::PathBuf;

use clap::Args;
use longshore_fleet::Class;
use longshore_orchestrator::schedule::Weights;
use serde::Serialize;

use crate::{
    error::BenchError,
    report::{
        table::{significant, table},
        write_json,
    },
};
use fleet::Fleet;

/// Measures what successive rollouts make nodes fetch.
#[derive(Clone, Debug, Args)]
pub struct RolloutsOptions {
    /// How many nodes there are
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(10..=20_000))]
    pub nodes: u32,
    /// How many pods run on each, on average
    #[arg(long, default_value_t = 7.8, value_parser = pods_per_node)]
    pub pods_per_node: f64,
    /// How many rollouts there are, one after the other
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub rollouts: u32,
    /// Where the JSON goes
    #[arg(long, value_name = "DIR", default_value = "bench/results")]
    pub results: PathBuf,
}

fn pods_per_node(text: &str) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|_| "must be a number".to_owned())?;
    if (0.1..=10.0).contains(&number) { Ok(number) } else { Err("must be from 0.1 to 10: nodes have 16 cores".to_owned()) }
}

/// The exchange rates that are measured: what a full node is worth against an empty one, and a pod of the same kind, in seconds.
const RATES: &[(f32, f32)] =
    &[(0.0, 0.0), (1.0, 0.1), (3.0, 0.1), (10.0, 0.1), (10.0, 0.3), (10.0, 1.0), (30.0, 1.0), (30.0, 3.0)];

/// What one exchange rate came to.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Measured {
    pub(crate) class: Class,
    pub(crate) balance_seconds: f32,
    pub(crate) spread_seconds: f32,
    /// Pods that rollouts have placed.
    pub(crate) pods: u64,
    /// Pods that fitted nowhere.
    pub(crate) unplaced: u64,
    /// Bytes that were missing where they were placed.
    pub(crate) cold_bytes: u64,
    /// Standard deviations of what is asked for, over nodes, in parts of a node.
    pub(crate) cpu_deviation: f64,
    pub(crate) memory_deviation: f64,
    /// The most pods of one workload on one node.
    pub(crate) most_alike: usize,
}

/// Measures each rate, prints a table and writes the figures.
pub fn rollouts(options: &RolloutsOptions) -> Result<(), BenchError> {
    let mut all = Vec::new();
    for class in [Class::Online, Class::Batch] {
        for &(balance_seconds, spread_seconds) in RATES {
            let weights = Weights { balance_seconds, spread_seconds, ..Weights::default() };
            let mut fleet = Fleet::new(options, class, weights);
            fleet.roll(options.rollouts);
            all.push(fleet.measured());
        }
    }
    let head = [
        "class",
        "a full node, s",
        "one alike, s",
        "cold GB",
        "MB a pod",
        "deviation of cpu",
        "of memory",
        "most alike on a node",
    ];
    let mut shown = table(head.map(str::to_owned).to_vec());
    for measured in &all {
        #[expect(clippy::cast_precision_loss, reason = "for people to read")]
        let (bytes, pods) = (measured.cold_bytes as f64, measured.pods.max(1) as f64);
        shown.add_row(vec![
            format!("{:?}", measured.class).to_lowercase(),
            measured.balance_seconds.to_string(),
            measured.spread_seconds.to_string(),
            significant(bytes / 1e9),
            significant(bytes / 1e6 / pods),
            format!("{:.3}", measured.cpu_deviation),
            format!("{:.3}", measured.memory_deviation),
            measured.most_alike.to_string(),
        ]);
    }
    println!("{shown}");
    if let Some(short) = all.iter().find(|measured| measured.unplaced > 0) {
        eprintln!("bench: {} pods fitted nowhere; with fewer --pods-per-node they would", short.unplaced);
    }
    write_json(&options.results, "rollouts", &all)
}
