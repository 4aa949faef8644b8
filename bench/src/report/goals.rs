//! What the registry should reach against its peers, on a folder, in one run.

use serde::Serialize;

use super::edge_goals;
use super::ratio::{Metric, between, peak_over_all};
use super::record::Run;

/// A bound on ours divided by a peer's.
#[derive(Debug, Clone, Copy)]
struct Goal {
    case: &'static str,
    metric: Metric,
    peer: &'static str,
    bound: Bound,
}

#[derive(Debug, Clone, Copy)]
enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

/// The case name of goals that hold over all cases together.
const ALL: &str = "all";

const fn rate(case: &'static str, peer: &'static str, at_least: f64) -> Goal {
    Goal { case, metric: Metric::Rate, peer, bound: Bound::AtLeast(at_least) }
}

const fn at_most(case: &'static str, metric: Metric, peer: &'static str, at_most: f64) -> Goal {
    Goal { case, metric, peer, bound: Bound::AtMost(at_most) }
}

const GOALS: [Goal; 22] = [
    rate("manifest-tag", "distribution", 8.0),
    rate("manifest-tag", "zot", 3.0),
    rate("manifest-digest", "distribution", 8.0),
    rate("manifest-digest", "zot", 3.0),
    rate("blob-get-512k", "distribution", 4.0),
    rate("blob-get-512k", "zot", 1.3),
    rate("blob-get-512k", "nginx", 1.3),
    rate("blob-get-10m", "distribution", 1.2),
    rate("blob-get-10m", "zot", 1.0),
    rate("blob-get-10m", "nginx", 1.0),
    rate("push-4k", "distribution", 5.0),
    rate("push-4k", "zot", 1.0),
    rate("push-64m", "distribution", 1.5),
    rate("push-1g", "distribution", 1.5),
    at_most(ALL, Metric::PeakMemory, "distribution", 0.25),
    at_most(ALL, Metric::PeakMemory, "zot", 0.5),
    at_most("mixed-1", Metric::P99, "distribution", 0.5),
    at_most("mixed-16", Metric::P99, "distribution", 0.5),
    at_most("mixed-256", Metric::P99, "distribution", 0.5),
    at_most("mixed-16-paced", Metric::P99, "distribution", 0.5),
    rate("push-1m", "distribution", 1.5),
    rate("push-image", "distribution", 1.5),
];

/// How a goal came out.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Verdict {
    /// The case, or `all`.
    pub case: String,
    /// The figure.
    pub metric: Metric,
    /// Whose figure it is.
    pub entrant: String,
    /// The peer.
    pub peer: String,
    /// The bound: `≥ 8` or `≤ 0.5`.
    pub bound: String,
    /// The median ratio measured.
    pub measured: f64,
    /// Whether it is within the bound.
    pub met: bool,
}

/// Holds a run against the goals that it says something of. Goals are set for the folder store alone.
pub fn judge(run: &Run) -> Vec<Verdict> {
    let Some(subject) = run.entrants.first().filter(|_| run.store == "folder") else {
        return Vec::new();
    };
    let verdict = |goal: &Goal| {
        let measured = measured(run, &subject.name, goal)?;
        let (bound, met) = match goal.bound {
            Bound::AtLeast(least) => (format!("≥ {least}"), measured >= least),
            Bound::AtMost(most) => (format!("≤ {most}"), measured <= most),
        };
        let (case, entrant, peer) = (goal.case.to_owned(), subject.name.clone(), goal.peer.to_owned());
        Some(Verdict { case, metric: goal.metric, entrant, peer, bound, measured, met })
    };
    GOALS.iter().filter_map(verdict).chain(edge_goals::judge(run)).collect()
}

#[expect(clippy::cast_precision_loss, reason = "memory is far below 2^52 bytes")]
fn measured(run: &Run, subject: &str, goal: &Goal) -> Option<f64> {
    if goal.case == ALL {
        return Some(peak_over_all(run, subject)? as f64 / peak_over_all(run, goal.peer)? as f64);
    }
    let case = run.cases.iter().find(|case| case.name == goal.case)?;
    Some(between(case, goal.metric, subject, goal.peer)?.median)
}
