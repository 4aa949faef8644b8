//! The runs as a table.

use comfy_table::{Table, presets};

use super::{chart::name_of, run::Simulated};

/// For people.
pub(super) fn render(runs: &[Simulated]) -> String {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED);
    table.set_header([
        "scenario",
        "nodes",
        "zones",
        "p50",
        "p99",
        "max",
        "unfinished",
        "copies/zone",
        "neighbours",
        "wasted",
        "seconds",
        "wall",
        "events/s",
        "peak",
    ]);
    for Simulated { figures, wall_seconds, peak_resident_bytes } in runs {
        let ratio = |ratio: Option<f64>| ratio.map_or_else(|| "–".to_owned(), |ratio| format!("{ratio:.2}"));
        let per_second = events(figures.counts.events) / wall_seconds.max(1e-9);
        table.add_row([
            name_of(figures.scenario),
            figures.nodes.to_string(),
            figures.zones.to_string(),
            ratio(figures.percentile(50)),
            ratio(figures.percentile(99)),
            ratio(figures.most()),
            figures.unfinished.to_string(),
            format!("{:.2}", figures.copies_per_zone),
            format!("{:.1} %", figures.neighbour_share * 100.0),
            format!("{:.1} %", figures.wasted_share * 100.0),
            format!("{:.1}", figures.simulated_seconds),
            format!("{wall_seconds:.1} s"),
            format!("{:.0} k", per_second / 1000.0),
            peak_resident_bytes.map_or_else(|| "–".to_owned(), |bytes| format!("{} MiB", bytes >> 20)),
        ]);
    }
    table.to_string()
}

#[expect(clippy::cast_precision_loss, reason = "for people")]
fn events(count: u64) -> f64 {
    count as f64
}
