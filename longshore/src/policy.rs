//! `longshore policy`: what a registry asks of images.

mod check;
mod explain;

use clap::{Args, Subcommand};

use crate::{connection::ConnectionArguments, failure::Failure};

/// `longshore policy`.
#[derive(Args)]
pub struct PolicyArguments {
    #[command(subcommand)]
    verb: Verb,
    #[command(flatten)]
    connection: ConnectionArguments,
}

#[derive(Subcommand)]
enum Verb {
    /// Read a policy document, and say what is wrong with it; no registry is asked
    Check(check::CheckArguments),
    /// Say whether an image may be pulled, and why: each requirement, and what satisfies or fails it
    Explain(explain::ExplainArguments),
}

impl PolicyArguments {
    pub async fn run(self) -> Result<(), Failure> {
        let Self { verb, connection } = self;
        match verb {
            Verb::Check(check) => check.run(),
            Verb::Explain(explain) => explain.run(&connection).await,
        }
    }
}
