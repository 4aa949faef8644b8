//! The record of a run; its JSON form is described in the crate's README.

use std::collections::BTreeMap;

use serde::Serialize;

use super::goals::Verdict;
use super::ratio::Ratio;
use crate::candidate::usage::Memory;
use crate::error::BenchError;
use crate::floor::Floor;
use crate::load::drive::{KINDS, Turn};
use crate::load::latency::Latencies;

/// All that a run measured.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Run {
    /// The version of this form, 1.
    pub schema: u32,
    /// When it began, RFC 3339.
    pub started_at: String,
    /// Where it ran.
    pub machine: Machine,
    /// What the machine can do at best.
    pub floor: Floor,
    /// `folder` or `s3`.
    pub store: String,
    /// Turns of each server in each case.
    pub rounds: u32,
    /// The length of a turn, in seconds.
    pub turn_seconds: u64,
    /// Who took part; the first is what the others are compared with.
    pub entrants: Vec<EntrantRecord>,
    /// What was measured, case by case.
    pub cases: Vec<CaseRecord>,
    /// S3 calls by operation; empty with a folder store.
    pub storage_calls: Vec<CallRecord>,
    /// What trust costs; empty with another store.
    pub trust: Vec<CaseRecord>,
    /// The edge cache beside other caches; empty where that was not asked for.
    pub edge: Vec<CaseRecord>,
}

/// A run with what follows from it.
#[derive(Debug, Serialize)]
pub struct FullReport<'a> {
    /// The run.
    #[serde(flatten)]
    pub run: &'a Run,
    /// Our figures divided by each peer's.
    pub ratios: Vec<Ratio>,
    /// The goals that the run says something of.
    pub goals: Vec<Verdict>,
}

/// The machine of a run.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Machine {
    /// Processors that this process may use.
    pub cpus: usize,
    /// The kernel's name and release.
    pub kernel: String,
}

impl Machine {
    /// This machine.
    pub fn here() -> Self {
        let system = rustix::system::uname();
        Self {
            cpus: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            kernel: format!("{} {}", system.sysname().to_string_lossy(), system.release().to_string_lossy()),
        }
    }
}

/// Who took part.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EntrantRecord {
    /// Its name.
    pub name: String,
    /// What it says of its version.
    pub version: String,
    /// `fsync`-like calls for a push of 4 KiB; null when unknown.
    pub syncs_per_push: Option<f64>,
}

/// One case.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CaseRecord {
    /// Its name for `--only`.
    pub name: String,
    /// What it does.
    pub title: String,
    /// Clients at once.
    pub clients: usize,
    /// Operations a second asked of every server; null when each went as fast as it could.
    pub pace: Option<f64>,
    /// What each server did.
    pub entrants: Vec<PlayerRecord>,
}

/// What a server did in a case.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PlayerRecord {
    /// Its name.
    pub name: String,
    /// Its turns, by round.
    pub turns: Vec<TurnRecord>,
    /// The most resident anonymous memory seen in the case, the filling included; null when unknown.
    pub peak_anonymous_bytes: Option<u64>,
    /// The same of all resident memory.
    pub peak_resident_bytes: Option<u64>,
    /// Why it left the case early; null when it did not.
    pub failure: Option<String>,
}

impl PlayerRecord {
    /// A server that has not had a turn yet.
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), turns: Vec::new(), peak_anonymous_bytes: None, peak_resident_bytes: None, failure: None }
    }

    /// A server that could not start.
    pub fn failed(name: &str, error: &BenchError) -> Self {
        eprintln!("bench: {name} is out of this case: {error}");
        Self { failure: Some(error.to_string()), ..Self::new(name) }
    }

    /// Notes the most memory that it held.
    pub fn note_peak(&mut self, peak: Option<Memory>) {
        self.peak_anonymous_bytes = peak.map(|peak| peak.anonymous_bytes);
        self.peak_resident_bytes = peak.map(|peak| peak.resident_bytes);
    }
}

/// One turn of one server.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TurnRecord {
    /// The round, from 0.
    pub round: u32,
    /// Operations that succeeded.
    pub operations: u64,
    /// Operations that failed.
    pub failures: u64,
    /// What the first failure said.
    pub first_failure: Option<String>,
    /// From the first request to the last response, in seconds.
    pub seconds: f64,
    /// Body bytes moved either way.
    pub bytes: u64,
    /// CPU time the server used, in seconds; null when unknown.
    pub cpu_seconds: Option<f64>,
    /// CPU time that this program used meanwhile, in seconds: near `seconds`, its one thread was the limit.
    pub generator_cpu_seconds: f64,
    /// Latencies by kind of operation.
    pub latency: BTreeMap<&'static str, LatencyRecord>,
    /// What a cache's turn cost its upstream; null where there is none.
    pub upstream: Option<UpstreamRecord>,
}

/// What was asked of the upstream in a turn, counted there.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UpstreamRecord {
    /// Bytes of all that was new to the cache in this turn; 0 where it had everything.
    pub new_bytes: u64,
    /// Bytes of blobs and manifests that the upstream sent.
    pub sent_bytes: u64,
    /// GETs of blobs and manifests.
    pub gets: u64,
    /// Other requests: HEADs, digests of pieces, keys.
    pub other_requests: u64,
}

impl TurnRecord {
    /// The record of a turn.
    pub fn new(round: u32, turn: &Turn, cpu_seconds: Option<f64>, generator_cpu_seconds: f64) -> Self {
        let with_values = KINDS.iter().zip(&turn.latencies).filter(|(_, latencies)| latencies.count() > 0);
        Self {
            round,
            operations: turn.operations(),
            failures: turn.failures,
            first_failure: turn.first_failure.clone(),
            seconds: turn.elapsed.as_secs_f64(),
            bytes: turn.bytes,
            cpu_seconds,
            generator_cpu_seconds,
            latency: with_values.map(|((_, name), latencies)| (*name, LatencyRecord::new(latencies))).collect(),
            upstream: None,
        }
    }
}

/// Percentiles of a latency, in milliseconds.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LatencyRecord {
    /// How many were measured.
    pub count: u64,
    /// The median.
    pub p50_ms: f64,
    /// The 90th percentile.
    pub p90_ms: f64,
    /// The 99th percentile.
    pub p99_ms: f64,
    /// The longest.
    pub max_ms: f64,
}

impl LatencyRecord {
    fn new(latencies: &Latencies) -> Self {
        let [p50_ms, p90_ms, p99_ms] = [50.0, 90.0, 99.0].map(|percent| latencies.percentile_ms(percent));
        Self { count: latencies.count(), p50_ms, p90_ms, p99_ms, max_ms: latencies.longest_ms() }
    }
}

/// The S3 calls of one operation.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CallRecord {
    /// The operation, in words.
    pub operation: String,
    /// Calls by entrant.
    pub calls: BTreeMap<String, u64>,
}
