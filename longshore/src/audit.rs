//! `longshore audit`: who did what in a registry.

mod chain;
mod head;
mod ls;
mod moment;
mod verify;

use clap::{Args, Subcommand};

use crate::{connection::ConnectionArguments, failure::Failure};

/// How many lines are asked for at once.
const PAGE_SIZE: u32 = 1000;

/// `longshore audit`.
#[derive(Args)]
pub struct AuditArguments {
    #[command(subcommand)]
    verb: Option<Verb>,
    #[command(flatten)]
    list: ls::ListArguments,
    #[command(flatten)]
    connection: ConnectionArguments,
}

#[derive(Subcommand)]
enum Verb {
    /// Check every line against the hashes and the head that the registry signs; fails where one was changed or is missing
    Verify(verify::VerifyArguments),
    /// Print the log's signed head as JSON; kept elsewhere, it shows a later rewriting of all before it: `verify --head FILE`
    Head,
}

impl AuditArguments {
    pub async fn run(self) -> Result<(), Failure> {
        let Self { verb, list, connection } = self;
        if verb.is_some() && list != ls::ListArguments::default() {
            return Err(Failure::Usage("--since, --until, --actor, --action and -n are for the list alone".to_owned()));
        }
        match verb {
            None => list.run(&connection).await,
            Some(Verb::Verify(verify)) => verify.run(&connection).await,
            Some(Verb::Head) => head::head(&connection).await,
        }
    }
}
