use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use jiff::Timestamp;
use longshore_fleet::{
    AgentFacts, Assignment, Bytes, Cpu, Image, Instruction, LabelValue, Load, Phase, PodId, PodReport, PodState, Report, StreamId,
};
use longshore_oci::{Digest, Platform};

use super::{NodeLedger, PlayedFleet};

/// What a node has: pods, and layers. Level-triggered, as the agent is.
pub(super) struct Pods {
    node: u32,
    pods: BTreeMap<PodId, Played>,
    gone: BTreeSet<PodId>,
    layers: BTreeMap<Digest, u64>,
    due: BTreeSet<(Instant, PodId)>,
    cpu_millis: u64,
    memory_bytes: u64,
    news: News,
}

/// What was not told yet.
#[derive(Default)]
struct News {
    pods: BTreeSet<PodId>,
    gone: BTreeSet<PodId>,
    layers: BTreeSet<Digest>,
}

struct Played {
    image: Image,
    cpu_millis: u64,
    memory_bytes: u64,
    heard: Instant,
    state: PodState,
    due: Option<Instant>,
}

impl Pods {
    pub(super) fn new(node: u32) -> Self {
        Self {
            node,
            pods: BTreeMap::new(),
            gone: BTreeSet::new(),
            layers: BTreeMap::new(),
            due: BTreeSet::new(),
            cpu_millis: 0,
            memory_bytes: 0,
            news: News::default(),
        }
    }

    /// When something happens by itself.
    pub(super) fn next_at(&self) -> Option<Instant> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Whether there is something to tell.
    pub(super) fn has_news(&self) -> bool {
        let News { pods, gone, layers } = &self.news;
        !(pods.is_empty() && gone.is_empty() && layers.is_empty())
    }

    /// Takes in what is to be.
    pub(super) fn hear(&mut self, instruction: Instruction, fleet: &PlayedFleet, ledger: &NodeLedger) {
        match instruction {
            Instruction::All { pods, .. } => {
                let named: BTreeSet<PodId> = pods.iter().map(|pod| pod.id).collect();
                self.gone.retain(|pod| named.contains(pod));
                let others: Vec<PodId> = self.pods.keys().filter(|pod| !named.contains(pod)).copied().collect();
                for pod in others {
                    self.end(pod, fleet.ending, ledger);
                }
                for pod in pods {
                    self.put(&pod, fleet, ledger);
                }
            }
            Instruction::Put { pod } => self.put(&pod, fleet, ledger),
            Instruction::Forget { pod } => {
                self.gone.remove(&pod);
                self.news.gone.remove(&pod);
            }
            Instruction::Keep { .. } | Instruction::Fetch(_) | Instruction::StopFetch { .. } | Instruction::Logs(_) => {}
        }
    }

    fn put(&mut self, pod: &Assignment, fleet: &PlayedFleet, ledger: &NodeLedger) {
        let ends = pod.end_within_seconds.is_some();
        if self.pods.contains_key(&pod.id) {
            if ends {
                self.end(pod.id, fleet.ending, ledger);
            }
            return;
        }
        if ends || pod.has_ended {
            // Nothing of it is here.
            self.gone.insert(pod.id);
            self.news.gone.insert(pod.id);
            return;
        }
        ledger.told(self.node, pod);
        self.gone.remove(&pod.id);
        let now = Instant::now();
        let image = pod.template.image.clone();
        let is_here = self.lacks(&image, fleet).is_empty();
        let (phase, after) = if is_here { (Phase::Starting, fleet.starting) } else { (Phase::Pulling, fleet.pulling) };
        let requests = pod.template.resources.requests;
        let played = Played {
            image,
            cpu_millis: requests.cpu.unwrap_or_default().millis,
            memory_bytes: requests.memory.unwrap_or_default().count,
            heard: now,
            state: PodState { phase, ..PodState::default() },
            due: None,
        };
        self.cpu_millis += played.cpu_millis;
        self.memory_bytes += played.memory_bytes;
        self.pods.insert(pod.id, played);
        self.set_due(pod.id, now + after);
        self.news.pods.insert(pod.id);
        let has_room = self.cpu_millis <= fleet.cpu_millis
            && self.memory_bytes <= fleet.memory_bytes
            && self.pods.len() <= fleet.pods as usize;
        if !has_room {
            ledger.fault(format!("node {} was told to run {} and has no room for it", self.node, pod.id));
        }
    }

    fn lacks(&self, image: &Image, fleet: &PlayedFleet) -> BTreeMap<Digest, u64> {
        let layers = fleet.images.get(image).into_iter().flatten();
        layers.filter(|(digest, _)| !self.layers.contains_key(*digest)).map(|(digest, size)| (digest.clone(), *size)).collect()
    }

    fn end(&mut self, id: PodId, within: Duration, ledger: &NodeLedger) {
        let Some(pod) = self.pods.get_mut(&id).filter(|pod| pod.state.phase != Phase::Ending) else { return };
        pod.state.phase = Phase::Ending;
        pod.state.ready = false;
        ledger.ended(id);
        self.news.pods.insert(id);
        self.set_due(id, Instant::now() + within);
    }

    fn set_due(&mut self, id: PodId, at: Instant) {
        if let Some(pod) = self.pods.get_mut(&id) {
            if let Some(before) = pod.due.replace(at) {
                self.due.remove(&(before, id));
            }
            self.due.insert((at, id));
        }
    }

    /// Does what the time brings.
    pub(super) fn advance(&mut self, fleet: &PlayedFleet, ledger: &NodeLedger) {
        let now = Instant::now();
        while let Some((at, id)) = self.due.first().copied()
            && at <= now
        {
            self.due.pop_first();
            self.step(id, now, fleet, ledger);
        }
    }

    fn step(&mut self, id: PodId, now: Instant, fleet: &PlayedFleet, ledger: &NodeLedger) {
        let Some(pod) = self.pods.get_mut(&id) else { return };
        pod.due = None;
        match pod.state.phase {
            Phase::Pulling => {
                pod.state.phase = Phase::Starting;
                let image = pod.image.clone();
                let came = self.lacks(&image, fleet);
                self.news.layers.extend(came.keys().cloned());
                self.layers.extend(came);
                self.set_due(id, now + fleet.starting);
            }
            Phase::Starting => {
                let at = Timestamp::now();
                pod.state = PodState {
                    phase: Phase::Running,
                    ready: true,
                    ready_since: Some(at),
                    started_at: Some(at),
                    started_in_ms: u64::try_from(pod.heard.elapsed().as_millis()).ok(),
                    ..PodState::default()
                };
                ledger.runs(self.node, id);
            }
            _ => {
                self.cpu_millis -= pod.cpu_millis;
                self.memory_bytes -= pod.memory_bytes;
                self.pods.remove(&id);
                self.gone.insert(id);
                self.news.gone.insert(id);
                self.news.pods.remove(&id);
                return;
            }
        }
        self.news.pods.insert(id);
    }

    /// Takes all there is to tell, or what is new of it: it counts as told.
    pub(super) fn report(&mut self, stream: StreamId, number: u64, fleet: &PlayedFleet) -> Report {
        let is_whole = number == 1;
        let news = std::mem::take(&mut self.news);
        let is_told = |id: &PodId| is_whole || news.pods.contains(id);
        let layers = self.layers.iter().filter(|(digest, _)| is_whole || news.layers.contains(*digest));
        let layers = layers.map(|(digest, size)| (digest.clone(), *size)).collect();
        let pods = self.pods.iter().filter(|(id, _)| is_told(id));
        Report {
            stream,
            number,
            is_whole,
            facts: is_whole.then(|| facts(self.node, fleet)),
            load: Some(Load { disk_free_bytes: 1 << 40, ..Load::default() }),
            pods: pods.map(|(id, pod)| PodReport { id: *id, state: pod.state.clone() }).collect(),
            gone: self.gone.iter().copied().filter(|id| is_whole || news.gone.contains(id)).collect(),
            layers,
            layers_gone: Vec::new(),
            fetches: Vec::new(),
        }
    }
}

/// What a node says that it is.
fn facts(node: u32, fleet: &PlayedFleet) -> AgentFacts {
    let zone: LabelValue = format!("z{}", node % fleet.zones.max(1)).parse().expect("it is a label's value");
    let key = "topology.kubernetes.io/zone".parse().expect("it is a label's key");
    AgentFacts {
        labels: std::iter::once((key, zone)).collect(),
        taints: Vec::new(),
        platform: Platform { os: "linux".into(), architecture: "amd64".into(), variant: None, os_version: None },
        cpu: Cpu::millis(fleet.cpu_millis),
        memory: Bytes::new(fleet.memory_bytes),
        pods: fleet.pods,
        not_ready: None,
        runtime: "played 1".into(),
        version: env!("CARGO_PKG_VERSION").into(),
        address: None,
        neighbours_bytes_per_second: 0,
        outside_bytes_per_second: 0,
    }
}
