//! Nodes in columns: an entry a node, in the order in which they became known.

use std::collections::BTreeMap;

use longshore_fleet::{Bytes, Cpu, Labels, NodeName, Protocol, Taint};
use longshore_oci::Platform;
use rustc_hash::FxHashMap as HashMap;

use super::{
    cost::{self, Weights},
    index::NodeIndex,
};

/// What is known of a node, besides what is on it.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeFacts {
    /// What it is called; also its label `kubernetes.io/hostname`, whatever that says.
    pub name: NodeName,
    /// Its labels.
    pub labels: Labels,
    /// What keeps pods off it.
    pub taints: Vec<Taint>,
    /// What it runs.
    pub platform: Platform,
    /// Whether it answers, and its container runtime works.
    pub is_ready: bool,
    /// Whether it is to get no more pods.
    pub is_cordoned: bool,
    /// Processor for pods.
    pub cpu: Cpu,
    /// Memory for pods.
    pub memory: Bytes,
    /// How many pods there may be.
    pub pods: u32,
    /// What is free on its disk for images.
    pub disk: Bytes,
    /// How fast bytes come to it.
    pub paths: Paths,
    /// Pods that failed on it lately; older ones count less.
    pub failures: f32,
    /// The part of its upload rate that is in use, from 0 to 1.
    pub upload_load: f32,
}

/// How fast bytes come to a node, in bytes a second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Paths {
    /// From neighbours in its zone that have them, or will.
    pub neighbours: f32,
    /// From outside the zone: an edge, or the origin.
    pub outside: f32,
}

/// A KiB, in which bytes on their way are counted.
pub(crate) const KIB: u64 = 1 << 10;

/// The columns.
#[derive(Debug, Default)]
pub(crate) struct Nodes {
    facts: Vec<Option<NodeFacts>>,
    names: Vec<NodeName>,
    by_name: HashMap<NodeName, NodeIndex>,
    /// Whether pods may come: the node is there, ready and not cordoned.
    pub(crate) is_open: Vec<bool>,
    /// Thousandths of a core that no pod has asked for.
    pub(crate) cpu_free: Vec<i64>,
    /// Bytes that no pod has asked for.
    pub(crate) memory_free: Vec<i64>,
    /// Pods that there is room for.
    pub(crate) pods_free: Vec<i64>,
    /// KiB of disk that are free, less what is on its way.
    pub(crate) disk_free_kib: Vec<i64>,
    /// One over the processor of all pods.
    pub(crate) cpu_share: Vec<f32>,
    /// One over the memory of all pods.
    pub(crate) memory_share: Vec<f32>,
    /// Seconds for a KiB from neighbours.
    pub(crate) near_pace: Vec<f32>,
    /// Seconds for a KiB from outside.
    pub(crate) far_pace: Vec<f32>,
    /// Zones, by [`super::layers::zone_position`].
    pub(crate) zones: Vec<usize>,
    /// KiB on their way; no more than the column holds.
    pub(crate) arriving_kib: Vec<u32>,
    /// The same, exactly.
    arriving: Vec<i64>,
    /// Images on their way.
    pub(crate) pulls: Vec<u32>,
    /// KiB that may be fetched for another pod: what is free on the disk; none while as many images are on their way as may be.
    pub(crate) fetchable_kib: Vec<u32>,
    /// What the node itself is worth less, in ticks.
    pub(crate) health: Vec<i32>,
    /// Ports of the node that pods have.
    ports: HashMap<NodeIndex, BTreeMap<(u16, Protocol), u32>>,
}

impl Nodes {
    /// How many entries the columns have, those of nodes that are gone among them.
    pub(crate) fn len(&self) -> usize {
        self.facts.len()
    }

    /// The node of this name.
    pub(crate) fn find(&self, name: &NodeName) -> Option<NodeIndex> {
        self.by_name.get(name).copied()
    }

    /// What is known of a node; `None` of one that is gone.
    pub(crate) fn facts(&self, node: NodeIndex) -> Option<&NodeFacts> {
        self.facts.get(node.position())?.as_ref()
    }

    /// All nodes that there are.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (NodeIndex, &NodeFacts)> {
        self.facts.iter().enumerate().filter_map(|(at, facts)| Some((NodeIndex::at(at), facts.as_ref()?)))
    }

    /// Takes in what is known of a node now; its entry, and what was known before.
    pub(crate) fn put(&mut self, facts: NodeFacts, weights: &Weights) -> (NodeIndex, Option<NodeFacts>) {
        let node = self.find(&facts.name).unwrap_or_else(|| self.grow(&facts.name));
        let at = node.position();
        let before = self.facts[at].take();
        let amount = |facts: &NodeFacts| {
            (signed(facts.cpu.millis), signed(facts.memory.count), i64::from(facts.pods), signed(facts.disk.count / KIB))
        };
        let was = before.as_ref().map_or((0, 0, 0, 0), amount);
        let is = amount(&facts);
        self.cpu_free[at] += is.0 - was.0;
        self.memory_free[at] += is.1 - was.1;
        self.pods_free[at] += is.2 - was.2;
        self.disk_free_kib[at] += is.3 - was.3;
        self.cpu_share[at] = share(facts.cpu.millis);
        self.memory_share[at] = share(facts.memory.count);
        self.near_pace[at] = pace(facts.paths.neighbours);
        self.far_pace[at] = pace(facts.paths.outside);
        self.health[at] = cost::health(facts.failures, facts.upload_load, weights);
        self.is_open[at] = facts.is_ready && !facts.is_cordoned;
        self.facts[at] = Some(facts);
        self.note_fetchable(node, weights);
        (node, before)
    }

    /// So many KiB more are on their way to a node, or less.
    pub(crate) fn add_arriving(&mut self, node: NodeIndex, kib: i64) {
        let arriving = &mut self.arriving[node.position()];
        *arriving += kib;
        self.arriving_kib[node.position()] = u32::try_from(*arriving).unwrap_or(u32::MAX);
    }

    /// Finds out anew how much may be fetched, when disk or pulls have changed.
    pub(crate) fn note_fetchable(&mut self, node: NodeIndex, weights: &Weights) {
        let at = node.position();
        let is_busy = self.pulls[at] >= weights.pulls_per_node;
        let free = u32::try_from(self.disk_free_kib[at].max(0)).unwrap_or(u32::MAX);
        self.fetchable_kib[at] = if is_busy { 0 } else { free };
    }

    /// Forgets a node. Its entry stays, closed, for when one of its name comes back.
    pub(crate) fn remove(&mut self, node: NodeIndex) {
        let at = node.position();
        let Some(facts) = self.facts[at].take() else { return };
        self.cpu_free[at] -= signed(facts.cpu.millis);
        self.memory_free[at] -= signed(facts.memory.count);
        self.pods_free[at] -= i64::from(facts.pods);
        self.disk_free_kib[at] -= signed(facts.disk.count / KIB);
        self.is_open[at] = false;
    }

    /// What a node is called, or was.
    pub(crate) fn name(&self, node: NodeIndex) -> &NodeName {
        &self.names[node.position()]
    }

    /// Makes an entry for a node of which nothing is known.
    pub(crate) fn grow(&mut self, name: &NodeName) -> NodeIndex {
        let node = NodeIndex::at(self.facts.len());
        self.facts.push(None);
        self.names.push(name.clone());
        self.is_open.push(false);
        for column in [&mut self.cpu_free, &mut self.memory_free, &mut self.pods_free, &mut self.disk_free_kib] {
            column.push(0);
        }
        for column in [&mut self.cpu_share, &mut self.memory_share, &mut self.near_pace, &mut self.far_pace] {
            column.push(0.0);
        }
        self.zones.push(0);
        self.arriving_kib.push(0);
        self.arriving.push(0);
        self.pulls.push(0);
        self.fetchable_kib.push(0);
        self.health.push(0);
        self.by_name.insert(name.clone(), node);
        node
    }

    /// Ports that pods have on a node.
    pub(crate) fn has_port(&self, node: NodeIndex, port: (u16, Protocol)) -> bool {
        self.ports.get(&node).is_some_and(|taken| taken.contains_key(&port))
    }

    /// A pod takes ports.
    pub(crate) fn take_ports(&mut self, node: NodeIndex, ports: &[(u16, Protocol)]) {
        for port in ports {
            *self.ports.entry(node).or_default().entry(*port).or_default() += 1;
        }
    }

    /// A pod gives ports back.
    pub(crate) fn free_ports(&mut self, node: NodeIndex, ports: &[(u16, Protocol)]) {
        if let Some(taken) = self.ports.get_mut(&node) {
            taken.retain(|port, pods| {
                *pods -= u32::from(ports.contains(port));
                *pods > 0
            });
            if taken.is_empty() {
                self.ports.remove(&node);
            }
        }
    }
}

/// What is more counts as a PiB, or as much of another kind: so that sums of what nodes and callers say stay numbers.
const MOST: i64 = 1 << 50;

/// As a signed number.
pub(crate) fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX).min(MOST)
}

#[expect(clippy::cast_precision_loss, reason = "a share of a whole; the 24 bits of it are enough")]
fn share(whole: u64) -> f32 {
    if whole == 0 { 0.0 } else { 1.0 / whole as f32 }
}

/// Seconds for a KiB at so many bytes a second, of which there is at least one.
fn pace(bytes_per_second: f32) -> f32 {
    1_024.0 / bytes_per_second.max(1.0)
}
