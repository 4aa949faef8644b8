//! From a configuration to a registry that is ready to serve.

mod assembling;
mod backends;

use std::{sync::Arc, time::Duration};

use assembling::assemble;
use backends::summary;
pub(crate) use backends::{open_state, open_store};
use longshore_service::{
    admin::{Admin, Readiness},
    descriptor_limit,
    doors::Doors,
    listener::{BindError, TlsError},
    metrics::{HttpMetrics, Metrics},
};
use tokio_util::sync::CancellationToken;

use crate::{
    access::{Access, Settings as AccessSettings},
    app::{App, ROUTES},
    audit::{Audit, AuditLimits, ChainKeeper, Noter, SharedAudit},
    config::{Config, DatabaseKind},
    keys::{KeyKeeper, Keys, Rotation, Seal},
    links::Scribe,
    policy::{Document, Follower, Parts, PolicyError, Stored, Watch},
    registry::Registry,
    state::{AccessLimits, SharedState, StateError, Tenancy},
    storage::{ObjectKey, StorageError},
    sweep::{Retention, Sweeper},
    tuf::{Keeper as TufKeeper, Pace, Repository, Roots, Told, TufError},
};

/// The longest that somebody is known by one token of an issuer.
const MOST_SESSION: Duration = Duration::from_hours(24);
/// How long a readiness check may take.
const READINESS_TIMEOUT: Duration = Duration::from_secs(5);

/// Why a registry could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address can't be had.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// What TLS is made of can't be read.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The database can't be opened.
    #[error("the database could not be opened")]
    State(#[from] StateError),
    /// The store can't be opened.
    #[error("the storage could not be opened")]
    Storage(#[from] StorageError),
    /// The folder of the database file can't be made.
    #[error("the folder {path} could not be made")]
    Folder {
        /// The folder.
        path: String,
        /// The system's answer.
        #[source]
        source: std::io::Error,
    },
    /// The file of the secret that keys are sealed with can't be read or made.
    #[error("the sealing secret {path} can't be read, and could not be made")]
    SealingSecret {
        /// The file.
        path: String,
        /// The system's answer.
        #[source]
        source: std::io::Error,
    },
    /// The policy document can't be had.
    #[error("the policies could not be read")]
    Policy(#[from] PolicyError),
    /// A TUF repository can't be used.
    #[error("the TUF repositories could not be opened")]
    Tuf(#[from] TufError),
    /// The metrics are there already.
    #[error("the metrics could not be set up")]
    Metrics(#[from] prometheus::Error),
    /// There is content in the store that the database knows nothing of.
    #[error(
        "the database is empty or half rebuilt, and the storage is not empty: `longshore registry reindex` rebuilds the database from it"
    )]
    NeedsReindex,
}

impl StartError {
    /// Whether another process has the folder of what is stored, or of the database.
    pub fn is_folder_taken(&self) -> bool {
        matches!(self, Self::Storage(StorageError::InUse { .. }) | Self::State(StateError::InUse(_)))
    }
}

/// Opens the store and the database, and takes the addresses.
pub async fn build(config: Config) -> Result<App, StartError> {
    descriptor_limit::raise();
    let certificates = config.listen.certificates()?;
    let doors = Doors::open(&config.listen, certificates).await?;
    let metrics = Metrics::new();
    let http_metrics = Arc::new(HttpMetrics::new(&metrics, ROUTES));
    let store = open_store(&config, &metrics)?;
    let state = open_state(&config, Tenancy::Shared).await?;
    if state.needs_rebuilding().await? && !store.list(ObjectKey::PREFIX, None).await?.objects.is_empty() {
        return Err(StartError::NeedsReindex);
    }
    let file = Arc::new(config.policy.file.as_deref().map(Document::read).transpose()?.unwrap_or_default());
    let repositories = Repository::all(&config.tuf)?;
    let documents = Parts { file, stored: Stored::read(&state).await?, roots: Roots::open(&repositories).await };
    let keys: Arc<Keys> = Arc::default();
    let key_keeper = keep_keys(&config, &state, &keys).await?;
    let audit = open_audit(&config, &metrics);
    let access = open_access(&config, &state, &keys, &audit).await?;
    let first_password = match &access {
        Some(access) => access.ensure_administrator(config.auth.admin_password.reveal()).await?,
        None => None,
    };
    let registry = Arc::new(assemble(&config, (documents, keys, access, audit), store, state, &metrics, &http_metrics));
    if registry.access.is_none() && registry.policies.current().enforces_pulls() {
        tracing::warn!(
            "a policy keeps unsigned images from being pulled, and without auth.enabled nobody can be let sign them here"
        );
    }
    let policy_watch = config.policy.file.clone().map(|file| Watch::new(registry.policies.clone(), file));
    let policy_follower = Follower::new(registry.policies.clone(), registry.state.clone());
    let tuf_keeper = (!config.tuf.offline).then(|| keep_roots(&config, &registry, repositories, &metrics));
    watch_gauges(&registry, &metrics);
    let draining = CancellationToken::new();
    let admin = Admin::new(readiness(&registry, draining.clone()), metrics.clone());
    let sweeper = Sweeper::new(registry.clone(), Retention::of(&config));
    let scribe = Scribe::new(registry.clone(), config.sweep.link_delay.get());
    let audit = registry.audit.clone();
    let audit = audit.map(|audit| (Noter::new(registry.state.clone(), audit), ChainKeeper::new(registry.state.clone())));
    Ok(App {
        summary: summary(&config),
        doors: doors.counted_in(http_metrics.connections.clone()),
        admin,
        metrics,
        registry,
        http_metrics,
        sweeper,
        scribe,
        key_keeper,
        audit,
        policy_watch,
        policy_follower,
        tuf_keeper,
        first_password,
        draining,
    })
}

/// The task that keeps the registry's keys, where there is a secret to keep them under.
async fn keep_keys(config: &Config, state: &SharedState, keys: &Arc<Keys>) -> Result<Option<KeyKeeper>, StartError> {
    let secret = config.keys.sealing_secret.reveal();
    let seal = match config.database.kind {
        _ if !secret.is_empty() => Seal::of(secret),
        DatabaseKind::Sqlite => {
            let path = config.database.file.with_extension("sealing-secret");
            let failed = |source| StartError::SealingSecret { path: path.display().to_string(), source };
            Seal::of_file(&path).map_err(failed)?
        }
        DatabaseKind::Postgres => {
            tracing::warn!("keys.sealing_secret is not set, so the registry signs nothing");
            return Ok(None);
        }
    };
    let rotation = Rotation { lifetime: config.keys.lifetime.get(), overlap: config.keys.overlap.get() };
    Ok(Some(KeyKeeper::start(state.clone(), keys.clone(), seal, rotation).await?))
}

/// The task that keeps trusted roots current.
fn keep_roots(config: &Config, registry: &Arc<Registry>, repositories: Vec<Arc<Repository>>, metrics: &Metrics) -> TufKeeper {
    let pace = Pace { interval: config.tuf.refresh_interval.get(), timeout: config.tuf.timeout.get() };
    let told = Told {
        refreshed_at: metrics.gauges(
            "longshore_tuf_refreshed_at_seconds",
            "When each TUF repository last answered well, in seconds since 1970; 0 where it never did.",
            &["repository"],
        ),
        failures: metrics.counters(
            "longshore_tuf_failures_total",
            "How often TUF repositories did not answer, or not well.",
            &["repository"],
        ),
    };
    TufKeeper::new(&registry.policies, repositories, pace, told)
}

/// Gives the administrator `admin` a new password and all rights, for whoever can reach the database. The password.
pub async fn reset_administrator(config: &Config) -> Result<String, StartError> {
    let state = open_state(config, Tenancy::Shared).await?;
    let access = Access::open(access_settings(config), state, Arc::default(), None).await?;
    Ok(access.reset().await?)
}

/// Where what is no change is noted, where there is an audit log.
fn open_audit(config: &Config, metrics: &Metrics) -> SharedAudit {
    let limits = AuditLimits { queue: config.audit.queue, lines_per_second: config.audit.lines_per_second };
    let lost = metrics.counter("longshore_audit_lost_total", "Logins and refusals that the audit log has only the number of.");
    config.is_audited().then(|| Arc::new(Audit::new(limits, lost)))
}

/// Who may call, where anybody is asked who they are.
async fn open_access(
    config: &Config,
    state: &SharedState,
    keys: &Arc<Keys>,
    audit: &SharedAudit,
) -> Result<Option<Arc<Access>>, StartError> {
    if !config.auth.enabled {
        return Ok(None);
    }
    let access = Access::open(access_settings(config), state.clone(), keys.clone(), audit.clone()).await?;
    Ok(Some(Arc::new(access)))
}

fn access_settings(config: &Config) -> AccessSettings {
    let auth = &config.auth;
    AccessSettings {
        takes_bearer: auth.bearer,
        takes_basic: auth.basic,
        service: config.token_service(),
        token_lifetime: auth.token_lifetime.get(),
        peer_token_lifetime: auth.peer_token_lifetime.get(),
        limits: AccessLimits { accounts: auth.max_accounts, roles: auth.max_roles },
        max_issuers: auth.max_issuers,
        max_session: config.keys.overlap.get().min(MOST_SESSION),
        failed_logins: (auth.failed_logins_per_account, auth.failed_logins_per_address),
    }
}

/// Gauges that are read when somebody asks for them.
fn watch_gauges(registry: &Arc<Registry>, metrics: &Metrics) {
    let connections = metrics.gauges("longshore_database_connections", "Connections to the database, by state.", &["state"]);
    let registry = registry.clone();
    metrics.refresh_before_render(move || {
        let (open, idle) = registry.state.connections();
        let idle = i64::try_from(idle).unwrap_or(i64::MAX);
        connections.with_label_values(&["idle"]).set(idle);
        connections.with_label_values(&["busy"]).set(i64::from(open) - idle);
    });
}

fn readiness(registry: &Arc<Registry>, draining: CancellationToken) -> Readiness {
    let (for_state, for_store) = (registry.clone(), registry.clone());
    Readiness::new(READINESS_TIMEOUT, draining)
        .check("database", move || {
            let registry = for_state.clone();
            async move { Ok(registry.state.probe().await?) }
        })
        .check("storage", move || {
            let registry = for_store.clone();
            async move { Ok(registry.store.probe().await?) }
        })
}
