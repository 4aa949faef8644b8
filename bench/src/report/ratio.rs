//! Figures of a turn, and how the first entrant's stand to the others'.

use serde::Serialize;

use super::record::{CaseRecord, PlayerRecord, Run, TurnRecord};
use crate::edge::cache::is_ours;

/// A figure that servers are compared by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Metric {
    /// Operations a second.
    Rate,
    /// The median latency of whole operations, in milliseconds.
    P50,
    /// The 99th percentile of the latency of whole operations, in milliseconds.
    P99,
    /// CPU seconds of the server for an operation.
    CpuPerOperation,
    /// Peak anonymous memory over a case, in bytes.
    PeakMemory,
    /// Body bytes a second.
    Bandwidth,
    /// The median time to a body's first byte, in milliseconds.
    FirstByte,
    /// CPU seconds of the server for 10^9 body bytes.
    CpuPerGigabyte,
    /// Bytes that the upstream sent, for each byte that was new to the cache.
    Amplification,
    /// GETs of blobs and manifests that the upstream answered in a turn.
    UpstreamGets,
    /// Peak resident memory over a case, in bytes.
    PeakResident,
}

/// What registries are compared by.
pub const METRICS: [Metric; 5] = [Metric::Rate, Metric::P50, Metric::P99, Metric::CpuPerOperation, Metric::PeakMemory];

/// What caches are compared by.
pub const EDGE_METRICS: [Metric; 6] = [
    Metric::Bandwidth,
    Metric::FirstByte,
    Metric::CpuPerGigabyte,
    Metric::Amplification,
    Metric::UpstreamGets,
    Metric::PeakResident,
];

/// Processor time is told in ticks of 10 ms, which says nothing of fewer bytes than these.
const CPU_LEAST_BYTES: u64 = 16 * 1024 * 1024;

impl Metric {
    /// The figure of one turn; `None` when nothing succeeded or it was not measured.
    #[expect(clippy::cast_precision_loss, reason = "operations and bytes of a turn are far below 2^52")]
    fn of_turn(self, turn: &TurnRecord) -> Option<f64> {
        let operation = turn.latency.get("operation");
        let (operations, bytes) = (turn.operations as f64, turn.bytes as f64);
        match self {
            Self::Rate => operation.map(|_| operations / turn.seconds),
            Self::P50 => operation.map(|latency| latency.p50_ms),
            Self::P99 => operation.map(|latency| latency.p99_ms),
            Self::CpuPerOperation => operation.and(turn.cpu_seconds).map(|seconds| seconds / operations),
            Self::Bandwidth => (turn.bytes > 0).then(|| bytes / turn.seconds),
            Self::FirstByte => turn.latency.get("firstByte").map(|latency| latency.p50_ms),
            Self::CpuPerGigabyte => {
                turn.cpu_seconds.filter(|_| turn.bytes >= CPU_LEAST_BYTES).map(|seconds| seconds * 1e9 / bytes)
            }
            Self::Amplification => {
                let upstream = turn.upstream.as_ref().filter(|upstream| upstream.new_bytes > 0)?;
                Some(upstream.sent_bytes as f64 / upstream.new_bytes as f64)
            }
            Self::UpstreamGets => {
                let upstream = turn.upstream.as_ref().filter(|upstream| upstream.new_bytes > 0)?;
                Some(upstream.gets as f64)
            }
            Self::PeakMemory | Self::PeakResident => None,
        }
    }

    /// The figures of a server in a case, one a round; of memory, one alone.
    #[expect(clippy::cast_precision_loss, reason = "memory is far below 2^52 bytes")]
    fn of_player(self, player: &PlayerRecord) -> Vec<(u32, f64)> {
        let peak = match self {
            Self::PeakMemory => Some(player.peak_anonymous_bytes),
            Self::PeakResident => Some(player.peak_resident_bytes),
            _ => None,
        };
        match peak {
            Some(bytes) => bytes.filter(|_| !player.turns.is_empty()).map(|bytes| (0, bytes as f64)).into_iter().collect(),
            None => player.turns.iter().filter_map(|turn| Some((turn.round, self.of_turn(turn)?))).collect(),
        }
    }

    /// The median of a server's figures in a case.
    pub fn median(self, case: &CaseRecord, name: &str) -> Option<f64> {
        let player = case.entrants.iter().find(|player| player.name == name)?;
        Spread::of(self.of_player(player).into_iter().map(|(_, figure)| figure).collect()).map(|spread| spread.median)
    }
}

/// The middle and the ends of some figures.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Spread {
    /// The median.
    pub median: f64,
    /// The least.
    pub min: f64,
    /// The greatest.
    pub max: f64,
}

impl Spread {
    /// The spread of at least one figure.
    pub fn of(mut figures: Vec<f64>) -> Option<Self> {
        figures.retain(|figure| figure.is_finite());
        figures.sort_by(f64::total_cmp);
        let (min, max) = (*figures.first()?, *figures.last()?);
        let middle = figures.len() / 2;
        let median =
            if figures.len().is_multiple_of(2) { f64::midpoint(figures[middle - 1], figures[middle]) } else { figures[middle] };
        Some(Self { median, min, max })
    }
}

/// A figure of ours divided by a peer's, over the rounds that both finished.
#[derive(Debug, Serialize)]
pub struct Ratio {
    /// The case.
    pub case: String,
    /// The figure.
    pub metric: Metric,
    /// Whose figure is divided.
    pub entrant: String,
    /// The peer.
    pub peer: String,
    /// The ratios' spread.
    #[serde(flatten)]
    pub spread: Spread,
}

/// The ratio of one figure between two servers.
pub fn between(case: &CaseRecord, metric: Metric, subject: &str, peer: &str) -> Option<Spread> {
    let figures = |name: &str| case.entrants.iter().find(|player| player.name == name).map(|player| metric.of_player(player));
    let (subject, peer) = (figures(subject)?, figures(peer)?);
    let paired = subject.iter().filter_map(|(round, mine)| {
        let (_, theirs) = peer.iter().find(|(other, _)| other == round)?;
        Some(mine / theirs)
    });
    Spread::of(paired.collect())
}

/// Every ratio of a run.
pub fn all(run: &Run) -> Vec<Ratio> {
    let mut ratios = Vec::new();
    let mut add = |case: &CaseRecord, metric, entrant: &str, peer: &str| {
        if let Some(spread) = between(case, metric, entrant, peer) {
            ratios.push(Ratio { case: case.name.clone(), metric, entrant: entrant.to_owned(), peer: peer.to_owned(), spread });
        }
    };
    if let Some((subject, peers)) = run.entrants.split_first() {
        for case in &run.cases {
            for metric in METRICS {
                for peer in peers {
                    add(case, metric, &subject.name, &peer.name);
                }
            }
        }
    }
    for case in &run.edge {
        for metric in EDGE_METRICS {
            for ours in case.entrants.iter().filter(|player| is_ours(&player.name)) {
                for peer in case.entrants.iter().filter(|player| !is_ours(&player.name)) {
                    add(case, metric, &ours.name, &peer.name);
                }
            }
        }
    }
    ratios
}

/// The most anonymous memory that a server held in any case, in bytes.
pub fn peak_over_all(run: &Run, name: &str) -> Option<u64> {
    run.cases
        .iter()
        .flat_map(|case| &case.entrants)
        .filter(|player| player.name == name)
        .filter_map(|player| player.peak_anonymous_bytes)
        .max()
}

#[cfg(test)]
mod tests {
    use super::Spread;

    #[test]
    fn the_median_of_even_and_odd_counts_and_of_none() {
        let odd = Spread::of(vec![3.0, 1.0, 2.0]).expect("three figures");
        assert!((odd.median - 2.0).abs() < 1e-9 && (odd.min - 1.0).abs() < 1e-9 && (odd.max - 3.0).abs() < 1e-9);
        assert!((Spread::of(vec![1.0, 2.0]).expect("two figures").median - 1.5).abs() < 1e-9);
        assert!(Spread::of(vec![f64::NAN]).is_none());
    }
}
