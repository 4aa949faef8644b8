//! From a configuration to an orchestrator that is ready to serve.

use std::{sync::Arc, time::Duration};

use longshore_client::ClientError;
use longshore_service::{
    admin::{Admin, Readiness},
    descriptor_limit,
    doors::Doors,
    listener::{BindError, TlsError},
    metrics::{HttpMetrics, Metrics},
    private_files,
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{
    access::{Access, NodeTokens},
    app::App,
    audit,
    config::{Config, DatabaseKind},
    control::ControlSettings,
    feed::Feed,
    forwarding::{Forwarder, ForwarderError},
    http::{Shape, Turns},
    image::ImageResolver,
    lead::{Lead, LeadMetrics, Standing},
    logs::LogDesk,
    orchestrator::Orchestrator,
    state::{PostgresState, SharedState, SqliteState, StateError},
    sweeper::Sweeper,
};

/// How long a readiness check may take.
const READINESS_TIMEOUT: Duration = Duration::from_secs(5);

/// Why an orchestrator could not start.
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
    /// The folder of the database file can't be made.
    #[error("the folder {path} could not be made")]
    Folder {
        /// The folder.
        path: String,
        /// The system's answer.
        #[source]
        source: std::io::Error,
    },
    /// The registry can't be asked like this.
    #[error("the registry can't be asked")]
    Registry(#[from] ClientError),
    /// Other replicas can't be asked like this.
    #[error("other replicas can't be asked")]
    Forwarder(#[from] ForwarderError),
}

impl StartError {
    /// Whether another process has the database's file.
    pub fn is_folder_taken(&self) -> bool {
        matches!(self, Self::State(StateError::InUse(_)))
    }
}

/// Opens the database, and takes the addresses.
pub async fn build(config: Config) -> Result<App, StartError> {
    descriptor_limit::raise();
    let state = open_state(&config).await?;
    assemble(config, state).await
}

/// The database that the configuration names. An SQLite file is for one process anyway.
async fn open_state(config: &Config) -> Result<SharedState, StartError> {
    let database = &config.database;
    match database.kind {
        DatabaseKind::Sqlite => {
            if let Some(folder) = database.file.parent() {
                let failed = |source| StartError::Folder { path: folder.display().to_string(), source };
                private_files::make_folder(folder).map_err(failed)?;
            }
            Ok(Arc::new(SqliteState::open(&database.file, database.max_connections).await?))
        }
        DatabaseKind::Postgres => Ok(Arc::new(PostgresState::connect(database.url.reveal(), database.max_connections).await?)),
    }
}

/// Puts everything together, over a database that was opened.
pub(crate) async fn assemble(config: Config, state: SharedState) -> Result<App, StartError> {
    let certificates = config.listen.certificates()?;
    let doors = Doors::open(&config.listen, certificates).await?;
    let metrics = Metrics::new();
    let http_metrics = Arc::new(HttpMetrics::new(&metrics, Shape::LABELS));
    let resolver = ImageResolver::new(&config.registry)?;
    let (standing, standings) = watch::channel(Standing::Following(None));
    let lost = metrics.counter("longshore_orchestrator_audit_lost_total", "Refusals that the audit log does not have.");
    let (notes, audit_writer) = audit::open(config.requests.audit_queue, state.clone(), lost);
    let watchers = metrics.gauge("longshore_orchestrator_watchers", "Those who watch what happens now.");
    let draining = CancellationToken::new();
    let orchestrator = Arc::new(Orchestrator {
        access: Access::new(&config, &resolver),
        nodes: NodeTokens::default(),
        resolver: resolver.clone(),
        standings,
        forwarder: Forwarder::new(config.leader.ca_file.as_deref(), config.leader.timeout.get())?,
        feed: Feed::new(state.clone(), config.requests.max_watchers, watchers),
        logs: LogDesk::new(config.requests.max_log_readers),
        audit: notes,
        limits: config.requests.clone(),
        body_idle_timeout: config.listen.body_idle_timeout.get(),
        turns: Turns::new(&config.requests, config.auth.mode),
        received_bytes: http_metrics.received_bytes.clone(),
        agents: metrics.gauge("longshore_orchestrator_agents", "Nodes whose instructions are sent from here now."),
        draining: draining.clone(),
        state: state.clone(),
    });
    watch_gauges(&orchestrator, &metrics);
    let lead_metrics = LeadMetrics::new(&metrics);
    let admin = Admin::new(readiness(&state, draining), metrics.clone());
    let address = config.listen.advertise_url.as_ref().map_or_else(|| doors.url(), ToString::to_string);
    Ok(App {
        summary: summary(&config).to_owned(),
        doors: doors.counted_in(http_metrics.connections.clone()),
        admin,
        metrics,
        sweeper: Sweeper::new(state.clone(), config.retention.clone()),
        lead: Lead {
            standing,
            state,
            resolver,
            address,
            settings: control_settings(&config),
            metrics: lead_metrics,
            lease: config.leader.lease.get(),
        },
        orchestrator,
        http_metrics,
        audit_writer,
    })
}

/// What the control loop goes by.
fn control_settings(config: &Config) -> ControlSettings {
    let leader = &config.leader;
    ControlSettings {
        weights: config.scheduler.weights(),
        heartbeat_seconds: u32::try_from(leader.heartbeat.get().as_secs()).unwrap_or(u32::MAX).max(1),
        lost_after_ms: i64::try_from(leader.node_lost_after.get().as_millis()).unwrap_or(i64::MAX),
        replaced_per_second: leader.replaced_per_second,
        slow_past_percent: leader.slow_past_percent,
        stop_past_percent: leader.stop_past_percent,
        fetches_from_outside: leader.fetches_from_outside,
        fetches_at_once: leader.fetches_at_once,
        ..ControlSettings::default()
    }
}

/// Gauges that are read when somebody asks for them.
fn watch_gauges(orchestrator: &Arc<Orchestrator>, metrics: &Metrics) {
    let connections =
        metrics.gauges("longshore_orchestrator_database_connections", "Connections to the database, by state.", &["state"]);
    let leading = metrics.gauge("longshore_orchestrator_leading", "Whether this replica leads: 1, or 0.");
    let orchestrator = orchestrator.clone();
    metrics.refresh_before_render(move || {
        let (open, idle) = orchestrator.state.connections();
        let idle = i64::try_from(idle).unwrap_or(i64::MAX);
        connections.with_label_values(&["idle"]).set(idle);
        connections.with_label_values(&["busy"]).set(i64::from(open) - idle);
        leading.set(i64::from(matches!(*orchestrator.standings.borrow(), Standing::Leading(_))));
    });
}

fn readiness(state: &SharedState, draining: CancellationToken) -> Readiness {
    let state = state.clone();
    Readiness::new(READINESS_TIMEOUT, draining).check("database", move || {
        let state = state.clone();
        async move { Ok(state.probe().await?) }
    })
}

/// The database in a word.
fn summary(config: &Config) -> &'static str {
    match config.database.kind {
        DatabaseKind::Sqlite => "SQLite",
        DatabaseKind::Postgres => "PostgreSQL",
    }
}
