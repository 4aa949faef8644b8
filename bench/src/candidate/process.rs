//! A child process, ended by its id when it is no longer needed.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};

use crate::error::BenchError;
use crate::load::connection::Connection;
use crate::load::push::bare_request;

const START_LIMIT: Duration = Duration::from_secs(20);
const STOP_LIMIT: Duration = Duration::from_secs(10);
const POLL_EVERY: Duration = Duration::from_millis(10);
const LOG_TAIL_BYTES: usize = 600;

/// A running child. Dropping it sends SIGTERM, waits, and after a limit SIGKILL.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `command` with an empty environment but for `PATH` and a word that no traces are wanted, its output going to the file `log`.
    pub fn spawn(name: &str, mut command: Command, log: &Path) -> Result<Self, BenchError> {
        let file = File::create(log).map_err(BenchError::io(format!("create {}", log.display())))?;
        let errors = file.try_clone().map_err(BenchError::io("share a log file"))?;
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("OTEL_TRACES_EXPORTER", "none");
        command.stdin(Stdio::null()).stdout(file).stderr(errors);
        let child = command.spawn().map_err(BenchError::io(format!("start {name}")))?;
        Ok(Self { name: name.to_owned(), child, log: log.to_owned() })
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Fails when the process has ended by itself.
    pub fn check(&mut self) -> Result<(), BenchError> {
        let ended = self.child.try_wait().map_err(BenchError::io(format!("look after {}", self.name)))?;
        match ended {
            None => Ok(()),
            Some(status) => {
                Err(BenchError::Died { name: self.name.clone(), status: status.to_string(), log_tail: self.log_tail() })
            }
        }
    }

    fn log_tail(&self) -> String {
        let log = std::fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&log[log.len().saturating_sub(LOG_TAIL_BYTES)..]).into_owned()
    }

    fn signal(&self, signal: Signal) {
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            // It may have ended on its own meanwhile, which is what we want.
            let _ = rustix::process::kill_process(pid, signal);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if !matches!(self.child.try_wait(), Ok(None)) {
            return;
        }
        self.signal(Signal::TERM);
        let deadline = Instant::now() + STOP_LIMIT;
        while Instant::now() < deadline {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(POLL_EVERY);
        }
        self.signal(Signal::KILL);
        let _ = self.child.wait();
    }
}

/// A loopback address whose port is free right now.
pub fn free_address() -> Result<SocketAddr, BenchError> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(BenchError::io("find a free port"))?;
    listener.local_addr().map_err(BenchError::io("find a free port"))
}

/// Asks for `/v2/` until the answer is 200, or 401 of one that asks who calls, or `process` ends, or the limit passes.
pub async fn await_answer(name: &str, address: SocketAddr, mut process: Option<&mut Process>) -> Result<(), BenchError> {
    let deadline = Instant::now() + START_LIMIT;
    let request = bare_request("GET", "/v2/", &address.to_string());
    while Instant::now() < deadline {
        if let Some(process) = process.as_deref_mut() {
            process.check()?;
        }
        if let Ok(mut connection) = Connection::open(address).await
            && let Ok(answer) = connection.ask(&request).await
            && [200, 401].contains(&answer.status)
        {
            return Ok(());
        }
        tokio::time::sleep(POLL_EVERY).await;
    }
    Err(BenchError::TooSlow { what: format!("the start of {name}"), limit_s: START_LIMIT.as_secs() })
}
