//! `bench`: starts Longshore's registry and its peers, and compares them.

use std::process::ExitCode;

use clap::Parser as _;
use longshore_bench::cases::CASES;
use longshore_bench::edge::case::EDGE_CASES;
use longshore_bench::error::BenchError;
use longshore_bench::options::{Options, Other, STORAGE_CALLS, TRUST};
use longshore_bench::{fleet, kubernetes, report, rollouts, run, schedule, simulate, transfer};

/// Exit codes: 0 the run is complete, 1 it failed, 2 the command line is wrong, 130 interrupted.
fn main() -> ExitCode {
    let options = Options::parse();
    if options.list {
        for case in CASES {
            println!("{:16} {}", case.name, case.title());
        }
        println!("{STORAGE_CALLS:16} S3 calls of each operation, with --store s3");
        println!("{TRUST:16} what tokens, secrets and signatures cost ours, without --store s3");
        for case in EDGE_CASES {
            println!("{:22} {}", case.name, case.title());
        }
        return ExitCode::SUCCESS;
    }
    let done = match &options.other {
        Some(Other::Fleet(options)) => fleet::fleet(options).map(|()| true),
        Some(Other::Kubernetes(options)) => unless_interrupted(kubernetes::kubernetes(options)).map(|done| done.is_some()),
        Some(Other::Rollouts(options)) => unless_interrupted(rollouts::rollouts(options)).map(|done| done.is_some()),
        Some(Other::Schedule(options)) => schedule::schedule(options).map(|()| true),
        Some(Other::Simulate(options)) => simulate::simulate(options).map(|()| true),
        Some(Other::Transfer(options)) => transfer::transfer(options).map(|()| true),
        None => compare(&options),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(130),
        Err(error) => {
            eprintln!("bench: {}", in_full(&error));
            ExitCode::from(if matches!(error, BenchError::Usage(_)) { 2 } else { 1 })
        }
    }
}

/// Compares servers. False when interrupted.
fn compare(options: &Options) -> Result<bool, BenchError> {
    let Some(measured) = unless_interrupted(run::run(options))? else {
        return Ok(false);
    };
    let files = report::write(&measured, &options.results)?;
    println!("{}", report::table::render(&measured));
    eprintln!("bench: wrote {} and {}", files.json.display(), files.chart.display());
    Ok(true)
}

/// Runs everything on this thread: one thread of load is enough, and leaves the rest of the machine to the servers. None when
/// interrupted; the servers are ended and their data removed either way.
fn unless_interrupted<T>(running: impl Future<Output = Result<T, BenchError>>) -> Result<Option<T>, BenchError> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(BenchError::io("start the runtime"))?;
    tokio::task::LocalSet::new().block_on(&runtime, async {
        tokio::select! {
            done = running => done.map(Some),
            ended = interrupted() => ended.map(|()| None),
        }
    })
}

/// Waits for SIGINT or SIGTERM.
async fn interrupted() -> Result<(), BenchError> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate()).map_err(BenchError::io("listen for SIGTERM"))?;
    tokio::select! {
        _ = terminate.recv() => Ok(()),
        interrupt = tokio::signal::ctrl_c() => interrupt.map_err(BenchError::io("listen for SIGINT")),
    }
}

fn in_full(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
