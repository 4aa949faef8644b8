//! Everything that decisions go by, kept current.

use std::sync::Arc;

use longshore_fleet::{Class, LabelKey, NodeName, PodId, WhenUnsatisfiable};
use longshore_oci::Digest;
use rustc_hash::{FxHashMap as HashMap, FxHashSet as HashSet};

use super::{
    cost::{Cost, Weights, ticks},
    counters::{Counted, Counters, Kind},
    demand::{Compiled, Demand, Leaning},
    index::{CounterIndex, DemandIndex, ImageIndex, LayerIndex, NodeIndex, StaticsIndex, TopologyIndex},
    interner::Interner,
    layers::{Held, Layers, zone_position},
    nodes::{NodeFacts, Nodes},
    partition::Partition,
    statics::{Static, Statics},
    survey::{Changes, Surveys},
    topology::{HOSTNAME, Topologies, ZONE},
};

/// Nodes, what is on them, and what pods want.
#[derive(Debug)]
pub struct Cluster {
    pub(crate) weights: Weights,
    pub(crate) nodes: Nodes,
    pub(crate) topologies: Topologies,
    pub(crate) zone: TopologyIndex,
    pub(crate) layers: Layers,
    pub(crate) statics: Statics,
    pub(crate) counters: Counters,
    demands: Interner<Demand>,
    compiled: Vec<Compiled>,
    pods: HashMap<PodId, Bound>,
    by_node: Vec<HashSet<PodId>>,
    /// Pods that wait for an image on a node.
    waiting: HashMap<(NodeIndex, ImageIndex), u32>,
    /// Nodes by their labels, for as long as no node changes.
    pub(crate) partitions: HashMap<Vec<TopologyIndex>, Arc<Partition>>,
    /// Which nodes have changed, for what is kept of decisions.
    pub(crate) changes: Changes,
    pub(crate) surveys: Surveys,
}

/// A pod on a node.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bound {
    pub(crate) demand: DemandIndex,
    pub(crate) node: NodeIndex,
    /// The image that it has there.
    pub(crate) image: Option<ImageIndex>,
    /// Whether bytes had to be fetched for it.
    pub(crate) is_pulling: bool,
    /// Whether all its bytes are there.
    pub(crate) is_running: bool,
}

/// A pod that was placed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Placed {
    /// Where.
    pub node: NodeIndex,
    /// What that cost it.
    pub cost: Cost,
    /// Bytes that the node lacked for it, and that were not on their way.
    pub missing_bytes: u64,
}

impl Cluster {
    /// One without nodes.
    pub fn new(weights: Weights) -> Self {
        let nodes = Nodes::default();
        let mut topologies = Topologies::default();
        let zone = topologies.topology(&key(ZONE), &nodes);
        Self {
            weights,
            nodes,
            topologies,
            zone,
            layers: Layers::default(),
            statics: Statics::default(),
            counters: Counters::default(),
            demands: Interner::default(),
            compiled: Vec::new(),
            pods: HashMap::default(),
            by_node: Vec::new(),
            waiting: HashMap::default(),
            partitions: HashMap::default(),
            changes: Changes::default(),
            surveys: Surveys::default(),
        }
    }

    // Nodes.

    /// Takes in what is known of a node now: a new one, or one that has changed.
    pub fn put_node(&mut self, mut facts: NodeFacts) -> NodeIndex {
        match facts.name.as_str().parse() {
            Ok(name) => facts.labels.insert(key(HOSTNAME), name),
            // It is too long for a label.
            Err(_) => facts.labels.remove(HOSTNAME),
        };
        if let Some(node) = self.node(&facts.name)
            && self.facts(node) == Some(&facts)
        {
            return node;
        }
        let (node, before) = self.nodes.put(facts, &self.weights);
        self.grow();
        self.touch(node);
        let Some(facts) = self.nodes.facts(node) else { return node };
        let is_same = before.as_ref().is_some_and(|before| {
            before.labels == facts.labels && before.taints == facts.taints && before.platform == facts.platform
        });
        if !is_same {
            let facts = facts.clone();
            self.relabel(node, |topologies| topologies.put(node, &facts));
            self.statics.put(node, Some(&facts), &self.weights);
        }
        node
    }

    /// Forgets a node. Pods on it stay known until they are removed, and are near nothing.
    pub fn remove_node(&mut self, name: &NodeName) {
        let Some(node) = self.nodes.find(name) else { return };
        let gone: Vec<LayerIndex> = self.layers.layers_of(node).map(|(layer, _)| layer).collect();
        for layer in gone {
            self.change_layer(node, layer, |held| {
                held.is_here = false;
                held.is_coming = false;
            });
        }
        self.relabel(node, |topologies| topologies.remove(node));
        self.nodes.remove(node);
        self.statics.put(node, None, &self.weights);
        self.touch(node);
    }

    /// An entry for a node that is gone, and that pods are still on.
    pub(crate) fn absent_node(&mut self, name: &NodeName) -> NodeIndex {
        let node = self.nodes.find(name).unwrap_or_else(|| self.nodes.grow(name));
        self.grow();
        node
    }

    /// Makes room everywhere for all nodes.
    fn grow(&mut self) {
        let count = self.nodes.len();
        if self.by_node.len() < count {
            self.by_node.resize_with(count, HashSet::default);
            self.layers.grow(count);
            self.topologies.grow(count);
            self.statics.grow(count);
            self.forget_partitions();
        }
    }

    /// The node of this name.
    pub fn node(&self, name: &NodeName) -> Option<NodeIndex> {
        self.nodes.find(name)
    }

    /// All nodes that there are.
    pub fn nodes(&self) -> impl Iterator<Item = NodeIndex> {
        self.nodes.iter().map(|(node, _)| node)
    }

    /// What is known of a node; `None` of one that is gone.
    pub fn facts(&self, node: NodeIndex) -> Option<&NodeFacts> {
        self.nodes.facts(node)
    }

    /// A node's labels change: everything that follows from them is found out again.
    fn relabel(&mut self, node: NodeIndex, change: impl FnOnce(&mut Topologies)) {
        let pods: Vec<PodId> = self.by_node[node.position()].iter().copied().collect();
        let zone = self.topologies.domain(self.zone, node);
        for pod in &pods {
            self.count(*pod, false);
        }
        change(&mut self.topologies);
        for pod in &pods {
            self.count(*pod, true);
        }
        let moved = self.topologies.domain(self.zone, node);
        if zone != moved {
            self.layers.move_node(node, zone, moved);
            self.nodes.zones[node.position()] = zone_position(moved);
        }
        self.forget_partitions();
        self.touch(node);
    }

    /// Nodes have other labels than before, or there are others.
    fn forget_partitions(&mut self) {
        self.partitions.clear();
        self.surveys.clear();
    }

    /// Something of a node has changed that decisions go by.
    pub(crate) fn touch(&mut self, node: NodeIndex) {
        self.changes.note(node, self.nodes.len());
    }

    // Layers.

    /// A node says whether it has a layer.
    pub fn set_layer(&mut self, node: NodeIndex, digest: &Digest, size_bytes: u64, is_here: bool) {
        let layer = self.layers.layer(digest, size_bytes);
        self.change_layer(node, layer, |held| {
            held.is_here = is_here;
            held.is_coming &= !is_here;
        });
    }

    /// A node says whether it is fetching a layer.
    pub fn set_arriving(&mut self, node: NodeIndex, digest: &Digest, size_bytes: u64, is_coming: bool) {
        let layer = self.layers.layer(digest, size_bytes);
        self.change_layer(node, layer, |held| held.is_coming = is_coming && !held.is_here);
    }

    fn change_layer(&mut self, node: NodeIndex, layer: LayerIndex, change: impl FnOnce(&mut Held)) {
        let zone = self.topologies.domain(self.zone, node);
        let Some(arriving_kib) = self.layers.change(node, zone, layer, change) else { return };
        self.touch(node);
        self.nodes.add_arriving(node, arriving_kib);
        self.nodes.disk_free_kib[node.position()] -= arriving_kib;
        self.nodes.note_fetchable(node, &self.weights);
    }

    // Demands.

    /// What pods that are alike want, by position: equal demands have the same.
    pub fn demand(&mut self, demand: &Demand) -> DemandIndex {
        let (at, is_new) = self.demands.intern(demand);
        if is_new {
            let compiled = self.compile(demand);
            self.compiled.push(compiled);
        }
        DemandIndex::at(at)
    }

    pub(crate) fn compiled(&self, demand: DemandIndex) -> &Compiled {
        &self.compiled[demand.position()]
    }

    fn compile(&mut self, demand: &Demand) -> Compiled {
        let statics = self.static_of(demand);
        let images = demand.images.iter().map(|image| self.layers.image(&image.layers)).collect();
        let terms = &demand.affinity;
        let mut near = Vec::new();
        for term in &terms.pod.required {
            let counter = self.counter(demand, &term.selector, &term.topology_key, Kind::Selected);
            near.push((counter, term.selector.matches(&demand.labels)));
        }
        let mut far = Vec::new();
        for term in &terms.pod_anti.required {
            far.push(self.counter(demand, &term.selector, &term.topology_key, Kind::Selected));
            self.counter(demand, &term.selector, &term.topology_key, Kind::Repelling);
        }
        let mut spread = Vec::new();
        let mut leanings = Vec::new();
        for wish in &demand.spread {
            let selector = wish.selector.clone().unwrap_or_else(|| own_labels(demand));
            let counter = self.counter(demand, &selector, &wish.topology_key, Kind::Selected);
            match wish.when_unsatisfiable {
                WhenUnsatisfiable::DoNotSchedule => spread.push((counter, wish.max_skew, selector.matches(&demand.labels))),
                WhenUnsatisfiable::ScheduleAnyway => {
                    leanings.push(self.leaning(counter, ticks(self.weights.spread_seconds), true));
                }
            }
        }
        if demand.class == Class::Online {
            for wish in [ZONE, HOSTNAME] {
                let counter = self.counter(demand, &own_labels(demand), &key(wish), Kind::Selected);
                leanings.push(self.leaning(counter, ticks(self.weights.spread_seconds), true));
            }
        }
        let weighed =
            terms.pod.preferred.iter().map(|term| (term, -1.0)).chain(terms.pod_anti.preferred.iter().map(|term| (term, 1.0)));
        for (term, sign) in weighed {
            let counter = self.counter(demand, &term.selector, &term.topology_key, Kind::Selected);
            let cost = ticks(sign * self.weights.affinity_seconds * f32::from(u8::try_from(term.weight).unwrap_or(100)) / 100.0);
            leanings.push(self.leaning(counter, cost, false));
        }
        Compiled {
            demand: demand.clone(),
            statics,
            images,
            counted_by: self.counted_by(demand),
            repelled_by: self.counters.about(Kind::Repelling, &demand.namespace, &demand.labels),
            near,
            far,
            spread,
            leanings,
        }
    }

    /// The leaning on a counter.
    fn leaning(&self, counter: CounterIndex, cost: i32, is_each: bool) -> Leaning {
        Leaning { counter, topology: self.counters.counted(counter).topology, cost, is_each }
    }

    fn static_of(&mut self, demand: &Demand) -> StaticsIndex {
        let suits = Static {
            node_selector: demand.node_selector.clone(),
            affinity: demand.affinity.node.clone(),
            tolerations: demand.tolerations.clone(),
            platforms: demand.images.iter().map(|image| (image.os.clone(), image.architecture.clone())).collect(),
        };
        self.statics.index(&suits, &self.nodes, &self.weights)
    }

    /// Which counters a demand's pods are counted by: those that select them, and those of what they keep away.
    fn counted_by(&self, demand: &Demand) -> Vec<CounterIndex> {
        let mut counters = self.counters.about(Kind::Selected, &demand.namespace, &demand.labels);
        for term in &demand.affinity.pod_anti.required {
            let topology = self.topologies.find(&term.topology_key);
            counters.extend(topology.and_then(|topology| {
                self.counters.find(&Counted {
                    namespace: demand.namespace.clone(),
                    selector: term.selector.clone(),
                    topology,
                    kind: Kind::Repelling,
                })
            }));
        }
        counters.sort_unstable();
        counters.dedup();
        counters
    }

    /// A counter; a new one counts the pods that are there.
    fn counter(
        &mut self,
        demand: &Demand,
        selector: &longshore_fleet::Selector,
        topology_key: &LabelKey,
        kind: Kind,
    ) -> CounterIndex {
        let topology = self.topologies.topology(topology_key, &self.nodes);
        let meant = Counted { namespace: demand.namespace.clone(), selector: selector.clone(), topology, kind };
        let (counter, is_new) = self.counters.counter(&meant);
        if is_new {
            for compiled in &mut self.compiled {
                compiled.take_note(counter, &meant, topology_key);
            }
            for bound in self.pods.values() {
                let is_counted = self.compiled[bound.demand.position()].counted_by.contains(&counter);
                if let Some(domain) = self.topologies.domain(topology, bound.node)
                    && is_counted
                {
                    self.counters.add(counter, domain);
                }
            }
        }
        counter
    }

    // Pods.

    /// Notes that a pod is on a node, for which its bytes may still be on their way. Nothing where it is on one.
    pub fn bind(&mut self, pod: PodId, demand: DemandIndex, node: NodeIndex) {
        let is_pulling = self.image_for(demand, node).is_some_and(|image| {
            self.layers.missing_kib(image)[node.position()] > 0 || self.waiting.contains_key(&(node, image))
        });
        let image = self.image_for(demand, node);
        self.attach(pod, Bound { demand, node, image, is_pulling, is_running: false });
    }

    /// Notes that a pod is on a node, and has not started. Nothing where it is on one.
    fn attach(&mut self, pod: PodId, bound: Bound) {
        let Bound { demand, node, image, is_pulling, .. } = bound;
        if self.pods.contains_key(&pod) {
            return;
        }
        self.touch(node);
        let at = node.position();
        let wants = &self.compiled[demand.position()].demand;
        self.nodes.cpu_free[at] -= signed(wants.cpu_millis);
        self.nodes.memory_free[at] -= signed(wants.memory_bytes);
        self.nodes.pods_free[at] -= 1;
        self.nodes.take_ports(node, &wants.ports);
        if let Some(image) = image {
            if is_pulling {
                let pods = self.waiting.entry((node, image)).or_default();
                *pods += 1;
                self.nodes.pulls[at] += u32::from(*pods == 1);
                self.nodes.note_fetchable(node, &self.weights);
            }
            self.change_image(node, image, |held| held.waiting += 1);
        }
        self.pods.insert(pod, Bound { is_running: false, ..bound });
        self.by_node[at].insert(pod);
        self.count(pod, true);
    }

    /// Notes that a pod has all its bytes.
    pub fn started(&mut self, pod: PodId) {
        let Some(bound) = self.pods.get_mut(&pod) else { return };
        if bound.is_running {
            return;
        }
        let was = *bound;
        *bound = Bound { is_running: true, is_pulling: false, ..was };
        self.touch(was.node);
        self.arrived(was);
        if let Some(image) = was.image {
            self.change_image(was.node, image, |held| {
                held.waiting -= 1;
                held.running += 1;
            });
        }
    }

    /// Forgets a pod.
    pub fn unbind(&mut self, pod: PodId) {
        if !self.pods.contains_key(&pod) {
            return;
        }
        self.count(pod, false);
        let Some(was) = self.pods.remove(&pod) else { return };
        self.touch(was.node);
        let at = was.node.position();
        self.by_node[at].remove(&pod);
        let wants = &self.compiled[was.demand.position()].demand;
        self.nodes.cpu_free[at] += signed(wants.cpu_millis);
        self.nodes.memory_free[at] += signed(wants.memory_bytes);
        self.nodes.pods_free[at] += 1;
        self.nodes.free_ports(was.node, &wants.ports);
        self.arrived(was);
        if let Some(image) = was.image {
            self.change_image(was.node, image, |held| if was.is_running { held.running -= 1 } else { held.waiting -= 1 });
        }
    }

    /// What is known of a pod.
    pub(crate) fn bound(&self, pod: PodId) -> Option<Bound> {
        self.pods.get(&pod).copied()
    }

    /// Puts a pod back as it was. Nothing where it is on a node.
    pub(crate) fn restore(&mut self, pod: PodId, was: Bound) {
        if self.pods.contains_key(&pod) {
            return;
        }
        self.attach(pod, was);
        if was.is_running {
            self.started(pod);
        }
    }

    /// All pods on nodes.
    pub(crate) fn bounds(&self) -> impl Iterator<Item = (PodId, Bound)> {
        self.pods.iter().map(|(pod, bound)| (*pod, *bound))
    }

    /// How many demands are known.
    pub(crate) fn demand_count(&self) -> usize {
        self.compiled.len()
    }

    /// Pods on a node, each with what it wants.
    pub(crate) fn pods_on(&self, node: NodeIndex) -> impl Iterator<Item = (PodId, DemandIndex)> {
        let pods = self.by_node.get(node.position()).into_iter().flatten();
        pods.map(|pod| (*pod, self.pods[pod].demand))
    }

    /// Where a pod is.
    pub fn node_of(&self, pod: PodId) -> Option<NodeIndex> {
        self.pods.get(&pod).map(|bound| bound.node)
    }

    fn change_image(&mut self, node: NodeIndex, image: ImageIndex, change: impl Fn(&mut Held)) {
        for at in 0..self.layers.layers_in(image).len() {
            let layer = self.layers.layers_in(image)[at];
            self.change_layer(node, layer, &change);
        }
    }

    /// The image that a demand's pods have on a node: that for its platform.
    pub(crate) fn image_for(&self, demand: DemandIndex, node: NodeIndex) -> Option<ImageIndex> {
        let compiled = &self.compiled[demand.position()];
        match compiled.images.as_slice() {
            [] => None,
            [image] => Some(*image),
            images => {
                let platform = &self.nodes.facts(node)?.platform;
                let at = compiled.demand.images.iter().position(|image| image.suits(platform))?;
                images.get(at).copied()
            }
        }
    }

    /// A pod waits no more for its image.
    fn arrived(&mut self, was: Bound) {
        let Some(image) = was.image.filter(|_| was.is_pulling) else { return };
        if let Some(pods) = self.waiting.get_mut(&(was.node, image)) {
            *pods -= 1;
            if *pods == 0 {
                self.waiting.remove(&(was.node, image));
                self.nodes.pulls[was.node.position()] -= 1;
                self.nodes.note_fetchable(was.node, &self.weights);
            }
        }
    }

    /// Counts a pod, or no more.
    fn count(&mut self, pod: PodId, is_there: bool) {
        let Bound { demand, node, .. } = self.pods[&pod];
        for counter in &self.compiled[demand.position()].counted_by {
            let topology = self.counters.counted(*counter).topology;
            if let Some(domain) = self.topologies.domain(topology, node) {
                if is_there {
                    self.counters.add(*counter, domain);
                } else {
                    self.counters.remove(*counter, domain);
                }
            }
        }
    }
}

/// What selects the pods of a demand's own kind: all of its labels.
fn own_labels(demand: &Demand) -> longshore_fleet::Selector {
    let requirement = |(key, value): (&LabelKey, &longshore_fleet::LabelValue)| longshore_fleet::Requirement {
        key: key.clone(),
        operator: longshore_fleet::Operator::In,
        values: vec![value.clone()],
    };
    longshore_fleet::Selector(demand.labels.iter().map(requirement).collect())
}

fn key(text: &str) -> LabelKey {
    text.parse().unwrap_or_else(|_| unreachable!("it is a key"))
}

/// As a signed number: quantities are below 2^63.
pub(crate) fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
