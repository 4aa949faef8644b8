use std::net::SocketAddr;

use clap::Args;
use longshore_edge_cache::{App, Config, StartError, build};

use super::announcement::Announcement;
use crate::{
    configuration::ConfigSource,
    daemon::{run_cache, with_telemetry},
    failure::Failure,
    first_try::FirstTryArguments,
    tracker::{Running, Tracked},
};

#[derive(Args)]
pub struct ServeArguments {
    #[command(flatten)]
    source: ConfigSource,
    /// For a first try, without a file: where to listen
    #[arg(long, value_name = "ADDR", conflicts_with = "config")]
    listen: Option<SocketAddr>,
    #[command(flatten)]
    first_try: FirstTryArguments,
}

impl ServeArguments {
    pub async fn run(self, settings: Vec<(String, String)>) -> Result<(), Failure> {
        let is_first_try = self.first_try.is_first_try();
        let settings = self.flags().chain(settings).collect();
        let config: Tracked<Config> = self.source.load(settings)?.config;
        let telemetry = config.daemon.telemetry_settings();
        with_telemetry(&telemetry, serve(config, is_first_try)).await
    }

    /// What the plain flags set; dotted ones replace it.
    fn flags(&self) -> impl Iterator<Item = (String, String)> + use<> {
        let listen = self.listen.map(|address| ("listen.address".to_owned(), address.to_string()));
        listen.into_iter().chain(self.first_try.settings())
    }
}

async fn serve(config: Tracked<Config>, shows_first_steps: bool) -> Result<(), Failure> {
    let Tracked { daemon: config, tracker } = config;
    let path = config.cache.folder.clone();
    let folder = path.display().to_string();
    let started = async {
        let app = build(config).await.map_err(NotStarted::Edge)?;
        let tracker = Running::beside_edge(&tracker, &path, &app).await.map_err(NotStarted::Tracker)?;
        Ok::<_, NotStarted>((app, tracker))
    };
    let announce = |(app, tracker): &(App, Option<Running>)| Announcement {
        url: app.doors().url(),
        address: app.doors().address(),
        admin_address: app.doors().admin_address(),
        upstreams: app.upstreams().to_vec(),
        data: format!("pieces in {folder} ({})", app.summary()),
        shows_first_steps,
        tracker: tracker.as_ref().map(|tracker| tracker.addresses().to_vec()),
    };
    let run = async |(app, tracker): (App, Option<Running>), stop| {
        let drained = Box::pin(app.run(stop)).await;
        if let Some(tracker) = tracker {
            tracker.leave().await;
        }
        drained
    };
    // Boxed: it is large, and held by every future up to main's.
    run_cache(Box::pin(started), |started| announce(started).to_string(), run).await
}

/// Why an edge did not start, or the tracker beside it.
#[derive(Debug, thiserror::Error)]
enum NotStarted {
    #[error(transparent)]
    Edge(StartError),
    #[error(transparent)]
    Tracker(Failure),
}
