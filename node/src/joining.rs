//! Nodes that one is told of by where their mirrors are: each is asked there where its swarm is reached.

use std::{net::IpAddr, time::Duration};

use longshore_client::{ClientError, ClientOptions, InvalidRegistryUrl, RegistryClient, RegistryUrl, SwarmRecord};
use longshore_p2p::{control::ControlAddress, swarm::Swarm};
use tokio_util::sync::CancellationToken;

/// How soon one that did not answer is asked again; twice as late after each time, to the longest.
const LEAST_PAUSE: Duration = Duration::from_millis(500);
const MOST_PAUSE: Duration = Duration::from_secs(15);
/// How often one that has answered is asked.
const EVERY: Duration = Duration::from_mins(1);

#[derive(Debug, thiserror::Error)]
enum NotTold {
    #[error(transparent)]
    Url(#[from] InvalidRegistryUrl),
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error("it names no address at which its swarm is reached")]
    Nowhere,
}

/// Asks until there is an answer, and joins who is there; now and then again, as one that was restarted may be reached elsewhere.
pub async fn join(swarm: Swarm, address: String, stopping: CancellationToken) {
    let (mut pause, mut known) = (LEAST_PAUSE, Vec::new());
    loop {
        let mut next = (pause * 2).min(MOST_PAUSE);
        match stopping.run_until_cancelled(ask(&address)).await {
            Some(Ok(found)) => {
                for at in found.iter().filter(|at| !known.contains(*at)) {
                    swarm.join(at.clone()).await;
                }
                (known, pause, next) = (found, EVERY, LEAST_PAUSE);
            }
            Some(Err(error)) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(address, error, "the node to join does not say where its swarm is; it is asked again");
            }
            None => return,
        }
        if stopping.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
            return;
        }
        pause = next;
    }
}

async fn ask(address: &str) -> Result<Vec<ControlAddress>, NotTold> {
    let url = RegistryUrl::parse(address, true)?;
    let host = host_of(&url).await;
    // Who is there proves it to the swarm, and is told nothing here.
    let client = RegistryClient::new(ClientOptions { allow_plain_http: true, ..ClientOptions::new(url) })?;
    let found = addresses(&client.swarm_record().await?, host);
    if found.is_empty() { Err(NotTold::Nowhere) } else { Ok(found) }
}

/// The IP address of a URL's host.
async fn host_of(url: &RegistryUrl) -> Option<IpAddr> {
    let url = url.as_url();
    let host = url.host_str()?.trim_matches(['[', ']']);
    let mut found = tokio::net::lookup_host((host, url.port_or_known_default()?)).await.ok()?;
    found.next().map(|address| address.ip())
}

/// Where a node that was asked at `host` is reached: what listens at all addresses listens at that one.
fn addresses(record: &SwarmRecord, host: Option<IpAddr>) -> Vec<ControlAddress> {
    let Ok(peer) = record.peer.parse() else { return Vec::new() };
    let reached = record.control.iter().map(|at| match host {
        Some(host) if at.ip().is_unspecified() => (host, at.port()).into(),
        _ => *at,
    });
    reached.filter_map(|at| at.to_string().parse::<ControlAddress>().ok()).map(|at| at.of_peer(peer)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_listens_everywhere_is_reached_where_it_was_asked() {
        let peer = libp2p_identity::Keypair::generate_ed25519().public().to_peer_id();
        let control = ["0.0.0.0:7", "10.0.0.2:8"].map(|address| address.parse().unwrap()).to_vec();
        let mut record = SwarmRecord { peer: peer.to_string(), control, ..SwarmRecord::default() };
        let texts = |record: &SwarmRecord| -> Vec<String> {
            addresses(record, Some([10, 0, 0, 1].into())).iter().map(ToString::to_string).collect()
        };
        let expected = ["10.0.0.1:7", "10.0.0.2:8"];
        for (text, expected) in texts(&record).iter().zip(expected) {
            assert!(text.contains(&expected.replace(':', "/tcp/")) || text.contains(expected), "{text}");
        }
        assert_eq!(texts(&record).len(), 2);
        record.peer = "nobody".into();
        assert!(texts(&record).is_empty());
    }
}
