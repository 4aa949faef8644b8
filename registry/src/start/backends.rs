//! The store and the database that a configuration names.

use std::sync::Arc;

use longshore_service::{metrics::Metrics, private_files};

use super::StartError;
use crate::{
    config::{Config, DatabaseKind, StorageKind},
    state::{PostgresState, SharedState, SqliteState, Tenancy},
    storage::{Backoff, FolderStore, Metered, PIECE_BYTES, Retrying, S3Settings, S3Store, SharedStore},
};

/// The store that the configuration names, with its wrappers.
pub(crate) fn open_store(config: &Config, metrics: &Metrics) -> Result<SharedStore, StartError> {
    let storage = &config.storage;
    match storage.kind {
        StorageKind::Folder => Ok(Arc::new(Metered::new(FolderStore::open(&storage.folder, PIECE_BYTES)?, metrics.registry())?)),
        StorageKind::S3 => {
            let store = S3Store::new(S3Settings {
                bucket: storage.bucket.clone(),
                prefix: storage.prefix.clone(),
                endpoint: storage.endpoint.as_ref().map(|url| url.as_str().to_owned()).unwrap_or_default(),
                region: storage.region.clone(),
                access_key_id: storage.access_key_id.clone(),
                secret_access_key: storage.secret_access_key.reveal().to_owned(),
                session_token: storage.session_token.reveal().to_owned(),
                force_path_style: storage.force_path_style,
                part_bytes: storage.part_size.as_bytes(),
                connect_timeout: storage.connect_timeout.get(),
            });
            let backoff =
                Backoff { min: storage.backoff_min.get(), max: storage.backoff_max.get(), max_attempts: storage.max_attempts };
            Ok(Arc::new(Retrying::new(Metered::new(store, metrics.registry())?, backoff, storage.call_timeout.get())))
        }
    }
}

/// The database that the configuration names. An SQLite file is for one process anyway.
pub(crate) async fn open_state(config: &Config, tenancy: Tenancy) -> Result<SharedState, StartError> {
    let database = &config.database;
    match database.kind {
        DatabaseKind::Sqlite => {
            if let Some(folder) = database.file.parent() {
                let failed = |source| StartError::Folder { path: folder.display().to_string(), source };
                private_files::make_folder(folder).map_err(failed)?;
            }
            Ok(Arc::new(SqliteState::open(&database.file, database.max_connections).await?))
        }
        DatabaseKind::Postgres => {
            let (url, wait) = (database.url.reveal(), database.acquire_timeout.get());
            Ok(Arc::new(PostgresState::connect(url, tenancy, database.max_connections, wait).await?))
        }
    }
}

/// What they are, in two words.
pub(super) fn summary(config: &Config) -> String {
    let store = match config.storage.kind {
        StorageKind::Folder => "folder",
        StorageKind::S3 => "S3",
    };
    let database = match config.database.kind {
        DatabaseKind::Sqlite => "SQLite",
        DatabaseKind::Postgres => "PostgreSQL",
    };
    format!("{store}, {database}")
}
