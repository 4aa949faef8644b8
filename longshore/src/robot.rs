//! `longshore robot`: the programs that may use a registry.

mod create;
mod renew;
mod secret;

use clap::{Args, Subcommand};
use longshore_client::AccountKind;

use crate::{
    account::{NameArgument, certificate::CertificateArguments, ls, rm, switch},
    connection::ConnectionArguments,
    failure::Failure,
};

/// `longshore robot`.
#[derive(Args)]
pub struct RobotArguments {
    #[command(subcommand)]
    verb: Verb,
    #[command(flatten)]
    connection: ConnectionArguments,
}

#[derive(Subcommand)]
enum Verb {
    /// List the robots
    Ls,
    /// Make a robot, say what it may do, and print its secret, which is shown this once
    Create(Box<create::CreateArguments>),
    /// Give a robot a new secret, and end the old one
    Renew(NameArgument),
    /// Say whose client certificate stands for a robot
    Certificate(CertificateArguments),
    /// Keep a robot out, and leave what it may do as it is
    Disable(NameArgument),
    /// Let a robot in again
    Enable(NameArgument),
    /// Remove a robot, with all that it may do
    Rm(NameArgument),
}

impl RobotArguments {
    pub async fn run(self) -> Result<(), Failure> {
        let Self { verb, connection } = self;
        let kind = AccountKind::Robot;
        match verb {
            Verb::Ls => ls::ls(&connection, kind).await,
            Verb::Create(create) => create.run(&connection).await,
            Verb::Renew(robot) => renew::renew(&connection, &robot.name).await,
            Verb::Certificate(certificate) => certificate.run(&connection, kind).await,
            Verb::Disable(robot) => switch::switch(&connection, kind, &robot.name, true).await,
            Verb::Enable(robot) => switch::switch(&connection, kind, &robot.name, false).await,
            Verb::Rm(robot) => rm::rm(&connection, kind, &robot.name).await,
        }
    }
}
