//! The fleet's nodes by their names, as the orchestrator knows them: verbs of `longshore node`.

use std::io::Write as _;

use clap::{Args, Subcommand};
use longshore_client::{FleetClient, FleetError, PodFilter};
use longshore_fleet::api::{JoinTokenRequest, JoinTokenView, NodeView, PodView};
use longshore_service::config::Duration as Period;

use super::{
    connection::{FleetConnection, told},
    describe, find,
    get::GetArguments,
    output::{FleetFormat, OutputArguments, print},
    progress::Progress,
    shown::{Breadth, Listing},
    waiting,
};
use crate::{exit_codes, failure::Failure};

/// The most tokens that are listed.
const MOST_TOKENS: usize = 10_000;

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

#[derive(Subcommand)]
pub enum TokenVerb {
    /// Make a token that lets nodes join; it is printed this once
    #[command(after_help = exit_codes::FLEET)]
    Create(TokenCreateArguments),
    /// List the tokens that have not run out
    #[command(after_help = exit_codes::FLEET)]
    Ls(TokenListArguments),
    /// Have a token let nobody in any more; nodes that joined by it stay
    #[command(after_help = exit_codes::FLEET)]
    Rm(TokenRemoveArguments),
}

#[derive(Args)]
pub struct TokenCreateArguments {
    /// How long it is good; a day where nothing is said
    #[arg(long, value_name = "DURATION")]
    ttl: Option<Period>,
    /// How many nodes it lets in; one where nothing is said
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..))]
    uses: Option<u32>,
    #[command(flatten)]
    output: OutputArguments,
    #[command(flatten)]
    connection: FleetConnection,
}

#[derive(Args)]
pub struct TokenListArguments {
    #[command(flatten)]
    output: OutputArguments,
    #[command(flatten)]
    connection: FleetConnection,
}

#[derive(Args)]
pub struct TokenRemoveArguments {
    /// Its hash, or as much of the beginning of it or of the token as is no other's
    #[arg(value_name = "TOKEN")]
    token: String,
    #[command(flatten)]
    connection: FleetConnection,
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
            Self::Token(TokenVerb::Create(create)) => create.run().await,
            Self::Token(TokenVerb::Ls(list)) => list.run().await,
            Self::Token(TokenVerb::Rm(remove)) => remove.run().await,
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
            return self.node.change("is drained", async |client, node| client.drain(node.node_id).await).await;
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

fn left_on(node: &NodeView, pods: &[PodView]) -> String {
    let ending = pods.iter().filter(|pod| pod.ending).count();
    let first: Vec<&str> = pods.iter().take(3).map(|pod| pod.name.as_str()).collect();
    let more = if pods.len() > first.len() { ", …" } else { "" };
    let count = if pods.len() == 1 { "1 pod".to_owned() } else { format!("{} pods", pods.len()) };
    format!("{}: {count} left, {ending} of them ending: {}{more}", node.name, first.join(", "))
}

impl TokenCreateArguments {
    async fn run(self) -> Result<(), Failure> {
        let wish = JoinTokenRequest { lifetime_seconds: self.ttl.map(|ttl| ttl.get().as_secs()), uses: self.uses };
        let client = self.connection.client()?;
        let issued = client.create_join_token(&wish).await.map_err(|error| told(&error))?;
        if self.output.output.is_for_people() {
            let uses = issued.view.uses_left;
            let nodes = if uses == 1 { "one node".to_owned() } else { format!("{uses} nodes") };
            eprintln!("longshore: it lets {nodes} join until {}", issued.view.expires_at);
        }
        print(self.output.output, &issued, |out| writeln!(out, "{}", issued.token))
    }
}

impl TokenListArguments {
    async fn run(self) -> Result<(), Failure> {
        let client = self.connection.client()?;
        let tokens = client.join_tokens().all(MOST_TOKENS).await.map_err(|error| told(&error))?;
        let format = self.output.output;
        let breadth = Breadth { wide: format == FleetFormat::Wide, all_namespaces: false };
        print(format, &tokens, |out| Listing::new::<JoinTokenView>(breadth).write(out, &tokens))
    }
}

impl TokenRemoveArguments {
    async fn run(self) -> Result<(), Failure> {
        let client = self.connection.client()?;
        let tokens = client.join_tokens().all(MOST_TOKENS).await.map_err(|error| told(&error))?;
        let token = meant(&tokens, &self.token)?;
        client.remove_join_token(&token.hash).await.map_err(|error| told(&error))?;
        eprintln!("longshore: {}… lets nobody in any more", token.hint);
        Ok(())
    }
}

/// The one token that is meant.
fn meant<'a>(tokens: &'a [JoinTokenView], text: &str) -> Result<&'a JoinTokenView, Failure> {
    let text = text.trim_end_matches('…');
    // Of a whole token only the beginning is known.
    let is_meant = |token: &&JoinTokenView| {
        token.hash.starts_with(text) || token.hint.starts_with(text) || (!token.hint.is_empty() && text.starts_with(&token.hint))
    };
    let found: Vec<_> = tokens.iter().filter(is_meant).collect();
    match found.as_slice() {
        _ if text.is_empty() => Err(Failure::Usage("which token?".to_owned())),
        [one] => Ok(one),
        [] => Err(Failure::NotFound("there is no such token; `longshore node token ls` lists those that there are".to_owned())),
        several => Err(Failure::Usage(format!("{} tokens begin so; name its hash", several.len()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_named_by_its_beginning_or_its_hash() {
        let token = |hash: &str, hint: &str| JoinTokenView {
            hash: hash.to_owned(),
            hint: hint.to_owned(),
            expires_at: "2026-06-01T12:00:00Z".parse().expect("a time"),
            uses_left: 1,
        };
        let tokens = [token("aa11", "lsj_ab"), token("aa22", "lsj_cd")];
        let hash = |text| meant(&tokens, text).map(|token| token.hash.as_str()).map_err(|failure| failure.code());
        assert_eq!(hash("aa11"), Ok("aa11"));
        assert_eq!(hash("lsj_cd…"), Ok("aa22"));
        assert_eq!(hash("lsj_cd-and-its-secret"), Ok("aa22"));
        assert_eq!((hash("aa"), hash("zz"), hash("")), (Err(2), Err(4), Err(2)));
    }
}
