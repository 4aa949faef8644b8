use clap::Args;
use longshore_client::FleetClient;
use longshore_fleet::{
    Name,
    api::{DeploymentView, Event, JobView},
};

use super::{
    connection::{FleetConnection, told},
    find,
    get::PlaceArguments,
    kind::{Kind, Target},
    output::{FleetFormat, OutputArguments, print},
    shown::{Breadth, Listing},
    watch,
};
use crate::failure::Failure;

/// `longshore events`.
#[derive(Args)]
pub struct EventsArguments {
    /// Of what: `pod NAME` or `pod/NAME`; without it, of everything in the namespace
    #[arg(value_name = "KIND NAME")]
    what: Vec<String>,
    #[command(flatten)]
    place: PlaceArguments,
    /// The newest so many
    #[arg(long, value_name = "COUNT", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    limit: u32,
    /// Go on with what happens, until somebody interrupts
    #[arg(short, long)]
    follow: bool,
    #[command(flatten)]
    output: OutputArguments,
    #[command(flatten)]
    connection: FleetConnection,
}

impl EventsArguments {
    /// Prints what has happened, the oldest first.
    pub async fn run(self) -> Result<(), Failure> {
        let target = match self.what.as_slice() {
            [] => None,
            words => {
                let (kind, targets) = Target::read(words).map_err(Failure::Usage)?;
                let [target] = targets.as_slice() else {
                    return Err(Failure::Usage(format!("of which {kind}? KIND NAME, or KIND/NAME, of one thing")));
                };
                Some(target.clone())
            }
        };
        let client = self.connection.client()?;
        let id = match &target {
            Some(target) => Some(id(&client, self.place.one(), target).await?),
            None => None,
        };
        let namespace = if target.is_some() { None } else { self.place.namespace() };
        let events = client.events(namespace.as_ref(), id.as_deref(), self.limit).await.map_err(|error| told(&error))?;
        let format = self.output.output;
        let breadth = Breadth { all_namespaces: self.place.all_namespaces, wide: format == FleetFormat::Wide };
        print(format, &events, |out| Listing::new::<Event>(breadth).write(out, &events))?;
        if !self.follow {
            return Ok(());
        }
        let last = events.last().map(|event| event.position);
        watch::events(&client, namespace, id, last, format, breadth).await
    }
}

/// What names it.
async fn id(client: &FleetClient, namespace: &Name, target: &Target) -> Result<String, Failure> {
    let name = target.name.as_str();
    Ok(match target.kind {
        Kind::Deployment => find::workload::<DeploymentView>(client, namespace, name).await?.deployment_id.to_string(),
        Kind::Job => find::workload::<JobView>(client, namespace, name).await?.job_id.to_string(),
        Kind::Pod => find::pod(client, namespace, name).await?.pod_id.to_string(),
        Kind::Node => find::node(client, name).await?.node_id.to_string(),
        Kind::Operation => find::operation_id(name)?.to_string(),
        Kind::Namespace => find::name(name)?.to_string(),
        Kind::Event => return Err(find::unfit("this", Kind::Event, "what they are of")),
    })
}
