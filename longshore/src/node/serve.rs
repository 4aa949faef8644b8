use std::{net::SocketAddr, path::PathBuf};

use clap::Args;
use longshore_node::{App, Config, build};

use super::announcement::Announcement;
use crate::{
    announcement::reachable_host,
    configuration::ConfigSource,
    daemon::{run_cache, with_telemetry},
    failure::Failure,
    first_try::FirstTryArguments,
};

#[derive(Args)]
pub struct ServeArguments {
    #[command(flatten)]
    source: ConfigSource,
    /// For a first try, without a file: where the mirror listens, 127.0.0.1:5200 where nothing is said; with this the admin listener takes
    /// a free port of the same address
    #[arg(long, value_name = "ADDR", conflicts_with = "config")]
    listen: Option<SocketAddr>,
    #[command(flatten)]
    first_try: FirstTryArguments,
    /// For a first try: the zone that the node is in; nodes of one zone share before they ask beyond it
    #[arg(long, value_name = "NAME", conflicts_with = "config")]
    zone: Option<String>,
    /// For a first try: where another node's mirror listens, such as 127.0.0.1:5200, to share with it and with those it knows; can be given
    /// more than once
    #[arg(long, value_name = "ADDR", conflicts_with = "config")]
    join: Vec<String>,
    /// For a first try: where peers connect for pieces, a free port of 127.0.0.1 where nothing is said; nodes on other machines need an
    /// address that they reach, such as 0.0.0.0:5202. Peers find each other at a free port of the same address
    #[arg(long, value_name = "ADDR", conflicts_with = "config")]
    swarm_listen: Option<SocketAddr>,
    /// For a first try: have a container runtime pull from a registry through the node while it runs, as containerd=localhost:5000; can be
    /// given more than once. It changes the runtime's own configuration, as `node mirror install` does
    #[arg(long, value_name = "RUNTIME=REGISTRY", conflicts_with = "config", value_parser = runtime_and_registry)]
    mirror: Vec<(String, String)>,
    /// For a first try: the socket of the containerd beside it, such as /run/containerd/containerd.sock, to share what its store holds and
    /// keep what its containers run
    #[arg(long, value_name = "SOCKET", conflicts_with = "config")]
    containerd: Option<PathBuf>,
}

impl ServeArguments {
    pub async fn run(self, settings: Vec<(String, String)>) -> Result<(), Failure> {
        let is_first_try = self.first_try.is_first_try();
        let settings = self.flags().chain(settings).collect();
        let config: Config = self.source.load(settings)?.config;
        let telemetry = config.telemetry_settings();
        with_telemetry(&telemetry, serve(config, is_first_try)).await
    }

    /// What the plain flags set; dotted ones replace it.
    fn flags(&self) -> impl Iterator<Item = (String, String)> + use<> {
        let mut flags = Vec::new();
        let mut set = |path: &str, value: String| flags.push((path.to_owned(), value));
        if let Some(address) = self.listen {
            set("listen.address", address.to_string());
            // Several of them on one machine are what is tried first.
            set("listen.admin_address", SocketAddr::new(address.ip(), 0).to_string());
        }
        if let Some(zone) = &self.zone {
            set("swarm.zone", zone.clone());
        }
        if !self.join.is_empty() {
            set("swarm.join", self.join.join(","));
        }
        if let Some(address) = self.swarm_listen {
            set("swarm.listen", address.to_string());
            set("swarm.control_listen", SocketAddr::new(address.ip(), 0).to_string());
        }
        for (position, (runtime, registry)) in self.mirror.iter().enumerate() {
            set(&format!("mirror.{position}.runtime"), runtime.clone());
            set(&format!("mirror.{position}.registries"), registry.clone());
        }
        if let Some(socket) = &self.containerd {
            set("containerd.address", socket.display().to_string());
        }
        self.first_try.settings().chain(flags)
    }
}

/// What a newcomer types next.
fn first_steps(app: &App) -> Vec<String> {
    let host = reachable_host(app.doors().address());
    let mut steps = vec![format!("docker pull {host}/alpine")];
    if app.peer_addresses().is_some() {
        steps.push(format!("a second node beside it: longshore node serve … --join {host}"));
    }
    steps
}

/// What `--mirror` has.
fn runtime_and_registry(text: &str) -> Result<(String, String), String> {
    let parts = text.split_once('=').filter(|(runtime, registry)| !runtime.is_empty() && !registry.is_empty());
    let (runtime, registry) = parts.ok_or("a runtime and a registry are written containerd=docker.io")?;
    Ok((runtime.to_owned(), registry.to_owned()))
}

async fn serve(config: Config, shows_first_steps: bool) -> Result<(), Failure> {
    let folder = config.edge.cache.folder.display().to_string();
    let announce = |app: &App| Announcement {
        url: app.doors().url(),
        first_steps: if shows_first_steps { first_steps(app) } else { Vec::new() },
        admin_address: app.doors().admin_address(),
        upstreams: app.upstreams().to_vec(),
        data: format!("pieces in {folder} ({})", app.summary()),
        peers: app.peer_addresses(),
    };
    // Boxed: it is large, and held by every future up to main's.
    run_cache(Box::pin(build(config)), |app| announce(app).to_string(), App::run).await
}
