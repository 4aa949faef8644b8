//! Figures of a turn, and how the first entrant's stand to the others'.

use serde::Serialize;

use super::record::{CaseRecord, PlayerRecord, Run, TurnRecord};

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
}

/// Every metric.
pub const METRICS: [Metric; 5] = [Metric::Rate, Metric::P50, Metric::P99, Metric::CpuPerOperation, Metric::PeakMemory];

impl Metric {
    /// The figure of one turn; `None` when nothing succeeded or it was not measured.
    #[expect(clippy::cast_precision_loss, reason = "operations of a turn are far below 2^52")]
    fn of_turn(self, turn: &TurnRecord) -> Option<f64> {
        let operation = turn.latency.get("operation")?;
        match self {
            Self::Rate => Some(turn.operations as f64 / turn.seconds),
            Self::P50 => Some(operation.p50_ms),
            Self::P99 => Some(operation.p99_ms),
            Self::CpuPerOperation => turn.cpu_seconds.map(|seconds| seconds / turn.operations as f64),
            Self::PeakMemory => None,
        }
    }

    /// The figures of a server in a case, one a round; of memory, one alone.
    #[expect(clippy::cast_precision_loss, reason = "memory is far below 2^52 bytes")]
    fn of_player(self, player: &PlayerRecord) -> Vec<(u32, f64)> {
        match self {
            Self::PeakMemory => player
                .peak_anonymous_bytes
                .filter(|_| !player.turns.is_empty())
                .map(|bytes| (0, bytes as f64))
                .into_iter()
                .collect(),
            _ => player.turns.iter().filter_map(|turn| Some((turn.round, self.of_turn(turn)?))).collect(),
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

/// The first entrant's figure divided by a peer's, over the rounds that both finished.
#[derive(Debug, Serialize)]
pub struct Ratio {
    /// The case.
    pub case: String,
    /// The figure.
    pub metric: Metric,
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
    let Some((subject, peers)) = run.entrants.split_first() else {
        return ratios;
    };
    for case in &run.cases {
        for metric in METRICS {
            for peer in peers {
                if let Some(spread) = between(case, metric, &subject.name, &peer.name) {
                    ratios.push(Ratio { case: case.name.clone(), metric, peer: peer.name.clone(), spread });
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
