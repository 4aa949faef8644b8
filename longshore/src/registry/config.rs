use std::io::{Write as _, stdout};

use clap::{Args, Subcommand};

use super::source::ConfigSource;
use crate::failure::Failure;

#[derive(Args)]
pub struct ConfigArguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Say every mistake in the configuration, and in the files it names
    Check(CheckArguments),
    /// Print the values in force as TOML, and where each came from
    Show(ShowArguments),
}

#[derive(Args)]
struct CheckArguments {
    #[command(flatten)]
    source: ConfigSource,
}

#[derive(Args)]
struct ShowArguments {
    #[command(flatten)]
    source: ConfigSource,
    /// Leave secrets out
    #[arg(long)]
    redact: bool,
}

impl ConfigArguments {
    pub fn run(self, settings: Vec<(String, String)>) -> Result<(), Failure> {
        match self.verb {
            Verb::Check(check) => {
                check.source.load(settings)?;
                eprintln!("longshore: the configuration is good");
                Ok(())
            }
            Verb::Show(show) => {
                let shown = show.source.load(settings)?.render(show.redact);
                Ok(stdout().write_all(shown.as_bytes())?)
            }
        }
    }
}
