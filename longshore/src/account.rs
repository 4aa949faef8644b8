//! `longshore account`: the people who may use a registry.

pub mod certificate;
mod create;
pub mod expiry;
pub mod find;
pub mod issued;
pub mod ls;
mod passwd;
pub mod rm;
pub mod switch;

use clap::{Args, Subcommand};
use longshore_client::AccountKind;

use crate::{connection::ConnectionArguments, failure::Failure};

/// `longshore account`.
#[derive(Args)]
pub struct AccountArguments {
    #[command(subcommand)]
    verb: Verb,
    #[command(flatten)]
    connection: ConnectionArguments,
}

#[derive(Subcommand)]
enum Verb {
    /// List the people's accounts
    Ls,
    /// Make an account; its password is made too, and shown this once, unless it comes from stdin
    Create(create::CreateArguments),
    /// Change a person's password; everybody may change their own
    Passwd(passwd::PasswdArguments),
    /// Say whose client certificate stands for an account
    Certificate(certificate::CertificateArguments),
    /// Keep a person out, and leave what the account may do as it is
    Disable(NameArgument),
    /// Let a person in again
    Enable(NameArgument),
    /// Remove an account, with all that it may do
    Rm(NameArgument),
}

/// The account that a verb is about.
#[derive(Args)]
pub struct NameArgument {
    /// The account's name
    pub name: String,
}

impl AccountArguments {
    pub async fn run(self) -> Result<(), Failure> {
        let Self { verb, connection } = self;
        let kind = AccountKind::Person;
        match verb {
            Verb::Ls => ls::ls(&connection, kind).await,
            Verb::Create(create) => create.run(&connection).await,
            Verb::Passwd(passwd) => passwd.run(&connection).await,
            Verb::Certificate(certificate) => certificate.run(&connection, kind).await,
            Verb::Disable(account) => switch::switch(&connection, kind, &account.name, true).await,
            Verb::Enable(account) => switch::switch(&connection, kind, &account.name, false).await,
            Verb::Rm(account) => rm::rm(&connection, kind, &account.name).await,
        }
    }
}
