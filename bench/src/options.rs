//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum};

use crate::candidate::entrant::BUILT_IN;
use crate::cases::{CASES, Case};
use crate::edge::case::{EDGE_CASES, EdgeCase};
use crate::error::BenchError;
use crate::fleet::FleetOptions;
use crate::kubernetes::KubernetesOptions;
use crate::rollouts::RolloutsOptions;
use crate::schedule::ScheduleOptions;
use crate::simulate::SimulateOptions;
use crate::transfer::TransferOptions;

/// Where the registries keep their bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Store {
    /// A folder each, on the same disk.
    Folder,
    /// A bucket each, on the same S3 server (versitygw).
    S3,
}

/// The name under which counting S3 calls goes in `--only`.
pub const STORAGE_CALLS: &str = "s3-calls";

/// The name under which what trust costs goes in `--only`.
pub const TRUST: &str = "trust";

/// Compares Longshore's registry with its peers, side by side on this machine.
#[derive(Debug, Parser)]
#[command(name = "bench", version, args_conflicts_with_subcommands = true)]
pub struct Options {
    /// Something else than comparing registries and caches
    #[command(subcommand)]
    pub other: Option<Other>,
    /// Run these cases only (comma-separated; `--list` names them all)
    #[arg(long, value_delimiter = ',', value_name = "CASE")]
    pub only: Vec<String>,
    /// List the cases and end
    #[arg(long)]
    pub list: bool,
    /// Where the registries keep their bytes
    #[arg(long, value_enum, default_value = "folder")]
    pub store: Store,
    /// Take part (comma-separated); the first is what the others are compared with
    #[arg(long, value_delimiter = ',', value_name = "NAME", default_values = BUILT_IN)]
    pub entrants: Vec<String>,
    /// Compare with a registry that is already running; may be repeated
    #[arg(long, value_name = "NAME=ADDR")]
    pub peer: Vec<String>,
    /// How many times each server has its turn in each case
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=50))]
    pub rounds: u32,
    /// How long a turn lasts
    #[arg(long, default_value_t = 3, value_name = "S", value_parser = clap::value_parser!(u64).range(1..=60))]
    pub seconds: u64,
    /// Two rounds of one second, without the cases of 1 GiB
    #[arg(long)]
    pub quick: bool,
    /// Where servers keep their data while they run: a folder on the disk to measure
    #[arg(long, value_name = "DIR", default_value = "bench/results")]
    pub disk: PathBuf,
    /// Where the JSON and the chart go
    #[arg(long, value_name = "DIR", default_value = "bench/results")]
    pub results: PathBuf,
}

/// What else there is.
#[derive(Debug, Subcommand)]
pub enum Other {
    /// Measure the orchestrator with thousands of nodes that are played, and its leader killed
    Fleet(FleetOptions),
    /// Compare the scheduler with the real kube-scheduler, on the same fleet and rollouts
    Kubernetes(KubernetesOptions),
    /// Measure what successive rollouts make nodes fetch, against how evenly nodes are used
    Rollouts(RolloutsOptions),
    /// Measure how many pods the scheduler places in a second
    Schedule(ScheduleOptions),
    /// Simulate swarms, by the product's own decisions
    Simulate(SimulateOptions),
    /// Measure how fast pieces go from one peer to one other, beside plain TLS
    Transfer(TransferOptions),
}

impl Options {
    /// The cases to run.
    pub fn cases(&self) -> Result<Vec<Case>, BenchError> {
        for name in &self.only {
            let is_edge = EDGE_CASES.iter().any(|case| case.is_meant_by(name));
            if !is_edge && ![STORAGE_CALLS, TRUST].contains(&name.as_str()) && !CASES.iter().any(|case| case.name == name) {
                let names: Vec<&str> = CASES.iter().map(|case| case.name).collect();
                return Err(BenchError::Usage(format!("no case is called {name}; there are {}", names.join(", "))));
            }
        }
        let wanted = |case: &Case| match self.only.as_slice() {
            [] => !(self.quick && case.is_long()),
            only => only.iter().any(|name| name == case.name),
        };
        Ok(CASES.into_iter().filter(wanted).collect())
    }

    /// The cases of the edge cache, which run only where they are named.
    pub fn edge_cases(&self) -> Vec<EdgeCase> {
        let wanted = |case: &EdgeCase| self.store == Store::Folder && self.only.iter().any(|name| case.is_meant_by(name));
        EDGE_CASES.into_iter().filter(wanted).collect()
    }

    /// Whether to count S3 calls.
    pub fn counts_calls(&self) -> bool {
        let named = self.only.is_empty() || self.only.iter().any(|name| name == STORAGE_CALLS);
        named && self.store == Store::S3
    }

    /// Whether to measure what trust costs.
    pub fn measures_trust(&self) -> bool {
        let named = self.only.is_empty() || self.only.iter().any(|name| name == TRUST);
        named && self.store == Store::Folder
    }

    /// How many rounds to run.
    pub fn rounds(&self) -> u32 {
        if self.quick { 2 } else { self.rounds }
    }

    /// How long a turn lasts.
    pub fn time(&self) -> Duration {
        Duration::from_secs(if self.quick { 1 } else { self.seconds })
    }
}

#[cfg(test)]
mod tests {
    use super::Options;
    use clap::{CommandFactory as _, Parser as _};

    #[test]
    fn the_command_line_is_sound_and_unknown_cases_are_named() {
        Options::command().debug_assert();
        assert!(Options::parse_from(["bench", "--only", "version,push-4k"]).cases().is_ok_and(|cases| cases.len() == 2));
        assert!(Options::parse_from(["bench", "--only", "nothing"]).cases().is_err());
        let edge = Options::parse_from(["bench", "--only", "edge-hit-1m,edge-cold-64k"]);
        assert!(edge.cases().is_ok_and(|cases| cases.is_empty()));
        assert_eq!(edge.edge_cases().len(), 4);
        assert!(Options::parse_from(["bench"]).edge_cases().is_empty());
        assert!(Options::parse_from(["bench", "--quick"]).cases().is_ok_and(|cases| cases.iter().all(|case| !case.is_long())));
    }
}
