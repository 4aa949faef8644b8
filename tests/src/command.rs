use std::{ffi::OsStr, fmt, path::Path, process::Stdio, time::Duration};

use tokio::process::Command;

/// What a finished command printed, and how it ended.
#[derive(Clone, Debug)]
pub struct Output {
    /// The exit code; none where a signal ended it.
    pub code: Option<i32>,
    /// What it printed to standard output.
    pub stdout: String,
    /// What it printed to standard error.
    pub stderr: String,
}

impl fmt::Display for Output {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "exit {:?}\n{}\n{}", self.code, self.stdout.trim_end(), self.stderr.trim_end())
    }
}

/// Runs a command to its end, at most ten minutes. A program that is not installed is a failure that says what installs it.
pub async fn run<A: AsRef<OsStr>>(program: impl AsRef<Path>, arguments: impl IntoIterator<Item = A>) -> Output {
    let program = program.as_ref();
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).kill_on_drop(true);
    let finished = tokio::time::timeout(Duration::from_secs(600), command.output()).await;
    let output =
        finished.unwrap_or_else(|_| panic!("{} did not end within ten minutes", program.display())).unwrap_or_else(|error| {
            panic!("{} can't be run ({error}); tests/install.sh installs what the tests need", program.display())
        });
    Output {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Runs a command that has to succeed, and gives back what it printed.
pub async fn run_ok<A: AsRef<OsStr> + fmt::Debug>(program: impl AsRef<Path>, arguments: impl IntoIterator<Item = A>) -> String {
    let program = program.as_ref();
    let arguments: Vec<A> = arguments.into_iter().collect();
    let output = run(program, &arguments).await;
    assert!(output.code == Some(0), "{} {arguments:?}: {output}", program.display());
    output.stdout
}
