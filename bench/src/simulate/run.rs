//! From the command line to the table, the JSON and the charts.

use std::{fs, path::Path, time::Instant};

use serde::Serialize;

use super::{
    chart::{self, Chart, Line},
    measure::Figures,
    options::SimulateOptions,
    table,
    world::World,
};
use crate::error::BenchError;

/// A run, and what it took to simulate it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Simulated {
    /// What it came to.
    #[serde(flatten)]
    pub figures: Figures,
    /// How long it took, in seconds.
    pub wall_seconds: f64,
    /// How much memory this process had at most so far, in bytes.
    pub peak_resident_bytes: Option<u64>,
}

/// Simulates what the options say, one run after the other, prints a table and writes the JSON and the charts.
pub fn simulate(options: &SimulateOptions) -> Result<(), BenchError> {
    fs::create_dir_all(&options.results).map_err(BenchError::io(format!("make {}", options.results.display())))?;
    let mut runs = Vec::new();
    for shape in options.shapes() {
        eprintln!("bench: {} nodes, {} zones, {}", shape.nodes, shape.zones, chart::name_of(shape.scenario));
        let began = Instant::now();
        let mut world = World::new(shape);
        world.run();
        let wall_seconds = began.elapsed().as_secs_f64();
        runs.push(Simulated { figures: world.figures(), wall_seconds, peak_resident_bytes: peak_resident_bytes() });
    }
    println!("{}", table::render(&runs));
    let stem = format!("simulation-{}", jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ"));
    let json = options.results.join(format!("{stem}.json"));
    let text = serde_json::to_vec_pretty(&runs).map_err(|source| BenchError::Json { path: json.clone(), source })?;
    write(&json, &text)?;
    for (name, chart) in charts(&runs) {
        write(&options.results.join(format!("{stem}-{name}.svg")), chart::draw(&chart).as_bytes())?;
    }
    eprintln!("bench: wrote {} and charts beside it", json.display());
    Ok(())
}

/// How many nodes are done by when, of each size and number of zones; and over the sizes what each scenario came to.
fn charts(runs: &[Simulated]) -> Vec<(String, Chart)> {
    let mut charts = Vec::new();
    let mut sizes: Vec<_> = runs.iter().map(|run| (run.figures.nodes, run.figures.zones)).collect();
    sizes.sort_unstable();
    sizes.dedup();
    for (nodes, zones) in &sizes {
        let those = runs.iter().filter(|run| (run.figures.nodes, run.figures.zones) == (*nodes, *zones));
        let line =
            |run: &Simulated| Line { name: chart::name_of(run.figures.scenario), points: chart::shares(&run.figures.ratios) };
        charts.push((
            format!("cdf-{nodes}-{zones}"),
            Chart {
                title: format!("Part of {nodes} nodes in {zones} zones that have the image, over time ÷ bound"),
                is_logarithmic: false,
                lines: those.map(line).collect(),
            },
        ));
    }
    type Measure = (&'static str, &'static str, fn(&Figures) -> Option<f64>);
    let measures: [Measure; 5] = [
        ("p50", "Time ÷ bound, the median, over nodes", |figures| figures.percentile(50)),
        ("p99", "Time ÷ bound, 99 % of nodes, over nodes", |figures| figures.percentile(99)),
        ("egress", "What the origin sends, in copies a zone, over nodes", |figures| Some(figures.copies_per_zone)),
        ("neighbours", "What neighbours bring, of all, over nodes", |figures| Some(figures.neighbour_share)),
        ("wasted", "What comes for nothing, of what is needed, over nodes", |figures| Some(figures.wasted_share)),
    ];
    for (name, title, measure) in measures {
        let mut lines: Vec<Line> = Vec::new();
        for Simulated { figures, .. } in runs {
            let zones = if figures.zones == 1 { String::new() } else { format!(", {} zones", figures.zones) };
            let name = format!("{}{zones}", chart::name_of(figures.scenario));
            let Some(value) = measure(figures) else { continue };
            let point = (f64::from(figures.nodes), value);
            match lines.iter_mut().find(|line| line.name == name) {
                Some(line) => line.points.push(point),
                None => lines.push(Line { name, points: vec![point] }),
            }
        }
        charts.push((name.to_owned(), Chart { title: title.to_owned(), is_logarithmic: true, lines }));
    }
    charts
}

fn write(path: &Path, text: &[u8]) -> Result<(), BenchError> {
    fs::write(path, text).map_err(BenchError::io(format!("write {}", path.display())))
}

/// Of this process, as the kernel says it.
fn peak_resident_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1024)
}
