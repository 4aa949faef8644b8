use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::{env, io, time::Duration};

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};

use super::CredentialStoreError;
use crate::{Credentials, LoginSecret};

/// The longest answer of a helper that is read.
const MAX_ANSWER_BYTES: u64 = 64 << 10;

/// How many characters of a helper's complaint are told on.
const MAX_REASON_CHARACTERS: usize = 200;

/// The name by which helpers mark a secret that is a refresh token and no password.
const TOKEN_USERNAME: &str = "<token>";

/// A program that keeps credentials for docker (docker-credential-helpers, "Development").
pub(super) struct Helper {
    name: String,
    program: PathBuf,
    time_limit: Duration,
}

/// What a helper is given to keep, and gives back.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    #[serde(rename = "ServerURL", default)]
    server_url: String,
    username: String,
    secret: String,
}

/// How a helper ended, and what it said on stdout.
struct Answer {
    status: ExitStatus,
    output: Vec<u8>,
}

impl Helper {
    /// The program `docker-credential-NAME` in the first folder of the search path that has it.
    pub(super) fn find(name: &str, search_path: &OsStr, time_limit: Duration) -> Result<Self, CredentialStoreError> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if name.is_empty() || !name.bytes().all(is_plain) {
            return Err(CredentialStoreError::HelperName(name.to_owned()));
        }
        // What lies in the working folder is nobody's choice, so a relative folder is passed over.
        let folders = env::split_paths(search_path).filter(|folder| folder.is_absolute());
        let mut programs = folders.map(|folder| folder.join(format!("docker-credential-{name}")));
        let program = programs.find(|program| program.is_file());
        let program = program.ok_or_else(|| CredentialStoreError::HelperMissing(name.to_owned()))?;
        Ok(Self { name: name.to_owned(), program, time_limit })
    }

    /// What follows `docker-credential-`.
    pub(super) fn into_name(self) -> String {
        self.name
    }

    /// What it keeps for a server.
    pub(super) async fn get(&self, server: &str) -> Result<Option<Credentials>, CredentialStoreError> {
        let answer = self.run("get", server.as_bytes()).await?;
        if answer.says_not_found() {
            return Ok(None);
        }
        if !answer.status.success() {
            return Err(self.failed("get", answer.reason("")));
        }
        // The parser's words could hold the secret.
        let entry = serde_json::from_slice::<Entry>(&answer.output);
        let Entry { username, secret, .. } = entry.map_err(|_| self.failed("get", "its answer can't be read".to_owned()))?;
        Ok(match username.as_str() {
            "" => None,
            TOKEN_USERNAME => Some(Credentials::Identity(secret)),
            _ => Some(Credentials::Basic { username, password: secret }),
        })
    }

    /// Has it keep a login for a server.
    pub(super) async fn store(&self, server: &str, username: &str, secret: &LoginSecret) -> Result<(), CredentialStoreError> {
        let (username, secret) = match secret {
            LoginSecret::Password(password) => (username, password.reveal()),
            LoginSecret::Session(token) => (TOKEN_USERNAME, token.reveal()),
        };
        let entry = Entry { server_url: server.to_owned(), username: username.to_owned(), secret: secret.to_owned() };
        let input = serde_json::to_vec(&entry).map_err(|error| self.broken("store", error.into()))?;
        let answer = self.run("store", &input).await?;
        if answer.status.success() { Ok(()) } else { Err(self.failed("store", answer.reason(secret))) }
    }

    /// Has it give up what it keeps for a server.
    pub(super) async fn erase(&self, server: &str) -> Result<(), CredentialStoreError> {
        let answer = self.run("erase", server.as_bytes()).await?;
        let is_gone = answer.status.success() || answer.says_not_found();
        if is_gone { Ok(()) } else { Err(self.failed("erase", answer.reason(""))) }
    }

    /// Runs it with this on its stdin. Its stderr is the person's: it may ask for a keyring to be unlocked.
    async fn run(&self, verb: &'static str, input: &[u8]) -> Result<Answer, CredentialStoreError> {
        let mut command = Command::new(&self.program);
        command.arg(verb).stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().map_err(|error| self.broken(verb, error))?;
        let answer = tokio::time::timeout(self.time_limit, converse(&mut child, input)).await;
        let late = || format!("it did not end within {} s", self.time_limit.as_secs());
        let answer = answer.unwrap_or_else(|_| Err(io::Error::new(io::ErrorKind::TimedOut, late())));
        answer.map_err(|error| self.broken(verb, error))
    }

    fn broken(&self, verb: &'static str, source: io::Error) -> CredentialStoreError {
        CredentialStoreError::HelperBroken { name: self.name.clone(), verb, source }
    }

    fn failed(&self, verb: &'static str, reason: String) -> CredentialStoreError {
        CredentialStoreError::HelperFailed { name: self.name.clone(), verb, reason }
    }
}

impl Answer {
    /// Helpers say so on stdout, each with a few more words of its own, and fail.
    fn says_not_found(&self) -> bool {
        !self.status.success() && String::from_utf8_lossy(&self.output).contains("credentials not found")
    }

    /// The first line of what it said, unless that could hold a secret; else how it ended.
    fn reason(&self, secret: &str) -> String {
        let output = String::from_utf8_lossy(&self.output);
        let line = output.trim().lines().next().unwrap_or_default();
        let is_secret = line.contains("Secret") || (!secret.is_empty() && line.contains(secret));
        if line.is_empty() || is_secret {
            return self.status.to_string();
        }
        line.replace(char::is_control, " ").chars().take(MAX_REASON_CHARACTERS).collect()
    }
}

async fn converse(child: &mut Child, input: &[u8]) -> io::Result<Answer> {
    let (Some(mut stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(io::Error::other("it has no pipes"));
    };
    let write = async move {
        // One that ends without having read says by how it ends whether that is wrong.
        let _ = stdin.write_all(input).await;
    };
    let mut output = Vec::new();
    let mut stdout = stdout.take(MAX_ANSWER_BYTES + 1);
    let ((), read) = tokio::join!(write, stdout.read_to_end(&mut output));
    read?;
    if output.len() as u64 > MAX_ANSWER_BYTES {
        return Err(io::Error::other(format!("it says more than {MAX_ANSWER_BYTES} bytes")));
    }
    Ok(Answer { status: child.wait().await?, output })
}
