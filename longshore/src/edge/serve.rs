use std::{
    io::{self, Write as _},
    net::SocketAddr,
    path::PathBuf,
};

use clap::Args;
use longshore_edge_cache::{Config, build};
use longshore_service::{doors::Drained, error_text::with_sources};

use super::announcement::Announcement;
use crate::{
    configuration::ConfigSource,
    daemon::{is_address_taken, stop_signal, tell_cut_off, with_telemetry},
    failure::Failure,
};

const TAKEN: &str = "another program has this port: stop that one, or set another listen.address or listen.admin_address";

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
        let config: Config = self.source.load(settings)?.config;
        let telemetry = config.telemetry_settings();
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

async fn serve(config: Config, shows_first_steps: bool) -> Result<(), Failure> {
    let stop = stop_signal()?;
    let folder = config.cache.folder.display().to_string();
    let started = tokio::select! {
        // Boxed, as is the run below: they are large, and held by every future up to main's.
        started = Box::pin(build(config)) => started,
        // Nothing is served yet, so there is nothing to finish.
        () = stop.cancelled() => return Ok(()),
    };
    let app = started.map_err(|error| {
        let reason = with_sources(&error);
        Failure::Failed(if is_address_taken(&error) { format!("{reason}; {TAKEN}") } else { reason })
    })?;
    let announcement = Announcement {
        url: app.doors().url(),
        address: app.doors().address(),
        admin_address: app.doors().admin_address(),
        upstreams: app.upstreams().to_vec(),
        data: format!("pieces in {folder} ({})", app.summary()),
        shows_first_steps,
    };
    // A daemon whose stderr is closed has nobody to tell, and serves all the same.
    let _ = write!(io::stderr(), "{announcement}");
    if Box::pin(app.run(stop)).await == Drained::TimedOut {
        // What was cut off is asked for again, so this is no failure.
        tell_cut_off();
    }
    Ok(())
}
