use std::{error::Error, fmt, io, process::ExitCode};

use longshore_service::{config::Mistakes, error_text::with_sources};

use crate::output::printable_lines;

/// Tells people something, on stderr; without what would move their cursor, since some of it others have written.
pub fn tell(text: &impl fmt::Display) {
    eprintln!("{}", told(text));
}

fn told(text: &impl fmt::Display) -> String {
    format!("longshore: {}", printable_lines(&text.to_string()))
}

/// Why a command ends without having done what it should; displayed once, by `main`.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Arguments, environment or configuration are wrong, and nothing was done.
    #[error("{0}")]
    Usage(String),
    /// It was tried, and failed.
    #[error("{0}")]
    Failed(String),
    /// It was tried out, and would take something away; or a policy does not let an image run.
    #[error("{0}")]
    Blocks(String),
    /// What was meant is not there.
    #[error("{0}")]
    NotFound(String),
    /// Somebody else has changed it, or something else is in the way.
    #[error("{0}")]
    Conflict(String),
    /// There is no room for it: in the fleet, or in a quota.
    #[error("{0}")]
    NoRoom(String),
    /// Whoever asks is not known, or may not.
    #[error("{0}")]
    Denied(String),
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

    /// That of [`Self::Conflict`].
    pub const CONFLICT: u8 = 5;

    /// The process's exit code, as `--help` documents it.
    pub fn code(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            Self::Failed(_) => 1,
            Self::Blocks(_) => 3,
            Self::NotFound(_) => 4,
            Self::Conflict(_) => Self::CONFLICT,
            Self::NoRoom(_) => 6,
            Self::Denied(_) => 7,
            Self::Interrupted(_) => 130,
            Self::OutputClosed => 0,
        }
    }

    /// The same, for the process.
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.code())
    }

    /// The same failure in other words.
    #[must_use]
    pub fn with_text(self, text: String) -> Self {
        match self {
            Self::Usage(_) => Self::Usage(text),
            Self::Failed(_) => Self::Failed(text),
            Self::Blocks(_) => Self::Blocks(text),
            Self::NotFound(_) => Self::NotFound(text),
            Self::Conflict(_) => Self::Conflict(text),
            Self::NoRoom(_) => Self::NoRoom(text),
            Self::Denied(_) => Self::Denied(text),
            Self::Interrupted(_) => Self::Interrupted(text),
            Self::OutputClosed => Self::OutputClosed,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_have_written_moves_no_cursor() {
        let failure = Failure::Failed("the registry says: \u{1b}[2J\u{1b}]0;mine\u{7}\n  x".to_owned());
        assert_eq!(told(&failure), "longshore: the registry says: \u{fffd}[2J\u{fffd}]0;mine\u{fffd}\n  x");
    }
}
