//! The edge cache's tables: one a figure, a row a case, a column a cache.

use std::fmt::Write as _;

use comfy_table::Table;

use super::ratio::{Metric, between};
use super::record::{CaseRecord, PlayerRecord};
use super::table::{significant, table};
use crate::edge::cache::is_ours;

const MIB: f64 = 1024.0 * 1024.0;

const TABLES: [(Metric, &str); 6] = [
    (Metric::Amplification, "Edge: bytes sent by the upstream for each byte that was new (1.00 is best)"),
    (Metric::UpstreamGets, "Edge: GETs of blobs and manifests that the upstream answered (less is better)"),
    (Metric::Bandwidth, "Edge: body bytes to clients, MB/s (more is better)"),
    (Metric::FirstByte, "Edge: time to the first byte p50, ms (less is better)"),
    (Metric::CpuPerGigabyte, "Edge: CPU seconds of the cache for a GB (less is better)"),
    (Metric::PeakResident, "Edge: peak resident memory, MiB (less is better)"),
];

/// The tables of these cases; nothing where there are none.
pub fn render(cases: &[CaseRecord]) -> String {
    let mut text = String::new();
    if cases.is_empty() {
        return text;
    }
    let _ = writeln!(
        text,
        "\nThe edge cache. A line with × is ours divided by that column's, median (min..max) over paired rounds; 'disk' is ours without a\n\
         tier in memory, beside the same. The page cache is everybody's: nobody's bytes come from the device."
    );
    for (metric, title) in TABLES {
        if let Some(table) = comparison(cases, metric) {
            let _ = write!(text, "\n{title}\n{table}\n");
        }
    }
    text
}

fn comparison(cases: &[CaseRecord], metric: Metric) -> Option<Table> {
    let mut names: Vec<&str> = Vec::new();
    for player in cases.iter().flat_map(|case| &case.entrants) {
        if !names.contains(&player.name.as_str()) {
            names.push(&player.name);
        }
    }
    let rows: Vec<&CaseRecord> =
        cases.iter().filter(|case| names.iter().any(|name| metric.median(case, name).is_some())).collect();
    if rows.is_empty() {
        return None;
    }
    let mut table = table(std::iter::once("case").chain(names.iter().copied()).map(str::to_owned).collect());
    for case in rows {
        let cells = names.iter().map(|name| match case.entrants.iter().find(|player| player.name == *name) {
            Some(player) => cell(case, metric, player),
            None => "-".to_owned(),
        });
        table.add_row(std::iter::once(case.title.clone()).chain(cells));
    }
    Some(table)
}

fn cell(case: &CaseRecord, metric: Metric, player: &PlayerRecord) -> String {
    let Some(median) = metric.median(case, &player.name) else {
        return if player.failure.is_some() { "failed".to_owned() } else { "-".to_owned() };
    };
    let mut text = match metric {
        Metric::Bandwidth => significant(median / 1e6),
        Metric::Amplification => format!("{median:.3}"),
        Metric::PeakResident => format!("{:.1}", median / MIB),
        _ => significant(median),
    };
    let failures: u64 = player.turns.iter().map(|turn| turn.failures).sum();
    if failures > 0 {
        let _ = write!(text, " !{failures}");
    }
    if is_ours(&player.name) {
        return text;
    }
    for (number, ours) in case.entrants.iter().filter(|player| is_ours(&player.name)).enumerate() {
        let Some(ratio) = between(case, metric, &ours.name, &player.name) else {
            continue;
        };
        let words = if number == 0 { "" } else { "disk " };
        let _ = write!(text, "\n{words}×{:.2}", ratio.median);
        if metric != Metric::PeakResident {
            let _ = write!(text, " ({:.2}..{:.2})", ratio.min, ratio.max);
        }
    }
    text
}
