//! `longshore node`: the mirror and cache beside a container runtime, its part in the swarm, and the nodes of the fleet.

mod announcement;
mod connection;
mod layers;
mod mirror;
mod peers;
mod pull;
mod serve;
mod status;

use clap::{Args, Subcommand};

use crate::{
    configuration::{ConfigArguments, ConfigHelp},
    edge::{PinArguments, UnpinArguments},
    exit_codes,
    failure::Failure,
    fleet::NodeVerb,
    prewarm::PrewarmArguments,
};
pub use announcement::Announcement;
use connection::NodeConnection;

const CONFIGURATION: ConfigHelp =
    ConfigHelp { daemon: "node", example: ("swarm", "zone"), has_upstreams: true, secret_file: "swarm.fleet_key_file" };

/// `longshore node`.
#[derive(Args)]
pub struct NodeArguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Serve until SIGTERM or Ctrl-C
    #[command(after_help = CONFIGURATION.with(exit_codes::DAEMON))]
    Serve(serve::ServeArguments),
    /// Check or show the configuration
    #[command(after_help = CONFIGURATION.with(exit_codes::COMMAND))]
    Config(ConfigArguments),
    /// Show what a node saves, and how it gets on with its neighbours
    Status(status::StatusArguments),
    /// List the peers that a node is connected to, and what came of each
    Peers(peers::PeersArguments),
    /// List what a node holds and what is on its way to it, layer by layer
    Layers(layers::LayersArguments),
    /// Have a node get images, from its neighbours where they have them, and show how much came from where
    #[command(after_help = exit_codes::NODE_PULL)]
    Pull(pull::PullArguments),
    /// Have a node fetch images before anybody asks for them, and pin them with --pin
    #[command(after_help = exit_codes::NODE_PREWARM)]
    Prewarm(PrewarmArguments<NodeConnection>),
    /// Have a node keep what it has of an image, or will have, or a blob, for as long as said; nothing is fetched
    Pin(PinArguments<NodeConnection>),
    /// Let a node drop an image or a blob again
    Unpin(UnpinArguments<NodeConnection>),
    /// Have a container runtime pull through the node, or no longer
    Mirror(mirror::MirrorArguments),
    #[command(flatten)]
    Fleet(NodeVerb),
}

impl NodeArguments {
    /// `settings` are the values of dotted flags, as path and value.
    pub async fn run(self, settings: Vec<(String, String)>) -> Result<(), Failure> {
        if let (Some((path, _)), false) = (settings.first(), matches!(self.verb, Verb::Serve(_) | Verb::Config(_))) {
            return Err(Failure::Usage(format!("--{path} is for serve and config")));
        }
        match self.verb {
            Verb::Serve(serve) => serve.run(settings).await,
            Verb::Config(config) => config.run::<longshore_node::Config>(settings),
            Verb::Status(status) => status.run().await,
            Verb::Peers(peers) => peers.run().await,
            Verb::Layers(layers) => layers.run().await,
            Verb::Pull(pull) => pull.run().await,
            Verb::Prewarm(prewarm) => prewarm.run().await,
            Verb::Pin(pin) => pin.run().await,
            Verb::Unpin(unpin) => unpin.run().await,
            Verb::Mirror(mirror) => mirror.run().await,
            Verb::Fleet(verb) => verb.run().await,
        }
    }
}
