use std::path::PathBuf;

use clap::Args;
use longshore_registry::Config;

use crate::{configuration::ConfigSource, failure::Failure, tracker::Tracked};

/// As [`ConfigSource`], or the folder of a `longshore up`.
#[derive(Args)]
pub struct DataSource {
    #[command(flatten)]
    source: ConfigSource,
    /// The folder of a `longshore up`, instead of a configuration
    #[arg(long, value_name = "DIR", conflicts_with = "config")]
    data: Option<PathBuf>,
}

impl DataSource {
    /// With `--data` the environment is left out, as `longshore up` leaves it out.
    pub fn load(&self, settings: Vec<(String, String)>) -> Result<Config, Failure> {
        let Some(data) = &self.data else { return Ok(self.source.load::<Tracked<Config>>(settings)?.config.daemon) };
        let folder = [("storage.folder", "objects"), ("database.file", "registry.db")]
            .map(|(key, name)| (key.to_owned(), data.join(name).display().to_string()));
        let settings = folder.into_iter().chain(settings).collect();
        let loaded = Config::load(None, std::iter::empty(), settings);
        Ok(loaded.map_err(|mistakes| Failure::mistakes(&mistakes))?.config)
    }
}
