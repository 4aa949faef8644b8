//! `longshore registry`: the daemon for real deployments, its configuration, and its index.

mod reindex;
mod reset_admin;
mod serve;
mod source;

use clap::{Args, Subcommand};

use crate::{
    configuration::{ConfigArguments, ConfigHelp},
    exit_codes,
    failure::Failure,
    tracker::Tracked,
};

const CONFIGURATION: ConfigHelp =
    ConfigHelp { daemon: "registry", example: ("storage", "bucket"), has_upstreams: false, secret_file: "database.url_file" };

/// `longshore registry`.
#[derive(Args)]
pub struct RegistryArguments {
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
    /// Rebuild the database from the bucket or folder alone
    #[command(after_help = CONFIGURATION.with(exit_codes::COMMAND))]
    Reindex(reindex::ReindexArguments),
    /// Give the administrator `admin` a new password and all rights, and print the password; SQLite's registry must be stopped
    #[command(after_help = CONFIGURATION.with(exit_codes::COMMAND))]
    ResetAdmin(reset_admin::ResetAdminArguments),
}

impl RegistryArguments {
    /// `settings` are the values of dotted flags, as path and value.
    pub async fn run(self, settings: Vec<(String, String)>) -> Result<(), Failure> {
        match self.verb {
            Verb::Serve(serve) => serve.run(settings).await,
            Verb::Config(config) => config.run::<Tracked<longshore_registry::Config>>(settings),
            Verb::Reindex(reindex) => reindex.run(settings).await,
            Verb::ResetAdmin(reset) => reset.run(settings).await,
        }
    }
}
