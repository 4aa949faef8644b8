//! Nodes that one is told of by where their mirrors are: each is asked there where its swarm is reached.

use longshore_client::{ClientError, ClientOptions, InvalidRegistryUrl, RegistryClient, RegistryUrl};
use longshore_p2p::{control::ControlAddress, swarm::Swarm};
use tokio_util::sync::CancellationToken;

use crate::{
    asking::{EVERY, LEAST_PAUSE, longer},
    reached::{addresses, hosts_of},
    telling::Telling,
    unreached::addresses_of,
};

#[derive(Debug, thiserror::Error)]
enum NotTold {
    #[error(transparent)]
    Url(#[from] InvalidRegistryUrl),
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error(
        "it names no address at which its swarm can be reached from here, but {0}; swarm.control_listen there says where it listens"
    )]
    Nowhere(String),
    #[error("this node itself is there")]
    Itself,
}

/// Asks until there is an answer, and joins who is there; now and then again, as one that was restarted may be reached elsewhere.
pub async fn join(swarm: Swarm, address: String, stopping: CancellationToken) {
    let (mut pause, mut known, mut telling) = (LEAST_PAUSE, None, Telling::default());
    loop {
        let mut next = longer(pause);
        match stopping.run_until_cancelled(ask(&address, &swarm)).await {
            Some(Ok(found)) => {
                if telling.is_over() {
                    tracing::info!(address, "the node to join says where its swarm is");
                }
                if known.as_ref() != Some(&found) {
                    swarm.join(found.clone()).await;
                }
                (known, pause, next) = (Some(found), EVERY, LEAST_PAUSE);
            }
            Some(Err(NotTold::Itself)) => {
                tracing::warn!(address, "the node to join is this node itself; it joins nobody there");
                return;
            }
            Some(Err(error)) => {
                if telling.is_news(&error) {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(address, error, "the node to join does not say where its swarm is; it is asked again");
                }
            }
            None => return,
        }
        if stopping.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
            return;
        }
        pause = next;
    }
}

async fn ask(address: &str, swarm: &Swarm) -> Result<Vec<ControlAddress>, NotTold> {
    let url = RegistryUrl::parse(address, true)?;
    let hosts = hosts_of(&url).await;
    // Who is there proves it to the swarm, and is told nothing here.
    let client = RegistryClient::new(ClientOptions { allow_plain_http: true, ..ClientOptions::new(url) })?;
    let record = client.swarm_record().await?;
    if record.peer == swarm.peer().to_string() {
        return Err(NotTold::Itself);
    }
    let found = addresses(&record, &hosts);
    if found.is_empty() { Err(NotTold::Nowhere(addresses_of(&record))) } else { Ok(found) }
}
