//! What an operator can set, a struct a section.
//!
//! Names and layers are those of [`longshore_service::config`]: `bucket` under `[storage]`,
//! `LONGSHORE_REGISTRY__STORAGE__BUCKET`, or `--storage.bucket`. Paths are relative to the working directory.

mod audit;
mod auth;
mod database;
mod keys;
mod limits;
mod listen;
mod policy;
mod storage;
mod throttle;
mod tuf;
mod uploads;

use std::net::SocketAddr;
use std::path::Path;

use longshore_service::{
    config::{self, ByteSize, Layout, Loaded, Log, Mistakes, Problems, Telemetry},
    telemetry::Settings,
};

pub use audit::{Audit, AuditEnabled};
pub use auth::Auth;
pub use database::{Database, DatabaseKind};
pub use keys::Keys;
pub use limits::{Lists, Manifests, MissingReferences, Requests, Sweep};
pub use listen::Listen;
pub use policy::Policy;
pub use storage::{Redirect, Storage, StorageKind};
pub use throttle::Throttle;
pub use tuf::{Tuf, TufRepository};
pub use uploads::Uploads;

/// The daemon's name in environment variables: `LONGSHORE_REGISTRY__…`.
pub const DAEMON: &str = "registry";

/// The most parts that an S3 multipart upload may have (Amazon S3 user guide, "Amazon S3 multipart upload limits").
const S3_MAX_PARTS: u64 = 10_000;

/// The registry's whole configuration. `Default` is a folder store and SQLite under `./data`, on loopback.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Where and how to listen.
    pub listen: Listen,
    /// Where bytes are kept.
    pub storage: Storage,
    /// Where the index is kept.
    pub database: Database,
    /// What the registry signs with.
    pub keys: Keys,
    /// Who may call.
    pub auth: Auth,
    /// The log of who did what.
    pub audit: Audit,
    /// What uploads may take.
    pub uploads: Uploads,
    /// What manifests may be.
    pub manifests: Manifests,
    /// What may be pushed.
    pub policy: Policy,
    /// What keeps trusted roots current.
    pub tuf: Tuf,
    /// How lists are paged.
    pub lists: Lists,
    /// How what is no longer needed is removed.
    pub sweep: Sweep,
    /// How many requests run at once.
    pub requests: Requests,
    /// How much each caller may take.
    pub throttle: Throttle,
    /// What is logged, and how.
    pub log: Log,
    /// Where traces go.
    pub telemetry: Telemetry,
}

longshore_service::sections!(Config {
    listen,
    storage,
    database,
    keys,
    auth,
    audit,
    uploads,
    manifests,
    policy,
    tuf,
    lists,
    sweep,
    requests,
    throttle,
    log,
    telemetry
});

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: Listen::default(),
            storage: Storage::default(),
            database: Database::default(),
            keys: Keys::default(),
            auth: Auth::default(),
            audit: Audit::default(),
            uploads: Uploads::default(),
            manifests: Manifests::default(),
            policy: Policy::default(),
            tuf: Tuf::default(),
            lists: Lists::default(),
            sweep: Sweep::default(),
            requests: Requests::default(),
            throttle: Throttle::default(),
            log: Log::default(),
            telemetry: Telemetry::of("longshore-registry"),
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

    /// Reads a configuration from TOML text alone. Mistakes name the text `registry.toml`.
    ///
    /// Nothing outside the text is looked at: secrets given by a file stay unread, and files are not checked.
    pub fn parse_str(toml: &str) -> Result<Self, Mistakes> {
        config::load_text("registry.toml", toml).map(|loaded| loaded.config)
    }

    /// The configuration of `longshore up`: objects in `data/objects`, SQLite in `data/registry.db`, what TUF repositories say in
    /// `data/tuf`, on `listen`.
    pub fn embedded(data: &Path, listen: SocketAddr) -> Self {
        let mut config = Self::default();
        config.listen.address = listen;
        config.storage.folder = data.join("objects");
        config.database.file = data.join("registry.db");
        config.tuf.folder = data.join("tuf");
        config
    }

    /// The settings of logs and traces.
    pub fn telemetry_settings(&self) -> Settings {
        self.log.to_settings(&self.telemetry)
    }

    /// Whom tokens are for: `auth.service`, or else the host of the public URL, or else a name that is every registry's.
    pub fn token_service(&self) -> String {
        let authority = |url: &config::HttpUrl| url.as_str().split('/').nth(2).map(str::to_owned);
        match self.auth.service.as_str() {
            "" => self.listen.public_url.as_ref().and_then(authority).unwrap_or_else(|| "longshore".to_owned()),
            service => service.to_owned(),
        }
    }

    /// Whether there is an audit log.
    pub fn is_audited(&self) -> bool {
        match self.audit.enabled {
            AuditEnabled::Auto => self.auth.enabled,
            AuditEnabled::On => true,
            AuditEnabled::Off => false,
        }
    }

    /// The largest blob that can be kept, in bytes: what `uploads.max_blob_size` allows, and on S3 no more than 10,000
    /// parts of `storage.part_size`.
    pub fn max_blob_size(&self) -> ByteSize {
        let allowed = self.uploads.max_blob_size;
        match self.storage.kind {
            StorageKind::Folder => allowed,
            StorageKind::S3 => {
                let most = self.storage.part_size.as_bytes().saturating_mul(S3_MAX_PARTS);
                allowed.min(ByteSize::bytes(most))
            }
        }
    }

    fn check_auth(&self, problems: &mut Problems<'_>) {
        let is_reachable = !self.listen.address.ip().to_canonical().is_loopback();
        if is_reachable && !self.auth.enabled && !self.listen.allow_unauthenticated {
            problems.add(
                &["listen.address", "auth.enabled", "listen.allow_unauthenticated"],
                "other machines can reach this address, and whoever does may do everything: set auth.enabled = true, or \
                 allow_unauthenticated = true",
            );
        }
        let has_secret = self.keys.sealing_secret.is_set();
        for (key, lifetime) in self.auth.lifetimes() {
            if self.auth.enabled && self.auth.bearer && self.keys.overlap < lifetime {
                problems.add(
                    &["keys.overlap", key],
                    "a token must be good for as long as it says: the overlap of keys must be as long as its lifetime, or longer",
                );
            }
        }
        if self.auth.enabled && self.auth.bearer && self.database.kind == DatabaseKind::Postgres && !has_secret {
            problems.add(
                &["keys.sealing_secret", "auth.bearer"],
                "tokens are signed with keys that lie in the database under this secret: set it, or auth.bearer = false",
            );
        }
    }
}

impl Layout for Config {
    fn check(&self, problems: &mut Problems<'_>) {
        self.listen.check(problems);
        self.storage.check(problems);
        self.database.check(problems);
        self.keys.check(problems);
        self.auth.check(problems);
        self.audit.check(problems);
        self.uploads.check(problems);
        self.manifests.check(problems);
        self.policy.check(problems);
        self.tuf.check(problems);
        self.lists.check(problems);
        self.sweep.check(problems);
        self.requests.check(problems);
        self.check_auth(problems);
        let needs_whole_parts = self.storage.kind == StorageKind::S3;
        if needs_whole_parts && self.uploads.memory_budget < self.storage.part_size {
            problems.add(
                &["uploads.memory_budget", "storage.part_size"],
                format!(
                    "a part of {} (storage.part_size) does not fit the budget of {} (uploads.memory_budget)",
                    self.storage.part_size, self.uploads.memory_budget
                ),
            );
        }
    }

    fn check_files(&self, problems: &mut Problems<'_>) {
        self.listen.check_files(problems);
        self.policy.check_files(&self.tuf, problems);
        self.tuf.check_files(problems);
    }
}

#[cfg(test)]
mod tests;
