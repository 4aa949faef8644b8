//! The orchestrator that `longshore up` runs where there is a containerd.

use std::{
    io::{self, Write as _},
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::Path,
};

use longshore_orchestrator::{App, AuthMode, Config, build};
use longshore_service::{config::Secret, error_text::with_sources};

use super::{ORCHESTRATOR_PORT_AFTER, UpArguments, account, node::Runs, or_free, port_after};
use crate::{daemon::StartedRegistry, failure::Failure};

/// The orchestrator, and what it has to run things on.
pub struct Beside {
    pub app: App,
    has_pod_network: bool,
}

/// Starts it beside a registry that is reached there; `None` where it is not wanted, or nothing could be run. Where the registry asks who
/// calls, it does so, too, and has an account there of its own.
pub async fn start(
    registry: &StartedRegistry,
    reached: SocketAddr,
    arguments: &UpArguments,
    data: &Path,
) -> Result<Option<Beside>, Failure> {
    if arguments.no_orchestrator || arguments.no_node {
        return Ok(None);
    }
    let has_pod_network = match longshore_node::has_pod_network(&arguments.containerd).await {
        Ok(has_pod_network) => has_pod_network,
        Err(reason) => {
            let socket = arguments.containerd.display();
            // A daemon whose stderr is closed has nobody to tell, and serves all the same.
            let _ = writeln!(
                io::stderr(),
                "longshore: there is no containerd at {socket} that runs pods ({reason}), so `longshore run` has nothing to run on; the \
                 rest works. --containerd SOCKET names another; its plugin `cri` must be on"
            );
            return Ok(None);
        }
    };
    let usual = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port_after(reached.port(), ORCHESTRATOR_PORT_AFTER));
    let listen = arguments.orchestrator_listen.unwrap_or_else(|| or_free(usual));
    let mut config = Config::embedded(data, listen);
    config.listen.admin_address = None;
    config.listen.allow_plain_http = arguments.allow_plain_http;
    config.listen.allow_anonymous = arguments.allow_unauthenticated;
    config.log.filter = arguments.log.clone();
    let url = format!("http://{reached}");
    config.registry.url = url.parse().map_err(|_| Failure::Failed(format!("{url} is no URL of a registry")))?;
    if arguments.auth {
        config.auth.mode = AuthMode::Registry;
        config.registry.allow_plain_http = arguments.allow_plain_http;
        if let Some(secret) = account::ORCHESTRATOR.secret(registry, data).await? {
            account::ORCHESTRATOR.name.clone_into(&mut config.registry.username);
            config.registry.password = secret;
        }
    }
    let started = Box::pin(build(config)).await;
    started.map(|app| Some(Beside { app, has_pod_network })).map_err(|error| {
        let reason = with_sources(&error);
        Failure::Failed(format!("the orchestrator beside the registry can't start: {reason}; --no-orchestrator goes without it"))
    })
}

impl Beside {
    /// What a node has to know to run what it says.
    pub async fn runs(&self, arguments: &UpArguments) -> Result<Runs, Failure> {
        let token = self.app.join_token().await;
        let token = token.map_err(|error| Failure::because("the node beside the orchestrator can't be let in", &error))?;
        Ok(Runs {
            orchestrator: self.app.doors().url(),
            token: Secret::new(token),
            containerd: arguments.containerd.clone(),
            has_pod_network: self.has_pod_network,
        })
    }
}
