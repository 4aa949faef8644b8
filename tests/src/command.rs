use std::{ffi::OsStr, fmt, path::Path, process::Stdio, time::Duration};

use tokio::{io::AsyncWriteExt, process::Command};

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

impl Output {
    /// Whether it failed and says that the registry refused it, whichever answer of the registry it passes on.
    pub fn is_refusal(&self) -> bool {
        self.is_refusal_with(&["forbidden", "denied", "unauthorized", "authentication required", "authorization failed"])
    }

    /// Whether it failed with words that tell of one of these, whatever their case, on either output.
    pub fn is_refusal_with(&self, words: &[&str]) -> bool {
        let said = format!("{}{}", self.stdout, self.stderr).to_lowercase();
        self.code != Some(0) && words.iter().any(|words| said.contains(&words.to_lowercase()))
    }
}

impl fmt::Display for Output {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "exit {:?}\n{}\n{}", self.code, self.stdout.trim_end(), self.stderr.trim_end())
    }
}

/// That a command has done what it was asked to.
#[track_caller]
pub fn done(output: Output) -> Output {
    assert_eq!(output.code, Some(0), "{output}");
    output
}

/// That a command was refused by the registry, and its user told so.
#[track_caller]
pub fn refused(output: &Output) {
    assert!(output.is_refusal(), "the user is told of the refusal: {output}");
}

/// Runs a command to its end, at most ten minutes. A program that is not installed is a failure that says what installs it.
pub async fn run<A: AsRef<OsStr>>(program: impl AsRef<Path>, arguments: impl IntoIterator<Item = A>) -> Output {
    let mut command = Command::new(program.as_ref());
    command.args(arguments).stdin(Stdio::null());
    to_its_end(program.as_ref(), command, "").await
}

/// Like [`run`], with `input` as its standard input: where a secret goes, that no list of processes shows.
pub async fn run_with_input<A: AsRef<OsStr>>(
    program: impl AsRef<Path>,
    arguments: impl IntoIterator<Item = A>,
    input: &str,
) -> Output {
    let mut command = Command::new(program.as_ref());
    command.args(arguments).stdin(Stdio::piped());
    to_its_end(program.as_ref(), command, input).await
}

async fn to_its_end(program: &Path, mut command: Command, input: &str) -> Output {
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let running = async {
        let mut child = command.spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            // It may have ended before it has read all of it.
            let _ = stdin.write_all(input.as_bytes()).await;
        }
        child.wait_with_output().await
    };
    let finished = tokio::time::timeout(Duration::from_secs(600), running).await;
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
