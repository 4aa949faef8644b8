use std::{
    io::{IsTerminal as _, Write as _, stderr},
    time::{Duration, Instant},
};

use clap::Args;
use longshore_registry::{ReindexProgress, reindex};
use longshore_service::telemetry::Telemetry;

use super::source::DataSource;
use crate::{failure::Failure, output::ByteCount};

/// How often a terminal is told of the progress.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(100);

#[derive(Args)]
pub struct ReindexArguments {
    #[command(flatten)]
    source: DataSource,
}

impl ReindexArguments {
    pub async fn run(self, settings: Vec<(String, String)>) -> Result<(), Failure> {
        let config = self.source.load(settings)?;
        let telemetry = Telemetry::start(&config.telemetry_settings());
        let telemetry = telemetry.map_err(|error| Failure::because("the logs can't be set up", &error))?;
        let shows_progress = stderr().is_terminal();
        let mut shown_at: Option<Instant> = None;
        let report = reindex(config, |progress| {
            if shows_progress && shown_at.is_none_or(|at| at.elapsed() >= PROGRESS_INTERVAL) {
                shown_at = Some(Instant::now());
                // That a progress line can't be written is no reason to stop.
                let ReindexProgress { records, blobs, blob_bytes } = *progress;
                let read = ByteCount(blob_bytes);
                let _ = write!(stderr(), "\r\x1b[Klongshore: {records} records played back, {blobs} blobs read, {read}");
            }
        });
        let report = Box::pin(report).await;
        if shows_progress {
            eprint!("\r\x1b[K");
        }
        telemetry.shutdown().await;
        let report = report.map_err(|error| Failure::because("the database can't be rebuilt", &error))?;
        eprintln!("longshore: {report}");
        if report.skipped.is_empty() {
            Ok(())
        } else {
            Err(Failure::Failed("the database is rebuilt, but without what could not be used".to_owned()))
        }
    }
}
