//! A node's agent, as far as the control plane can tell it from a real one.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use longshore_fleet::{
    AgentFacts, Assignment, Bytes, Cpu, Effect, Instruction, LabelValue, Labels, Load, Phase, PodId, PodReport, PodState, Report,
    RestartPolicy, StreamId, Taint,
};
use longshore_oci::{Digest, Platform};

use crate::schedule::Millis;

/// The variable of a template whose containers never come up.
pub(super) const FAULTY: &str = "FAULTY";

/// A container that runs, or is to.
#[derive(Debug)]
struct Container {
    assignment: Assignment,
    state: PodState,
    /// When something becomes of it.
    next: Millis,
}

#[derive(Debug)]
pub(super) struct Agent {
    pub(super) facts: AgentFacts,
    pub(super) stream: Option<StreamId>,
    pub(super) number: u64,
    containers: BTreeMap<PodId, Container>,
    gone: BTreeSet<PodId>,
    changed: BTreeSet<PodId>,
    layers: BTreeMap<Digest, u64>,
    new_layers: BTreeMap<Digest, u64>,
    must_tell_all: bool,
    has_new_facts: bool,
    /// The highest term that was heard of.
    term: u64,
    /// The next report that was not answered, if one is on its way.
    pub(super) unanswered: Option<Report>,
}

impl Agent {
    pub(super) fn new(zone: &str, cpu_millis: u64, pods: u32) -> Self {
        let mut labels = Labels::new();
        labels.insert("topology.kubernetes.io/zone".parse().unwrap(), zone.parse().unwrap());
        let platform = Platform { os: "linux".to_owned(), architecture: "amd64".to_owned(), ..Platform::default() };
        let facts = AgentFacts {
            labels,
            taints: Vec::new(),
            platform,
            cpu: Cpu::millis(cpu_millis),
            memory: Bytes::new(64 << 30),
            pods,
            not_ready: None,
            runtime: "containerd 1.7".to_owned(),
            version: "0".to_owned(),
            address: None,
            neighbours_bytes_per_second: 0,
            outside_bytes_per_second: 0,
        };
        Self {
            facts,
            stream: None,
            number: 0,
            containers: BTreeMap::new(),
            gone: BTreeSet::new(),
            changed: BTreeSet::new(),
            layers: BTreeMap::new(),
            new_layers: BTreeMap::new(),
            must_tell_all: true,
            has_new_facts: false,
            term: 0,
            unanswered: None,
        }
    }

    /// Is told something on a stream that it listens to.
    pub(super) fn hear(&mut self, instruction: Instruction, now: Millis) {
        match instruction {
            Instruction::All { stream, term, pods, .. } => {
                assert!(term >= self.term, "an earlier leader is not listened to");
                self.term = term;
                self.stream = Some(stream);
                self.number = 0;
                self.must_tell_all = true;
                self.unanswered = None;
                let wanted: BTreeSet<PodId> = pods.iter().map(|pod| pod.id).collect();
                for (id, container) in &mut self.containers {
                    if !wanted.contains(id) {
                        container.assignment.end_within_seconds.get_or_insert(1);
                        container.next = now;
                    }
                }
                for pod in pods {
                    self.put(pod, now);
                }
            }
            Instruction::Put { pod } => self.put(*pod, now),
            Instruction::Forget { pod } => {
                self.gone.remove(&pod);
            }
            _ => {}
        }
    }

    fn put(&mut self, assignment: Assignment, now: Millis) {
        let id = assignment.id;
        if let Some(container) = self.containers.get_mut(&id) {
            if assignment.end_within_seconds.is_some() && container.assignment.end_within_seconds.is_none() {
                container.next = now;
            }
            container.assignment = assignment;
            return;
        }
        if assignment.has_ended || assignment.end_within_seconds.is_some() {
            // It was never here, or is gone: there is nothing to end.
            self.gone.insert(id);
            return;
        }
        self.gone.remove(&id);
        self.changed.insert(id);
        self.containers.insert(id, Container { assignment, state: PodState::default(), next: now + 50 });
    }

    /// What the time brings: containers start, end, or fail, by a number for each.
    pub(super) fn advance(&mut self, now: Millis, mut dice: impl FnMut() -> u64) {
        let mut ended = Vec::new();
        for (id, container) in &mut self.containers {
            if container.next > now {
                continue;
            }
            let state = &mut container.state;
            if container.assignment.end_within_seconds.is_some() {
                if state.phase == Phase::Ending || state.phase.has_ended() {
                    ended.push(*id);
                } else {
                    state.phase = Phase::Ending;
                    state.ready = false;
                    container.next = now + i64::try_from(dice() % 2_000).unwrap();
                    self.changed.insert(*id);
                }
                continue;
            }
            let at = Timestamp::from_millisecond(now).ok();
            let is_faulty = container.assignment.template.env.iter().any(|variable| variable.name == FAULTY);
            match state.phase {
                Phase::Pending | Phase::Waiting if is_faulty => {
                    state.phase = Phase::Waiting;
                    state.reason = Some("CrashLoopBackOff".to_owned());
                    state.restarts += 1;
                    container.next = now + 20_000;
                }
                Phase::Pending | Phase::Waiting => {
                    state.phase = Phase::Running;
                    state.ready = true;
                    state.ready_since = at;
                    state.started_at = at;
                    container.next = now + 5_000 + i64::try_from(dice() % 60_000).unwrap();
                    let layer =
                        Digest::of(longshore_oci::Algorithm::Sha256, container.assignment.template.image.to_string().as_bytes());
                    if self.layers.insert(layer.clone(), 1 << 20).is_none() {
                        self.new_layers.insert(layer, 1 << 20);
                    }
                }
                Phase::Running if container.assignment.restart == RestartPolicy::Never => {
                    state.phase = if dice().is_multiple_of(4) { Phase::Failed } else { Phase::Succeeded };
                    state.ready = false;
                    container.next = Millis::MAX;
                }
                Phase::Running if dice().is_multiple_of(10) => {
                    state.phase = Phase::Waiting;
                    state.reason = Some("CrashLoopBackOff".to_owned());
                    state.ready = false;
                    state.restarts += 1;
                    container.next = now + 1_000;
                }
                _ => {
                    container.next = now + 30_000;
                    continue;
                }
            }
            self.changed.insert(*id);
        }
        for id in ended {
            self.containers.remove(&id);
            self.changed.remove(&id);
            self.gone.insert(id);
        }
    }

    /// What it says next; nothing where what it said last is on its way.
    pub(super) fn report(&mut self) -> Option<Report> {
        let stream = self.stream?;
        if let Some(report) = &self.unanswered {
            return Some(report.clone());
        }
        let is_whole = std::mem::take(&mut self.must_tell_all);
        let has_new_facts = std::mem::take(&mut self.has_new_facts);
        self.number += 1;
        let told: Vec<PodId> = if is_whole {
            self.changed.clear();
            self.containers.keys().copied().collect()
        } else {
            std::mem::take(&mut self.changed).into_iter().collect()
        };
        let new_layers = std::mem::take(&mut self.new_layers);
        let state = |id: PodId| PodReport { id, state: self.containers[&id].state.clone() };
        let report = Report {
            stream,
            number: self.number,
            is_whole,
            facts: (has_new_facts || is_whole).then(|| self.facts.clone()),
            load: Some(Load { disk_free_bytes: 1 << 40, ..Load::default() }),
            pods: told.into_iter().filter(|id| self.containers.contains_key(id)).map(state).collect(),
            gone: self.gone.iter().copied().collect(),
            layers: if is_whole { self.layers.clone() } else { new_layers },
            layers_gone: Vec::new(),
            fetches: Vec::new(),
        };
        self.unanswered = Some(report.clone());
        Some(report)
    }

    /// What runs here, and what it was promised, in thousandths of a core.
    pub(super) fn running(&self) -> impl Iterator<Item = (PodId, &str, u64)> {
        let active = self.containers.iter().filter(|(_, container)| !container.state.phase.has_ended());
        active.map(|(id, container)| {
            let cpu = container.assignment.template.resources.with_requests().requests.cpu.unwrap_or_default();
            (*id, container.assignment.name.as_str(), cpu.millis)
        })
    }

    /// Gets a taint that pods have to leave it for, or is rid of it.
    pub(super) fn taint(&mut self) {
        if self.facts.taints.is_empty() {
            let taint = Taint { key: "broken".parse().unwrap(), value: LabelValue::default(), effect: Effect::NoExecute };
            self.facts.taints.push(taint);
            self.has_new_facts = true;
        } else {
            self.untaint();
        }
    }

    /// Pods may be there again.
    pub(super) fn untaint(&mut self) {
        self.has_new_facts |= !self.facts.taints.is_empty();
        self.facts.taints.clear();
    }

    /// The machine was switched off and on: nothing of what ran is left.
    pub(super) fn reboot(&mut self) {
        self.containers.clear();
        self.gone.clear();
        self.changed.clear();
        self.unanswered = None;
        self.stream = None;
    }
}
