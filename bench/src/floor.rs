//! What this machine can do at best, for the eye to hold the figures against.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::rc::Rc;
use std::time::Instant;

use serde::Serialize;

use crate::content::{Noise, Template};
use crate::error::BenchError;

const HASHED_BYTES: u32 = 256 * 1024 * 1024;
const SMALL_FILES: u32 = 500;
const SMALL_BYTES: usize = 4096;

/// The machine's own limits.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Floor {
    /// SHA-256 on one core, bytes a second.
    pub sha256_bytes_per_second: f64,
    /// One writer writing a large file and syncing it at the end, bytes a second.
    pub synced_write_bytes_per_second: f64,
    /// One writer making files of 4 KiB, each synced together with its folder, files a second.
    pub synced_small_files_per_second: f64,
}

/// Measures them in a folder on `disk`.
pub fn measure(disk: &Path, noise: &Rc<Noise>) -> Result<Floor, BenchError> {
    let started = Instant::now();
    let template = Rc::new(Template::new(noise, u64::from(HASHED_BYTES)));
    let sha256_bytes_per_second = f64::from(HASHED_BYTES) / started.elapsed().as_secs_f64();

    let folder = tempfile::Builder::new().prefix("floor-").tempdir_in(disk).map_err(BenchError::io("make a folder"))?;
    rustix::fs::sync();
    let large = folder.path().join("large");
    let started = Instant::now();
    template.stamp().write(&large)?;
    File::open(&large).and_then(|file| file.sync_all()).map_err(BenchError::io("sync a file"))?;
    let synced_write_bytes_per_second = f64::from(HASHED_BYTES) / started.elapsed().as_secs_f64();

    let started = Instant::now();
    for number in 0..SMALL_FILES {
        small_file(folder.path(), number).map_err(BenchError::io("write a small file"))?;
    }
    let synced_small_files_per_second = f64::from(SMALL_FILES) / started.elapsed().as_secs_f64();
    Ok(Floor { sha256_bytes_per_second, synced_write_bytes_per_second, synced_small_files_per_second })
}

fn small_file(folder: &Path, number: u32) -> std::io::Result<()> {
    let mut file = File::create(folder.join(number.to_string()))?;
    file.write_all(&[b'x'; SMALL_BYTES])?;
    file.sync_data()?;
    File::open(folder)?.sync_all()
}
