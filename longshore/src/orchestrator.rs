//! `longshore orchestrator`: what keeps the fleet as it is asked to be, and its configuration.

use std::{fmt, net::SocketAddr};

use clap::{Args, Subcommand};
use longshore_orchestrator::{App, Config, build};

use crate::{
    announcement::write_admin,
    configuration::{ConfigArguments, ConfigHelp, ConfigSource},
    daemon::{run_cache, with_telemetry},
    exit_codes,
    failure::Failure,
};

const CONFIGURATION: ConfigHelp =
    ConfigHelp { daemon: "orchestrator", example: ("database", "url"), has_upstreams: false, secret_file: "database.url_file" };

/// `longshore orchestrator`.
#[derive(Args)]
pub struct OrchestratorArguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Serve until SIGTERM or Ctrl-C
    #[command(after_help = CONFIGURATION.with(exit_codes::DAEMON))]
    Serve(ServeArguments),
    /// Check or show the configuration
    #[command(after_help = CONFIGURATION.with(exit_codes::COMMAND))]
    Config(ConfigArguments),
}

#[derive(Args)]
struct ServeArguments {
    #[command(flatten)]
    source: ConfigSource,
}

impl OrchestratorArguments {
    /// `settings` are the values of dotted flags, as path and value.
    pub async fn run(self, settings: Vec<(String, String)>) -> Result<(), Failure> {
        match self.verb {
            Verb::Serve(serve) => serve.run(settings).await,
            Verb::Config(config) => config.run::<Config>(settings),
        }
    }
}

impl ServeArguments {
    async fn run(self, settings: Vec<(String, String)>) -> Result<(), Failure> {
        let config: Config = self.source.load(settings)?.config;
        let telemetry = config.telemetry_settings();
        let registry = config.registry.url.to_string();
        let announce = |app: &App| {
            let announcement = Announcement {
                url: app.doors().url(),
                admin_address: app.doors().admin_address(),
                registry,
                database: app.summary().to_owned(),
            };
            announcement.to_string()
        };
        let daemon = run_cache(Box::pin(build(config)), announce, App::run);
        with_telemetry(&telemetry, daemon).await
    }
}

/// What an orchestrator tells people on stderr once it answers.
struct Announcement {
    url: String,
    admin_address: Option<SocketAddr>,
    registry: String,
    database: String,
}

impl fmt::Display for Announcement {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { url, registry, database, .. } = self;
        writeln!(
            formatter,
            "longshore: orchestrator on {url} ({database}), for images of {registry}; Ctrl-C stops, nothing is lost"
        )?;
        write_admin(formatter, self.admin_address)
    }
}
