use clap::Args;
use longshore_registry::{Config, StorageKind};

use crate::{
    configuration::ConfigSource,
    daemon::{self, Telling},
    failure::Failure,
    tracker::Tracked,
};

#[derive(Args)]
pub struct ServeArguments {
    #[command(flatten)]
    source: ConfigSource,
}

impl ServeArguments {
    pub async fn run(self, settings: Vec<(String, String)>) -> Result<(), Failure> {
        let config: Tracked<Config> = self.source.load(settings)?.config;
        let telling = Telling {
            data: place(&config.daemon),
            shows_first_steps: false,
            on_taken_folder: "stop that one, or set another folder, in database.file and storage.folder",
            on_taken_address: "another program has this port: stop that one, or set another listen.address or \
                               listen.admin_address",
            reindex_command: match &self.source.config {
                Some(file) => format!("longshore registry reindex --config {}", file.display()),
                None => "longshore registry reindex".to_owned(),
            },
        };
        daemon::run(config, telling).await
    }
}

/// Where the bytes are: a folder's path, or `s3://bucket/prefix`.
fn place(config: &Config) -> String {
    let storage = &config.storage;
    match storage.kind {
        StorageKind::Folder => storage.folder.display().to_string(),
        StorageKind::S3 if storage.prefix.is_empty() => format!("s3://{}", storage.bucket),
        StorageKind::S3 => format!("s3://{}/{}", storage.bucket, storage.prefix),
    }
}
