//! What an operator can set: all that an edge cache has, and `[swarm]`.
//!
//! Names and layers are those of [`longshore_service::config`]: `zone` under `[swarm]`, `LONGSHORE_NODE__SWARM__ZONE`, or
//! `--swarm.zone`.

mod swarm;

use std::net::SocketAddr;

use longshore_edge_cache::config as edge;
use longshore_service::{
    config::{self, Layout, Problems, Section, SectionList, Sections},
    telemetry::Settings,
};

pub use swarm::Swarm;

/// The daemon's name in environment variables: `LONGSHORE_NODE__…`.
pub const DAEMON: &str = "node";
/// The port that a node's mirror has by default.
const PORT: u16 = 5200;

/// The node's whole configuration. `Default` keeps pieces in `./node`, is reached on loopback alone, and has no upstream, without
/// which there is no node.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// What an edge cache has.
    pub edge: edge::Config,
    /// The swarm.
    pub swarm: Swarm,
}

impl Default for Config {
    fn default() -> Self {
        let mut edge = edge::Config::default();
        edge.listen.common = config::Listen::on(PORT);
        edge.cache.folder = "./node".into();
        edge.telemetry = config::Telemetry::of("longshore-node");
        Self { edge, swarm: Swarm::default() }
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

/// The name of the section that a node has beside an edge's.
const SWARM: &str = "swarm";

impl Sections for Config {
    fn sections(&self) -> Vec<(&'static str, &dyn Section)> {
        let mut sections = self.edge.sections();
        sections.push((SWARM, &self.swarm));
        sections
    }

    fn sections_mut(&mut self) -> Vec<(&'static str, &mut dyn Section)> {
        let mut sections = self.edge.sections_mut();
        sections.push((SWARM, &mut self.swarm));
        sections
    }

    fn lists(&self) -> Vec<(&'static str, &dyn SectionList)> {
        self.edge.lists()
    }

    fn lists_mut(&mut self) -> Vec<(&'static str, &mut dyn SectionList)> {
        self.edge.lists_mut()
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
