//! What was measured, as a table, as JSON and as a chart.

pub mod chart;
pub mod edge;
mod edge_goals;
pub mod goals;
pub mod ratio;
pub mod record;
pub mod table;

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde::Serialize;

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
    fs::create_dir_all(folder).map_err(BenchError::io(format!("make {}", folder.display())))?;
    let moment: String = run.started_at.chars().take(19).filter(char::is_ascii_alphanumeric).collect();
    let stem = format!("{}-{moment}", run.store);
    let files = Files { json: folder.join(format!("{stem}.json")), chart: folder.join(format!("{stem}.svg")) };
    let full = record::FullReport { run, ratios: ratio::all(run), goals: goals::judge(run) };
    let json = serde_json::to_vec_pretty(&full).map_err(|source| BenchError::Json { path: files.json.clone(), source })?;
    for (path, bytes) in [(&files.json, json), (&files.chart, chart::draw(run).into_bytes())] {
        fs::write(path, bytes).map_err(BenchError::io(format!("write {}", path.display())))?;
    }
    Ok(files)
}

/// Writes figures into a file of this folder, named for what they are of and for the time, and says so.
pub fn write_json(folder: &Path, of: &str, figures: &impl Serialize) -> Result<(), BenchError> {
    fs::create_dir_all(folder).map_err(BenchError::io(format!("make {}", folder.display())))?;
    let path = folder.join(format!("{of}-{}.json", jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ")));
    let text = serde_json::to_vec_pretty(figures).map_err(|source| BenchError::Json { path: path.clone(), source })?;
    fs::write(&path, text).map_err(BenchError::io(format!("write {}", path.display())))?;
    eprintln!("bench: wrote {}", path.display());
    Ok(())
}
