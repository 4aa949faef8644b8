//! `longshore issuer`: whose tokens a registry takes as logins, and of which of their callers.

mod add;
mod allow;
mod change;
mod check;
mod claims;
mod disallow;
mod ls;
mod rm;
mod show;

use clap::{Args, Subcommand};

use crate::{connection::ConnectionArguments, failure::Failure};

/// `longshore issuer`.
#[derive(Args)]
pub struct IssuerArguments {
    #[command(subcommand)]
    verb: Verb,
    #[command(flatten)]
    connection: ConnectionArguments,
}

#[derive(Subcommand)]
enum Verb {
    /// List the issuers
    Ls,
    /// Show an issuer, with its rules
    Show(NameArgument),
    /// Take an issuer's tokens as logins; what their callers may do is said by `allow`
    Add(add::AddArguments),
    /// Let those callers in whose tokens have such claims, and say what they may do
    Allow(allow::AllowArguments),
    /// Take a rule away, with all that its callers may do
    Disallow(disallow::DisallowArguments),
    /// Say who somebody with a token is, or why it is not taken
    Check(check::CheckArguments),
    /// Take an issuer's tokens no more; all that their callers may do goes with it
    Rm(NameArgument),
}

/// The issuer that a verb is about.
#[derive(Args)]
struct NameArgument {
    /// The issuer's name
    name: String,
}

impl IssuerArguments {
    pub async fn run(self) -> Result<(), Failure> {
        let Self { verb, connection } = self;
        match verb {
            Verb::Ls => ls::ls(&connection).await,
            Verb::Show(issuer) => show::show(&connection, &issuer.name).await,
            Verb::Add(add) => add.run(&connection).await,
            Verb::Allow(allow) => allow.run(&connection).await,
            Verb::Disallow(disallow) => disallow.run(&connection).await,
            Verb::Check(check) => check.run(&connection).await,
            Verb::Rm(issuer) => rm::rm(&connection, &issuer.name).await,
        }
    }
}
