//! What is to be done next, so that what is comes to what is wanted. Pure: a [`Controller`] is told what was written down, what nodes
//! say, and what time it is, and says what is to be written and what nodes are to be told. It asks nothing and waits for nothing, so that a
//! simulation can run it as it is, with time, a network and crashes that follow from a seed.
//!
//! It is the leader's, and holds all that the leader knows in memory. What it decides counts for it at once; whoever runs it writes the
//! decisions down, in order, and tells nodes what they are to do only once that is written ([`Output`]). So no node does what a later leader
//! does not know of; and a leader that was overtaken while it decided forgets everything, with nothing to take back.
//!
//! A pod has room on its node from the moment it is placed until its node says that nothing of it is left, or the node itself is removed.
//! So a pod that is to end, or whose node is lost, still takes its room; what replaces it is another pod.

mod answers;
mod census;
mod deployments;
mod draining;
mod ending;
mod fetching;
mod holding;
mod jobs;
mod keeping;
mod loading;
mod losses;
mod making;
mod node;
mod output;
mod placing;
mod planning;
mod pod;
mod prewarming;
mod random;
mod reports;
mod settings;
#[cfg(test)]
mod simulation;
mod statuses;
mod streams;
mod timers;
mod tolerating;
mod verdicts;
mod views;
mod workload;

use std::collections::{BTreeMap, BTreeSet};

use longshore_fleet::{Name, NamespaceSpec, NodeId, NodeName, OperationId, PodId, WorkloadId};
use rustc_hash::FxHashMap as HashMap;

use crate::{
    schedule::{Cluster, DemandIndex, Millis, Queue},
    state::OperationRow,
};

pub use census::{Census, Tally};
use keeping::Keeping;
use node::Node;
use output::Unwritten;
pub use output::{Output, Told};
use placing::Awaited;
use pod::Pod;
use prewarming::Prewarming;
use random::Random;
pub(crate) use random::letters;
pub use settings::ControlSettings;
use timers::{Timer, Timers};
pub use verdicts::Verdict;
use workload::Workload;

/// All that a leader knows, and what it makes of it.
#[derive(Debug)]
pub struct Controller {
    settings: ControlSettings,
    random: Random,
    /// The time, as it was handed in last.
    now: Millis,
    /// Which turn of leading it is.
    term: u64,
    cluster: Cluster,
    /// How many demands the cluster is to know until it is looked again whether most of them are idle.
    tidied: usize,
    queue: Queue,
    namespaces: HashMap<Name, NamespaceSpec>,
    workloads: BTreeMap<WorkloadId, Workload>,
    pods: HashMap<PodId, Pod>,
    nodes: BTreeMap<NodeId, Node>,
    nodes_by_name: HashMap<NodeName, NodeId>,
    prewarmings: BTreeMap<OperationId, Prewarming>,
    keeping: Keeping,
    /// Workloads that something has happened to since they were looked at.
    touched: BTreeSet<WorkloadId>,
    /// Pods that others make room for.
    awaited: HashMap<PodId, Awaited>,
    /// Those of them that all have made room for: they are next.
    relieved: Vec<PodId>,
    /// Zones where pods of lost nodes have just been replaced, and when.
    replaced: BTreeMap<String, Millis>,
    timers: Timers,
    unwritten: Unwritten,
}

impl Controller {
    /// One that knows of nothing yet. `seed` is what names of pods are drawn from.
    pub fn new(settings: ControlSettings, term: u64, seed: u64, now: Millis) -> Self {
        Self {
            random: Random::new(seed),
            now,
            term,
            cluster: Cluster::new(settings.weights),
            tidied: 0,
            queue: Queue::new(settings.queue),
            settings,
            namespaces: HashMap::default(),
            workloads: BTreeMap::new(),
            pods: HashMap::default(),
            nodes: BTreeMap::new(),
            nodes_by_name: HashMap::default(),
            prewarmings: BTreeMap::new(),
            keeping: Keeping::default(),
            touched: BTreeSet::new(),
            awaited: HashMap::default(),
            relieved: Vec::new(),
            replaced: BTreeMap::new(),
            timers: Timers::default(),
            unwritten: Unwritten::default(),
        }
    }

    /// Looks at everything that has happened, and at what the time brings, and decides. What came of it is had with [`Self::take`].
    pub fn decide(&mut self, now: Millis) {
        self.now = self.now.max(now);
        self.ring();
        while let Some(id) = self.touched.pop_first() {
            self.reconcile(id);
        }
        self.place_waiting();
        self.tidy();
    }

    /// When it is to be asked again if nothing happens before; `None` where that is never.
    pub fn next_at(&self) -> Option<Millis> {
        let queue = self.queue.next_at();
        let timer = self.timers.next_at();
        queue.into_iter().chain(timer).chain(self.unwritten_status_at()).min()
    }

    /// Something has happened to a workload.
    fn touch(&mut self, id: WorkloadId) {
        self.touched.insert(id);
    }

    fn reconcile(&mut self, id: WorkloadId) {
        let Some(workload) = self.workloads.get(&id) else { return };
        if workload.row.deleted.is_some() {
            self.clear_away(id);
        } else if workload.is_deployment() {
            self.reconcile_deployment(id);
        } else {
            self.reconcile_job(id);
        }
        self.note_status(id);
    }

    /// A cluster remembers whatever it was asked about; once most of that is idle it is made anew. To find that out takes long, so it is
    /// looked at again only when a quarter more is known.
    fn tidy(&mut self) {
        let known = self.cluster.known_demands();
        if known < self.tidied.max(2 * self.settings.demands_kept) {
            return;
        }
        let wanted: Vec<_> = self.workloads.values().flat_map(Workload::demands).collect();
        let bound = known - self.cluster.idle_demands();
        if known >= 2 * (wanted.len() + bound) {
            self.compact(wanted);
        }
        let kept = self.cluster.known_demands();
        self.tidied = kept + kept / 4;
    }

    fn compact(&mut self, wanted: Vec<DemandIndex>) {
        let (cluster, renamed) = self.cluster.compacted(wanted);
        self.cluster = cluster;
        self.queue.renamed(&renamed);
        for workload in self.workloads.values_mut() {
            workload.rename_demands(&renamed);
        }
        for node in self.nodes.values_mut() {
            node.index = self.cluster.node(&node.row.name);
        }
    }
}

/// An operation that others have to know of.
fn is_running(row: &OperationRow) -> bool {
    row.ended.is_none() && !row.view.state.has_ended()
}
