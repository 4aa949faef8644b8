use std::{
    collections::HashMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Instant,
};

use longshore_fleet::{Assignment, PodId};

/// How many faults are kept: one is too many already.
const MOST_FAULTS: usize = 100;

/// What nodes were told and have done, all of them together.
#[derive(Debug, Default)]
pub struct NodeLedger {
    state: Mutex<State>,
    /// Streams that are open.
    pub(super) listening: AtomicU64,
    /// Reports that were taken.
    pub(super) reports: AtomicU64,
    /// Reports that were not.
    pub(super) failed: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    pods: HashMap<PodId, Told>,
    running: HashMap<PodId, u32>,
    faults: Vec<String>,
}

#[derive(Clone, Debug)]
struct Told {
    node: u32,
    workload: String,
    at: Instant,
}

/// A pod that a node was told to run.
#[derive(Clone, Debug)]
pub struct Heard {
    /// Its workload's name.
    pub workload: String,
    /// Which node.
    pub node: u32,
    /// When it first heard of it.
    pub at: Instant,
}

impl NodeLedger {
    /// A node was told to run a pod.
    pub(super) fn told(&self, node: u32, pod: &Assignment) {
        let mut state = self.state();
        let told = Told { node, workload: pod.owner.name.to_string(), at: Instant::now() };
        let first = state.pods.entry(pod.id).or_insert(told).node;
        if first != node {
            state.fault(format!("{} was told to node {first} and to node {node}", pod.id));
        }
    }

    /// A pod runs there from now on.
    pub(super) fn runs(&self, node: u32, pod: PodId) {
        let mut state = self.state();
        if let Some(other) = state.running.insert(pod, node)
            && other != node
        {
            state.fault(format!("{pod} runs on node {other} and on node {node}"));
        }
    }

    /// A pod does not run any more.
    pub(super) fn ended(&self, pod: PodId) {
        self.state().running.remove(&pod);
    }

    /// Something that must never be.
    pub(super) fn fault(&self, fault: String) {
        self.state().fault(fault);
    }

    /// What must never be, and was.
    pub fn faults(&self) -> Vec<String> {
        self.state().faults.clone()
    }

    /// The pods that run, and on which node.
    pub fn running(&self) -> HashMap<PodId, u32> {
        self.state().running.clone()
    }

    /// How many pods run.
    pub fn count_running(&self) -> usize {
        self.state().running.len()
    }

    /// Every pod that any node was ever told to run.
    pub fn heard(&self) -> Vec<Heard> {
        let told = |told: &Told| Heard { workload: told.workload.clone(), node: told.node, at: told.at };
        self.state().pods.values().map(told).collect()
    }

    /// How many pods nodes were told to run, over all time.
    pub fn count_heard(&self) -> usize {
        self.state().pods.len()
    }

    /// How many streams of instructions are open.
    pub fn listening(&self) -> u64 {
        self.listening.load(Relaxed)
    }

    /// How many reports were taken, and how many were not.
    pub fn reports(&self) -> (u64, u64) {
        (self.reports.load(Relaxed), self.failed.load(Relaxed))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn fault(&mut self, fault: String) {
        if self.faults.len() < MOST_FAULTS {
            self.faults.push(fault);
        }
    }
}
