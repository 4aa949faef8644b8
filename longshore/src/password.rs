use clap::Args;
use longshore_client::Secret;

use crate::{failure::Failure, secret_input::SecretInput};

/// No registry of longshore's takes as long a password; a token of an issuer, which can stand in the place of one, may be as long.
const PASSWORD: SecretInput = SecretInput { name: "password", flag: "--password-stdin", max_line_bytes: 16 << 10 };

/// Where a password comes from: the terminal, or a line of stdin.
#[derive(Args)]
pub struct PasswordArguments {
    /// Read the password from stdin, one line of it, instead of asking for it
    #[arg(long)]
    password_stdin: bool,
}

impl PasswordArguments {
    /// The password that somebody already has.
    pub fn ask(&self, prompt: &str) -> Result<Secret, Failure> {
        if self.password_stdin { PASSWORD.read() } else { PASSWORD.ask(prompt) }
    }

    /// A password that is to be; typed twice, since nobody sees what is typed.
    pub fn ask_new(&self, prompt: &str) -> Result<Secret, Failure> {
        if self.password_stdin {
            return PASSWORD.read();
        }
        let password = PASSWORD.ask(prompt)?;
        if password == PASSWORD.ask("Once more: ")? {
            Ok(password)
        } else {
            Err(Failure::Failed("the two passwords differ; nothing was done".to_owned()))
        }
    }

    /// The password on stdin, where it is said to be there.
    pub fn given(&self) -> Result<Option<Secret>, Failure> {
        self.password_stdin.then(|| PASSWORD.read()).transpose()
    }
}
