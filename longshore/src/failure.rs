use std::{error::Error, io, process::ExitCode};

use longshore_service::{config::Mistakes, error_text::with_sources};

/// Why a command ends without having done what it should; displayed once, by `main`.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Arguments, environment or configuration are wrong, and nothing was done.
    #[error("{0}")]
    Usage(String),
    /// It was tried, and failed.
    #[error("{0}")]
    Failed(String),
    /// It was tried out, and would take something away.
    #[error("{0}")]
    Blocks(String),
    /// Whoever waits for it told it to stop waiting.
    #[error("{0}")]
    Interrupted(String),
    /// Whoever read our output has had enough of it, as `head` does; that is no failure of ours.
    #[error("the output was closed")]
    OutputClosed,
}

impl Failure {
    /// Something failed, for this reason and those under it.
    pub fn because(what: &str, error: &dyn Error) -> Self {
        Self::Failed(format!("{what}: {}", with_sources(error)))
    }

    /// Every mistake of a configuration, a line each.
    pub fn mistakes(mistakes: &Mistakes) -> Self {
        let lines = mistakes.to_string().replace('\n', "\n  ");
        let count = match mistakes.len() {
            1 => "a mistake".to_owned(),
            count => format!("{count} mistakes"),
        };
        Self::Usage(format!("the configuration has {count}\n  {lines}"))
    }

    /// The process's exit code, as `--help` documents it.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Usage(_) => ExitCode::from(2),
            Self::Failed(_) => ExitCode::FAILURE,
            Self::Blocks(_) => ExitCode::from(3),
            Self::Interrupted(_) => ExitCode::from(130),
            Self::OutputClosed => ExitCode::SUCCESS,
        }
    }
}

impl From<io::Error> for Failure {
    /// What went wrong when writing to stdout.
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::OutputClosed,
            _ => Self::Failed(format!("stdout can't be written to: {error}")),
        }
    }
}
