use std::path::PathBuf;

use clap::Args;
use longshore_registry::Config;
use longshore_service::config::{Loaded, process_environment};

use crate::failure::Failure;

/// Where a daemon's configuration comes from, beside the environment and dotted flags.
#[derive(Args)]
pub struct ConfigSource {
    /// The configuration, TOML
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

impl ConfigSource {
    /// Reads all layers; every mistake in them is told together.
    pub fn load(&self, settings: Vec<(String, String)>) -> Result<Loaded<Config>, Failure> {
        let loaded = Config::load(self.config.as_deref(), process_environment(), settings);
        loaded.map_err(|mistakes| Failure::mistakes(&mistakes))
    }
}
