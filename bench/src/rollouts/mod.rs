//! What successive rollouts make nodes fetch, and how evenly nodes are used meanwhile, by the orchestrator's own scheduler and rollout
//! arithmetic: a curve, as the exchange rate between bytes and balance moves.
//!
//! A fleet in three zones runs 40 workloads of many pods each, whose images stand on 6 bases. One workload after the other gets a new
//! image, on the same base, and is rolled in steps of 25 %. A pod that is placed is ready at once, and its node has its image from then
//! on; bytes are counted where they were missing when it was placed. Whoever places the pods, which of them go follows from the same
//! arithmetic, and all is counted by the same [`ledger`].

pub(crate) mod curve;
pub(crate) mod ledger;
pub(crate) mod longshore;
pub(crate) mod placer;
pub(crate) mod play;
pub(crate) mod story;

use std::path::PathBuf;

use clap::Args;

use crate::{error::BenchError, report::write_json};
use curve::Curve;
use story::Story;

/// Measures what successive rollouts make nodes fetch.
#[derive(Clone, Debug, Args)]
pub struct RolloutsOptions {
    /// How many nodes there are
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(10..=20_000))]
    pub nodes: u32,
    /// How many pods run on each, on average
    #[arg(long, default_value_t = 7.769, value_parser = pods_per_node)]
    pub pods_per_node: f64,
    /// How many rollouts there are, one after the other
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub rollouts: u32,
    /// Where the JSON and the chart go
    #[arg(long, value_name = "DIR", default_value = "bench/results")]
    pub results: PathBuf,
}

fn pods_per_node(text: &str) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|_| "must be a number".to_owned())?;
    if (0.1..=10.0).contains(&number) { Ok(number) } else { Err("must be from 0.1 to 10: nodes have 16 cores".to_owned()) }
}

/// Measures each rate, prints a table and writes the figures.
pub async fn rollouts(options: &RolloutsOptions) -> Result<(), BenchError> {
    let story = Story::new(options);
    let curve = Curve::of(&story).await?;
    println!("{}", curve.table());
    if let Some(short) = curve.points.iter().find(|point| point.measured.unplaced > 0) {
        eprintln!("bench: {} pods fitted nowhere; with fewer --pods-per-node they would", short.measured.unplaced);
    }
    write_json(&options.results, "rollouts", &curve.points)
}
