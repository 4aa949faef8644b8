//! What pods that are alike want of a node.

use longshore_fleet::{Affinity, Class, LabelKey, Labels, Name, PodTerm, Protocol, Spread, Template, Toleration, Upkeep, Work};
use longshore_oci::{Digest, Platform};
use serde::{Deserialize, Serialize};

use super::{
    counters::{Counted, Kind},
    index::{CounterIndex, ImageIndex, StaticsIndex},
};

/// What pods that are alike want of a node. Equal ones are one to a [`super::Cluster`].
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Demand {
    /// The namespace of the pods.
    pub namespace: Name,
    /// Their labels, the one of their workload among them.
    pub labels: Labels,
    /// Whether people wait for them.
    pub class: Class,
    /// Pods of less may have to make room for them.
    pub priority: i32,
    /// Thousandths of a core.
    pub cpu_millis: u64,
    /// Bytes of memory.
    pub memory_bytes: u64,
    /// Ports of the node.
    pub ports: Vec<(u16, Protocol)>,
    /// Labels that the node must have.
    pub node_selector: Labels,
    /// Where they would be.
    pub affinity: Affinity,
    /// Over what they are spread.
    pub spread: Vec<Spread>,
    /// Which taints don't keep them off.
    pub tolerations: Vec<Toleration>,
    /// The image, for each platform that it is made for.
    pub images: Vec<ImageLayers>,
}

/// Of a workload, what its pods are placed by besides what they are made from.
#[derive(Clone, Copy, Debug)]
pub struct Owner<'a> {
    /// Its namespace.
    pub namespace: &'a Name,
    /// Whether people wait for it.
    pub class: Class,
    /// Of two that wait, the one with more goes first.
    pub priority: i32,
}

impl<'a> From<&'a Upkeep> for Owner<'a> {
    fn from(Upkeep { namespace, class, priority, .. }: &'a Upkeep) -> Self {
        Self { namespace, class: *class, priority: *priority }
    }
}

impl<'a> From<&'a Work> for Owner<'a> {
    fn from(Work { namespace, class, priority, .. }: &'a Work) -> Self {
        Self { namespace, class: *class, priority: *priority }
    }
}

/// An image for one platform.
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ImageLayers {
    /// `linux`.
    pub os: String,
    /// `amd64`.
    pub architecture: String,
    /// What a node must have to start it: digests and lengths in bytes.
    pub layers: Vec<(Digest, u64)>,
}

impl ImageLayers {
    /// Whether it is made for such nodes.
    pub(crate) fn suits(&self, platform: &Platform) -> bool {
        self.os == platform.os && self.architecture == platform.architecture
    }
}

impl Demand {
    /// What pods of a template want.
    pub fn of(owner: &Owner<'_>, labels: Labels, template: &Template, images: Vec<ImageLayers>) -> Self {
        let requests = template.resources.with_requests().requests;
        Self {
            namespace: owner.namespace.clone(),
            labels,
            class: owner.class,
            priority: owner.priority,
            cpu_millis: requests.cpu.unwrap_or_default().millis,
            memory_bytes: requests.memory.unwrap_or_default().count,
            ports: template.host_ports().collect(),
            node_selector: template.node_selector.clone(),
            affinity: template.affinity.clone(),
            spread: template.spread.clone(),
            tolerations: template.tolerations.clone(),
            images,
        }
    }
}

/// A demand, and where in the columns what it goes by stands.
#[derive(Debug)]
pub(crate) struct Compiled {
    pub(crate) demand: Demand,
    pub(crate) statics: StaticsIndex,
    /// By the order of the demand's images.
    pub(crate) images: Vec<ImageIndex>,
    /// Counters that its pods are counted by.
    pub(crate) counted_by: Vec<CounterIndex>,
    /// Counters of pods that keep its own away.
    pub(crate) repelled_by: Vec<CounterIndex>,
    /// What must be near, and whether its own pods are such.
    pub(crate) near: Vec<(CounterIndex, bool)>,
    /// What must not be near: what it keeps away, and what keeps it away.
    pub(crate) far: Vec<CounterIndex>,
    /// Over what it must be spread: by how many pods one value may have more than another, and whether its own pods are counted.
    pub(crate) spread: Vec<(CounterIndex, u32, bool)>,
    /// What each pod that is near costs: more where it is positive; and whether it is each, or whether there are any.
    pub(crate) leanings: Vec<Leaning>,
}

impl Compiled {
    /// There is a counter: whether it counts its pods, and whether what it counts keeps them away.
    pub(crate) fn take_note(&mut self, counter: CounterIndex, meant: &Counted, topology_key: &LabelKey) {
        if meant.namespace != self.demand.namespace {
            return;
        }
        let is_selected = meant.selector.matches(&self.demand.labels);
        let is_own_term = |term: &PodTerm| term.selector == meant.selector && term.topology_key == *topology_key;
        let is_counted = match meant.kind {
            Kind::Selected => is_selected,
            Kind::Repelling => self.demand.affinity.pod_anti.required.iter().any(is_own_term),
        };
        if is_counted {
            self.counted_by.push(counter);
        }
        if meant.kind == Kind::Repelling && is_selected {
            self.repelled_by.push(counter);
        }
    }
}

/// What pods that are near are worth.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Leaning {
    pub(crate) counter: CounterIndex,
    /// In ticks.
    pub(crate) cost: i32,
    /// Whether each costs so much, or all together.
    pub(crate) is_each: bool,
}

#[cfg(test)]
mod tests {
    use longshore_fleet::{DeploymentSpec, JobSpec};
    use serde_json::json;

    use super::*;

    #[test]
    fn a_template_asks_for_what_it_says() {
        let template = json!({
            "name": "web", "namespace": "team", "image": "web", "priority": 3,
            "resources": {"requests": {"cpu": "500m"}, "limits": {"memory": "1Gi"}},
            "ports": [{"containerPort": 80, "hostPort": 8080}],
        });
        let spec = DeploymentSpec::read(template.clone()).unwrap();
        let demand = Demand::of(&(&spec.upkeep).into(), Labels::new(), &spec.template, Vec::new());
        assert_eq!((demand.namespace.as_str(), demand.class, demand.priority), ("team", Class::Online, 3));
        assert_eq!((demand.cpu_millis, demand.memory_bytes), (500, 1 << 30));
        assert_eq!(demand.ports, [(8080, Protocol::Tcp)]);
        let job = JobSpec::read(template).unwrap();
        assert_eq!(Demand::of(&(&job.work).into(), Labels::new(), &job.template, Vec::new()).class, Class::Batch);
    }
}
