//! `longshore up`: all that this machine can run, on embedded defaults; or a node beside another's.

mod account;
mod joined;
mod node;
mod orchestrator;
mod whole;

use std::{fmt, net::SocketAddr, path::PathBuf, str::FromStr};

use clap::Args;
use longshore_service::telemetry::Filter;

use crate::failure::Failure;

/// Where the registry listens where nothing is said.
const LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 5000);
/// How far the node's port is from the registry's, the tracker's, and the orchestrator's.
const NODE_PORT_AFTER: u16 = 200;
const TRACKER_PORT_AFTER: u16 = 3;
const ORCHESTRATOR_PORT_AFTER: u16 = 300;

/// `longshore up`.
#[derive(Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub struct UpArguments {
    /// Run a node alone, beside a `longshore up` that runs already: it pulls from that one's registry, and shares what it has with that
    /// one's node and all others. ADDR is where the registry listens, such as 127.0.0.1:5000
    #[arg(long, value_name = "ADDR", conflicts_with_all = ["auth", "allow_unauthenticated", "no_node", "node_listen", "no_orchestrator", "orchestrator_listen"])]
    join: Option<String>,
    /// The folder that keeps everything; it is made if need be [default: ./data, with --join ./joined]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Where the registry listens, with --join the node; port 0 takes a free one [default: 127.0.0.1:5000, with --join 127.0.0.1:5200, or
    /// a free port where that is taken]
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
    /// Where health and metrics are, or `off` [default: 127.0.0.1:5001, with --join off]
    #[arg(long, value_name = "ADDR")]
    admin_listen: Option<AdminListen>,
    /// Where the node listens that runs beside the registry: a mirror to pull through, whose cache other nodes have a part in [default:
    /// 127.0.0.1, at the registry's port and 200, or a free port where that is taken]
    #[arg(long, value_name = "ADDR", conflicts_with = "no_node")]
    node_listen: Option<SocketAddr>,
    /// Run the registry alone, without a node and without a tracker by which nodes find each other
    #[arg(long)]
    no_node: bool,
    /// The socket of the containerd that runs what `longshore run` asks for; without one there everything else works
    #[arg(long, value_name = "SOCKET", conflicts_with = "no_node", default_value = "/run/containerd/containerd.sock")]
    containerd: PathBuf,
    /// Where the orchestrator listens, which has containerd run what is asked for [default: 127.0.0.1, at the registry's port and 300, or a
    /// free port where that is taken]
    #[arg(long, value_name = "ADDR", conflicts_with = "no_orchestrator")]
    orchestrator_listen: Option<SocketAddr>,
    /// Run no orchestrator: images are pushed and pulled, and nothing is run
    #[arg(long)]
    no_orchestrator: bool,
    /// The IP address where other nodes reach this one, and the tracker; each takes a port of it [default: the registry's address, with
    /// --join 127.0.0.1]
    #[arg(long, value_name = "IP", conflicts_with = "no_node")]
    swarm_listen: Option<std::net::IpAddr>,
    /// Let other machines in without TLS, where --listen, --node-listen or --admin-listen is an address that they can reach; with --join,
    /// let the node ask a registry on another machine over plain HTTP, too
    #[arg(long)]
    allow_plain_http: bool,
    /// Ask callers who they are; the administrator's password is shown once, at the first start
    #[arg(long)]
    auth: bool,
    /// Let other machines in without asking who calls, where --listen is an address that they can reach
    #[arg(long)]
    allow_unauthenticated: bool,
    /// What to log: a level, or target=level, separated by commas
    #[arg(long, value_name = "FILTER", default_value = "warn,longshore_service::shutdown=info")]
    log: Filter,
}

/// The admin listener's address; `None` is written `off`.
#[derive(Clone, Copy, Debug)]
struct AdminListen(Option<SocketAddr>);

impl FromStr for AdminListen {
    type Err = InvalidAdminListen;

    fn from_str(text: &str) -> Result<Self, InvalidAdminListen> {
        if text == "off" {
            Ok(Self(None))
        } else {
            text.parse().map(|address| Self(Some(address))).map_err(|_| InvalidAdminListen)
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct InvalidAdminListen;

impl fmt::Display for InvalidAdminListen {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("expected an IP address and a port, such as 127.0.0.1:5001, or off")
    }
}

impl std::error::Error for InvalidAdminListen {}

impl UpArguments {
    pub async fn run(self) -> Result<(), Failure> {
        match self.join.clone() {
            Some(registry) => joined::run(self, &registry).await,
            None => whole::run(self).await,
        }
    }

    /// Refuses an address that other machines can reach, unless they may come there without TLS.
    fn check_reach(&self, addresses: impl IntoIterator<Item = SocketAddr>) -> Result<(), Failure> {
        match addresses.into_iter().find(is_reachable).filter(|_| !self.allow_plain_http) {
            Some(address) => Err(Failure::Usage(format!(
                "other machines can reach {address}, and `longshore up` serves plain HTTP: add --allow-plain-http if they \
                 may, or use `longshore registry serve` and `longshore node serve` with a certificate"
            ))),
            None => Ok(()),
        }
    }
}

fn is_reachable(address: &SocketAddr) -> bool {
    !address.ip().to_canonical().is_loopback()
}

/// This address; or where another program has its port, a free one of the same IP address.
///
/// For what nobody has asked for at that very port. Another program may still take it in between, and then it is said that it has.
fn or_free(address: SocketAddr) -> SocketAddr {
    match std::net::TcpListener::bind(address) {
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => SocketAddr::new(address.ip(), 0),
        _ => address,
    }
}

/// The port so far after another; 0, which takes a free one, where that one is free or the last ones are reached.
fn port_after(port: u16, distance: u16) -> u16 {
    if port == 0 { 0 } else { port.checked_add(distance).unwrap_or(0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_is_taken_gives_way_to_a_free_one() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("there is a free port");
        let address = taken.local_addr().expect("it is bound");
        assert_eq!(or_free(address), SocketAddr::new(address.ip(), 0));
        drop(taken);
        assert_eq!(or_free(address), address);
    }

    #[test]
    fn ports_beside_the_registry_s_follow_from_it() {
        assert_eq!([5000, 5050, 0, 65_400].map(|port| port_after(port, NODE_PORT_AFTER)), [5200, 5250, 0, 0]);
    }
}
