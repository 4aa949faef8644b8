//! `longshore edge`: the cache of a rack, a site or a region, its configuration, and what it keeps.

mod announcement;
mod connection;
mod evict;
mod ls;
mod pin;
mod pinned;
mod scrub;
mod serve;
mod status;
mod time_left;
mod unpin;

use clap::{Args, Subcommand};

pub use connection::{Cache, Connection, EdgeConnection};
pub use pin::PinArguments;
pub use status::write_status;
pub use time_left::TimeLeft;
pub use unpin::UnpinArguments;

use crate::{
    configuration::{ConfigArguments, ConfigHelp},
    exit_codes,
    failure::Failure,
    tracker::Tracked,
};

const CONFIGURATION: ConfigHelp =
    ConfigHelp { daemon: "edge", example: ("cache", "folder"), has_upstreams: true, secret_file: "listen.admin_token_file" };

/// `longshore edge`.
#[derive(Args)]
pub struct EdgeArguments {
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
    /// Show what an edge saves: hits, disk, pins
    Status(status::StatusArguments),
    /// List the blobs that an edge keeps, or with --pins what is pinned there, and why
    Ls(ls::LsArguments),
    /// Have an edge keep what it has of an image, or will have, or a blob, for as long as said; nothing is fetched
    Pin(PinArguments<EdgeConnection>),
    /// Let an edge drop an image or a blob again
    Unpin(UnpinArguments<EdgeConnection>),
    /// Have an edge throw blobs away
    Evict(evict::EvictArguments),
    /// Have an edge read again all that it keeps, and drop what is damaged
    Scrub(scrub::ScrubArguments),
}

impl EdgeArguments {
    /// `settings` are the values of dotted flags, as path and value.
    pub async fn run(self, settings: Vec<(String, String)>) -> Result<(), Failure> {
        if let (Some((path, _)), false) = (settings.first(), matches!(self.verb, Verb::Serve(_) | Verb::Config(_))) {
            return Err(Failure::Usage(format!("--{path} is for serve and config; this asks an edge that runs")));
        }
        match self.verb {
            Verb::Serve(serve) => serve.run(settings).await,
            Verb::Config(config) => config.run::<Tracked<longshore_edge_cache::Config>>(settings),
            Verb::Status(status) => status.run().await,
            Verb::Ls(ls) => ls.run().await,
            Verb::Pin(pin) => pin.run().await,
            Verb::Unpin(unpin) => unpin.run().await,
            Verb::Evict(evict) => evict.run().await,
            Verb::Scrub(scrub) => scrub.run().await,
        }
    }
}
