//! What the edge cache should reach, in one run.

use super::goals::Verdict;
use super::ratio::{Metric, between};
use super::record::{CaseRecord, Run};
use crate::candidate::entrant::LONGSHORE;
use crate::edge::cache::{FROM_DISK, NGINX, budget_bytes};
use crate::edge::upstream::UPSTREAM;

/// 1.00 as it is written: half of the last digit is left to the check of a tag and the like.
const AMPLIFICATION_MAX: f64 = 1.005;
/// From memory, against nginx.
const WARM_LEAST: f64 = 1.0;
/// From the disk, against nginx's `sendfile`.
const DISK_LEAST: f64 = 0.9;
/// The upstream's own rate, for a cold pull that takes 5 % longer.
const COLD_LEAST: f64 = 1.0 / 1.05;

/// Holds a run against the goals that it says something of.
pub fn judge(run: &Run) -> Vec<Verdict> {
    run.edge.iter().flat_map(of_case).chain([LONGSHORE, FROM_DISK].into_iter().filter_map(|name| memory(run, name))).collect()
}

fn of_case(case: &CaseRecord) -> Vec<Verdict> {
    if case.name.starts_with("edge-amplification") {
        let measured = Metric::Amplification.median(case, LONGSHORE);
        return measured
            .map(|measured| {
                let (bound, met) = ("≤ 1.00".to_owned(), measured < AMPLIFICATION_MAX);
                verdict(&case.name, Metric::Amplification, LONGSHORE, "the image", bound, measured, met)
            })
            .into_iter()
            .collect();
    }
    if case.name.starts_with("edge-cold-100m") {
        return bandwidth(case, LONGSHORE, UPSTREAM, COLD_LEAST).into_iter().collect();
    }
    // Of any other case there is none from the disk.
    let goals =
        if case.name.starts_with("edge-hit") { [(LONGSHORE, WARM_LEAST), (FROM_DISK, DISK_LEAST)].as_slice() } else { &[] };
    goals.iter().filter_map(|(entrant, least)| bandwidth(case, entrant, NGINX, *least)).collect()
}

fn bandwidth(case: &CaseRecord, entrant: &str, peer: &str, least: f64) -> Option<Verdict> {
    let measured = between(case, Metric::Bandwidth, entrant, peer)?.median;
    Some(verdict(&case.name, Metric::Bandwidth, entrant, peer, format!("≥ {least:.2}"), measured, measured >= least))
}

#[expect(clippy::cast_precision_loss, reason = "memory is far below 2^52 bytes")]
fn memory(run: &Run, entrant: &str) -> Option<Verdict> {
    let players = run.edge.iter().flat_map(|case| &case.entrants).filter(|player| player.name == entrant);
    let peak = players.filter_map(|player| player.peak_resident_bytes).max()?;
    let measured = peak as f64 / budget_bytes(entrant) as f64;
    Some(verdict("edge", Metric::PeakResident, entrant, "its budget", "≤ 1.00".to_owned(), measured, measured <= 1.0))
}

fn verdict(case: &str, metric: Metric, entrant: &str, peer: &str, bound: String, measured: f64, met: bool) -> Verdict {
    Verdict { case: case.to_owned(), metric, entrant: entrant.to_owned(), peer: peer.to_owned(), bound, measured, met }
}
