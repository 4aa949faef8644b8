//! What an operator can set, a struct a section.
//!
//! Names and layers are those of [`longshore_service::config`]: `url` under `[registry]`, `LONGSHORE_ORCHESTRATOR__REGISTRY__URL`, or
//! `--registry.url`. Paths are relative to the working directory.

mod auth;
mod database;
mod leader;
mod listen;
mod registry;
mod requests;
mod retention;
mod scheduler;
#[cfg(test)]
mod tests;

use std::{net::SocketAddr, path::Path};

use longshore_service::{
    config::{self, Layout, Loaded, Log, Mistakes, Problems, Telemetry},
    telemetry::Settings,
};

pub use auth::{Auth, AuthMode};
pub use database::{Database, DatabaseKind};
pub use leader::Leader;
pub use listen::Listen;
pub use registry::{OtherRegistries, Registry};
pub use requests::Requests;
pub use retention::Retention;
pub use scheduler::Scheduler;

/// The daemon's name in environment variables: `LONGSHORE_ORCHESTRATOR__…`.
pub const DAEMON: &str = "orchestrator";

/// The orchestrator's whole configuration. `Default` is SQLite under `./data` and the registry on this machine's port 5000, on loopback.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Where and how to listen.
    pub listen: Listen,
    /// Where the state is kept.
    pub database: Database,
    /// Where images are asked for.
    pub registry: Registry,
    /// Who may call.
    pub auth: Auth,
    /// What requests may take.
    pub requests: Requests,
    /// Who leads, and how nodes are watched.
    pub leader: Leader,
    /// What things are worth to a placement.
    pub scheduler: Scheduler,
    /// How long what has happened is kept.
    pub retention: Retention,
    /// What is logged, and how.
    pub log: Log,
    /// Where traces go.
    pub telemetry: Telemetry,
}

longshore_service::sections!(Config { listen, database, registry, auth, requests, leader, scheduler, retention, log, telemetry });

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: Listen::default(),
            database: Database::default(),
            registry: Registry::default(),
            auth: Auth::default(),
            requests: Requests::default(),
            leader: Leader::default(),
            scheduler: Scheduler::default(),
            retention: Retention::default(),
            log: Log::default(),
            telemetry: Telemetry::of("longshore-orchestrator"),
        }
    }
}

impl Config {
    /// Reads the configuration from a file, the environment and flags; see [`longshore_service::config::load`].
    pub fn load(
        file: Option<&Path>,
        env: impl Iterator<Item = (String, String)>,
        flags: Vec<(String, String)>,
    ) -> Result<Loaded<Self>, Mistakes> {
        config::load(DAEMON, file, env, flags)
    }

    /// Reads a configuration from TOML text alone. Mistakes name the text `orchestrator.toml`.
    ///
    /// Nothing outside the text is looked at: secrets given by a file stay unread, and files are not checked.
    pub fn parse_str(toml: &str) -> Result<Self, Mistakes> {
        config::load_text("orchestrator.toml", toml).map(|loaded| loaded.config)
    }

    /// The configuration of `longshore up`: SQLite in `data/orchestrator.db`, on `listen`.
    pub fn embedded(data: &Path, listen: SocketAddr) -> Self {
        let mut config = Self::default();
        config.listen.address = listen;
        config.database.file = data.join("orchestrator.db");
        config
    }

    /// The settings of logs and traces.
    pub fn telemetry_settings(&self) -> Settings {
        self.log.to_settings(&self.telemetry)
    }

    fn check_times(&self, problems: &mut Problems<'_>) {
        if self.leader.timeout < self.registry.timeout {
            problems.add(
                &["leader.timeout", "registry.timeout"],
                "the leader may have to ask the registry before it answers: leader.timeout must be registry.timeout or more",
            );
        }
    }

    fn check_reach(&self, problems: &mut Problems<'_>) {
        let is_reachable = !self.listen.address.ip().to_canonical().is_loopback();
        if is_reachable && self.auth.mode == AuthMode::None && !self.listen.allow_anonymous {
            problems.add(
                &["listen.address", "auth.mode", "listen.allow_anonymous"],
                "other machines can reach this address, and whoever does may do everything: set auth.mode = \"registry\", or \
                 allow_anonymous = true",
            );
        }
        if self.database.kind == DatabaseKind::Postgres && self.listen.advertise_url.is_none() {
            problems.add(
                &["listen.advertise_url", "database.kind"],
                "other replicas must know where this one is reached: set advertise_url, such as \"https://10.0.0.1:5300\"",
            );
        }
    }
}

impl Layout for Config {
    fn check(&self, problems: &mut Problems<'_>) {
        self.listen.check(problems);
        self.database.check(problems);
        self.registry.check(problems);
        self.auth.check(&self.registry, problems);
        self.requests.check(problems);
        self.leader.check(problems);
        self.scheduler.check(problems);
        self.retention.check(problems);
        self.check_reach(problems);
        self.check_times(problems);
    }

    fn check_files(&self, problems: &mut Problems<'_>) {
        self.listen.check_files(problems);
        for (key, file) in [("registry.ca_file", &self.registry.ca_file), ("leader.ca_file", &self.leader.ca_file)] {
            if let Some(Err(error)) = file.as_ref().map(std::fs::metadata) {
                problems.add(&[key], format!("it can't be read: {error}"));
            }
        }
    }
}
