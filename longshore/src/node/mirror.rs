use std::{
    io::{Write as _, stdout},
    path::PathBuf,
};

use clap::{Args, Subcommand};
use longshore_client::{EdgeUpstream, is_same_port_here};
use longshore_node::mirror::{self, MirrorError, MirrorUrl, Registry, Report, Request, Runtime};
use longshore_oci::RepositoryName;
use longshore_service::error_text::with_sources;

use crate::{
    edge::{Cache, EdgeConnection},
    exit_codes,
    failure::Failure,
    output::{Format, printable},
};

/// By which Docker Hub goes besides `docker.io`.
const DOCKER_HOSTS: [&str; 2] = ["index.docker.io", "registry-1.docker.io"];

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
    /// A registry to pull from through the node, as images name it: docker.io, localhost:5000, or for containerd _default for all
    /// others. http:// before it tells the runtime that the registry itself speaks no TLS; =NAME after it is what the node calls
    /// it, for podman and crio. Can be given more than once
    #[arg(long = "for", value_name = "REGISTRY")]
    registries: Vec<Registry>,
    /// Where the node's mirror answers
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:5200")]
    at: MirrorUrl,
    /// The folder that the runtime's files are below: another root file system
    #[arg(long, value_name = "DIR", default_value = "/")]
    root: PathBuf,
    /// What is written to, below --root, where it is not at its usual place: containerd's folder certs.d, the folder
    /// registries.conf.d, or docker's daemon.json
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
    /// Set `config_path` in containerd's own configuration where it is missing: before containerd 2.2 Kubernetes and crictl go by
    /// no mirror without it. containerd is to be restarted then
    #[arg(long)]
    edit_config: bool,
}

/// What is done with a request.
type Change = fn(&Request) -> Result<Report, MirrorError>;

impl MirrorArguments {
    pub async fn run(self) -> Result<(), Failure> {
        let (request, change): (_, Change) = match self.verb {
            Verb::Install(install) => {
                install.change.tell_unknown().await;
                let edits_containerd_config = install.edit_config;
                (Request { edits_containerd_config, ..install.change.request() }, mirror::install)
            }
            // Only what we set there is taken back.
            Verb::Remove(remove) => (Request { edits_containerd_config: true, ..remove.request() }, mirror::remove),
        };
        let changed = tokio::task::spawn_blocking(move || change(&request)).await;
        let report = changed.map_err(|error| Failure::because("the files could not be changed", &error))?;
        let report = report.map_err(|error| {
            let text = with_sources(&error);
            if error.is_usage() { Failure::Usage(text) } else { Failure::Failed(text) }
        })?;
        let text: String = report.to_string().lines().map(|line| printable(line) + "\n").collect();
        Ok(stdout().write_all(text.as_bytes())?)
    }
}

impl ChangeArguments {
    /// Tells, where the node answers, of registries that it knows by no name that the runtime will use. It is installed all the
    /// same: the runtime goes on to the registry, and the node can be told of it later.
    async fn tell_unknown(&self) {
        let node = EdgeConnection::to(Cache::Node, self.at.to_string(), true, None, Format::Table);
        let Ok(client) = node.quick_client() else { return };
        match client.status().await {
            Ok(status) => {
                let unknown = self.registries.iter().filter(|registry| !is_known(self.runtime, registry, &status.upstreams));
                unknown.for_each(|registry| {
                    eprintln!("longshore: {}", printable(&remedy(self.runtime, registry, &self.at, &status.upstreams)));
                });
            }
            Err(error) => {
                let why = printable(&node.told(&error).to_string());
                eprintln!("longshore: it is not known whether the node has an upstream for what is installed: {why}");
            }
        }
    }

    fn request(self) -> Request {
        let Self { runtime, registries, at, root, path, containerd_config } = self;
        Request { root, config: path, containerd_config, ..Request::new(runtime, registries, at) }
    }
}

/// Whether a node with these upstreams knows a registry by what this runtime will call it.
fn is_known(runtime: Runtime, registry: &Registry, upstreams: &[EdgeUpstream]) -> bool {
    upstreams.iter().any(|upstream| match runtime {
        Runtime::Podman | Runtime::Crio => {
            let prefix = upstream.path_prefix.as_deref().map(|prefix| prefix.trim_matches('/'));
            upstream.name == registry.name().as_str() || prefix == Some(registry.name().as_str())
        }
        Runtime::Containerd => registry.is_any() || is_called(upstream, registry.host()),
        Runtime::Docker => upstream.is_default && is_called(upstream, registry.host()),
    })
}

/// Whether an upstream is called by this host: its name, one of its hosts, or where it is, on this machine by any of its names.
fn is_called(upstream: &EdgeUpstream, host: &str) -> bool {
    let own = upstream.url.split_once("://").map_or(upstream.url.as_str(), |(_, host)| host).trim_end_matches('/');
    let is_same = |name: &str| {
        let name = if DOCKER_HOSTS.contains(&name) { "docker.io" } else { name };
        name.eq_ignore_ascii_case(host)
    };
    is_same(&upstream.name) || upstream.hosts.iter().any(|known| is_same(known)) || is_same(own) || is_same_port_here(own, host)
}

/// What to do that the node knows a registry.
fn remedy(runtime: Runtime, registry: &Registry, at: &MirrorUrl, upstreams: &[EdgeUpstream]) -> String {
    let nothing = format!("the node at {at} knows no {registry}, and until it does {runtime} gets nothing of that through it");
    let what = match runtime {
        Runtime::Podman | Runtime::Crio => by_path(registry, upstreams),
        Runtime::Containerd => format!("give it an [[upstream]] with hosts = [\"{registry}\"]"),
        Runtime::Docker => format!("give it {registry} as its default upstream"),
    };
    format!("{nothing}: {what}")
}

/// What to do where the runtime tells in a path which registry it means: the one thing that fits.
fn by_path(registry: &Registry, upstreams: &[EdgeUpstream]) -> String {
    let name = registry.name();
    let Some((position, upstream)) = upstreams.iter().enumerate().find(|(_, upstream)| is_called(upstream, registry.host()))
    else {
        return format!("give it an [[upstream]] for {registry}, with path_prefix = \"{name}\"");
    };
    // What it is called can be a path, or it can't: with a port it has a colon.
    let is_path = upstream.name.parse::<RepositoryName>().is_ok();
    if is_path && !registry.is_renamed() {
        return format!("its upstream is called {called}; install with --for {registry}={called}", called = upstream.name);
    }
    format!("give its upstream path_prefix = \"{name}\" (--upstream.{position}.path_prefix {name})")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn upstream(name: &str, url: &str) -> EdgeUpstream {
        let json = format!(
            r#"{{"name":"{name}","url":"{url}","isDefault":true,"servedBytes":0,"hitBytes":0,"fetchedBytes":0,"fetches":0,"wrong":0}}"#
        );
        serde_json::from_str(&json).expect("an upstream")
    }

    fn registry(text: &str) -> Registry {
        text.parse().expect("a registry")
    }

    #[test]
    fn podman_calls_a_registry_by_a_path() {
        let (plain, mut prefixed) =
            (upstream("localhost:5000", "http://127.0.0.1:5000"), upstream("up", "http://127.0.0.1:5000"));
        for runtime in [Runtime::Podman, Runtime::Crio] {
            assert!(!is_known(runtime, &registry("localhost:5000"), std::slice::from_ref(&plain)));
            assert!(is_known(runtime, &registry("localhost:5000=up"), &[plain.clone(), prefixed.clone()]));
        }
        prefixed.path_prefix = Some("localhost_5000/".to_owned());
        assert!(is_known(Runtime::Podman, &registry("localhost:5000"), &[plain, prefixed]));
        let at: MirrorUrl = "http://127.0.0.1:5200".parse().expect("a URL");
        let other = upstream("other", "https://other.example");
        let told = |text: &str, upstreams: &[EdgeUpstream]| {
            let told = remedy(Runtime::Podman, &registry(text), &at, upstreams);
            told.split_once("through it: ").expect("what to do").1.to_owned()
        };
        let (ported, named) = (upstream("127.0.0.1:5000", "http://127.0.0.1:5000"), upstream("up", "http://127.0.0.1:5000"));
        let by_prefix = "give its upstream path_prefix = \"localhost_5000\" (--upstream.1.path_prefix localhost_5000)";
        assert_eq!(told("localhost:5000", &[other.clone(), ported.clone()]), by_prefix, "a colon is in no path");
        assert_eq!(told("localhost:5000", &[named]), "its upstream is called up; install with --for localhost:5000=up");
        let given = "give its upstream path_prefix = \"team\" (--upstream.0.path_prefix team)";
        assert_eq!(told("localhost:5000=team", &[ported]), given, "who has given a name is not told to give one");
        assert!(told("localhost:5000", &[other]).contains("with path_prefix = \"localhost_5000\""));
    }

    #[test]
    fn containerd_names_a_registry_and_docker_means_the_default() {
        let mut one = upstream("127.0.0.1:5000", "http://127.0.0.1:5000");
        let known = |one: &EdgeUpstream, text: &str| is_known(Runtime::Containerd, &registry(text), std::slice::from_ref(one));
        assert!(known(&one, "localhost:5000") && known(&one, "_default") && !known(&one, "localhost:5001"));
        assert!(!known(&one, "registry.example.org"));
        one.hosts = vec!["registry.example.org".to_owned()];
        assert!(known(&one, "registry.example.org"));
        assert!(!is_known(Runtime::Docker, &registry("docker.io"), &[one]));
        assert!(is_known(Runtime::Docker, &registry("docker.io"), &[upstream("hub", "https://registry-1.docker.io")]));
    }
}
