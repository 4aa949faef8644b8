//! The fleet's nodes by their names, as the orchestrator knows them: verbs of `longshore node`.

mod token;

use std::io::Write as _;

use clap::{Args, Subcommand};
use longshore_client::{FleetClient, FleetError, PodFilter};
use longshore_fleet::api::{NodeView, PodView};
use longshore_service::config::Duration as Period;

use super::{
    connection::{FleetConnection, told},
    counted::counted,
    describe, find,
    get::GetArguments,
    output::{OutputArguments, print},
    progress::Progress,
    waiting,
};
use crate::{exit_codes, failure::Failure};
use token::TokenVerb;

/// What is done with nodes by way of the orchestrator.
#[derive(Subcommand)]
pub enum NodeVerb {
    /// List the nodes of the fleet, as the orchestrator knows them
    #[command(after_help = exit_codes::FLEET)]
    Ls(LsArguments),
    /// Show a node of the fleet, and what runs there
    #[command(after_help = exit_codes::FLEET)]
    Describe(NameArguments),
    /// Have a node get no more pods; those that it has stay
    #[command(after_help = exit_codes::FLEET)]
    Cordon(NameArguments),
    /// Let a node get pods again
    #[command(after_help = exit_codes::FLEET)]
    Uncordon(NameArguments),
    /// Have a node get no more pods, and move those that it has elsewhere, as their disruption budgets allow
    #[command(after_help = exit_codes::FLEET_WAIT)]
    Drain(DrainArguments),
    /// Look after the tokens that let nodes join the fleet
    #[command(subcommand, after_help = exit_codes::FLEET)]
    Token(TokenVerb),
}

#[derive(Args)]
pub struct LsArguments {
    /// Go on showing what changes, until somebody interrupts
    #[arg(short, long)]
    watch: bool,
    #[command(flatten)]
    output: OutputArguments,
    #[command(flatten)]
    connection: FleetConnection,
}

#[derive(Args)]
pub struct NameArguments {
    /// The node, as the orchestrator calls it
    #[arg(value_name = "NODE")]
    name: String,
    #[command(flatten)]
    output: OutputArguments,
    #[command(flatten)]
    connection: FleetConnection,
}

#[derive(Args)]
pub struct DrainArguments {
    #[command(flatten)]
    node: NameArguments,
    /// Return once it is asked for, and don't wait until the node is empty
    #[arg(long)]
    no_wait: bool,
    /// How long to wait
    #[arg(long, value_name = "DURATION", default_value = "10m")]
    timeout: Period,
}

impl NodeVerb {
    pub async fn run(self) -> Result<(), Failure> {
        match self {
            Self::Ls(LsArguments { watch, output, connection }) => GetArguments::nodes(watch, output, connection).run().await,
            Self::Describe(arguments) => {
                let client = arguments.connection.client()?;
                let node = find::node(&client, &arguments.name).await?;
                describe::node(&client, &node, arguments.output).await
            }
            Self::Cordon(arguments) => {
                arguments.change("gets no more pods", async |client, node| client.cordon(node.node_id).await).await
            }
            Self::Uncordon(arguments) => {
                arguments.change("gets pods again", async |client, node| client.uncordon(node.node_id).await).await
            }
            Self::Drain(drain) => drain.run().await,
            Self::Token(verb) => verb.run().await,
        }
    }
}

impl NameArguments {
    async fn change(
        self,
        words: &str,
        change: impl AsyncFn(&FleetClient, &NodeView) -> Result<(), FleetError>,
    ) -> Result<(), Failure> {
        let client = self.connection.client()?;
        let node = find::node(&client, &self.name).await?;
        change(&client, &node).await.map_err(|error| told(&error))?;
        let now = find::node(&client, &self.name).await?;
        print(self.output.output, &now, |out| writeln!(out, "node/{} {words}", now.name))
    }
}

impl DrainArguments {
    /// Has a node emptied, and waits until it is: until no pod is there but those that can't be anywhere else.
    async fn run(self) -> Result<(), Failure> {
        if self.no_wait {
            return self.node.change("is being drained", async |client, node| client.drain(node.node_id).await).await;
        }
        let client = self.node.connection.client()?;
        let node = find::node(&client, &self.node.name).await?;
        client.drain(node.node_id).await.map_err(|error| told(&error))?;
        let mut progress = Progress::begin();
        let emptied = waiting::within(self.timeout, "it is not empty", waiting::GOES_ON, async {
            loop {
                let left = pods_on(&client, &node).await?;
                if left.is_empty() {
                    return Ok(());
                }
                progress.show(&left_on(&node, &left));
                tokio::time::sleep(waiting::PAUSE).await;
            }
        })
        .await;
        progress.end();
        emptied?;
        let now = find::node(&client, &self.node.name).await?;
        print(self.node.output.output, &now, |out| writeln!(out, "node/{} is empty, and gets no more pods", now.name))
    }
}

async fn pods_on(client: &FleetClient, node: &NodeView) -> Result<Vec<PodView>, Failure> {
    let filter = PodFilter { node: Some(node.name.clone()), ..PodFilter::default() };
    let page = client.pods(&filter).next_page().await.map_err(|error| told(&error))?;
    let mut pods = page.map(|page| page.items).unwrap_or_default();
    pods.retain(|pod| !pod.state.phase.has_ended());
    Ok(pods)
}

/// How many pods are told of by name.
const MOST_NAMED: usize = 3;

/// Whom is waited for: pods that end, and pods that may not yet, since too few of their workload would be ready.
fn left_on(node: &NodeView, pods: &[PodView]) -> String {
    let count = counted(pods.len(), "pod");
    let (ending, held): (Vec<&PodView>, Vec<&PodView>) = pods.iter().partition(|pod| pod.ending);
    let told = |pods: &[&PodView], what: &str| {
        let names: Vec<&str> = pods.iter().take(MOST_NAMED).map(|pod| pod.name.as_str()).collect();
        let more = if pods.len() > names.len() { ", …" } else { "" };
        (!names.is_empty()).then(|| format!("; {}{more} {what}", names.join(", ")))
    };
    let ending = told(&ending, "ending").unwrap_or_default();
    let held =
        told(&held, "held by the disruption budget of their workload, until others are ready elsewhere").unwrap_or_default();
    format!("{}: {count} left{ending}{held}", node.name)
}
