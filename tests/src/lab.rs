//! The lab: a registry and nodes, each on a machine of its own, joined by links of known bandwidth. Machines are network namespaces, links
//! pairs of virtual Ethernet shaped by `tc tbf`, and what runs on them is the real program.
//!
//! It takes root, and nothing of it is seen outside: the bridges lie in a namespace, too. A namespace is there for as long as a process of
//! the test's is, and these end with the test process however it ends, so a killed run leaves nothing behind.

mod crowd;
mod daemon;
mod liar;
mod machine;
mod measures;
mod network;
mod skew;
mod usage;

use std::sync::Arc;

use futures_util::future::join_all;
use serde_json::Value;

pub use crowd::Pulled;
pub use daemon::LabDaemon;
pub use liar::Liar;
pub use machine::Machine;
pub use measures::Measures;
pub use network::{Links, Network};
pub use skew::Clock;
pub use usage::Usage;

use crate::{Account, EdgeUpstream, Image};

/// What a lab is made of.
#[derive(Clone, Copy, Debug)]
pub struct LabPlan<'a> {
    /// How many nodes each zone has; the registry is in the first, and its link is as the nodes' are.
    pub zones: &'a [usize],
    /// The links.
    pub links: Links,
    /// Whether nodes share what they have.
    pub is_swarm: bool,
    /// Whether the registry asks who calls; nodes have an account then that may pull everything.
    pub has_accounts: bool,
    /// Whether each node has a wall clock of its own, which tests may set. Reading one costs a little, so measurements do without.
    pub has_clocks: bool,
}

impl LabPlan<'_> {
    /// A swarm of nodes in zones, of an open registry.
    pub fn new(zones: &[usize], links: Links) -> LabPlan<'_> {
        LabPlan { zones, links, is_swarm: true, has_accounts: false, has_clocks: false }
    }
}

/// A registry and nodes that know their trackers: the first of the nodes and the one in the middle, which with two zones is the first of
/// the other.
pub struct Lab {
    /// The links.
    pub network: Network,
    /// The registry.
    pub registry: LabDaemon,
    /// The nodes, zone by zone.
    pub nodes: Vec<LabDaemon>,
}

impl Lab {
    /// The repository that [`Self::push`] pushes to.
    pub const REPOSITORY: &str = "team/app";
    /// What nodes call the registry.
    pub const REGISTRY: &str = "harbor";

    /// One whose nodes are ready, and have nothing.
    pub async fn new(plan: LabPlan<'_>) -> Self {
        let mut network = Network::new(plan.zones.len(), plan.links).await;
        let machine = network.machine(0).await;
        let registry = LabDaemon::registry(machine, plan.has_accounts).await;
        let account = if plan.has_accounts { Some(registry.create_reader().await) } else { None };
        let mut machines = Vec::new();
        for (zone, count) in plan.zones.iter().enumerate() {
            for _ in 0..*count {
                machines.push((zone, network.machine(zone).await));
            }
        }
        let trackers: Vec<String> = trackers_of(machines.len()).iter().map(|at| machines[*at].1.control()).collect();
        let upstream = upstream_of(&registry, account.as_ref());
        let nodes = machines.into_iter().map(|(zone, machine)| {
            let mut settings: Vec<(&str, Value)> = vec![
                ("swarm.enabled", plan.is_swarm.into()),
                ("swarm.listen", machine.pieces().into()),
                ("swarm.control_listen", machine.control().into()),
                ("swarm.zone", zone_name(zone).into()),
                ("swarm.trackers", trackers.clone().into()),
            ];
            if !plan.is_swarm {
                // There is nobody else whom a client could ask that waits for its turn at the registry's link.
                settings.push(("requests.first_byte_timeout", "0s".into()));
            }
            let (upstream, clock) = (upstream.clone(), plan.has_clocks.then(Clock::new));
            async move { LabDaemon::node(machine, &upstream, &settings, clock).await }
        });
        let nodes = join_all(nodes).await;
        Self { network, registry, nodes }
    }

    /// Puts an image into the registry, from its own machine.
    pub async fn push(&self, tag: &str, image: &Arc<Image>) {
        let (client, tag, image) = (self.registry.client(), tag.to_owned(), Arc::clone(image));
        self.registry.machine.inside(async move { client.push_image(Self::REPOSITORY, &tag, &image).await }).await;
    }

    /// Those of the nodes that the others announce to.
    pub fn trackers(&self) -> Vec<usize> {
        trackers_of(self.nodes.len())
    }

    /// Like [`LabDaemon::metric`], of all nodes together.
    pub async fn metric(&self, row: &str) -> f64 {
        join_all(self.nodes.iter().map(|node| node.metric(row))).await.into_iter().sum()
    }
}

/// What a zone is called.
pub(crate) fn zone_name(zone: usize) -> String {
    format!("zone-{zone}")
}

fn trackers_of(nodes: usize) -> Vec<usize> {
    if nodes < 2 { vec![0] } else { vec![0, nodes / 2] }
}

fn upstream_of(registry: &LabDaemon, account: Option<&Account>) -> EdgeUpstream {
    let upstream = EdgeUpstream::new(Lab::REGISTRY, &registry.url()).set("allow_plain_http", true);
    account.map_or_else(|| upstream.clone(), |account| upstream.clone().as_account(account))
}
