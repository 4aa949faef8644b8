use std::io::Write as _;

use clap::{Args, Subcommand};
use longshore_fleet::api::{DeploymentView, RevisionView};
use longshore_service::config::Duration as Period;

use super::{
    connection::{FleetConnection, NamespaceArguments, told},
    find,
    output::{FleetFormat, OutputArguments, print},
    scale,
    shown::{Breadth, Listing},
    waiting,
};
use crate::{exit_codes, failure::Failure};

/// The most revisions that are listed.
const MOST_REVISIONS: usize = 10_000;

/// `longshore rollout`.
#[derive(Args)]
pub struct RolloutArguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Wait until a deployment is as it is wanted, and show how far it is
    #[command(after_help = exit_codes::FLEET_WAIT)]
    Status(StatusArguments),
    /// List what a deployment's pods were made from
    #[command(after_help = exit_codes::FLEET)]
    History(HistoryArguments),
}

#[derive(Args)]
struct StatusArguments {
    /// Which deployment: `deployment NAME`, `deployment/NAME`
    #[arg(required = true, value_name = "deployment NAME")]
    what: Vec<String>,
    /// How long to wait
    #[arg(long, value_name = "DURATION", default_value = "10m")]
    timeout: Period,
    /// Say how it is, and don't wait; fails where it is not as it is wanted
    #[arg(long)]
    no_wait: bool,
    #[command(flatten)]
    place: NamespaceArguments,
    #[command(flatten)]
    output: OutputArguments,
    #[command(flatten)]
    connection: FleetConnection,
}

#[derive(Args)]
struct HistoryArguments {
    /// Which deployment: `deployment NAME`, `deployment/NAME`
    #[arg(required = true, value_name = "deployment NAME")]
    what: Vec<String>,
    #[command(flatten)]
    place: NamespaceArguments,
    #[command(flatten)]
    output: OutputArguments,
    #[command(flatten)]
    connection: FleetConnection,
}

impl RolloutArguments {
    pub async fn run(self) -> Result<(), Failure> {
        match self.verb {
            Verb::Status(status) => status.run().await,
            Verb::History(history) => history.run().await,
        }
    }
}

impl StatusArguments {
    async fn run(self) -> Result<(), Failure> {
        let name = scale::deployment("rollout status", &self.what)?;
        let client = self.connection.client()?;
        let mut deployment: DeploymentView = find::workload(&client, &self.place.namespace, &name).await?;
        if !self.no_wait {
            deployment = waiting::until_available(&client, deployment.deployment_id, self.timeout).await?;
        }
        print(self.output.output, &deployment, |out| writeln!(out, "{}", waiting::summary(&deployment)))?;
        if waiting::is_done(&deployment) { Ok(()) } else { Err(Failure::Failed("it is not as it is wanted".to_owned())) }
    }
}

impl HistoryArguments {
    async fn run(self) -> Result<(), Failure> {
        let name = scale::deployment("rollout history", &self.what)?;
        let client = self.connection.client()?;
        let deployment: DeploymentView = find::workload(&client, &self.place.namespace, &name).await?;
        let pages = client.revisions(deployment.deployment_id);
        let revisions = pages.all(MOST_REVISIONS).await.map_err(|error| told(&error))?;
        let format = self.output.output;
        let breadth = Breadth { wide: format == FleetFormat::Wide, all_namespaces: false };
        print(format, &revisions, |out| Listing::new::<RevisionView>(breadth).write(out, &revisions))
    }
}
