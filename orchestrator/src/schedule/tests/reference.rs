//! Decisions are those of a slow and obvious scheduler, which keeps nothing current and looks everything up.

use std::collections::{BTreeMap, BTreeSet};

use longshore_fleet::{
    Bytes, Class, Cpu, Effect, Labels, NodeName, PodId, PodTerm, PreferredPodTerm, Protocol, Selector, Spread, Taint, Toleration,
    WhenUnsatisfiable,
};
use longshore_oci::{Digest, Platform};
use proptest::prelude::*;
use uuid::Uuid;

use super::super::{Cluster, Demand, ImageLayers, NodeFacts, Paths, Weights, cost::ticks};

/// What there is, as one would write it down.
#[derive(Default)]
struct Model {
    nodes: Vec<NodeFacts>,
    /// By node: what it says it has.
    here: Vec<BTreeSet<Digest>>,
    /// By node: whether it is no more.
    is_gone: Vec<bool>,
    /// Pods in the order in which they were bound.
    pods: Vec<Pod>,
}

struct Pod {
    demand: Demand,
    node: usize,
    is_running: bool,
    is_pulling: bool,
}

fn size_of(digest: &Digest) -> u64 {
    let hex = digest.as_str().as_bytes();
    u64::from(hex[hex.len() - 1] - b'0' + 1) * (10 << 20)
}

fn digest(number: u8) -> Digest {
    format!("sha256:{}{}", "0".repeat(63), number).parse().unwrap()
}

impl Model {
    fn on(&self, node: usize) -> impl Iterator<Item = &Pod> {
        self.pods.iter().filter(move |pod| pod.node == node)
    }

    fn layers(demand: &Demand) -> BTreeSet<Digest> {
        demand.images.iter().flat_map(|image| image.layers.iter().map(|(digest, _)| digest.clone())).collect()
    }

    /// What nobody need fetch again for a pod on this node.
    fn known(&self, node: usize) -> BTreeSet<Digest> {
        let of_pods = self.on(node).flat_map(|pod| Self::layers(&pod.demand));
        of_pods.chain(self.here[node].iter().cloned()).collect()
    }

    fn value(&self, node: usize, key: &str) -> Option<String> {
        let facts = &self.nodes[node];
        if key == "kubernetes.io/hostname" {
            return Some(facts.name.to_string());
        }
        if self.is_gone[node] {
            return None;
        }
        facts.labels.get(key).map(|value| value.as_str().to_owned())
    }

    /// Pods of a kind at the node's value of a label.
    fn count(&self, demand: &Demand, key: &str, value: Option<&str>, selects: impl Fn(&Pod) -> bool) -> u32 {
        let of_kind = self.pods.iter().filter(|pod| pod.demand.namespace == demand.namespace && selects(pod));
        let near = of_kind.filter(|pod| value.is_some() && self.value(pod.node, key).as_deref() == value);
        u32::try_from(near.count()).unwrap()
    }

    fn selected(&self, demand: &Demand, selector: &Selector, key: &str, node: usize) -> u32 {
        let value = self.value(node, key);
        self.count(demand, key, value.as_deref(), |pod| selector.matches(&pod.demand.labels))
    }

    fn suits(&self, demand: &Demand, node: usize) -> bool {
        let facts = &self.nodes[node];
        if self.is_gone[node] {
            return false;
        }
        let tolerated = |taint: &&Taint| demand.tolerations.iter().any(|toleration| toleration.tolerates(taint));
        let required = &demand.affinity.node.required;
        demand.node_selector.iter().all(|(key, value)| facts.labels.get(key) == Some(value))
            && (required.is_empty()
                || required.iter().any(|term| term.match_expressions.iter().all(|wish| wish.is_met_by(&facts.labels))))
            && facts.taints.iter().filter(|taint| taint.effect != Effect::PreferNoSchedule).all(|taint| tolerated(&taint))
            && demand.images.iter().all(|image| image.suits(&facts.platform))
    }

    /// What the node costs, or nothing where the pod does not fit.
    fn cost(&self, demand: &Demand, node: usize, weights: &Weights) -> Option<i64> {
        let facts = &self.nodes[node];
        if !facts.is_ready || facts.is_cordoned || !self.suits(demand, node) {
            return None;
        }
        let used = |amount: fn(&Demand) -> u64| self.on(node).map(|pod| amount(&pod.demand)).sum::<u64>();
        let cpu = used(|demand| demand.cpu_millis) + demand.cpu_millis;
        let memory = used(|demand| demand.memory_bytes) + demand.memory_bytes;
        if (cpu > facts.cpu.millis && demand.cpu_millis > 0) || (memory > facts.memory.count && demand.memory_bytes > 0) {
            return None;
        }
        if self.on(node).count() >= facts.pods as usize
            || self.on(node).any(|pod| pod.demand.ports.iter().any(|port| demand.ports.contains(port)))
        {
            return None;
        }
        let start = self.start(demand, node, weights)?;
        let rules = self.rules(demand, node, weights)?;
        let disliked = facts.taints.iter().filter(|taint| taint.effect == Effect::PreferNoSchedule);
        let disliked = disliked.filter(|taint| !demand.tolerations.iter().any(|toleration| toleration.tolerates(taint))).count();
        let balance = balance(demand, facts, cpu, memory, weights);
        let health = ticks(weights.failure_seconds * facts.failures + weights.upload_seconds * facts.upload_load);
        let preference = ticks(weights.taint_seconds * f32::from(u8::try_from(disliked).unwrap()));
        Some(i64::from(start) + i64::from(balance) + i64::from(health) + i64::from(preference) + rules)
    }

    #[expect(clippy::cast_precision_loss, reason = "as the scheduler counts")]
    fn start(&self, demand: &Demand, node: usize, weights: &Weights) -> Option<i32> {
        let facts = &self.nodes[node];
        let known = self.known(node);
        let zone = self.value(node, "topology.kubernetes.io/zone");
        let in_zone = |other: &usize| self.value(*other, "topology.kubernetes.io/zone") == zone;
        let kib = |digests: &BTreeSet<Digest>| digests.iter().map(|digest| size_of(digest) >> 10).sum::<u64>();
        let missing: BTreeSet<Digest> = Self::layers(demand).difference(&known).cloned().collect();
        let held_in_zone: BTreeSet<Digest> = (0..self.nodes.len()).filter(in_zone).flat_map(|other| self.known(other)).collect();
        let absent: BTreeSet<Digest> = missing.difference(&held_in_zone).cloned().collect();
        let running: BTreeSet<Digest> =
            self.on(node).filter(|pod| pod.is_running).flat_map(|pod| Self::layers(&pod.demand)).collect();
        let awaited: BTreeSet<Digest> =
            self.on(node).filter(|pod| !pod.is_running).flat_map(|pod| Self::layers(&pod.demand)).collect();
        let arriving: BTreeSet<Digest> =
            awaited.into_iter().filter(|digest| !running.contains(digest) && !self.here[node].contains(digest)).collect();
        let pulls: BTreeSet<Vec<Digest>> =
            self.on(node).filter(|pod| pod.is_pulling).map(|pod| Self::layers(&pod.demand).into_iter().collect()).collect();
        if !missing.is_empty() {
            let room = (facts.disk.count >> 10).cast_signed() - kib(&arriving).cast_signed();
            if kib(&missing).cast_signed() > room || pulls.len() >= weights.pulls_per_node as usize {
                return None;
            }
        }
        let near = (kib(&arriving) as f32 + (kib(&missing) - kib(&absent)) as f32) * (1_024.0 / facts.paths.neighbours);
        Some(ticks(near + kib(&absent) as f32 * (1_024.0 / facts.paths.outside)))
    }

    fn rules(&self, demand: &Demand, node: usize, weights: &Weights) -> Option<i64> {
        for term in &demand.affinity.pod.required {
            let key = term.topology_key.as_str();
            let labelled = |pod: &Pod| self.value(pod.node, key).is_some();
            let anywhere = self.pods.iter().any(|pod| {
                pod.demand.namespace == demand.namespace && term.selector.matches(&pod.demand.labels) && labelled(pod)
            });
            let may_be_first = !anywhere && term.selector.matches(&demand.labels);
            if self.value(node, key).is_none() || (self.selected(demand, &term.selector, key, node) == 0 && !may_be_first) {
                return None;
            }
        }
        for term in &demand.affinity.pod_anti.required {
            if self.selected(demand, &term.selector, term.topology_key.as_str(), node) > 0 {
                return None;
            }
        }
        for pod in self.pods.iter().filter(|pod| pod.demand.namespace == demand.namespace) {
            for term in &pod.demand.affinity.pod_anti.required {
                let key = term.topology_key.as_str();
                let here = self.value(node, key);
                if term.selector.matches(&demand.labels) && here.is_some() && here == self.value(pod.node, key) {
                    return None;
                }
            }
        }
        let mut total = 0;
        let own: Vec<String> = demand.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let own: Selector = own.join(",").parse().unwrap();
        for spread in &demand.spread {
            let key = spread.topology_key.as_str();
            let selector = spread.selector.clone().unwrap_or_else(|| own.clone());
            if spread.when_unsatisfiable == WhenUnsatisfiable::ScheduleAnyway {
                total += self.each(demand, &selector, key, node, weights);
                continue;
            }
            self.value(node, key)?;
            let able = (0..self.nodes.len()).filter(|&other| {
                let facts = &self.nodes[other];
                facts.is_ready && !facts.is_cordoned && self.suits(demand, other) && self.value(other, key).is_some()
            });
            let fewest = able.map(|other| self.selected(demand, &selector, key, other)).min().unwrap_or(0);
            let here = self.selected(demand, &selector, key, node) + u32::from(selector.matches(&demand.labels));
            if here > fewest + spread.max_skew {
                return None;
            }
        }
        if demand.class == Class::Online {
            for key in ["topology.kubernetes.io/zone", "kubernetes.io/hostname"] {
                total += self.each(demand, &own, key, node, weights);
            }
        }
        let weighed = |terms: &[PreferredPodTerm], sign: f32| -> i64 {
            let near = terms.iter().filter(|term| self.selected(demand, &term.selector, term.topology_key.as_str(), node) > 0);
            near.map(|term| {
                i64::from(ticks(sign * weights.affinity_seconds * f32::from(u8::try_from(term.weight).unwrap()) / 100.0))
            })
            .sum()
        };
        Some(total + weighed(&demand.affinity.pod.preferred, -1.0) + weighed(&demand.affinity.pod_anti.preferred, 1.0))
    }

    /// What pods of a kind cost that are at the node's value; without one, as many as at the value with the most.
    fn each(&self, demand: &Demand, selector: &Selector, key: &str, node: usize, weights: &Weights) -> i64 {
        let count = if self.value(node, key).is_some() {
            self.selected(demand, selector, key, node)
        } else {
            (0..self.nodes.len()).map(|other| self.selected(demand, selector, key, other)).max().unwrap_or(0)
        };
        i64::from(ticks(weights.spread_seconds)) * i64::from(count)
    }

    fn choose(&self, demand: &Demand, weights: &Weights) -> Option<usize> {
        let costs = (0..self.nodes.len()).filter_map(|node| Some((self.cost(demand, node, weights)?, node)));
        costs.min().map(|(_, node)| node)
    }

    fn bind(&mut self, demand: &Demand, node: usize) {
        let is_missing = !Self::layers(demand).is_subset(&self.known(node));
        let layers = Self::layers(demand);
        let with_others = self.on(node).any(|pod| pod.is_pulling && Self::layers(&pod.demand) == layers);
        self.pods.push(Pod { demand: demand.clone(), node, is_running: false, is_pulling: is_missing || with_others });
    }
}

#[expect(clippy::cast_precision_loss, reason = "as the scheduler counts")]
fn balance(demand: &Demand, facts: &NodeFacts, cpu: u64, memory: u64, weights: &Weights) -> i32 {
    let used = |used: u64, whole: u64| 1.0 - (whole.cast_signed() - used.cast_signed()) as f32 * (1.0 / whole as f32);
    let (cpu, memory) = (used(cpu, facts.cpu.millis), used(memory, facts.memory.count));
    let full = (cpu + memory) * 0.5;
    let worse = if demand.class == Class::Online { full } else { 1.0 - full };
    ticks(weights.balance_seconds * worse + weights.evenness_seconds * (cpu - memory).abs())
}

fn labels(pairs: &[(&str, String)]) -> Labels {
    pairs.iter().map(|(key, value)| (key.parse().unwrap(), value.parse().unwrap())).collect()
}

prop_compose! {
    fn a_node()(
        zone in 0..4_u8,
        rack in 0..4_u8,
        cpu in 1..8_u64,
        memory in 1..8_u64,
        pods in 1..6_u32,
        disk in 0..30_u64,
        is_ready in prop::bool::weighted(0.9),
        is_cordoned in prop::bool::weighted(0.1),
        taint in prop::option::weighted(0.3, prop_oneof![Just(Effect::NoSchedule), Just(Effect::PreferNoSchedule)]),
        failures in 0..3_u8,
        upload in 0..4_u8,
        here in prop::collection::btree_set(0..6_u8, 0..4),
    ) -> (NodeFacts, BTreeSet<Digest>) {
        let mut pairs = Vec::new();
        if zone > 0 {
            pairs.push(("topology.kubernetes.io/zone", format!("z{zone}")));
        }
        if rack > 0 {
            pairs.push(("rack", format!("r{rack}")));
        }
        let taints = taint.map(|effect| Taint { key: "special".parse().unwrap(), value: "yes".parse().unwrap(), effect });
        let facts = NodeFacts {
            name: "replaced".parse().unwrap(),
            labels: labels(&pairs),
            taints: taints.into_iter().collect(),
            platform: Platform { os: "linux".into(), architecture: "amd64".into(), ..Platform::default() },
            is_ready,
            is_cordoned,
            cpu: Cpu::millis(cpu * 500),
            memory: Bytes::new(memory << 30),
            pods,
            disk: Bytes::new(disk * (10 << 20)),
            paths: Paths { neighbours: 100e6, outside: 10e6 },
            failures: f32::from(failures),
            upload_load: f32::from(upload) / 4.0,
        };
        (facts, here.into_iter().map(digest).collect())
    }
}

fn a_selector() -> impl Strategy<Value = Selector> {
    prop_oneof![Just("app=a0"), Just("app=a1"), Just("app"), Just("app!=a0")].prop_map(|text| text.parse().unwrap())
}

fn a_key() -> impl Strategy<Value = longshore_fleet::LabelKey> {
    prop_oneof![Just("kubernetes.io/hostname"), Just("topology.kubernetes.io/zone"), Just("rack")]
        .prop_map(|text| text.parse().unwrap())
}

prop_compose! {
    fn a_term()(selector in a_selector(), topology_key in a_key()) -> PodTerm {
        PodTerm { selector, topology_key }
    }
}

prop_compose! {
    fn a_wish()(weight in 1..=100_u32, selector in a_selector(), topology_key in a_key()) -> PreferredPodTerm {
        PreferredPodTerm { weight, selector, topology_key }
    }
}

prop_compose! {
    fn a_spread()(topology_key in a_key(), max_skew in 1..3_u32, is_hard: bool, selector in prop::option::of(a_selector())) -> Spread {
        let when_unsatisfiable = if is_hard { WhenUnsatisfiable::DoNotSchedule } else { WhenUnsatisfiable::ScheduleAnyway };
        Spread { topology_key, max_skew, when_unsatisfiable, selector }
    }
}

prop_compose! {
    fn a_demand()(
        app in 0..3_u8,
        is_online: bool,
        cpu in 0..3_u64,
        memory in 0..3_u64,
        port in prop::option::weighted(0.15, Just(80_u16)),
        layers in prop::collection::btree_set(0..6_u8, 0..5),
        tolerates in prop::bool::weighted(0.3),
        in_zone in prop::option::weighted(0.15, 1..3_u8),
        near in prop::collection::vec(a_term(), 0..2),
        far in prop::option::weighted(0.4, a_term()),
        wishes in prop::collection::vec(a_wish(), 0..2),
        dislikes in prop::collection::vec(a_wish(), 0..2),
        spread in prop::collection::vec(a_spread(), 0..3),
        is_lonely in prop::bool::weighted(0.6),
    ) -> Demand {
        let images = (!layers.is_empty()).then(|| ImageLayers {
            os: "linux".into(),
            architecture: "amd64".into(),
            layers: layers.into_iter().map(|number| (digest(number), size_of(&digest(number)))).collect(),
        });
        let mut demand = Demand {
            namespace: "default".parse().unwrap(),
            labels: labels(&[("app", format!("a{app}"))]),
            class: if is_online { Class::Online } else { Class::Batch },
            priority: 0,
            cpu_millis: cpu * 300,
            memory_bytes: memory << 29,
            ports: port.into_iter().map(|port| (port, Protocol::Tcp)).collect(),
            node_selector: in_zone.map(|zone| labels(&[("topology.kubernetes.io/zone", format!("z{zone}"))])).unwrap_or_default(),
            affinity: longshore_fleet::Affinity::default(),
            spread: if is_lonely { Vec::new() } else { spread },
            tolerations: if tolerates { vec![Toleration { operator: longshore_fleet::Comparison::Exists, ..Toleration::default() }] } else { Vec::new() },
            images: images.into_iter().collect(),
        };
        if !is_lonely {
            demand.affinity.pod.required = near;
            demand.affinity.pod_anti.required = far.into_iter().collect();
            demand.affinity.pod.preferred = wishes;
            demand.affinity.pod_anti.preferred = dislikes;
        }
        demand
    }
}

#[derive(Clone, Debug)]
enum Step {
    Place(usize),
    Batch(usize, usize),
    Start(usize),
    Remove(usize),
    Change(usize, Box<(NodeFacts, BTreeSet<Digest>)>),
    Forget(usize),
    Compact,
}

fn a_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..8_usize).prop_map(Step::Place),
        3 => (0..8_usize, 3..9_usize).prop_map(|(demand, count)| Step::Batch(demand, count)),
        2 => (0..20_usize).prop_map(Step::Start),
        2 => (0..20_usize).prop_map(Step::Remove),
        1 => (0..10_usize).prop_map(Step::Forget),
        1 => Just(Step::Compact),
        2 => (0..10_usize, a_node()).prop_map(|(node, facts)| Step::Change(node, Box::new(facts))),
    ]
}

fn name(node: usize) -> NodeName {
    format!("n{node}").parse().unwrap()
}

/// Both schedulers, and the pods of both in the order of [`Model::pods`].
struct Pair {
    model: Model,
    cluster: Cluster,
    ids: Vec<PodId>,
    made: u128,
}

impl Pair {
    fn id(&mut self) -> PodId {
        self.made += 1;
        PodId(Uuid::from_u128(self.made))
    }

    fn change(&mut self, node: usize, facts: NodeFacts, here: &BTreeSet<Digest>) {
        let index = self.cluster.put_node(facts.clone());
        let before = std::mem::replace(&mut self.model.here[node], here.clone());
        self.model.nodes[node] = facts;
        self.model.is_gone[node] = false;
        for digest in before.difference(here) {
            self.cluster.set_layer(index, digest, size_of(digest), false);
        }
        for digest in here {
            self.cluster.set_layer(index, digest, size_of(digest), true);
        }
    }

    fn position(&self, index: super::super::NodeIndex) -> usize {
        let name = &self.cluster.facts(index).unwrap().name;
        self.model.nodes.iter().position(|facts| facts.name == *name).unwrap()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn decides_as_a_slow_and_obvious_one(
        nodes in prop::collection::vec(a_node(), 1..10),
        demands in prop::collection::vec(a_demand(), 8),
        steps in prop::collection::vec(a_step(), 1..30),
    ) {
        let weights = Weights { pulls_per_node: 2, ..Weights::default() };
        let mut pair = Pair { model: Model::default(), cluster: Cluster::new(weights), ids: Vec::new(), made: 0 };
        let count = nodes.len();
        for (at, (facts, here)) in nodes.into_iter().enumerate() {
            let facts = NodeFacts { name: name(at), ..facts };
            pair.model.nodes.push(facts.clone());
            pair.model.here.push(BTreeSet::new());
            pair.model.is_gone.push(false);
            pair.change(at, facts, &here);
        }
        for step in steps {
            match step {
                Step::Place(at) => {
                    let index = pair.cluster.demand(&demands[at]);
                    let id = pair.id();
                    let expected = pair.model.choose(&demands[at], &weights);
                    let placed = pair.cluster.place(id, index);
                    prop_assert_eq!(placed.map(|placed| pair.position(placed.node)), expected, "{:#?}", demands[at]);
                    if let Some((node, placed)) = expected.zip(placed) {
                        let missing: BTreeSet<Digest> = Model::layers(&demands[at]).difference(&pair.model.known(node)).cloned().collect();
                        prop_assert_eq!(placed.missing_bytes, missing.iter().map(size_of).sum::<u64>());
                        let cost = pair.model.cost(&demands[at], node, &weights);
                        prop_assert_eq!(Some(i64::from(placed.cost.total())), cost, "{:#?}", placed);
                        pair.model.bind(&demands[at], node);
                        pair.ids.push(id);
                    }
                }
                Step::Batch(at, count) => {
                    let index = pair.cluster.demand(&demands[at]);
                    let ids: Vec<PodId> = (0..count).map(|_| pair.id()).collect();
                    let mut expected = Vec::new();
                    while expected.len() < count && let Some(node) = pair.model.choose(&demands[at], &weights) {
                        pair.model.bind(&demands[at], node);
                        expected.push(node);
                    }
                    let placed = pair.cluster.place_many(&ids, index);
                    let placed: Vec<usize> = placed.iter().map(|placed| pair.position(placed.node)).collect();
                    prop_assert_eq!(&placed, &expected, "{:#?}", demands[at]);
                    pair.ids.extend(&ids[..placed.len()]);
                }
                Step::Start(at) if !pair.ids.is_empty() => {
                    let at = at % pair.ids.len();
                    pair.cluster.started(pair.ids[at]);
                    pair.model.pods[at].is_running = true;
                    pair.model.pods[at].is_pulling = false;
                }
                Step::Remove(at) if !pair.ids.is_empty() => {
                    let at = at % pair.ids.len();
                    pair.cluster.unbind(pair.ids.remove(at));
                    pair.model.pods.remove(at);
                }
                Step::Change(node, facts) => {
                    let (facts, here) = *facts;
                    let at = node % count;
                    pair.change(at, NodeFacts { name: name(at), ..facts }, &here);
                }
                Step::Forget(node) => {
                    let at = node % count;
                    pair.cluster.remove_node(&name(at));
                    pair.model.is_gone[at] = true;
                    pair.model.here[at].clear();
                }
                // Nodes are in the order in which they became known, but for those that are gone.
                Step::Compact if !pair.model.is_gone.contains(&true) => pair.cluster = pair.cluster.compacted([]).0,
                Step::Start(_) | Step::Remove(_) | Step::Compact => {}
            }
            for demand in &demands[..2] {
                let index = pair.cluster.demand(demand);
                let fitting: BTreeMap<usize, bool> = pair.cluster.verdicts(index)
                    .map(|(node, verdict)| (pair.position(node), matches!(verdict, super::super::Verdict::Fits(_)))).collect();
                for (node, fits) in fitting {
                    prop_assert_eq!(fits, pair.model.cost(demand, node, &weights).is_some(), "node {} and {:#?}", node, demand);
                }
            }
        }
    }
}
