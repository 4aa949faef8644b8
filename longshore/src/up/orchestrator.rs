//! The orchestrator that `longshore up` runs where there is a containerd.

use std::{
    io::{self, Write as _},
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::Path,
};

use longshore_orchestrator::{App, Config, build};
use longshore_service::{config::Secret, error_text::with_sources};

use super::{ORCHESTRATOR_PORT_AFTER, UpArguments, node::Runs, or_free, port_after};
use crate::failure::Failure;

/// Where containerd finds how pods' networks are made (CNI).
const NETWORKS: &str = "/etc/cni/net.d";

/// Starts it beside a registry that is reached there; `None` where it is not wanted, or nothing could be run.
pub async fn start(registry: SocketAddr, arguments: &UpArguments, data: &Path) -> Result<Option<App>, Failure> {
    if arguments.no_orchestrator || arguments.no_node {
        return Ok(None);
    }
    let socket = arguments.containerd.display();
    if let Err(error) = tokio::net::UnixStream::connect(&arguments.containerd).await {
        // A daemon whose stderr is closed has nobody to tell, and serves all the same.
        let _ = writeln!(
            io::stderr(),
            "longshore: there is no containerd at {socket} ({error}), so `longshore run` has nothing to run on; the rest works. \
             --containerd SOCKET names another"
        );
        return Ok(None);
    }
    let usual = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port_after(registry.port(), ORCHESTRATOR_PORT_AFTER));
    let listen = arguments.orchestrator_listen.unwrap_or_else(|| or_free(usual));
    let mut config = Config::embedded(data, listen);
    config.listen.admin_address = None;
    config.listen.allow_plain_http = arguments.allow_plain_http;
    config.listen.allow_anonymous = arguments.allow_unauthenticated;
    config.log.filter = arguments.log.clone();
    let url = format!("http://{registry}");
    config.registry.url = url.parse().map_err(|_| Failure::Failed(format!("{url} is no URL of a registry")))?;
    let started = build(config).await;
    started.map(Some).map_err(|error| {
        let reason = with_sources(&error);
        Failure::Failed(format!("the orchestrator beside the registry can't start: {reason}; --no-orchestrator goes without it"))
    })
}

/// What a node has to know to run what it says.
pub async fn runs(app: &App, arguments: &UpArguments) -> Result<Runs, Failure> {
    let token = app.join_token().await;
    let token = token.map_err(|error| Failure::because("the node beside the orchestrator can't be let in", &error))?;
    Ok(Runs {
        orchestrator: app.doors().url(),
        token: Secret::new(token),
        containerd: arguments.containerd.clone(),
        name: String::new(),
        has_pod_network: has_networks(Path::new(NETWORKS)),
    })
}

/// Whether there is anything in a folder by which pods get networks.
fn has_networks(folder: &Path) -> bool {
    let Ok(entries) = std::fs::read_dir(folder) else { return false };
    let is_network = |name: &Path| {
        name.extension().is_some_and(|extension| ["conf", "conflist", "json"].iter().any(|known| extension == *known))
    };
    entries.flatten().any(|entry| is_network(Path::new(&entry.file_name())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pods_have_networks_where_something_says_how() {
        let folder = tempfile::tempdir().expect("a folder");
        assert!(!has_networks(&folder.path().join("none")));
        assert!(!has_networks(folder.path()));
        std::fs::write(folder.path().join("README"), "").expect("it is written");
        assert!(!has_networks(folder.path()));
        std::fs::write(folder.path().join("10-bridge.conflist"), "{}").expect("it is written");
        assert!(has_networks(folder.path()));
    }
}
