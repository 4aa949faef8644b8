//! From a configuration to a node that is ready to serve.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::Arc,
};

use longshore_edge_cache as edge;
use longshore_edge_cache::{neighbours::Neighbours, store::StoreError};
use longshore_p2p::{
    plane::{NodeKey, NodeKeyError},
    swarm::{Holdings, Node, Swarm, SwarmError},
};
use longshore_service::{config::Layout as _, metrics::Metrics};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    App, Config,
    agent::{Agent, AgentError, Beside, Logins},
    config, finding,
    holdings::CacheHoldings,
    joining,
    mirror::Keeper,
    neighbours::SwarmNeighbours,
    rights::RegistryRights,
    runtime::{Runtime, RuntimeHoldings, RuntimeNeighbours},
    topics::Topics,
    unreached::Unreached,
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
    /// What is known of the container runtime's store.
    #[error("what was known of containerd's store can't be read")]
    Runtime(#[source] StoreError),
    /// Its agent.
    #[error(transparent)]
    Agent(#[from] AgentError),
    /// A runtime can't be told of it as it is set up; a configuration that was checked is right.
    #[error("mirror.{position}.{key}: {reason}")]
    Mirror {
        /// Which.
        position: usize,
        /// Its setting.
        key: &'static str,
        /// Why not.
        reason: String,
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
    let Config { edge: cache, swarm, containerd, agent, mirror } = config;
    let folder = cache.cache.folder.clone();
    let logins = Logins::of(&cache.upstream);
    let app = edge::build(cache).await?;
    let (tasks, stopping) = (TaskTracker::new(), CancellationToken::new());
    let pods = PodRuntime { containerd: containerd.address.clone(), logins };
    let runtime = if containerd.is_on() { Some(look_into(&app, containerd).await?) } else { None };
    let mirrors = Keeper::new(&mirror, &mirror_url(&app), &folder);
    let mirrors = mirrors.map_err(|(position, (key, reason))| StartError::Mirror { position, key, reason })?;
    if agent.is_on() {
        let (edge, metrics) = (app.edge().clone(), app.metrics().clone());
        let (folder, runtime, swarm) = (folder.clone(), runtime.clone(), swarm.clone());
        let opening = move || open_agent(agent, edge, &folder, runtime, pods, &metrics, &swarm);
        tokio::task::spawn_blocking(opening).await??.begin(&tasks, &stopping);
    }
    let swarm = if swarm.enabled {
        Some(share(&app, &swarm, folder, runtime.clone(), &tasks, &stopping).await?)
    } else {
        if let Some(runtime) = &runtime {
            app.set_neighbours(Arc::new(RuntimeNeighbours { swarm: None, runtime: runtime.clone() }));
        }
        None
    };
    if let Some(runtime) = runtime {
        tasks.spawn(runtime.follow(stopping.clone()));
    }
    Ok(App::new(app, swarm, mirrors, tasks, stopping))
}

/// What pods are run by.
struct PodRuntime {
    /// The socket of containerd.
    containerd: String,
    /// What it shows registries that it asks itself.
    logins: Logins,
}

/// Sets up what runs what the orchestrator says. Blocks.
fn open_agent(
    settings: config::Agent,
    edge: Arc<edge::Edge>,
    folder: &Path,
    runtime: Option<Arc<Runtime>>,
    pods: PodRuntime,
    metrics: &Metrics,
    swarm: &config::Swarm,
) -> Result<Agent, StartError> {
    let path = folder.join(KEY_FILE);
    let key = NodeKey::open(&path).map_err(|source| StartError::Key { path, source })?;
    let PodRuntime { containerd, logins } = pods;
    let beside = Beside { edge, folder, runtime, containerd: &containerd, logins, key: &key, metrics, swarm };
    Ok(Agent::open(settings, beside)?)
}

/// Where a runtime on this machine reaches the mirror.
fn mirror_url(app: &edge::App) -> String {
    let (url, address) = (app.doors().url(), app.doors().address());
    let loopback: IpAddr = if address.is_ipv6() { Ipv6Addr::LOCALHOST.into() } else { Ipv4Addr::LOCALHOST.into() };
    if address.ip().is_unspecified() {
        let reached = SocketAddr::new(loopback, address.port());
        return url.replace(&address.to_string(), &reached.to_string());
    }
    url
}

/// Takes up what is known of containerd's store, and looks what is in it.
async fn look_into(app: &edge::App, settings: config::Containerd) -> Result<Arc<Runtime>, StartError> {
    let (edge, metrics) = (app.edge().clone(), app.metrics().clone());
    let opening = move || Runtime::open(settings, edge, &metrics);
    let runtime = Arc::new(tokio::task::spawn_blocking(opening).await?.map_err(StartError::Runtime)?);
    runtime.look_first().await;
    Ok(runtime)
}

/// Begins to share what the cache has, and containerd's store.
async fn share(
    app: &edge::App,
    settings: &config::Swarm,
    folder: PathBuf,
    runtime: Option<Arc<Runtime>>,
    tasks: &TaskTracker,
    stopping: &CancellationToken,
) -> Result<Swarm, StartError> {
    let cache = app.edge().clone();
    let (store, elsewhere) = (cache.store.clone(), runtime.clone());
    let holdings: Arc<dyn Holdings> = Arc::new(CacheHoldings(cache.clone()));
    let holdings = match &runtime {
        Some(runtime) => Arc::new(RuntimeHoldings { cache: holdings, runtime: runtime.clone() }),
        None => holdings,
    };
    let shown = holdings.clone();
    let opening = move || {
        let path = folder.join(KEY_FILE);
        let key = NodeKey::open(&path).map_err(|source| StartError::Key { path, source })?;
        let (topics, known) = Topics::open(store, elsewhere, |topic| shown.kept(topic).is_some()).map_err(StartError::Topics)?;
        Ok::<_, StartError>((key, topics, known))
    };
    let (key, topics, known) = tokio::task::spawn_blocking(opening).await??;
    let (fleet, topics) = (settings.fleet_key().map_err(StartError::FleetKey)?, Arc::new(topics));
    let rights = Arc::new(RegistryRights::new(cache.clone(), key.peer_id()));
    let node = Node { key, fleet, holdings, rights: rights.clone() };
    let swarm = Swarm::start(node, settings.to_settings(), app.metrics()).await?;
    let unreached = Unreached::default();
    let neighbours: Arc<dyn Neighbours> =
        Arc::new(SwarmNeighbours::new(swarm.clone(), topics.clone(), rights, cache.clone(), unreached.clone()));
    app.set_neighbours(match runtime {
        Some(runtime) => Arc::new(RuntimeNeighbours { swarm: Some(neighbours), runtime }),
        None => neighbours,
    });
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
