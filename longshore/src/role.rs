//! `longshore role`: who may do what in a registry, and in the fleet that takes its tokens.

mod grant;
mod grants;
mod ls;
mod revoke;

use clap::{Args, Subcommand};

use crate::{connection::ConnectionArguments, failure::Failure};
pub use grants::GrantArguments;

/// `longshore role`.
#[derive(Args)]
pub struct RoleArguments {
    #[command(subcommand)]
    verb: Verb,
    #[command(flatten)]
    connection: ConnectionArguments,
}

#[derive(Subcommand)]
enum Verb {
    /// List who may do what
    Ls(ls::LsArguments),
    /// Let somebody do something
    Grant(Box<grant::GrantVerb>),
    /// Take roles back
    Revoke(revoke::RevokeArguments),
}

impl RoleArguments {
    pub async fn run(self) -> Result<(), Failure> {
        let Self { verb, connection } = self;
        match verb {
            Verb::Ls(ls) => ls.run(&connection).await,
            Verb::Grant(grant) => grant.run(&connection).await,
            Verb::Revoke(revoke) => revoke.run(&connection).await,
        }
    }
}
