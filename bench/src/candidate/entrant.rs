//! What can be compared, and where its programs are.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::BenchError;

/// Ours, in the report.
pub const LONGSHORE: &str = "longshore";
/// The names of the entrants that this program can start itself.
pub const BUILT_IN: [&str; 4] = [LONGSHORE, "distribution", "docker-registry", "nginx"];

/// A way to have a server.
#[derive(Debug, Clone)]
pub enum Program {
    /// Ours.
    Longshore(PathBuf),
    /// distribution 3, or Debian's docker-registry 2.8: one program, one configuration.
    Distribution(PathBuf),
    /// nginx over plain files: no registry, but a floor for what serving bytes costs.
    Nginx(PathBuf),
    /// Somebody else started it.
    Running(SocketAddr),
}

/// A server that takes part.
#[derive(Debug, Clone)]
pub struct Entrant {
    /// Its name in the report.
    pub name: String,
    /// How to have it.
    pub program: Program,
    /// The first line of what it says of its version.
    pub version: String,
}

impl Entrant {
    /// Finds a built-in entrant's program.
    pub fn find(name: &str) -> Result<Self, BenchError> {
        let (program, version) = match name {
            LONGSHORE => {
                let path = longshore()?;
                let version = first_line(&path, "--version");
                (Program::Longshore(path), version)
            }
            "distribution" => distribution(name, "registry")?,
            "docker-registry" => distribution(name, "docker-registry")?,
            "nginx" => {
                let path = installed(name, "nginx")?;
                let version = first_line(&path, "-v");
                (Program::Nginx(path), version)
            }
            _ => {
                return Err(BenchError::Usage(format!("no entrant is called {name}; there are {}", BUILT_IN.join(", "))));
            }
        };
        Ok(Self { name: name.to_owned(), program, version })
    }

    /// A server that is already running, from `NAME=ADDRESS`.
    pub fn running(pair: &str) -> Result<Self, BenchError> {
        let parsed = pair.split_once('=').and_then(|(name, address)| Some((name, address.parse::<SocketAddr>().ok()?)));
        let Some((name, address)) = parsed.filter(|(name, address)| !name.is_empty() && address.ip().is_loopback()) else {
            return Err(BenchError::Usage(format!("--peer takes NAME=127.0.0.1:PORT, not {pair}")));
        };
        Ok(Self { name: name.to_owned(), program: Program::Running(address), version: format!("running on {address}") })
    }

    /// Whether it takes pushes.
    pub fn is_registry(&self) -> bool {
        !matches!(self.program, Program::Nginx(_))
    }
}

fn distribution(name: &str, program: &str) -> Result<(Program, String), BenchError> {
    let path = installed(name, program)?;
    let version = first_line(&path, "--version");
    Ok((Program::Distribution(path), version))
}

/// `LONGSHORE_BIN`, or the program that the same build put beside this one.
fn longshore() -> Result<PathBuf, BenchError> {
    let beside = std::env::current_exe().ok().and_then(|exe| Some(exe.parent()?.join(LONGSHORE)));
    let from_target = std::env::var_os("CARGO_TARGET_DIR").map(|target| Path::new(&target).join("release").join(LONGSHORE));
    let candidates: Vec<PathBuf> = std::env::var_os("LONGSHORE_BIN")
        .map(PathBuf::from)
        .map_or_else(|| beside.into_iter().chain(from_target).collect(), |named| vec![named]);
    first_file(LONGSHORE, &candidates)
}

/// Finds a program on `PATH`, among what `go install` made, or where Debian puts daemons.
pub fn installed(name: &str, program: &str) -> Result<PathBuf, BenchError> {
    let mut folders: Vec<PathBuf> =
        std::env::var_os("PATH").map(|path| std::env::split_paths(&path).collect()).unwrap_or_default();
    folders.extend(std::env::var_os("GOBIN").map(PathBuf::from));
    folders.extend(std::env::var_os("HOME").map(|home| Path::new(&home).join("go/bin")));
    folders.push(PathBuf::from("/usr/sbin"));
    let candidates: Vec<PathBuf> = folders.into_iter().map(|folder| folder.join(program)).collect();
    first_file(name, &candidates)
}

fn first_file(name: &str, candidates: &[PathBuf]) -> Result<PathBuf, BenchError> {
    candidates.iter().find(|path| path.is_file()).cloned().ok_or_else(|| BenchError::NotInstalled {
        name: name.to_owned(),
        looked: candidates.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", "),
    })
}

fn first_line(program: &Path, argument: &str) -> String {
    let Ok(output) = Command::new(program).arg(argument).output() else {
        return "unknown".to_owned();
    };
    let text = if output.stdout.is_empty() { output.stderr } else { output.stdout };
    String::from_utf8_lossy(&text).lines().next().unwrap_or("unknown").to_owned()
}
