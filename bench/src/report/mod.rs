//! What was measured, as a table, as JSON and as a chart.

pub mod chart;
pub mod edge;
mod edge_goals;
pub mod goals;
pub mod ratio;
pub mod record;
pub mod table;

use std::path::{Path, PathBuf};

use crate::error::BenchError;
use record::Run;

/// The files of a report.
#[derive(Debug)]
pub struct Files {
    /// Everything measured.
    pub json: PathBuf,
    /// The ratios, drawn.
    pub chart: PathBuf,
}

/// Writes the JSON and the chart into `folder`, named for the store and the time.
pub fn write(run: &Run, folder: &Path) -> Result<Files, BenchError> {
    std::fs::create_dir_all(folder).map_err(BenchError::io(format!("make {}", folder.display())))?;
    let moment: String = run.started_at.chars().take(19).filter(char::is_ascii_alphanumeric).collect();
    let stem = format!("{}-{moment}", run.store);
    let files = Files { json: folder.join(format!("{stem}.json")), chart: folder.join(format!("{stem}.svg")) };
    let full = record::FullReport { run, ratios: ratio::all(run), goals: goals::judge(run) };
    let json = serde_json::to_vec_pretty(&full).map_err(|source| BenchError::Json { path: files.json.clone(), source })?;
    for (path, bytes) in [(&files.json, json), (&files.chart, chart::draw(run).into_bytes())] {
        std::fs::write(path, bytes).map_err(BenchError::io(format!("write {}", path.display())))?;
    }
    Ok(files)
}
