//! From its settings to an agent at work.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use longshore_edge_cache::Edge;
use longshore_fleet::{AgentFacts, Bytes, Cpu, NodeName};
use longshore_p2p::plane::NodeKey;
use longshore_service::{metrics::Metrics, private_files};
use tokio::sync::{mpsc, watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    board::Board,
    cri::{Cri, Logins},
    hands::{Hands, probe_client},
    images::Images,
    kept::{self, Kept, KeptError},
    link::{Caller, CallerSettings, Identity, Link, Membership},
    logs::{Desk, Limits},
    machine::Machine,
    make::Capacity,
    metrics::AgentMetrics,
    pace::Pace,
    pod::Rules,
    roster::Roster,
    watching::Watching,
    worker::Pulls,
};
use crate::{config, runtime::Runtime};

/// The folder of what is the agent's, in the cache's, where no other is named.
const FOLDER: &str = "pods";
/// The folder of logs in that.
const LOGS: &str = "logs";
/// The file of what is to run.
const KEPT: &str = "pods.json";
/// The file of what the node is in the fleet.
const MEMBERSHIP: &str = "fleet.json";
/// Where what has the machine's network is reached from here, where nothing is said.
const LOOPBACK: &str = "127.0.0.1";
/// How many instructions wait to be taken up.
const WAITING: usize = 256;

/// Why there can be no agent.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// A setting is none; a configuration that was checked has right ones.
    #[error("agent.{key}: {reason}")]
    Setting {
        /// Which.
        key: &'static str,
        /// Why not.
        reason: String,
    },
    /// Its folder can't be made.
    #[error("the agent's folder {} can't be made", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// What was kept can't be read.
    #[error(transparent)]
    Kept(#[from] KeptError),
    /// It is not known what the machine has.
    #[error("it can't be found out what this machine has")]
    Machine(#[source] std::io::Error),
    /// The orchestrator, or pods' probes, can't be asked.
    #[error("the agent's clients can't be set up")]
    Clients(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// What an agent has beside it.
pub struct Beside<'a> {
    /// The cache, and its folder.
    pub edge: Arc<Edge>,
    /// The folder of the cache.
    pub folder: &'a Path,
    /// containerd, where the node looks into it.
    pub runtime: Option<Arc<Runtime>>,
    /// The socket of that.
    pub containerd: &'a str,
    /// What the runtime shows registries that it asks itself.
    pub logins: Logins,
    /// The node's key.
    pub key: &'a NodeKey,
    /// Where it is counted.
    pub metrics: &'a Metrics,
    /// Where the node is.
    pub swarm: &'a config::Swarm,
}

/// An agent that has yet to begin.
pub struct Agent {
    hands: Arc<Hands>,
    images: Images,
    watching: Watching,
    link: Link,
    pace: (Pace, Metrics),
    kept: Kept,
    file: PathBuf,
    orders: mpsc::Receiver<super::roster::Order>,
}

impl Agent {
    /// Reads what was kept, and sets all up. Blocks.
    pub fn open(mut settings: config::Agent, beside: Beside<'_>) -> Result<Self, AgentError> {
        let machine = Machine::read().map_err(AgentError::Machine)?;
        if settings.name.is_empty() {
            settings.name.clone_from(&machine.name);
        }
        let folder = settings.folder.clone().unwrap_or_else(|| beside.folder.join(FOLDER));
        let folder = std::path::absolute(&folder).unwrap_or(folder);
        private_files::make_folder(&folder).map_err(|source| AgentError::Folder { path: folder.clone(), source })?;
        let clients = |error: Box<dyn std::error::Error + Send + Sync>| AgentError::Clients(error);
        let hands = Arc::new(Hands {
            cri: Cri::new(settings.socket(beside.containerd)),
            agent: beside.key.peer_id().to_string(),
            logs: folder.join(LOGS),
            rules: Rules { backoff: settings.backoff.get(), backoff_most: settings.backoff_most.get(), ..Rules::default() },
            capacity: Capacity { memory_bytes: machine.memory.count },
            host_address: if settings.address.is_empty() { LOOPBACK.to_owned() } else { settings.address.clone() },
            has_pod_network: settings.pod_network,
            pulls: Pulls::new(
                usize::try_from(settings.max_pulls).unwrap_or(usize::MAX),
                settings.pull_timeout.get(),
                beside.logins,
            ),
            probes: probe_client().map_err(|error| clients(Box::new(error)))?,
            metrics: AgentMetrics::new(beside.metrics),
            board: Arc::new(Board::default()),
        });
        let facts = facts(&settings, &machine, beside.swarm)?;
        let name: NodeName = settings.name.parse().map_err(|error: longshore_fleet::InvalidName| wrong("name", &error))?;
        let caller = CallerSettings {
            ca_file: settings.ca_file.clone(),
            is_plain: settings.orchestrators.iter().all(|url| url.starts_with("http://")),
            token: settings.token.clone(),
            name,
        };
        let identity = Identity::new(beside.key).map_err(|error| clients(Box::new(error)))?;
        let (sender, orders) = mpsc::channel(WAITING);
        let link = Link {
            caller: Caller::new(caller, identity).map_err(|error| clients(Box::new(error)))?,
            urls: settings.orchestrators.clone(),
            membership: Membership::open(folder.join(MEMBERSHIP))?,
            hands: hands.clone(),
            orders: sender,
            desk: Arc::new(Desk::new(hands.clone())),
            most_line_bytes: settings.max_instruction.as_len(),
        };
        let file = folder.join(KEPT);
        let kept = kept::read(&file)?;
        let files = usize::try_from(settings.log_files).unwrap_or(usize::MAX);
        let watching = Watching {
            hands: hands.clone(),
            facts,
            interval: settings.poll_interval.get(),
            limits: Limits { file_bytes: settings.log_size.as_bytes(), files },
            needs_network: settings.pod_network,
            listed: watch::Sender::default(),
        };
        let images = Images::new(hands.clone(), beside.edge, beside.runtime);
        let up_rate = Some(beside.swarm.up_rate.as_bytes()).filter(|rate| *rate > 0);
        let pace = (Pace::new(up_rate), beside.metrics.clone());
        Ok(Self { hands, images, watching, link, pace, kept, file, orders })
    }

    /// Begins. What it has begun ends with `stopping`, and leaves running what runs.
    pub fn begin(self, tasks: &TaskTracker, stopping: &CancellationToken) {
        let Self { hands, images, watching, link, pace: (pace, metrics), kept, file, orders } = self;
        tasks.spawn(pace.run(metrics, hands.clone(), stopping.clone()));
        let (wants, wanted) = watch::channel(super::images::WantedImages::default());
        let listed = watching.listed.subscribe();
        let roster = Roster::new(hands, file, kept, wants);
        tasks.spawn(images.run(wanted, stopping.clone()));
        tasks.spawn(watching.run(stopping.clone()));
        tasks.spawn(roster.run(orders, listed, stopping.clone()));
        tasks.spawn(link.run(stopping.clone()));
    }
}

fn wrong(key: &'static str, error: &dyn std::fmt::Display) -> AgentError {
    AgentError::Setting { key, reason: error.to_string() }
}

/// What the node is, as far as its settings and the machine say.
fn facts(settings: &config::Agent, machine: &Machine, swarm: &config::Swarm) -> Result<AgentFacts, AgentError> {
    let setting = |(key, reason): (&'static str, String)| AgentError::Setting { key, reason };
    let reserved_cpu: Cpu =
        settings.reserved_cpu.parse().map_err(|error: longshore_fleet::InvalidQuantity| wrong("reserved_cpu", &error))?;
    let reserved_memory: Bytes =
        settings.reserved_memory.parse().map_err(|error: longshore_fleet::InvalidQuantity| wrong("reserved_memory", &error))?;
    Ok(AgentFacts {
        labels: settings.labels(&swarm.region, &swarm.zone).map_err(setting)?,
        taints: settings.taints().map_err(|reason| setting(("taints", reason)))?,
        platform: machine.platform.clone(),
        cpu: Cpu::millis(machine.cpu.millis.saturating_sub(reserved_cpu.millis)),
        memory: Bytes::new(machine.memory.count.saturating_sub(reserved_memory.count)),
        pods: settings.max_pods,
        not_ready: Some("the container runtime has not been asked yet".to_owned()),
        runtime: String::new(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        address: Some(settings.address.clone()).filter(|address| !address.is_empty()),
        neighbours_bytes_per_second: 0,
        outside_bytes_per_second: 0,
    })
}
