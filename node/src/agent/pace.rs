//! How fast bytes come to this node, and how busy its upload is, by what the swarm counts: measured while it fetches, told with each sign
//! of life, so that the scheduler knows how long an image takes here.
//!
//! What counts is what a path can give, not what was asked of it: a rate counts only from the midst of a while in which bytes came without a
//! pause, a faster one raises what is told at once by half of the difference, and a slower one lowers it little by little. What was never
//! measured is 0, and the orchestrator has a usual value for it.

use std::{sync::Arc, time::Duration};

use longshore_service::metrics::Metrics;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::hands::Hands;

/// How often it is looked at.
const PERIOD: Duration = Duration::from_secs(1);
/// Less than this in a second is no transfer that shows what a path can give, in bytes a second.
const LEAST: f64 = 1_048_576.0;
/// More than any path gives, in bytes a second: 100 Gbit/s.
const MOST: f64 = 12_500_000_000.0;
/// How much of the way to a faster rate, and to a slower one, is gone at once.
const RISE: f64 = 0.5;
const FALL: f64 = 0.02;
/// How much of the way to the rate of this moment the upload's goes.
const SMOOTH: f64 = 0.2;
/// What an upload can give where nobody says and nothing faster was seen, in bytes a second: 1 Gbit/s.
const USUAL_UPLOAD: f64 = 125_000_000.0;
/// The load is told in so many steps, so that it is not another one each time.
const STEPS: f64 = 8.0;

/// The counters of the swarm: pieces that came, by where from, and that were sent.
const RECEIVED: &str = "longshore_swarm_received_bytes_total";
const SENT: &str = "longshore_swarm_sent_bytes_total";
/// Those who are neighbours, of all that pieces come from.
const NEIGHBOURS: [&str; 3] = ["host", "rack", "zone"];

/// Bytes since the process began.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
struct Totals {
    neighbours: u64,
    outside: u64,
    sent: u64,
}

/// What a path can give.
#[derive(Clone, Copy, Debug, Default)]
struct Path {
    /// In bytes a second; 0 where it was not measured.
    estimate: f64,
    /// For how many looks in a row there was a transfer, and how fast it was at the last.
    busy: u32,
    last: f64,
}

/// What is measured.
#[derive(Debug)]
pub struct Pace {
    before: Option<Totals>,
    neighbours: Path,
    outside: Path,
    upload: f64,
    upload_most: f64,
}

/// What is told.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Measured {
    /// From neighbours, in bytes a second; 0 where it is not known.
    pub neighbours: u64,
    /// From elsewhere.
    pub outside: u64,
    /// The part of the upload that is in use, from 0 to 1.
    pub upload: f32,
}

impl Path {
    /// So many bytes came in a second. The first and the last second of a transfer are not whole, and count for nothing.
    fn saw(&mut self, rate: f64) {
        if rate < LEAST {
            (self.busy, self.last) = (0, 0.0);
            return;
        }
        self.busy = self.busy.saturating_add(1);
        if self.busy > 2 {
            let part = if self.last > self.estimate { RISE } else { FALL };
            let whole = if self.estimate == 0.0 { self.last } else { self.estimate + part * (self.last - self.estimate) };
            self.estimate = whole.min(MOST);
        }
        self.last = rate;
    }

    /// As it is told: three digits of it in binary, so that it is not another one each time.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is neither negative nor more than MOST")]
    fn told(self) -> u64 {
        let bytes = self.estimate as u64;
        let shift = bytes.checked_ilog2().unwrap_or(0).saturating_sub(2);
        bytes >> shift << shift
    }
}

impl Pace {
    /// One that has seen nothing yet; the upload has this bound, in bytes a second, where it has any.
    pub fn new(upload_most: Option<u64>) -> Self {
        let upload_most = upload_most.map_or(USUAL_UPLOAD, as_rate).max(1.0);
        Self { before: None, neighbours: Path::default(), outside: Path::default(), upload: 0.0, upload_most }
    }

    /// So much was counted, so long after the last time.
    fn saw(&mut self, totals: Totals, elapsed: Duration) {
        let Some(before) = self.before.replace(totals) else { return };
        let seconds = elapsed.as_secs_f64().max(0.1);
        let rate = |now: u64, before: u64| as_rate(now.saturating_sub(before)) / seconds;
        self.neighbours.saw(rate(totals.neighbours, before.neighbours));
        self.outside.saw(rate(totals.outside, before.outside));
        self.upload += SMOOTH * (rate(totals.sent, before.sent) - self.upload);
    }

    #[expect(clippy::cast_possible_truncation, reason = "eighths of 1")]
    fn measured(&self) -> Measured {
        let upload = (self.upload / self.upload_most).clamp(0.0, 1.0);
        Measured {
            neighbours: self.neighbours.told(),
            outside: self.outside.told(),
            upload: ((upload * STEPS).round() / STEPS) as f32,
        }
    }

    /// Measures until it is stopped.
    pub async fn run(mut self, metrics: Metrics, hands: Arc<Hands>, stopping: CancellationToken) {
        let mut ticks = tokio::time::interval(PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut looked = Instant::now();
        while stopping.run_until_cancelled(ticks.tick()).await.is_some() {
            let now = Instant::now();
            self.saw(count(&metrics), now - looked);
            looked = now;
            hands.board.set_pace(self.measured());
        }
    }
}

/// What the swarm has counted.
fn count(metrics: &Metrics) -> Totals {
    let mut totals = Totals::default();
    for family in metrics.registry().gather() {
        if !matches!(family.name(), RECEIVED | SENT) {
            continue;
        }
        for metric in family.get_metric() {
            let bytes = as_bytes(metric.get_counter().get_value());
            let from = match metric.get_label() {
                [label, ..] => label.value(),
                [] => "",
            };
            match family.name() {
                SENT => totals.sent += bytes,
                _ if NEIGHBOURS.contains(&from) => totals.neighbours += bytes,
                _ => totals.outside += bytes,
            }
        }
    }
    totals
}

#[expect(clippy::cast_precision_loss, reason = "a rate; 53 bits of it are enough")]
fn as_rate(bytes: u64) -> f64 {
    bytes as f64
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a counter only grows, from 0")]
fn as_bytes(count: f64) -> u64 {
    count as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    /// What is told after these many MiB in each second came from neighbours.
    fn after(seconds: &[u64]) -> u64 {
        let mut pace = Pace::new(None);
        let mut totals = Totals::default();
        pace.saw(totals, PERIOD);
        for mib in seconds {
            totals.neighbours += mib * MIB;
            pace.saw(totals, PERIOD);
        }
        assert_eq!(pace.measured().outside, 0, "nothing came from there");
        pace.measured().neighbours / MIB
    }

    #[test]
    fn a_path_shows_what_it_can_give_in_the_midst_of_a_transfer() {
        assert_eq!(after(&[0, 0, 0]), 0, "nothing was measured");
        assert_eq!(after(&[50, 20, 0, 30, 0]), 0, "what is that short says little");
        assert_eq!(after(&[3, 64, 64, 64, 2, 0, 0]), 64);
        assert_eq!(after(&[3, 64, 64, 64, 2, 0, 0, 1, 1, 1, 1]), 56, "a little slower, by what is hardly a transfer");
        let faster = after(&[3, 16, 16, 16, 128, 128, 128, 128, 128, 128, 128]);
        assert!((96..=128).contains(&faster), "{faster}");
    }

    #[test]
    fn the_upload_is_as_busy_as_it_was_lately() {
        let mut pace = Pace::new(Some(8 * MIB));
        let mut totals = Totals::default();
        for _ in 0..30 {
            pace.saw(totals, PERIOD);
            totals.sent += 4 * MIB;
        }
        assert!((pace.measured().upload - 0.5).abs() < f32::EPSILON, "{:?}", pace.measured());
        for _ in 0..30 {
            totals.sent += 80 * MIB;
            pace.saw(totals, PERIOD);
        }
        assert!((pace.measured().upload - 1.0).abs() < f32::EPSILON, "never more than all");
        for _ in 0..60 {
            pace.saw(totals, PERIOD);
        }
        assert!(pace.measured().upload.abs() < f32::EPSILON);
    }

    #[test]
    fn pieces_are_told_apart_by_where_they_come_from() {
        let metrics = Metrics::new();
        let received = metrics.counters(RECEIVED, "Bytes.", &["from"]);
        for (from, bytes) in [("host", 1), ("rack", 2), ("zone", 4), ("region", 8), ("elsewhere", 16), ("origin", 32)] {
            received.with_label_values(&[from]).inc_by(bytes);
        }
        metrics.counters(SENT, "Bytes.", &["to"]).with_label_values(&["zone"]).inc_by(64);
        assert_eq!(count(&metrics), Totals { neighbours: 7, outside: 56, sent: 64 });
    }
}
