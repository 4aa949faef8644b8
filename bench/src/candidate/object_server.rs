//! The S3 server behind every registry of a run: versitygw over a folder on the same disk.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::entrant::installed;
use super::process::{Process, free_address};
use crate::error::BenchError;
use crate::load::connection::Connection;

const REGION: &str = "us-east-1";
const ACCESS_KEY_ID: &str = "bench";
const SECRET_ACCESS_KEY: &str = "bench-only-on-loopback";

/// Where one registry keeps its objects.
#[derive(Debug, Clone)]
pub struct Bucket {
    /// The server's URL.
    pub endpoint: String,
    /// The bucket's name.
    pub name: String,
    /// The region that requests are signed for.
    pub region: &'static str,
    /// The access key's id.
    pub access_key_id: &'static str,
    /// The access key's secret.
    pub secret_access_key: &'static str,
}

/// A running S3 server, ended when dropped.
#[derive(Debug)]
pub struct ObjectServer {
    address: SocketAddr,
    folder: PathBuf,
    access_log: Option<PathBuf>,
    _process: Process,
}

impl ObjectServer {
    /// Starts a server over `folder`; with an access log when calls are to be counted.
    pub async fn start(folder: &Path, logs_calls: bool) -> Result<Self, BenchError> {
        let objects = folder.join("objects");
        std::fs::create_dir_all(&objects).map_err(BenchError::io(format!("make {}", objects.display())))?;
        let address = free_address()?;
        let access_log = logs_calls.then(|| folder.join("access.log"));
        let mut command = Command::new(installed("versitygw", "versitygw")?);
        command.args([
            "--keep-alive",
            "--quiet",
            "--region",
            REGION,
            "--access",
            ACCESS_KEY_ID,
            "--secret",
            SECRET_ACCESS_KEY,
            "--port",
        ]);
        command.arg(address.to_string());
        if let Some(log) = &access_log {
            command.arg("--access-log").arg(log);
        }
        command.arg("posix").arg(&objects);
        let mut process = Process::spawn("versitygw", command, &folder.join("versitygw.log"))?;
        await_connection(address, &mut process).await?;
        Ok(Self { address, folder: objects, access_log, _process: process })
    }

    /// A new bucket for the entrant called `owner`.
    pub fn bucket(&self, owner: &str) -> Result<Bucket, BenchError> {
        let name = format!("bench-{owner}");
        // versitygw takes each folder for a bucket.
        std::fs::create_dir_all(self.folder.join(&name)).map_err(BenchError::io(format!("make bucket {name}")))?;
        let endpoint = format!("http://{}", self.address);
        Ok(Bucket { endpoint, name, region: REGION, access_key_id: ACCESS_KEY_ID, secret_access_key: SECRET_ACCESS_KEY })
    }

    /// How many calls the access log shows for a bucket so far.
    pub fn calls(&self, bucket: &Bucket) -> Result<u64, BenchError> {
        let Some(path) = &self.access_log else {
            return Ok(0);
        };
        let log = std::fs::read_to_string(path).map_err(BenchError::io(format!("read {}", path.display())))?;
        // A line is: owner, bucket, time, ...
        Ok(log.lines().filter(|line| line.split(' ').nth(1) == Some(&bucket.name)).count() as u64)
    }
}

async fn await_connection(address: SocketAddr, process: &mut Process) -> Result<(), BenchError> {
    const ATTEMPTS: u32 = 1000;
    for _ in 0..ATTEMPTS {
        process.check()?;
        if Connection::open(address).await.is_ok() {
            return Ok(());
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    Err(BenchError::TooSlow { what: "the start of versitygw".to_owned(), limit_s: 10 })
}
