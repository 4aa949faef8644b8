use std::io::Write as _;

use clap::Args;
use longshore_fleet::api::{DeploymentView, ScaleRequest};

use super::{
    connection::{FleetConnection, NamespaceArguments, TermsArguments, told},
    find,
    kind::{Kind, Target},
    output::{OutputArguments, print},
};
use crate::failure::Failure;

/// `longshore scale`.
#[derive(Args)]
pub struct ScaleArguments {
    /// Which deployment: `deployment NAME`, `deployment/NAME`
    #[arg(required = true, value_name = "deployment NAME")]
    what: Vec<String>,
    /// How many pods there are to be
    #[arg(long, value_name = "COUNT")]
    replicas: u32,
    /// Why, for those who read what has happened
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    #[command(flatten)]
    terms: TermsArguments,
    #[command(flatten)]
    place: NamespaceArguments,
    #[command(flatten)]
    output: OutputArguments,
    #[command(flatten)]
    connection: FleetConnection,
}

/// The one deployment that is meant.
pub fn deployment(verb: &str, words: &[String]) -> Result<String, Failure> {
    let (kind, targets) = Target::read(words).map_err(Failure::Usage)?;
    match targets.as_slice() {
        [Target { kind: Kind::Deployment, name }] => Ok(name.clone()),
        [Target { kind, .. }] => Err(find::unfit(verb, *kind, "deployments")),
        _ => Err(Failure::Usage(format!("{verb} takes one {kind}: `longshore {verb} {kind} NAME`"))),
    }
}

impl ScaleArguments {
    pub async fn run(self) -> Result<(), Failure> {
        let name = deployment("scale", &self.what)?;
        let client = self.connection.client()?;
        let seen: DeploymentView = find::workload(&client, &self.place.namespace, &name).await?;
        let request = ScaleRequest { replicas: self.replicas, reason: self.reason, if_revision: None, operation_id: None };
        let applied =
            client.scale(seen.deployment_id, &request, seen.revision, self.terms.terms()).await.map_err(|error| told(&error))?;
        print(self.output.output, &applied, |out| {
            let (was, will) = (seen.spec.upkeep.replicas, self.replicas);
            let name = &seen.spec.upkeep.name;
            if was == will { writeln!(out, "{name} has {will} as it is") } else { writeln!(out, "{name}: {was} -> {will}") }
        })
    }
}
