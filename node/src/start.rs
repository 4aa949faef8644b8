//! From a configuration to a node that is ready to serve.

use std::{path::PathBuf, sync::Arc};

use longshore_edge_cache as edge;
use longshore_edge_cache::store::StoreError;
use longshore_p2p::{
    plane::{NodeKey, NodeKeyError},
    swarm::{Holdings as _, Node, Swarm, SwarmError},
};
use longshore_service::config::Layout as _;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    App, Config, config, finding, holdings::CacheHoldings, joining, neighbours::SwarmNeighbours, rights::RegistryRights,
    topics::Topics, unreached::Unreached,
};

/// The file of the node's key, in the cache's folder.
const KEY_FILE: &str = "peer.key";

/// Why a node could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Its cache.
    #[error(transparent)]
    Cache(#[from] edge::StartError),
    /// Its part in the swarm.
    #[error(transparent)]
    Swarm(#[from] SwarmError),
    /// Who it is there.
    #[error("the node's key in {} can't be had", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: NodeKeyError,
    },
    /// What it shared before.
    #[error("what was shared before can't be read")]
    Topics(#[source] StoreError),
    /// The fleet's key is none; a configuration that was checked has a right one.
    #[error("the fleet's key can't be used: {0}")]
    FleetKey(String),
    /// The task that opens it ended early.
    #[error("the node's folder could not be opened")]
    Task(#[from] tokio::task::JoinError),
}

/// Opens what is kept, takes the addresses, and begins to share.
pub async fn build(mut config: Config) -> Result<App, StartError> {
    // Who made it by hand need not know what follows from what.
    config.derive();
    let Config { edge: cache, swarm } = config;
    let folder = cache.cache.folder.clone();
    let app = edge::build(cache).await?;
    let (tasks, stopping) = (TaskTracker::new(), CancellationToken::new());
    let swarm = if swarm.enabled { Some(share(&app, &swarm, folder, &tasks, &stopping).await?) } else { None };
    Ok(App::new(app, swarm, tasks, stopping))
}

/// Begins to share what the cache has.
async fn share(
    app: &edge::App,
    settings: &config::Swarm,
    folder: PathBuf,
    tasks: &TaskTracker,
    stopping: &CancellationToken,
) -> Result<Swarm, StartError> {
    let cache = app.edge().clone();
    let (store, holdings) = (cache.store.clone(), Arc::new(CacheHoldings(cache.clone())));
    let shown = holdings.clone();
    let opening = move || {
        let path = folder.join(KEY_FILE);
        let key = NodeKey::open(&path).map_err(|source| StartError::Key { path, source })?;
        let (topics, known) = Topics::open(store, |topic| shown.kept(topic).is_some()).map_err(StartError::Topics)?;
        Ok::<_, StartError>((key, topics, known))
    };
    let (key, topics, known) = tokio::task::spawn_blocking(opening).await??;
    let (fleet, topics) = (settings.fleet_key().map_err(StartError::FleetKey)?, Arc::new(topics));
    let rights = Arc::new(RegistryRights::new(cache.clone(), key.peer_id()));
    let node = Node { key, fleet, holdings: holdings.clone(), rights: rights.clone() };
    let swarm = Swarm::start(node, settings.to_settings(), app.metrics()).await?;
    let unreached = Unreached::default();
    app.set_neighbours(Arc::new(SwarmNeighbours::new(swarm.clone(), topics.clone(), rights, cache.clone(), unreached.clone())));
    if settings.trackers.is_empty() && settings.upstream_trackers {
        for upstream in cache.upstreams.iter() {
            tasks.spawn(finding::follow(swarm.clone(), upstream.clone(), unreached.clone(), stopping.clone()));
        }
    }
    for address in &settings.join {
        tasks.spawn(joining::join(swarm.clone(), address.clone(), stopping.clone()));
    }
    let (sharing, until) = (swarm.clone(), stopping.clone());
    tasks.spawn(async move {
        for topic in known {
            sharing.share(topic).await;
        }
        until.run_until_cancelled(topics.follow()).await;
    });
    Ok(swarm)
}
