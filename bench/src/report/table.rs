//! The report for people: one table a figure, a row a case, a column a server.

use std::fmt::Write as _;

use comfy_table::{CellAlignment, Table, presets};

use super::ratio::{Metric, between, peak_over_all};
use super::record::{CaseRecord, Run};
use super::{edge, goals};

const MIB: f64 = 1024.0 * 1024.0;

/// The whole report.
pub fn render(run: &Run) -> String {
    let mut text = preface(run);
    let tables = [
        (Metric::Rate, "Operations a second (more is better)"),
        (Metric::P50, "Latency p50, ms (less is better)"),
        (Metric::P99, "Latency p99, ms (less is better)"),
        (Metric::CpuPerOperation, "CPU of the server per operation, ms (less is better)"),
        (Metric::PeakMemory, "Peak anonymous memory, MiB (less is better)"),
    ];
    for (metric, title) in tables.into_iter().filter(|_| !run.cases.is_empty()) {
        let _ = write!(text, "\n{title}\n{}\n", comparison(run, metric));
    }
    if run.cases.iter().any(|case| case.name.starts_with("mixed")) {
        let _ = write!(text, "\nMixed load by request, p50 / p99 ms\n{}\n", by_request(run));
    }
    if !run.trust.is_empty() {
        let _ = write!(
            text,
            "\nWhat trust costs; ÷ is the first's rate divided by this one's, median (min..max) over paired rounds\n{}\n",
            trust(run)
        );
    }
    text.push_str(&edge::render(&run.edge));
    if !run.storage_calls.is_empty() {
        let _ = write!(text, "\nS3 calls\n{}\n", calls(run));
    }
    let verdicts = goals::judge(run);
    if !verdicts.is_empty() {
        let mut table = table(["goal", "of", "who", "against", "bound", "measured", "met"].map(str::to_owned).to_vec());
        for verdict in verdicts {
            let (metric, measured) = (format!("{:?}", verdict.metric), format!("{:.2}", verdict.measured));
            let met = if verdict.met { "yes" } else { "NO" };
            table.add_row([verdict.case, metric, verdict.entrant, verdict.peer, verdict.bound, measured, met.to_owned()]);
        }
        let _ = write!(text, "\nGoals\n{table}\n");
    }
    text
}

fn preface(run: &Run) -> String {
    let mut text = format!(
        "{} on {} CPUs, {} store, {} rounds of {} s. A second line is {} divided by the other: median (min..max) over paired rounds.\n\
         One core hashes SHA-256 at {:.0} MB/s; the disk takes {:.0} MB/s written and synced, {:.0} files of 4 KiB a second synced with their folder.\n\
         Peers log errors only; no access logs. Failed operations are counted after a '!'.\n",
        run.machine.kernel,
        run.machine.cpus,
        run.store,
        run.rounds,
        run.turn_seconds,
        run.entrants.first().map_or("", |subject| &subject.name),
        run.floor.sha256_bytes_per_second / 1e6,
        run.floor.synced_write_bytes_per_second / 1e6,
        run.floor.synced_small_files_per_second,
    );
    for entrant in &run.entrants {
        let durable = match entrant.syncs_per_push {
            Some(syncs) if syncs < 1.0 => ", does not sync what it acknowledges".to_owned(),
            Some(syncs) => format!(", durable: {syncs:.1} syncs a push"),
            None => String::new(),
        };
        let _ = writeln!(text, "  {}: {}{durable}", entrant.name, entrant.version);
    }
    text
}

fn comparison(run: &Run, metric: Metric) -> Table {
    let mut table =
        table(std::iter::once("case".to_owned()).chain(run.entrants.iter().map(|entrant| entrant.name.clone())).collect());
    for case in &run.cases {
        let mut row = vec![case.title.clone()];
        row.extend(run.entrants.iter().enumerate().map(|(number, entrant)| {
            let subject = run.entrants.first().filter(|_| number > 0).map(|first| first.name.as_str());
            cell(case, metric, &entrant.name, subject)
        }));
        table.add_row(row);
    }
    if metric == Metric::PeakMemory {
        let peaks = run.entrants.iter().map(|entrant| peak_over_all(run, &entrant.name).map_or_else(|| "-".to_owned(), in_mib));
        table.add_row(std::iter::once("over all cases".to_owned()).chain(peaks));
    }
    table
}

fn cell(case: &CaseRecord, metric: Metric, name: &str, subject: Option<&str>) -> String {
    let Some(player) = case.entrants.iter().find(|player| player.name == name) else {
        return "-".to_owned();
    };
    let Some(median) = metric.median(case, name) else {
        return if player.failure.is_some() { "failed".to_owned() } else { "-".to_owned() };
    };
    let mut text = match metric {
        Metric::Rate => format!("{}{}", significant(median), megabytes(case, name, median)),
        Metric::P50 | Metric::P99 => significant(median),
        Metric::CpuPerOperation => significant(median * 1000.0),
        _ => format!("{:.1}", median / MIB),
    };
    let failures: u64 = player.turns.iter().map(|turn| turn.failures).sum();
    if failures > 0 {
        let _ = write!(text, " !{failures}");
    }
    if let Some(ratio) = subject.and_then(|subject| between(case, metric, subject, name)) {
        let [median, min, max] = [ratio.median, ratio.min, ratio.max].map(|figure| format!("{figure:.2}"));
        let spread = if metric == Metric::PeakMemory { String::new() } else { format!(" ({min}..{max})") };
        let _ = write!(text, "\n×{median}{spread}");
    }
    text
}

/// The bandwidth, where an operation is large enough for it to matter.
#[expect(clippy::cast_precision_loss, reason = "bytes of a case are far below 2^52")]
fn megabytes(case: &CaseRecord, name: &str, rate: f64) -> String {
    let turns = case.entrants.iter().filter(|player| player.name == name).flat_map(|player| &player.turns);
    let (bytes, operations) = turns.fold((0, 0), |(bytes, operations), turn| (bytes + turn.bytes, operations + turn.operations));
    let bytes_each = bytes as f64 / operations as f64;
    if bytes_each < MIB / 4.0 { String::new() } else { format!(" ({:.0} MB/s)", bytes_each * rate / 1e6) }
}

fn by_request(run: &Run) -> Table {
    let mut table = table(
        ["case", "request"]
            .map(str::to_owned)
            .into_iter()
            .chain(run.entrants.iter().map(|entrant| entrant.name.clone()))
            .collect(),
    );
    for case in run.cases.iter().filter(|case| case.name.starts_with("mixed")) {
        for (kind, words) in [("manifestGet", "manifest GET"), ("blobGet", "blob GET"), ("blobPush", "blob push")] {
            let figures = run.entrants.iter().map(|entrant| {
                let player = case.entrants.iter().find(|player| player.name == entrant.name)?;
                let mut p50s: Vec<f64> =
                    player.turns.iter().filter_map(|turn| turn.latency.get(kind)).map(|latency| latency.p50_ms).collect();
                let mut p99s: Vec<f64> =
                    player.turns.iter().filter_map(|turn| turn.latency.get(kind)).map(|latency| latency.p99_ms).collect();
                p50s.sort_by(f64::total_cmp);
                p99s.sort_by(f64::total_cmp);
                Some(format!("{} / {}", significant(*p50s.get(p50s.len() / 2)?), significant(*p99s.get(p99s.len() / 2)?)))
            });
            let cells = figures.map(|figure| figure.unwrap_or_else(|| "-".to_owned()));
            table.add_row([case.name.clone(), words.to_owned()].into_iter().chain(cells));
        }
    }
    table
}

fn trust(run: &Run) -> Table {
    let mut table = table(["case", "asked", "a second", "p50, ms", "CPU, ms", "÷"].map(str::to_owned).to_vec());
    for case in &run.trust {
        for (number, player) in case.entrants.iter().enumerate() {
            let figure = |metric: Metric, factor: f64| {
                metric.median(case, &player.name).map_or_else(|| "-".to_owned(), |figure| significant(figure * factor))
            };
            let failures: u64 = player.turns.iter().map(|turn| turn.failures).sum();
            let failed = if failures > 0 { format!(" !{failures}") } else { String::new() };
            let first = case.entrants.first().filter(|_| number > 0);
            let ratio = first.and_then(|first| between(case, Metric::Rate, &first.name, &player.name));
            table.add_row([
                if number == 0 { case.title.clone() } else { String::new() },
                player.name.clone(),
                format!("{}{failed}", figure(Metric::Rate, 1.0)),
                figure(Metric::P50, 1.0),
                figure(Metric::CpuPerOperation, 1000.0),
                ratio.map_or_else(String::new, |ratio| format!("{:.3} ({:.3}..{:.3})", ratio.median, ratio.min, ratio.max)),
            ]);
        }
    }
    table
}

fn calls(run: &Run) -> Table {
    let mut table =
        table(std::iter::once("operation".to_owned()).chain(run.entrants.iter().map(|entrant| entrant.name.clone())).collect());
    for record in &run.storage_calls {
        let counts =
            run.entrants.iter().map(|entrant| record.calls.get(&entrant.name).map_or_else(|| "-".to_owned(), u64::to_string));
        table.add_row(std::iter::once(record.operation.clone()).chain(counts));
    }
    table
}

/// An empty table; all columns but the first hold figures.
pub fn table(header: Vec<String>) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED).set_header(header);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

#[expect(clippy::cast_precision_loss, reason = "memory is far below 2^52 bytes")]
fn in_mib(bytes: u64) -> String {
    format!("{:.1}", bytes as f64 / MIB)
}

/// Three significant digits or so, without exponents.
pub fn significant(figure: f64) -> String {
    match figure.abs() {
        100.0.. => format!("{figure:.0}"),
        10.0..100.0 => format!("{figure:.1}"),
        1.0..10.0 => format!("{figure:.2}"),
        _ => format!("{figure:.4}"),
    }
}
