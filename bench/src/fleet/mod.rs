//! The orchestrator as a whole, at size: its own process with a database that keeps what it is given, thousands of nodes that are played but
//! speak the real protocol ([`PlayedNodes`]), and callers who want pods all the time.
//!
//! What is timed is what a caller waits for: from the moment that it begins to ask for a workload until a node has been told to run each of
//! its pods. In between the request is written down, the leader hears of it, makes the pods, decides, has that written durably, and tells
//! the node. Both ends are read off one clock, that of this process. Beside it stands what the rows say: from a pod's making to its
//! binding, by the leader's clock, before either was written.

mod ground;
mod load;
mod memory;
mod outage;

use std::{path::PathBuf, time::Duration};

use clap::{Args, ValueEnum};
use longshore_tests::{PlayedFleet, PlayedNodes};
use serde::Serialize;

use crate::{
    candidate::usage::{MemoryWatch, cpu_seconds_alone},
    error::BenchError,
    report::{table::table, write_json},
};
use ground::Ground;
use load::Waits;
use outage::Outage;

/// How long nodes may take to join and to listen.
const JOINING: Duration = Duration::from_mins(15);

/// Which database the orchestrator has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FleetDatabase {
    /// Its own file; one replica, which is started again where it is killed.
    Sqlite,
    /// A PostgreSQL server of this machine; two replicas, of which the other leads where one is killed.
    Postgresql,
}

/// Measures the orchestrator with played nodes.
#[derive(Clone, Debug, Args)]
pub struct FleetOptions {
    /// How many nodes there are
    #[arg(long, default_value_t = 8_000, value_parser = clap::value_parser!(u32).range(1..=50_000))]
    pub nodes: u32,
    /// How many pods are asked for in a minute
    #[arg(long, default_value_t = 15_000, value_parser = clap::value_parser!(u32).range(60..=600_000))]
    pub pods_per_minute: u32,
    /// How many of them are asked for at once, as one deployment
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub replicas: u32,
    /// For how many minutes
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=120))]
    pub minutes: u32,
    /// The database
    #[arg(long, value_enum, default_value = "sqlite")]
    pub database: FleetDatabase,
    /// Only fill a database with so many running pods on these nodes, have an orchestrator lead with them, and say what memory that takes
    #[arg(long, value_name = "PODS", value_parser = clap::value_parser!(u32).range(1..=5_000_000))]
    pub filled: Option<u32>,
    /// Where the JSON goes
    #[arg(long, value_name = "DIR", default_value = "bench/results")]
    pub results: PathBuf,
}

/// What it came to.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Measured {
    nodes: u32,
    database: String,
    joined_seconds: f64,
    pods_asked: usize,
    pods_told: usize,
    seconds: f64,
    reports_per_second: f64,
    reports_failed: u64,
    asked_to_told: Waits,
    made_to_bound: Waits,
    orchestrator_cores: f64,
    database_cores: f64,
    nodes_cores: f64,
    orchestrator_memory_bytes: u64,
    outage: Outage,
    faults: Vec<String>,
}

/// Measures, prints a table and writes the figures.
pub fn fleet(options: &FleetOptions) -> Result<(), BenchError> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.map_err(BenchError::io("start the runtime"))?;
    if let Some(pods) = options.filled {
        return runtime.block_on(memory::fill(options, pods));
    }
    let measured = runtime.block_on(measure(options))?;
    println!("{}", shown(&measured));
    write_json(&options.results, "fleet", &measured)
}

async fn measure(options: &FleetOptions) -> Result<Measured, BenchError> {
    let mut ground = Ground::new(options.database).await;
    let played = PlayedFleet { nodes: options.nodes, images: ground.images(), ..PlayedFleet::default() };
    let began = std::time::Instant::now();
    let nodes = PlayedNodes::start(&ground.urls(), played).await;
    let all_listen = async || (nodes.ledger().listening() == u64::from(options.nodes)).then_some(());
    longshore_tests::until("all nodes to listen", JOINING, all_listen).await;
    let joined_seconds = began.elapsed().as_secs_f64();
    eprintln!("bench: {} nodes joined and listen after {joined_seconds:.1} s", options.nodes);

    let pids = ground.pids();
    let memory = MemoryWatch::start(pids.clone());
    let used = || pids.iter().copied().map(cpu_seconds_alone).sum::<f64>();
    let own = || cpu_seconds_alone(std::process::id());
    let (cpu, database, here) = (used(), ground.database_cpu_seconds(), own());
    let (reports, failed) = nodes.ledger().reports();
    let began = std::time::Instant::now();
    let asked = load::ask(options, &ground, nodes.ledger()).await?;
    let seconds = began.elapsed().as_secs_f64();
    let (reports_after, failed_after) = nodes.ledger().reports();
    let cores = |before: f64, after: f64| (after - before) / seconds;
    let (orchestrator_cores, database_cores) = (cores(cpu, used()), cores(database, ground.database_cpu_seconds()));
    let nodes_cores = cores(here, own());
    let asked_to_told = asked.waits(nodes.ledger());
    let made_to_bound = load::made_to_bound(&ground).await;
    let orchestrator_memory_bytes = pids.iter().filter_map(|pid| memory.peak(*pid)).map(|peak| peak.resident_bytes).max();
    eprintln!("bench: asked for {} pods in {seconds:.1} s; now the leader is killed", asked.pods());
    let outage = outage::measure(options, &mut ground, nodes.ledger()).await?;
    Ok(Measured {
        nodes: options.nodes,
        database: format!("{:?}", options.database).to_lowercase(),
        joined_seconds,
        pods_asked: asked.pods(),
        pods_told: nodes.ledger().count_heard(),
        seconds,
        reports_per_second: per_second(reports_after - reports, seconds),
        reports_failed: failed_after - failed,
        asked_to_told,
        made_to_bound,
        orchestrator_cores,
        database_cores,
        nodes_cores,
        orchestrator_memory_bytes: orchestrator_memory_bytes.unwrap_or_default(),
        outage,
        faults: nodes.ledger().faults(),
    })
}

#[expect(clippy::cast_precision_loss, reason = "counts of a run are far below 2^52")]
fn per_second(count: u64, seconds: f64) -> f64 {
    count as f64 / seconds
}

fn shown(measured: &Measured) -> comfy_table::Table {
    let mut shown = table(["what", "figure"].map(str::to_owned).to_vec());
    let Waits { p50_ms, p95_ms, p99_ms, most_ms } = measured.asked_to_told;
    let made = measured.made_to_bound;
    let outage = &measured.outage;
    let rows = [
        ("nodes, database", format!("{}, {}", measured.nodes, measured.database)),
        ("all nodes joined and listening", format!("{:.1} s", measured.joined_seconds)),
        ("pods asked for, in", format!("{} in {:.1} s", measured.pods_asked, measured.seconds)),
        ("reports taken", format!("{:.0} a second, {} failed", measured.reports_per_second, measured.reports_failed)),
        ("asked to told: p50, p95, p99, most", format!("{p50_ms:.0}, {p95_ms:.0}, {p99_ms:.0}, {most_ms:.0} ms")),
        ("made to bound: p50, p95, most", format!("{:.0}, {:.0}, {:.0} ms", made.p50_ms, made.p95_ms, made.most_ms)),
        ("cores: orchestrator", format!("{:.2}", measured.orchestrator_cores)),
        ("cores: database server", format!("{:.2}", measured.database_cores)),
        ("cores: nodes and callers", format!("{:.2}", measured.nodes_cores)),
        ("orchestrator's memory, at most", format!("{} MB", measured.orchestrator_memory_bytes / 1_000_000)),
        ("leader killed: another leads after", format!("{:.1} s", outage.leads_seconds)),
        ("leader killed: a new pod is placed after", format!("{:.1} s", outage.placed_seconds)),
        ("leader killed: all nodes listen after", format!("{:.1} s", outage.listening_seconds)),
        ("what must never be", format!("{}", measured.faults.len())),
    ];
    for (what, figure) in rows {
        shown.add_row(vec![what.to_owned(), figure]);
    }
    shown
}
