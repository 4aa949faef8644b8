use std::io::Write as _;

use clap::Args;
use longshore_fleet::api::{DeploymentView, RollbackRequest};

use super::{
    connection::{FleetConnection, NamespaceArguments, told},
    find,
    output::{OutputArguments, print},
    scale,
};
use crate::failure::Failure;

/// `longshore rollback`.
#[derive(Args)]
pub struct RollbackArguments {
    /// Which deployment: `deployment NAME`, `deployment/NAME`
    #[arg(required = true, value_name = "deployment NAME")]
    what: Vec<String>,
    /// To which revision, as `longshore rollout history` lists them; without it, to the one before
    #[arg(long, value_name = "REVISION")]
    to: Option<u64>,
    /// Why, for those who read what has happened
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    #[command(flatten)]
    place: NamespaceArguments,
    #[command(flatten)]
    output: OutputArguments,
    #[command(flatten)]
    connection: FleetConnection,
}

impl RollbackArguments {
    pub async fn run(self) -> Result<(), Failure> {
        let name = scale::deployment("rollback", &self.what)?;
        let client = self.connection.client()?;
        let seen: DeploymentView = find::workload(&client, &self.place.namespace, &name).await?;
        let request = RollbackRequest { revision: self.to, reason: self.reason, if_revision: None, operation_id: None };
        let applied = client.rollback(seen.deployment_id, &request, seen.revision).await.map_err(|error| told(&error))?;
        print(self.output.output, &applied, |out| {
            let name = &seen.spec.upkeep.name;
            if applied.changed {
                writeln!(out, "{name} goes back to {}, as revision {}", applied.image, applied.revision)
            } else {
                writeln!(out, "{name} is so already: {}, revision {}", applied.image, applied.revision)
            }
        })
    }
}
