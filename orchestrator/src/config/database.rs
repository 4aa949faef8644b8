//! `[database]`: where the state is kept.

use std::path::PathBuf;

use longshore_service::choice;
use longshore_service::config::{Problems, Secret};

choice! {
    /// Which database keeps the state.
    pub enum DatabaseKind {
        /// A file of this machine; one replica only.
        Sqlite = "sqlite",
        /// A PostgreSQL server, 13 or later; any number of replicas.
        Postgres = "postgres",
    }
}

/// Where the state is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Database {
    /// SQLite or PostgreSQL.
    pub kind: DatabaseKind,
    /// The SQLite file, when `kind` is `sqlite`; its folder is made if need be.
    pub file: PathBuf,
    /// The PostgreSQL URL, when `kind` is `postgres`: `postgres://user:password@host:port/database`.
    pub url: Secret,
    /// Connections open at once, from 2 to 1000.
    pub max_connections: u32,
}

impl Default for Database {
    fn default() -> Self {
        Self {
            kind: DatabaseKind::Sqlite,
            file: PathBuf::from("./data/orchestrator.db"),
            url: Secret::default(),
            max_connections: 16,
        }
    }
}

longshore_service::settings!(Database { kind, file, url, max_connections });

impl Database {
    pub(super) fn check(&self, problems: &mut Problems<'_>) {
        if !(2..=1000).contains(&self.max_connections) {
            problems.add(&["database.max_connections"], "must be from 2 to 1000");
        }
        if self.kind == DatabaseKind::Sqlite {
            return;
        }
        if !self.url.is_set() {
            problems.add(&["database.url", "database.kind"], "kind = \"postgres\" needs a url, or a url_file");
        }
        let url = self.url.reveal();
        if !url.is_empty() && !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
            problems.add(&["database.url"], "the URL must begin with postgres://");
        }
    }
}
