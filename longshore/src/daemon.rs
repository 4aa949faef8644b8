use std::{
    error::Error,
    io::{self, Write as _},
    net::SocketAddr,
    path::Path,
};

use longshore_edge_cache::store::StoreError;
use longshore_registry::{App, Config, RobotError, StartError, build};
use longshore_service::{
    doors::Drained,
    error_text::with_sources,
    shutdown,
    telemetry::{Settings, Telemetry},
};
use tokio_util::sync::CancellationToken;

use crate::{
    announcement::{Announcement, NodeBeside},
    failure::Failure,
    tracker::{Running, Tracked},
};

/// How a registry's start is told to people.
pub struct Telling {
    /// Where the data is, without how it is kept.
    pub data: String,
    /// Whether to show a newcomer what to type next.
    pub shows_first_steps: bool,
    /// What to do when an address is taken.
    pub on_taken_address: &'static str,
    /// What to do when another process has the folder.
    pub on_taken_folder: &'static str,
    /// The command that rebuilds the database from the store.
    pub reindex_command: String,
}

/// Runs a registry, and a tracker beside it where one is set, until a signal says to stop, and its requests have finished.
pub async fn run(config: Tracked<Config>, telling: Telling) -> Result<(), Failure> {
    let settings = config.daemon.telemetry_settings();
    with_telemetry(&settings, Box::pin(serve(config, telling))).await
}

/// Runs a daemon, whichever it is, with its logs and traces.
pub async fn with_telemetry(settings: &Settings, daemon: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let telemetry = Telemetry::start(settings);
    let telemetry = telemetry.map_err(|error| Failure::because("the logs can't be set up", &error))?;
    let outcome = daemon.await;
    telemetry.shutdown().await;
    outcome
}

/// The wish to stop, as a daemon hears it.
pub fn stop_signal() -> Result<CancellationToken, Failure> {
    shutdown::on_signal().map_err(|error| Failure::because("signals can't be handled", &error))
}

async fn serve(config: Tracked<Config>, telling: Telling) -> Result<(), Failure> {
    let stop = stop_signal()?;
    let Some(registry) = start_registry(config, &telling, &stop).await? else { return Ok(()) };
    // A daemon whose stderr is closed has nobody to tell, and serves all the same.
    let _ = write!(io::stderr(), "{}", registry.announcement(&telling, None));
    if registry.run(stop).await == Drained::TimedOut {
        // Uploads that were cut off can be gone on with, so this is no failure.
        tell_cut_off();
    }
    Ok(())
}

/// A registry with its addresses taken, and the tracker beside it.
pub struct StartedRegistry {
    app: App,
    asks_who_calls: bool,
    tracker: Option<Running>,
}

/// Starts a registry, and the tracker beside it where one is set; `None` where it was to stop before it began.
pub async fn start_registry(
    config: Tracked<Config>,
    telling: &Telling,
    stop: &CancellationToken,
) -> Result<Option<StartedRegistry>, Failure> {
    let Tracked { daemon: config, tracker } = config;
    let asks_who_calls = config.auth.enabled;
    let folder = config.database.file.parent().map(Path::to_owned).unwrap_or_default();
    let started = tokio::select! {
        // Boxed, as is the run below: they are large, and held by every future up to main's.
        started = Box::pin(build(config)) => started,
        // Nothing is served yet, so there is nothing to finish.
        () = stop.cancelled() => return Ok(None),
    };
    let app = started.map_err(|error| not_started(&error, telling))?;
    let tracker = Running::beside_registry(&tracker, &folder, &app).await?;
    Ok(Some(StartedRegistry { app, asks_who_calls, tracker }))
}

impl StartedRegistry {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.app.doors().address()
    }

    /// What people are told of it, and of a node beside it.
    pub fn announcement(&self, telling: &Telling, node: Option<NodeBeside>) -> Announcement {
        let app = &self.app;
        Announcement {
            url: app.doors().url(),
            address: self.address(),
            admin_address: app.doors().admin_address(),
            data: format!("data in {} ({})", telling.data, app.summary()),
            shows_first_steps: telling.shows_first_steps,
            asks_who_calls: self.asks_who_calls,
            first_password: app.first_password().map(str::to_owned),
            tracker: self.tracker.as_ref().map(|tracker| tracker.addresses().to_vec()),
            node,
        }
    }

    /// Whether it has an account of this name.
    pub fn has_account(&self, name: &str) -> bool {
        self.app.has_account(name)
    }

    /// Makes a robot that may pull from every repository, or gives the one of this name a new secret. The secret.
    pub async fn make_puller(&self, name: &str) -> Result<String, RobotError> {
        self.app.make_puller(name).await
    }

    /// Serves until it is to stop, and its requests have finished.
    pub async fn run(self, stop: CancellationToken) -> Drained {
        let drained = Box::pin(self.app.run(stop)).await;
        if let Some(tracker) = self.tracker {
            tracker.leave().await;
        }
        drained
    }
}

/// Runs a cache, an edge's or a node's, until a signal says to stop, and its requests have finished. What it tells people is written once it
/// answers.
pub async fn run_cache<App, E: Error + 'static>(
    build: impl Future<Output = Result<App, E>>,
    announce: impl FnOnce(&App) -> String,
    run: impl AsyncFnOnce(App, CancellationToken) -> Drained,
) -> Result<(), Failure> {
    const TAKEN: &str = "another program has this port: stop that one, or set another address where the configuration has it";
    const FOLDER: &str = "it may be that of a `longshore up`, or of another cache, that runs: each has a folder of its own, by --data or \
                          cache.folder";
    let stop = stop_signal()?;
    let started = tokio::select! {
        started = build => started,
        // Nothing is served yet, so there is nothing to finish.
        () = stop.cancelled() => return Ok(()),
    };
    let app = started.map_err(|error| {
        let reason = with_sources(&error);
        Failure::Failed(match &error {
            error if is_address_taken(error) => format!("{reason}; {TAKEN}"),
            error if is_folder_taken(error) => format!("{reason}; {FOLDER}"),
            _ => reason,
        })
    })?;
    // A daemon whose stderr is closed has nobody to tell, and serves all the same.
    let _ = write!(io::stderr(), "{}", announce(&app));
    if Box::pin(run(app, stop)).await == Drained::TimedOut {
        // What was cut off is asked for again, so this is no failure.
        tell_cut_off();
    }
    Ok(())
}

/// Says that a daemon did not finish all that it was asked.
pub fn tell_cut_off() {
    let _ = writeln!(io::stderr(), "longshore: stopped before every request had finished; listen.drain_timeout is the limit");
}

/// Why there is no registry, and what can be done about it.
fn not_started(error: &StartError, telling: &Telling) -> Failure {
    let reason = with_sources(error);
    Failure::Failed(match error {
        StartError::NeedsReindex => format!("{reason}; here that is `{}`", telling.reindex_command),
        _ if is_address_taken(error) => format!("{reason}; {}", telling.on_taken_address),
        _ if error.is_folder_taken() => format!("{reason}; {}", telling.on_taken_folder),
        _ => reason,
    })
}

/// Whether a cache could not start since another process has its folder.
fn is_folder_taken(error: &(dyn Error + 'static)) -> bool {
    matches!(error.downcast_ref(), Some(StoreError::InUse { .. })) || error.source().is_some_and(is_folder_taken)
}

/// Whether a daemon could not start for want of its address.
fn is_address_taken(error: &(dyn Error + 'static)) -> bool {
    let is_taken = |error: &(dyn Error + 'static)| {
        error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::AddrInUse)
    };
    is_taken(error) || error.source().is_some_and(is_address_taken)
}
