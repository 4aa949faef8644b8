use std::{net::SocketAddr, path::PathBuf};

use clap::Args;
use longshore_edge_cache::{App, Config, StartError, build};

use super::announcement::Announcement;
use crate::{
    configuration::ConfigSource,
    daemon::{run_cache, with_telemetry},
    failure::Failure,
    tracker::{Running, Tracked},
};

#[derive(Args)]
pub struct ServeArguments {
    #[command(flatten)]
    source: ConfigSource,
    /// For a first try, without a file: where to listen
    #[arg(long, value_name = "ADDR", conflicts_with = "config")]
    listen: Option<SocketAddr>,
    /// For a first try: the folder that keeps everything; it is made if need be
    #[arg(long, value_name = "DIR", conflicts_with = "config")]
    data: Option<PathBuf>,
    /// For a first try: a registry to speak for; can be given more than once, and the first is asked where a request names none
    #[arg(long, value_name = "URL", conflicts_with = "config")]
    upstream: Vec<String>,
}

impl ServeArguments {
    pub async fn run(self, settings: Vec<(String, String)>) -> Result<(), Failure> {
        let is_first_try = !self.upstream.is_empty();
        let settings = self.flags().chain(settings).collect();
        let config: Tracked<Config> = self.source.load(settings)?.config;
        let telemetry = config.daemon.telemetry_settings();
        with_telemetry(&telemetry, serve(config, is_first_try)).await
    }

    /// What the plain flags set; dotted ones replace it.
    fn flags(&self) -> impl Iterator<Item = (String, String)> + use<> {
        let listen = self.listen.map(|address| ("listen.address".to_owned(), address.to_string()));
        let data = self.data.as_ref().map(|folder| ("cache.folder".to_owned(), folder.display().to_string()));
        let upstreams = self.upstream.clone().into_iter().enumerate();
        let upstreams = upstreams.map(|(position, url)| (format!("upstream.{position}.url"), url));
        listen.into_iter().chain(data).chain(upstreams)
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
