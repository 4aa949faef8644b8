//! `longshore policy`: what a registry asks of images.

mod apply;
mod candidate;
mod check;
mod explain;
mod ls;
mod rm;
mod show;
mod test;
mod tested;

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
    /// Say what a document would do to images, before it is applied; fails with 3 where it would newly block one
    Test(test::TestArguments),
    /// Apply a document, in place of the one of its name; prints what it blocks and what it frees
    Apply(apply::ApplyArguments),
    /// List the documents that were applied
    Ls(ls::LsArguments),
    /// Print a document that was applied
    Show(show::ShowArguments),
    /// Remove a document that was applied, with all of its policies
    Rm(rm::RmArguments),
    /// Say whether an image may be pulled, and why: each requirement, and what satisfies or fails it
    Explain(explain::ExplainArguments),
}

impl PolicyArguments {
    pub async fn run(self) -> Result<(), Failure> {
        let Self { verb, connection } = self;
        match verb {
            Verb::Check(check) => check.run(),
            Verb::Test(test) => test.run(&connection).await,
            Verb::Apply(apply) => apply.run(&connection).await,
            Verb::Ls(ls) => ls.run(&connection).await,
            Verb::Show(show) => show.run(&connection).await,
            Verb::Rm(rm) => rm.run(&connection).await,
            Verb::Explain(explain) => explain.run(&connection).await,
        }
    }
}
