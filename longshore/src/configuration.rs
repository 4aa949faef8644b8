//! Where a daemon's configuration comes from, and the commands that check and show it.

mod help;

use std::{
    io::{Write as _, stdout},
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand};
use longshore_service::config::{self, Layout, Loaded, Mistakes, process_environment};

pub use help::ConfigHelp;

use crate::{failure::Failure, tracker::Tracked};

/// A daemon's configuration.
pub trait Configuration: Layout + Sized {
    /// Reads all layers: a file, the environment, and the values of dotted flags.
    fn read(file: Option<&Path>, settings: Vec<(String, String)>) -> Result<Loaded<Self>, Mistakes>;
}

impl Configuration for Tracked<longshore_registry::Config> {
    fn read(file: Option<&Path>, settings: Vec<(String, String)>) -> Result<Loaded<Self>, Mistakes> {
        config::load(longshore_registry::DAEMON, file, process_environment(), settings)
    }
}

impl Configuration for Tracked<longshore_edge_cache::Config> {
    fn read(file: Option<&Path>, settings: Vec<(String, String)>) -> Result<Loaded<Self>, Mistakes> {
        config::load(longshore_edge_cache::DAEMON, file, process_environment(), settings)
    }
}

impl Configuration for longshore_node::Config {
    fn read(file: Option<&Path>, settings: Vec<(String, String)>) -> Result<Loaded<Self>, Mistakes> {
        config::load(longshore_node::DAEMON, file, process_environment(), settings)
    }
}

impl Configuration for longshore_orchestrator::Config {
    fn read(file: Option<&Path>, settings: Vec<(String, String)>) -> Result<Loaded<Self>, Mistakes> {
        config::load(longshore_orchestrator::DAEMON, file, process_environment(), settings)
    }
}

/// Where a daemon's configuration comes from, beside the environment and dotted flags.
#[derive(Args)]
pub struct ConfigSource {
    /// The configuration, TOML
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

impl ConfigSource {
    /// Reads all layers; every mistake in them is told together.
    pub fn load<C: Configuration>(&self, settings: Vec<(String, String)>) -> Result<Loaded<C>, Failure> {
        C::read(self.config.as_deref(), settings).map_err(|mistakes| Failure::mistakes(&mistakes))
    }
}

#[derive(Args)]
pub struct ConfigArguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Say every mistake in the configuration, and in the files it names
    Check(CheckArguments),
    /// Print the values in force as TOML, and where each came from
    Show(ShowArguments),
}

#[derive(Args)]
struct CheckArguments {
    #[command(flatten)]
    source: ConfigSource,
}

#[derive(Args)]
struct ShowArguments {
    #[command(flatten)]
    source: ConfigSource,
    /// Leave secrets out
    #[arg(long)]
    redact: bool,
}

impl ConfigArguments {
    pub fn run<C: Configuration>(self, settings: Vec<(String, String)>) -> Result<(), Failure> {
        match self.verb {
            Verb::Check(check) => {
                check.source.load::<C>(settings)?;
                eprintln!("longshore: the configuration is good");
                Ok(())
            }
            Verb::Show(show) => {
                let shown = show.source.load::<C>(settings)?.render(show.redact);
                Ok(stdout().write_all(shown.as_bytes())?)
            }
        }
    }
}
