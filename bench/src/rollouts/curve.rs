//! Cold bytes against balance, as the exchange rate moves.

use comfy_table::Table;
use longshore_fleet::Class;
use longshore_orchestrator::schedule::Weights;
use serde::Serialize;

use super::{
    ledger::Measured,
    longshore::{Longshore, Manner},
    play::play,
    story::Story,
};
use crate::{
    error::BenchError,
    report::table::{significant, table},
};

/// The exchange rates that are measured, in seconds: what a full node is worth against an empty one, one that is taken of one resource alone
/// against one that is taken evenly, and a pod of the same kind.
const RATES: &[(f32, f32, f32)] = &[
    (0.0, 2.0, 0.0),
    (1.0, 2.0, 0.1),
    (3.0, 2.0, 0.1),
    (10.0, 2.0, 0.1),
    (10.0, 2.0, 0.3),
    (10.0, 2.0, 1.0),
    (10.0, 2.0, 10.0),
    (30.0, 2.0, 1.0),
    (30.0, 15.0, 1.0),
    (30.0, 15.0, 10.0),
    (60.0, 30.0, 10.0),
];

/// What one exchange rate came to.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Point {
    pub(crate) class: Class,
    pub(crate) balance_seconds: f32,
    pub(crate) evenness_seconds: f32,
    pub(crate) spread_seconds: f32,
    /// How many pods of a workload's revision a node may have.
    pub(crate) most_alike_allowed: Option<u32>,
    #[serde(flatten)]
    pub(crate) measured: Measured,
}

/// Ours, at each exchange rate.
#[derive(Clone, Debug, Default)]
pub(crate) struct Curve {
    pub(crate) points: Vec<Point>,
}

impl Curve {
    /// Plays a story at each exchange rate.
    pub(crate) async fn of(story: &Story) -> Result<Self, BenchError> {
        let mut points = Vec::new();
        for class in [Class::Online, Class::Batch] {
            for most_alike in [None, Some(2), Some(1)] {
                for &(balance_seconds, evenness_seconds, spread_seconds) in RATES {
                    let weights = Weights { balance_seconds, evenness_seconds, spread_seconds, ..Weights::default() };
                    let manner = Manner { class, weights, most_alike };
                    let (measured, _) = play(story, Longshore::new(story, manner)).await?;
                    points.push(Point {
                        class,
                        balance_seconds,
                        evenness_seconds,
                        spread_seconds,
                        most_alike_allowed: most_alike,
                        measured,
                    });
                }
            }
        }
        Ok(Self { points })
    }

    /// For people.
    pub(crate) fn table(&self) -> Table {
        let head = ["class", "a full node, s", "uneven, s", "one alike, s", "alike allowed"].into_iter().chain(HEAD);
        let mut shown = table(head.map(str::to_owned).collect());
        for point in &self.points {
            let own = [
                format!("{:?}", point.class).to_lowercase(),
                point.balance_seconds.to_string(),
                point.evenness_seconds.to_string(),
                point.spread_seconds.to_string(),
                point.most_alike_allowed.map_or("any".to_owned(), |most| most.to_string()),
            ];
            shown.add_row(own.into_iter().chain(cells(&point.measured)));
        }
        shown
    }
}

/// What is said of every scheduler.
pub(crate) const HEAD: [&str; 8] = [
    "first GB",
    "cold GB",
    "MB a pod",
    "deviation of cpu",
    "of memory",
    "most alike on a node",
    "others alike beside a pod",
    "zone skew",
];

/// The same of one.
#[expect(clippy::cast_precision_loss, reason = "for people to read")]
pub(crate) fn cells(measured: &Measured) -> [String; 8] {
    let (bytes, pods) = (measured.cold_bytes as f64, measured.pods.max(1) as f64);
    [
        significant(measured.first_cold_bytes as f64 / 1e9),
        significant(bytes / 1e9),
        significant(bytes / 1e6 / pods),
        format!("{:.3}", measured.cpu_deviation),
        format!("{:.3}", measured.memory_deviation),
        measured.most_alike.to_string(),
        format!("{:.2}", measured.mean_alike),
        format!("{:.3}", measured.zone_skew),
    ]
}
