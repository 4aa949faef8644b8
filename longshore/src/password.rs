use std::io::{BufRead, Read as _, stdin};

use clap::Args;
use longshore_client::Secret;

use crate::failure::Failure;

/// The longest line that is read as a password; no registry of longshore's takes as long a one.
const MAX_LINE_BYTES: u64 = 4096;

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
        if self.password_stdin { from_stdin() } else { from_terminal(prompt) }
    }

    /// A password that is to be; typed twice, since nobody sees what is typed.
    pub fn ask_new(&self, prompt: &str) -> Result<Secret, Failure> {
        if self.password_stdin {
            return from_stdin();
        }
        let password = from_terminal(prompt)?;
        if password == from_terminal("Once more: ")? {
            Ok(password)
        } else {
            Err(Failure::Failed("the two passwords differ; nothing was done".to_owned()))
        }
    }

    /// The password on stdin, where it is said to be there.
    pub fn given(&self) -> Result<Option<Secret>, Failure> {
        self.password_stdin.then(from_stdin).transpose()
    }
}

fn from_stdin() -> Result<Secret, Failure> {
    read_line(&mut stdin().lock())
}

/// The line without what ends it; spaces are the password's own.
fn read_line(input: &mut impl BufRead) -> Result<Secret, Failure> {
    let usage = |reason: &str| Failure::Usage(format!("the password on stdin {reason}"));
    let mut line = String::new();
    let read = input.take(MAX_LINE_BYTES + 1).read_line(&mut line);
    read.map_err(|error| usage(&format!("can't be read: {error}")))?;
    let password = line.strip_suffix('\n').unwrap_or(&line);
    let password = password.strip_suffix('\r').unwrap_or(password);
    if line.len() as u64 > MAX_LINE_BYTES {
        return Err(usage(&format!("is longer than {MAX_LINE_BYTES} bytes")));
    }
    if password.is_empty() { Err(usage("is empty")) } else { Ok(Secret::new(password)) }
}

fn from_terminal(prompt: &str) -> Result<Secret, Failure> {
    let typed = rpassword::prompt_password(prompt).map_err(|error| {
        Failure::Usage(format!("there is no terminal to ask for the password on ({error}); --password-stdin reads it from stdin"))
    })?;
    if typed.is_empty() { Err(Failure::Usage("no password was typed".to_owned())) } else { Ok(Secret::new(typed)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_password() {
        let read = |text: &str| read_line(&mut text.as_bytes()).map(|secret| secret.reveal().to_owned());
        assert_eq!(read("a b \n").expect("a line"), "a b ");
        assert_eq!(read("secret\r\nmore\n").expect("a line"), "secret");
        assert_eq!(read("secret").expect("a line"), "secret");
        let longest = "x".repeat(4095);
        assert_eq!(read(&format!("{longest}\n")).expect("a line"), longest);
        for none in ["", "\n", "\r\nx", &"x".repeat(4097)] {
            assert!(matches!(read(none), Err(Failure::Usage(_))), "{none:?}");
        }
    }
}
