//! A registry with all beside it: a tracker, and a node.

use std::{
    fmt,
    io::{self, Write as _},
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
};

use longshore_client::RegistryUrl;
use longshore_registry::Config;
use longshore_service::{config::Secret, doors::Drained, error_text::with_sources};

use super::{
    AdminListen, LISTEN, NODE_PORT_AFTER, TRACKER_PORT_AFTER, UpArguments, account, is_reachable,
    node::{Runs, UpNode},
    or_free, orchestrator, port_after,
};
use crate::{
    announcement::{NodeBeside, reachable_host},
    daemon::{self, Telling},
    failure::Failure,
    tracker::{Tracked, Tracker},
};

/// Where it keeps everything where nothing is said.
const DATA: &str = "./data";

pub async fn run(arguments: UpArguments) -> Result<(), Failure> {
    let listen = arguments.listen.unwrap_or(LISTEN);
    check(&arguments, listen)?;
    let data = arguments.data.clone().unwrap_or_else(|| DATA.into());
    let mut config = Config::embedded(&data, listen);
    config.listen.admin_address = admin_address(&arguments);
    config.listen.allow_plain_http = arguments.allow_plain_http;
    config.listen.allow_unauthenticated = arguments.allow_unauthenticated;
    config.auth.enabled = arguments.auth;
    config.log.filter = arguments.log.clone();
    let config = Tracked { daemon: config, tracker: tracker(&arguments, listen) };
    let telemetry = config.daemon.telemetry_settings();
    daemon::with_telemetry(&telemetry, Box::pin(serve(config, arguments, data))).await
}

/// Where health and metrics are: right after the registry's own default, unless something is said.
fn admin_address(arguments: &UpArguments) -> Option<SocketAddr> {
    let default = AdminListen(Some(SocketAddr::new(LISTEN.ip(), LISTEN.port() + 1)));
    arguments.admin_listen.unwrap_or(default).0
}

fn check(arguments: &UpArguments, listen: SocketAddr) -> Result<(), Failure> {
    let addresses = [Some(listen), admin_address(arguments), arguments.node_listen];
    arguments.check_reach(addresses.into_iter().flatten())?;
    if is_reachable(&listen) && !arguments.auth && !arguments.allow_unauthenticated {
        return Err(Failure::Usage(format!(
            "other machines can reach {listen}, and whoever does may do everything: add --auth, or \
             --allow-unauthenticated if they may"
        )));
    }
    Ok(())
}

/// The tracker, where other nodes reach the registry.
fn tracker(arguments: &UpArguments, listen: SocketAddr) -> Tracker {
    let ip = arguments.swarm_listen.unwrap_or(listen.ip());
    let address = SocketAddr::new(ip, port_after(listen.port(), TRACKER_PORT_AFTER));
    Tracker { enabled: !arguments.no_node, listen: or_free(address), ..Tracker::at(0) }
}

async fn serve(config: Tracked<Config>, arguments: UpArguments, data: PathBuf) -> Result<(), Failure> {
    let shown = data.display().to_string();
    let telling = Telling {
        reindex_command: format!("longshore registry reindex --data {shown}"),
        data: shown,
        shows_first_steps: true,
        on_taken_folder: "another `longshore up` may run there: stop that one, or give this one a folder of its own, with --data",
        on_taken_address: "another program has this port, perhaps another `longshore up`: stop that one, or take other \
                           ports, with --listen 127.0.0.1:5050 or --admin-listen 127.0.0.1:5051; `longshore up --join \
                           127.0.0.1:5000` runs a node beside it",
    };
    let stop = daemon::stop_signal()?;
    let Some(registry) = daemon::start_registry(config, &telling, &stop).await? else { return Ok(()) };
    let here = reached(registry.address());
    let orchestrator = tokio::select! {
        started = orchestrator::start(&registry, here, &arguments, &data) => started?,
        () = stop.cancelled() => return Ok(()),
    };
    let asks_who_calls = arguments.auth;
    let mut node_account = None;
    let node = if arguments.no_node {
        None
    } else {
        let secret = if arguments.auth { account::NODE.secret(&registry, &data).await? } else { None };
        node_account = secret.as_ref().map(|_| account::NODE.name);
        let runs = match &orchestrator {
            Some(orchestrator) => Some(orchestrator.runs(&arguments).await?),
            None => None,
        };
        let config = beside(registry.address(), secret, runs, arguments, &data)?;
        tokio::select! {
            started = Box::pin(longshore_node::build(config)) => Some(started.map_err(|error| not_started(&error))?),
            // Nothing is served yet, so there is nothing to finish.
            () = stop.cancelled() => return Ok(()),
        }
    };
    let told = node.as_ref().map(|node| NodeBeside {
        url: node.doors().url(),
        address: node.doors().address(),
        registry: reached(registry.address()),
        shares_as: node_account.filter(|_| !is_reachable(&node.doors().address())),
    });
    // A daemon whose stderr is closed has nobody to tell, and serves all the same.
    let _ = write!(io::stderr(), "{}", registry.announcement(&telling, told));
    if let Some(orchestrator) = &orchestrator {
        let _ = write!(io::stderr(), "{}", RunsHere { url: orchestrator.app.doors().url(), registry: here, asks_who_calls });
    }
    let sharing = async {
        match node {
            Some(node) => Box::pin(node.run(stop.clone())).await,
            None => Drained::Clean,
        }
    };
    let deciding = async {
        match orchestrator {
            Some(orchestrator) => Box::pin(orchestrator.app.run(stop.clone())).await,
            None => Drained::Clean,
        }
    };
    let ended = tokio::join!(registry.run(stop.clone()), sharing, deciding);
    if [ended.0, ended.1, ended.2].contains(&Drained::TimedOut) {
        // Uploads that were cut off can be gone on with, so this is no failure.
        daemon::tell_cut_off();
    }
    Ok(())
}

/// What is said of an orchestrator that runs beside the registry.
struct RunsHere {
    url: String,
    registry: SocketAddr,
    asks_who_calls: bool,
}

impl fmt::Display for RunsHere {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = reachable_host(self.registry);
        writeln!(formatter, "longshore: orchestrator on {}, which has containerd run what is asked for", self.url)?;
        if self.asks_who_calls {
            writeln!(formatter, "  try  longshore login {host} -u admin --orchestrator {}", self.url)?;
        }
        writeln!(formatter, "  try  longshore run {host}/alpine --replicas 3 -- sleep 1d")?;
        writeln!(formatter, "  try  longshore get pods")
    }
}

/// The node beside a registry that listens there.
fn beside(
    registry: SocketAddr,
    secret: Option<Secret>,
    runs: Option<Runs>,
    arguments: UpArguments,
    data: &Path,
) -> Result<longshore_node::Config, Failure> {
    let local = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port_after(registry.port(), NODE_PORT_AFTER));
    let url = format!("http://{}", reached(registry));
    let url = RegistryUrl::parse(&url, true).map_err(|error| Failure::because("the registry can't be asked", &error))?;
    Ok(UpNode {
        folder: data.join("node"),
        listen: arguments.node_listen.unwrap_or_else(|| or_free(local)),
        admin_address: None,
        swarm_ip: arguments.swarm_listen.unwrap_or(registry.ip()),
        registry: url,
        account: secret.map(|secret| (account::NODE.name, secret)),
        runs,
        allow_plain_http: arguments.allow_plain_http,
        log: arguments.log,
    }
    .config())
}

/// Where a program of this machine reaches who listens there.
fn reached(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        // Who listens at all addresses of IPv6 mostly does at those of IPv4, but need not.
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(std::net::Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

fn not_started(error: &longshore_node::StartError) -> Failure {
    let reason = with_sources(error);
    Failure::Failed(format!("the node beside the registry can't start: {reason}; --no-node runs the registry alone"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_listens_everywhere_is_reached_here() {
        for (address, expected) in
            [("0.0.0.0:7", "127.0.0.1:7"), ("[::]:7", "[::1]:7"), ("10.0.0.1:7", "10.0.0.1:7"), ("127.0.0.1:7", "127.0.0.1:7")]
        {
            assert_eq!(reached(address.parse().expect("an address")).to_string(), expected);
        }
    }
}
