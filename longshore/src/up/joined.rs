//! A node beside a `longshore up` that runs already.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use longshore_client::RegistryUrl;
use longshore_node::{App, build};

use super::{LISTEN, NODE_PORT_AFTER, UpArguments, node::UpNode, or_free, port_after};
use crate::{
    announcement::reachable_host,
    daemon::{run_cache, with_telemetry},
    failure::Failure,
    node::Announcement,
};

/// Where it keeps everything where nothing is said: another folder than the one that runs already has.
const DATA: &str = "./joined";

pub async fn run(arguments: UpArguments, registry: &str) -> Result<(), Failure> {
    // What `longshore up` serves is plain HTTP.
    let url = RegistryUrl::parse(registry, true);
    let url = url.map_err(|error| Failure::Usage(format!("--join {registry:?} does not say where a registry is: {error}")))?;
    let admin_address = arguments.admin_listen.and_then(|admin| admin.0);
    arguments.check_reach(arguments.listen.into_iter().chain(admin_address))?;
    if !url.is_https() && !url.is_loopback() && !arguments.allow_plain_http {
        return Err(Failure::Usage(format!(
            "{url} is on another machine, and would be asked over plain HTTP: add --allow-plain-http if it may, or give a URL \
             that begins with https://"
        )));
    }
    let data = arguments.data.clone().unwrap_or_else(|| DATA.into());
    let usual = SocketAddr::new(LISTEN.ip(), port_after(LISTEN.port(), NODE_PORT_AFTER));
    let node = UpNode {
        folder: data.join("node"),
        listen: arguments.listen.unwrap_or_else(|| or_free(usual)),
        admin_address,
        swarm_ip: arguments.swarm_listen.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        registry: url,
        account: None,
        runs: None,
        allow_plain_http: arguments.allow_plain_http,
        log: arguments.log,
    };
    let (folder, config) = (node.folder.display().to_string(), node.config());
    let telemetry = config.telemetry_settings();
    let announce = |app: &App| {
        let (url, host) = (app.doors().url(), reachable_host(app.doors().address()));
        let announcement = Announcement {
            admin_address: app.doors().admin_address(),
            upstreams: app.upstreams().to_vec(),
            data: format!("pieces in {folder} ({})", app.summary()),
            peers: app.peer_addresses(),
            first_steps: vec![
                format!("docker pull {host}/alpine (of a registry with accounts after docker login {host})"),
                format!("longshore node peers --at {url}"),
                format!("one more node beside it: longshore up --join {registry} --data ./three"),
            ],
            url,
        };
        announcement.to_string()
    };
    let daemon = run_cache(Box::pin(build(config)), announce, App::run);
    with_telemetry(&telemetry, daemon).await
}
