use std::{
    io::{Write as _, stdout},
    path::PathBuf,
};

use clap::{Args, Subcommand};
use longshore_node::mirror::{self, MirrorError, MirrorUrl, Registry, Report, Request, Runtime};
use longshore_service::error_text::with_sources;

use crate::{exit_codes, failure::Failure, output::printable};

/// `longshore node mirror`.
#[derive(Args)]
pub struct MirrorArguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Have a container runtime pull through the node; while the node is away the runtime asks the registry itself
    #[command(after_help = exit_codes::COMMAND)]
    Install(InstallArguments),
    /// Take out what was installed for this node, and nothing else; without --for, for every registry
    #[command(after_help = exit_codes::COMMAND)]
    Remove(ChangeArguments),
}

#[derive(Args)]
struct ChangeArguments {
    /// The runtime: containerd, crio, podman, or docker, which has mirrors for docker.io alone
    #[arg(long)]
    runtime: Runtime,
    /// A registry to pull from through the node, as images name it: docker.io, localhost:5000, or for containerd _default for all others.
    /// http:// before it tells the runtime that the registry itself speaks no TLS; =NAME after it is what the node calls it, for podman and
    /// crio. Can be given more than once
    #[arg(long = "for", value_name = "REGISTRY")]
    registries: Vec<Registry>,
    /// Where the node's mirror answers
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:5200")]
    at: MirrorUrl,
    /// The folder that the runtime's files are below: another root file system
    #[arg(long, value_name = "DIR", default_value = "/")]
    root: PathBuf,
    /// What is written to, below --root, where it is not at its usual place: containerd's folder certs.d, the folder registries.conf.d, or
    /// docker's daemon.json
    #[arg(long, value_name = "PATH")]
    path: Option<PathBuf>,
    /// containerd's own configuration file, below --root, where it is not /etc/containerd/config.toml
    #[arg(long, value_name = "FILE")]
    containerd_config: Option<PathBuf>,
}

#[derive(Args)]
struct InstallArguments {
    #[command(flatten)]
    change: ChangeArguments,
    /// Set `config_path` in containerd's own configuration where it is missing: before containerd 2.2 Kubernetes and crictl go by no mirror
    /// without it. containerd is to be restarted then
    #[arg(long)]
    edit_config: bool,
}

/// What is done with a request.
type Change = fn(&Request) -> Result<Report, MirrorError>;

impl MirrorArguments {
    pub async fn run(self) -> Result<(), Failure> {
        let (request, change): (_, Change) = match self.verb {
            Verb::Install(install) => {
                let edits_containerd_config = install.edit_config;
                (Request { edits_containerd_config, ..install.change.request() }, mirror::install)
            }
            // Only what we set there is taken back.
            Verb::Remove(remove) => (Request { edits_containerd_config: true, ..remove.request() }, mirror::remove),
        };
        let changed = tokio::task::spawn_blocking(move || change(&request)).await;
        let report = changed.map_err(|error| Failure::because("the files could not be changed", &error))?;
        let report = report.map_err(|error| Failure::Failed(with_sources(&error)))?;
        let text: String = report.to_string().lines().map(|line| printable(line) + "\n").collect();
        Ok(stdout().write_all(text.as_bytes())?)
    }
}

impl ChangeArguments {
    fn request(self) -> Request {
        let Self { runtime, registries, at, root, path, containerd_config } = self;
        Request { root, config: path, containerd_config, ..Request::new(runtime, registries, at) }
    }
}
