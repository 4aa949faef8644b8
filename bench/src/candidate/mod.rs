//! The servers that are compared: finding, starting and ending them.

pub mod configuration;
pub mod entrant;
pub mod object_server;
pub mod process;
pub mod usage;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::BenchError;
use entrant::{Entrant, Program};
use object_server::Bucket;
use process::Process;

/// A server that answers.
#[derive(Debug)]
pub struct Candidate {
    /// Its name in the report.
    pub name: String,
    /// Where it listens.
    pub address: SocketAddr,
    /// Its process id, when known; CPU and memory are read from it and its children.
    pub pid: Option<u32>,
    /// The folder it serves as plain files, when it is not a registry.
    pub files: Option<PathBuf>,
    /// Ends the process when dropped; a peer given by address is left alone.
    process: Option<Process>,
}

impl Candidate {
    /// Starts an entrant with its data in `folder`, or in `bucket` when there is one, and waits until it answers.
    pub async fn start(entrant: &Entrant, folder: &Path, bucket: Option<&Bucket>) -> Result<Self, BenchError> {
        if let Program::Running(address) = entrant.program {
            let pid = usage::listener_pid(address);
            process::await_answer(&entrant.name, address, None).await?;
            return Ok(Self { name: entrant.name.clone(), address, pid, files: None, process: None });
        }
        let folder = folder.join(&entrant.name);
        std::fs::create_dir_all(&folder).map_err(BenchError::io(format!("make {}", folder.display())))?;
        let address = process::free_address()?;
        let command = configuration::command(entrant, &folder, address, bucket)?;
        let files = matches!(entrant.program, Program::Nginx(_)).then(|| folder.join("files"));
        Ok(Self { files, ..Self::spawn(&entrant.name, command, &folder, address).await? })
    }

    /// Starts a server by a command of which it listens on `address`, its log in `folder`, and waits until it answers.
    pub async fn spawn(name: &str, command: Command, folder: &Path, address: SocketAddr) -> Result<Self, BenchError> {
        let mut process = Process::spawn(name, command, &folder.join("log"))?;
        process::await_answer(name, address, Some(&mut process)).await?;
        Ok(Self { name: name.to_owned(), address, pid: Some(process.pid()), files: None, process: Some(process) })
    }

    /// The `Host` header's value for requests to it.
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// Fails when the process has ended by itself.
    pub fn check(&mut self) -> Result<(), BenchError> {
        self.process.as_mut().map_or(Ok(()), Process::check)
    }
}
