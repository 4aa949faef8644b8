//! `longshore completion`: what a shell needs to know to finish commands.

use std::io::{Write as _, stdout};

use clap::Args;
use clap_complete::{Shell, generate};

use crate::{arguments, failure::Failure};

/// `longshore completion`.
#[derive(Args)]
pub struct CompletionArguments {
    /// The shell
    #[arg(value_parser = ["bash", "zsh", "fish"])]
    shell: String,
}

impl CompletionArguments {
    pub fn run(&self) -> Result<(), Failure> {
        let shell = match self.shell.as_str() {
            "zsh" => Shell::Zsh,
            "fish" => Shell::Fish,
            _ => Shell::Bash,
        };
        // Into memory first: it would panic where stdout is closed.
        let mut script = Vec::new();
        generate(shell, &mut arguments::grammar(), "longshore", &mut script);
        let mut out = stdout().lock();
        out.write_all(&script)?;
        Ok(out.flush()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_shell_has_its_script() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let mut script = Vec::new();
            generate(shell, &mut arguments::grammar(), "longshore", &mut script);
            let script = String::from_utf8(script).expect("text");
            assert!(script.contains("rollback") && script.contains("longshore"), "{shell}");
        }
    }
}
