//! What an operator can set: all that an edge cache has, `[swarm]`, `[containerd]`, `[agent]`, and a `[[mirror]]` for each runtime that is told of the node.
//!
//! Names and layers are those of [`longshore_service::config`]: `zone` under `[swarm]`, `LONGSHORE_NODE__SWARM__ZONE`, or
//! `--swarm.zone`.

mod agent;
mod containerd;
mod mirror;
mod swarm;

use std::net::SocketAddr;

use longshore_edge_cache::config as edge;
use longshore_service::{
    config::{self, Layout, Problems, Section, SectionList, Sections},
    telemetry::Settings,
};

pub use agent::Agent;
pub use containerd::Containerd;
pub use mirror::Mirror;
pub use swarm::Swarm;

/// The daemon's name in environment variables: `LONGSHORE_NODE__…`.
pub const DAEMON: &str = "node";
/// The port that a node's mirror has by default.
const PORT: u16 = 5200;
/// How long a runtime waits for a first byte by default, until it is to ask the registry itself.
const FIRST_BYTE_SECONDS: u64 = 5;

/// The node's whole configuration. `Default` keeps pieces in `./node`, is reached on loopback alone, and has no upstream, without
/// which there is no node.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// What an edge cache has.
    pub edge: edge::Config,
    /// The swarm.
    pub swarm: Swarm,
    /// The container runtime beside it.
    pub containerd: Containerd,
    /// The orchestrator that says what runs here.
    pub agent: Agent,
    /// The runtimes that are told to pull through it.
    pub mirror: Vec<Mirror>,
}

impl Default for Config {
    fn default() -> Self {
        let mut edge = edge::Config::default();
        edge.listen.common = config::Listen::on(PORT);
        edge.cache.folder = "./node".into();
        edge.telemetry = config::Telemetry::of("longshore-node");
        edge.requests.first_byte_timeout = config::Duration::seconds(FIRST_BYTE_SECONDS);
        let (swarm, containerd, agent) = (Swarm::default(), Containerd::default(), Agent::default());
        Self { edge, swarm, containerd, agent, mirror: Vec::new() }
    }
}

impl Config {
    /// The settings of logs and traces.
    pub fn telemetry_settings(&self) -> Settings {
        self.edge.telemetry_settings()
    }

    /// Where the mirror listens.
    pub fn address(&self) -> SocketAddr {
        self.edge.listen.address
    }

    /// Whether only this machine reaches the mirror. A runtime shows it no credentials: what the node may hold is what it may
    /// run.
    fn is_on_loopback(&self) -> bool {
        self.edge.listen.is_on_loopback()
    }
}

/// The names of the sections that a node has beside an edge's.
const SWARM: &str = "swarm";
const CONTAINERD: &str = "containerd";
const AGENT: &str = "agent";
const MIRROR: &str = "mirror";

impl Sections for Config {
    fn sections(&self) -> Vec<(&'static str, &dyn Section)> {
        let mut sections = self.edge.sections();
        sections.extend([(SWARM, &self.swarm as &dyn Section), (CONTAINERD, &self.containerd), (AGENT, &self.agent)]);
        sections
    }

    fn sections_mut(&mut self) -> Vec<(&'static str, &mut dyn Section)> {
        let mut sections = self.edge.sections_mut();
        sections.push((SWARM, &mut self.swarm));
        sections.push((CONTAINERD, &mut self.containerd));
        sections.push((AGENT, &mut self.agent));
        sections
    }

    fn lists(&self) -> Vec<(&'static str, &dyn SectionList)> {
        let mut lists = self.edge.lists();
        lists.push((MIRROR, &self.mirror));
        lists
    }

    fn lists_mut(&mut self) -> Vec<(&'static str, &mut dyn SectionList)> {
        let mut lists = self.edge.lists_mut();
        lists.push((MIRROR, &mut self.mirror));
        lists
    }
}

impl Layout for Config {
    fn check(&self, problems: &mut Problems<'_>) {
        let mut edge = self.edge.clone();
        if self.is_on_loopback() {
            // Without an account it is shared what anybody may have, which at an edge is a mistake.
            edge.upstream.iter_mut().for_each(|upstream| upstream.shares_access = false);
        }
        edge.check(problems);
        self.swarm.check(problems);
        self.containerd.check(problems);
        self.agent.check(&self.containerd.address, problems);
        for (position, mirror) in self.mirror.iter().enumerate() {
            mirror.check(position, problems);
        }
    }

    fn check_files(&self, problems: &mut Problems<'_>) {
        self.edge.check_files(problems);
    }

    /// While the mirror is on loopback the node's access is shared.
    fn derive(&mut self) -> Vec<String> {
        if !self.is_on_loopback() {
            return Vec::new();
        }
        let all = self.edge.upstream.iter_mut().enumerate();
        let changed = all.filter_map(|(position, upstream)| {
            let was_shared = std::mem::replace(&mut upstream.shares_access, true);
            (!was_shared).then(|| format!("upstream.{position}.shares_access"))
        });
        changed.collect()
    }
}

#[cfg(test)]
mod tests;
