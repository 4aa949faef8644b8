//! `longshore registry`: the daemon for real deployments, its configuration, and its index.

mod reindex;
mod reset_admin;
mod serve;
mod source;

use clap::{Args, Subcommand};

use crate::{configuration::ConfigArguments, exit_codes, failure::Failure, tracker::Tracked};

const CONFIGURATION: &str = "Configuration:
  Every value can be set in four places, and a later one replaces an earlier one's:

    default      see `longshore registry config show`
    file         bucket = \"x\" under [storage], in the TOML file of --config
    environment  LONGSHORE_REGISTRY__STORAGE__BUCKET=x
    flag         --storage.bucket x, or --storage.bucket=x

  The name is always the section and the key. In the environment and in flags a list is separated by commas. A secret can be
  in a file instead, which the name with _file at its end names: database.url_file.";

/// How the configuration is set, and what a verb that reads it can end with.
fn configured(exit_codes: &str) -> String {
    format!("{CONFIGURATION}\n\n{exit_codes}")
}

/// `longshore registry`.
#[derive(Args)]
pub struct RegistryArguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Serve until SIGTERM or Ctrl-C
    #[command(after_help = configured(exit_codes::DAEMON))]
    Serve(serve::ServeArguments),
    /// Check or show the configuration
    #[command(after_help = configured(exit_codes::COMMAND))]
    Config(ConfigArguments),
    /// Rebuild the database from the bucket or folder alone
    #[command(after_help = configured(exit_codes::COMMAND))]
    Reindex(reindex::ReindexArguments),
    /// Give the administrator `admin` a new password and all rights, and print the password; SQLite's registry must be stopped
    #[command(after_help = configured(exit_codes::COMMAND))]
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
