//! Whether a registry asks the disk to keep what it acknowledged.

use std::path::Path;
use std::process::Command;
use std::rc::Rc;
use std::time::Duration;

use crate::candidate::Candidate;
use crate::candidate::entrant::{Entrant, installed};
use crate::candidate::process::Process;
use crate::content::{Noise, Template};
use crate::error::BenchError;
use crate::load::connection::Connection;
use crate::load::push::push_blob;

const PUSHES: u32 = 10;
const ATTACH_ATTEMPTS: u32 = 500;
const PUSHED_BYTES: u64 = 4096;

/// How many `fsync`-like system calls a registry makes for a push of 4 KiB, counted with strace over a few pushes. `None` where that
/// cannot be told: no strace, no right to trace, or no process to be found.
pub async fn syncs_per_push(entrant: &Entrant, disk: &Path, noise: &Rc<Noise>) -> Option<f64> {
    match count(entrant, disk, noise).await {
        Ok(syncs) => syncs,
        Err(error) => {
            eprintln!("bench: whether {} syncs is unknown: {error}", entrant.name);
            None
        }
    }
}

async fn count(entrant: &Entrant, disk: &Path, noise: &Rc<Noise>) -> Result<Option<f64>, BenchError> {
    let strace = installed("strace", "strace")?;
    let folder = tempfile::Builder::new().prefix("syncs-").tempdir_in(disk).map_err(BenchError::io("make a folder"))?;
    let candidate = Candidate::start(entrant, folder.path(), None).await?;
    let Some(pid) = candidate.pid else {
        return Ok(None);
    };
    let template = Rc::new(Template::new(noise, PUSHED_BYTES));
    let mut connection = Connection::open(candidate.address).await?;
    // The first push also makes the folders of a new repository.
    push_blob(&mut connection, &candidate.host(), &template.stamp()).await?;

    let trace = folder.path().join("trace");
    let mut command = Command::new(strace);
    command
        .args(["-f", "-qq", "-e", "trace=fsync,fdatasync,sync_file_range,syncfs,sync", "-p"])
        .arg(pid.to_string())
        .arg("-o")
        .arg(&trace);
    let mut tracer = Process::spawn("strace", command, &folder.path().join("strace.log"))?;
    await_traced(pid, &mut tracer).await?;
    for _ in 0..PUSHES {
        push_blob(&mut connection, &candidate.host(), &template.stamp()).await?;
    }
    drop(tracer);
    let trace = std::fs::read_to_string(&trace).map_err(BenchError::io("read the trace"))?;
    // A call that another thread's line interrupts is written twice, the second time as resumed.
    let calls = u32::try_from(trace.lines().filter(|line| line.contains("sync") && !line.contains("resumed>")).count())
        .unwrap_or(u32::MAX);
    Ok(Some(f64::from(calls) / f64::from(PUSHES)))
}

/// Waits until every thread of the process is traced.
async fn await_traced(pid: u32, tracer: &mut Process) -> Result<(), BenchError> {
    for _ in 0..ATTACH_ATTEMPTS {
        tracer.check()?;
        let threads = std::fs::read_dir(format!("/proc/{pid}/task")).map_err(BenchError::io("list threads"))?;
        let is_traced = |status: String| {
            status.lines().any(|line| line.strip_prefix("TracerPid:").is_some_and(|tracer| tracer.trim() != "0"))
        };
        if threads.flatten().all(|thread| std::fs::read_to_string(thread.path().join("status")).is_ok_and(is_traced)) {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Err(BenchError::TooSlow { what: "strace's attaching".to_owned(), limit_s: 5 })
}
