//! What there is in a simulation, and what happens in it.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap, VecDeque},
};

use longshore_fleet::{
    DeploymentSpec, Instruction, JobSpec, NodeId, Phase, PodId, StreamId, WorkloadId, WorkloadKind,
    api::{WorkloadState, WorkloadStatus},
};
use longshore_oci::{Algorithm, Digest};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    agent::{Agent, FAULTY},
    database::{Changed, Database},
    witness::{Counts, Witness},
};
use crate::{
    control::{ControlSettings, Controller, Output, Verdict, random::Random, workload::Asked},
    schedule::{ImageLayers, Millis},
    state::{Batch, NodeRow, RevisionRow, WorkloadRow, Write},
};

/// What goes wrong.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Faults {
    None,
    All,
}

/// What happens at a moment.
#[derive(Debug)]
enum Happening {
    /// A leader decides, if it was not woken before.
    Decide(usize, Millis),
    /// A leader's batch reaches the database.
    Commit(usize),
    /// A leader hears what became of it.
    Committed(usize, bool),
    /// A node hears something.
    Hear(NodeId, StreamId, Box<Instruction>),
    /// A node's time goes on, and it says how it is.
    Advance(NodeId),
    /// A node's report reaches a leader.
    Report(NodeId, Box<longshore_fleet::Report>),
    /// A caller changes something.
    Act,
    /// Something goes wrong.
    Fail,
}

/// A leader: what it knows, and what it has not written yet.
struct Leader {
    controller: Controller,
    term: u64,
    is_alive: bool,
    /// Whether the database hears it.
    is_cut_off: bool,
    read: usize,
    number: u64,
    in_flight: Option<(Batch, Output)>,
    /// When it decides next.
    wakes: Millis,
}

pub(super) struct World {
    seed: u64,
    random: Random,
    settings: ControlSettings,
    faults: Faults,
    now: Millis,
    until: Millis,
    order: u64,
    queue: BinaryHeap<Reverse<(Millis, u64)>>,
    happenings: BTreeMap<u64, Happening>,
    database: Database,
    leaders: Vec<Leader>,
    agents: BTreeMap<NodeId, Agent>,
    /// Nodes that nobody hears.
    silent: BTreeMap<NodeId, Millis>,
    names: u64,
    /// When the last thing that each node was told reaches it.
    delivered: BTreeMap<NodeId, Millis>,
    /// Of deployments, the revision that a rollout is to lead to, and whether it was there before.
    goals: BTreeMap<WorkloadId, (u64, bool)>,
    /// What leaders told of last, for whoever wonders how it came to this.
    told: VecDeque<String>,
    /// What has happened.
    pub(super) counts: Counts,
}

const START: Millis = 1_700_000_000_000;
/// How much of what leaders told is kept.
const MOST_TOLD: usize = 60;

impl World {
    pub(super) fn new(seed: u64, settings: ControlSettings, faults: Faults) -> Self {
        let mut world = Self {
            seed,
            random: Random::new(seed),
            settings,
            faults,
            now: START,
            until: START,
            order: 0,
            queue: BinaryHeap::new(),
            happenings: BTreeMap::new(),
            database: Database::default(),
            leaders: Vec::new(),
            agents: BTreeMap::new(),
            silent: BTreeMap::new(),
            names: 0,
            delivered: BTreeMap::new(),
            goals: BTreeMap::new(),
            told: VecDeque::new(),
            counts: Counts::default(),
        };
        let nodes = 3 + world.below(8);
        for number in 0..nodes {
            world.add_node(number);
        }
        world.take_over();
        world
    }

    fn below(&mut self, most: u64) -> u64 {
        self.random.next() % most.max(1)
    }

    fn delay(&mut self, most: u64) -> Millis {
        1 + i64::try_from(self.below(most)).unwrap()
    }

    fn after(&mut self, delay: Millis, happening: Happening) {
        self.order += 1;
        self.queue.push(Reverse((self.now + delay, self.order)));
        self.happenings.insert(self.order, happening);
    }

    /// Has a leader decide after a while, unless it does before.
    fn wake(&mut self, at: usize, delay: Millis) {
        let when = self.now + delay;
        if when < self.leaders[at].wakes {
            self.leaders[at].wakes = when;
            self.after(delay, Happening::Decide(at, when));
        }
    }

    fn add_node(&mut self, number: u64) {
        let id = NodeId(Uuid::from_u128(u128::from(1_000 + number)));
        let cpu = 1_000 * (1 + self.below(8));
        let pods = 4 + u32::try_from(self.below(20)).unwrap();
        self.agents.insert(id, Agent::new(["a", "b", "c"][usize::try_from(number % 3).unwrap()], cpu, pods));
        self.database.put_node(NodeRow {
            id,
            name: format!("n{number}").parse().unwrap(),
            public_key: String::new(),
            revision: 1,
            is_cordoned: false,
            is_draining: false,
            facts: None,
            joined: self.now * 1_000,
        });
        let delay = self.delay(500);
        self.after(delay, Happening::Advance(id));
    }

    /// Another leader begins its term.
    fn take_over(&mut self) {
        self.counts.overtaken_in_rollout += u64::from(!self.goals.is_empty());
        self.database.term += 1;
        let term = self.database.term;
        let mut controller = Controller::new(self.settings, term, self.random.next(), self.now);
        for row in self.database.nodes.values() {
            controller.put_node(row.clone());
        }
        for (id, layers) in &self.database.layers {
            controller.put_layers(*id, layers);
        }
        for row in self.database.workloads.values() {
            controller.put_workload(row.clone(), self.database.revisions_of(row.id)).unwrap();
        }
        for row in self.database.rollouts.values().filter(|row| row.ended.is_none()) {
            controller.put_rollout(row.clone());
        }
        for row in self.database.pods.values() {
            controller.put_pod(row.clone());
        }
        controller.begin(self.now);
        let read = self.database.changes.len();
        self.leaders.push(Leader {
            controller,
            term,
            is_alive: true,
            is_cut_off: false,
            read,
            number: 0,
            in_flight: None,
            wakes: Millis::MAX,
        });
        let at = self.leaders.len() - 1;
        self.wake(at, 1);
    }

    /// The leader that nodes find.
    fn leader(&self) -> Option<usize> {
        let at = self.leaders.len() - 1;
        (self.leaders[at].is_alive && !self.leaders[at].is_cut_off).then_some(at)
    }

    pub(super) fn run(&mut self, length: Millis) {
        self.until = self.now + length;
        self.after(1, Happening::Act);
        self.after(5_000, Happening::Fail);
        while let Some(Reverse((at, order))) = self.queue.pop() {
            if at > self.until {
                self.queue.push(Reverse((at, order)));
                break;
            }
            self.now = at;
            let Some(happening) = self.happenings.remove(&order) else { continue };
            self.happen(happening);
        }
        self.now = self.until;
    }

    /// Nothing goes wrong any more, and nobody changes anything: a long time passes.
    pub(super) fn settle(&mut self) {
        self.faults = Faults::None;
        for node in std::mem::take(&mut self.silent).into_keys() {
            // Its connections broke meanwhile.
            if let Some(agent) = self.agents.get_mut(&node) {
                agent.stream = None;
            }
        }
        if self.leader().is_none() {
            self.take_over();
        }
        for row in self.database.nodes.values().cloned().collect::<Vec<_>>() {
            self.database.put_node(NodeRow { is_cordoned: false, is_draining: false, revision: row.revision + 1, ..row });
        }
        for agent in self.agents.values_mut() {
            agent.untaint();
        }
        self.until = self.now + 900_000;
        let until = self.until;
        while let Some(Reverse((at, order))) = self.queue.pop() {
            if at > until {
                break;
            }
            self.now = at;
            match self.happenings.remove(&order) {
                None | Some(Happening::Act | Happening::Fail) => {}
                Some(happening) => self.happen(happening),
            }
        }
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Decide(at, when) if self.leaders[at].wakes == when => self.decide(at),
            Happening::Decide(..) => {}
            Happening::Commit(at) => self.commit(at),
            Happening::Committed(at, is_done) => self.committed(at, is_done),
            Happening::Hear(node, stream, instruction) => self.hear(node, stream, *instruction),
            Happening::Advance(node) => self.advance(node),
            Happening::Report(node, report) => self.report(node, *report),
            Happening::Act => {
                self.act();
                let delay = self.delay(4_000);
                self.after(delay, Happening::Act);
            }
            Happening::Fail => {
                if self.faults == Faults::All {
                    self.fail();
                }
                let delay = self.delay(15_000);
                self.after(delay, Happening::Fail);
            }
        }
    }

    /// A leader reads what callers have changed, decides, and has it written.
    fn decide(&mut self, at: usize) {
        self.leaders[at].wakes = Millis::MAX;
        if !self.leaders[at].is_alive {
            return;
        }
        self.follow(at);
        let now = self.now;
        let leader = &mut self.leaders[at];
        let witness = Witness::of(&leader.controller, self.seed, now);
        leader.controller.decide(now);
        witness.check(&leader.controller, &mut self.counts);
        // It looks at everything, and what goes wrong there stays wrong.
        if self.order.is_multiple_of(64) {
            leader.controller.assert_counts();
        }
        if leader.in_flight.is_none() {
            let output = leader.controller.take();
            let asked = output.verdicts.clone();
            for event in &output.events {
                self.told.push_back(format!("{now} {} {}: {}", event.name, event.reason, event.message));
            }
            self.told.drain(..self.told.len().saturating_sub(MOST_TOLD));
            if !output.is_empty() {
                leader.number += 1;
                let batch = Batch {
                    number: leader.number,
                    writes: output.writes.clone(),
                    events: output.events.clone(),
                    now: now * 1_000,
                };
                leader.in_flight = Some((batch, output));
                let delay = self.delay(20);
                self.after(delay, Happening::Commit(at));
            }
            for (workload, number, _) in asked {
                let verdict = if self.below(5) == 0 { Verdict::Unknown } else { Verdict::Allowed(now + 60_000) };
                self.leaders[at].controller.judge(workload, number, verdict, now);
            }
        }
        let next = self.leaders[at].controller.next_at().map_or(500, |next| (next - now).clamp(1, 500));
        self.wake(at, next);
    }

    fn follow(&mut self, at: usize) {
        let leader = &mut self.leaders[at];
        if leader.is_cut_off {
            return;
        }
        while let Some(changed) = self.database.changes.get(leader.read) {
            leader.read += 1;
            match *changed {
                Changed::Workload(id) => {
                    if let Some(row) = self.database.workloads.get(&id) {
                        leader.controller.put_workload(row.clone(), self.database.revisions_of(id)).unwrap();
                    }
                }
                Changed::Node(id) => match self.database.nodes.get(&id) {
                    Some(row) => leader.controller.put_node(row.clone()),
                    None => leader.controller.remove_node(id),
                },
            }
        }
    }

    /// A batch reaches the database, or is lost on its way, or its answer is.
    fn commit(&mut self, at: usize) {
        let is_lost = self.faults == Faults::All && self.below(20) == 0;
        let leader = &self.leaders[at];
        let Some((batch, _)) = &leader.in_flight else { return };
        if leader.is_cut_off || is_lost {
            // It is tried again.
            self.after(200, Happening::Commit(at));
            return;
        }
        let is_done = self.database.commit(leader.term, batch);
        if is_done {
            count_rollouts(batch, &mut self.goals, &mut self.counts);
        }
        self.assert_room();
        let is_answer_lost = self.faults == Faults::All && self.below(20) == 0;
        let delay = self.delay(20);
        if is_answer_lost {
            self.after(200, Happening::Commit(at));
        } else {
            self.after(delay, Happening::Committed(at, is_done));
        }
    }

    fn committed(&mut self, at: usize, is_done: bool) {
        let leader = &mut self.leaders[at];
        let Some((_, output)) = leader.in_flight.take() else { return };
        if !leader.is_alive {
            return;
        }
        if !is_done {
            // Another leads: all is forgotten.
            leader.is_alive = false;
            return;
        }
        for told in output.told {
            // What is told on one stream comes in its order.
            let delay = self.delay(30);
            let at = self.delivered.entry(told.node).or_default();
            *at = (*at).max(self.now + delay);
            let delay = *at - self.now;
            self.after(delay, Happening::Hear(told.node, told.stream, Box::new(told.instruction)));
        }
        self.wake(at, 1);
    }

    fn hear(&mut self, node: NodeId, stream: StreamId, instruction: Instruction) {
        let now = self.now;
        if self.silent.contains_key(&node) {
            return;
        }
        let Some(agent) = self.agents.get_mut(&node) else { return };
        let is_first = matches!(instruction, Instruction::All { .. });
        if is_first || agent.stream == Some(stream) {
            agent.hear(instruction, now);
        }
    }

    fn advance(&mut self, node: NodeId) {
        let now = self.now;
        let is_silent = match self.silent.get(&node) {
            Some(until) if *until <= now => {
                self.silent.remove(&node);
                // Its connections broke meanwhile.
                if let Some(agent) = self.agents.get_mut(&node) {
                    agent.stream = None;
                }
                false
            }
            Some(_) => true,
            None => false,
        };
        let mut random = Random::new(self.random.next());
        let Some(agent) = self.agents.get_mut(&node) else { return };
        agent.advance(now, || random.next());
        self.assert_node(node);
        if !is_silent && let Some(at) = self.leader() {
            let agent = self.agents.get_mut(&node).unwrap();
            match agent.stream {
                // Its stream may have been another leader's: that one answers nothing any more.
                None => {
                    self.leaders[at].controller.open(node, now);
                    self.wake(at, 1);
                }
                Some(_) => {
                    if let Some(report) = agent.report() {
                        let delay = self.delay(30);
                        self.after(delay, Happening::Report(node, Box::new(report)));
                    }
                }
            }
        }
        let delay = 500 + self.delay(1_000);
        self.after(delay, Happening::Advance(node));
    }

    fn report(&mut self, node: NodeId, report: longshore_fleet::Report) {
        let Some(at) = self.leader().filter(|_| !self.silent.contains_key(&node)) else { return };
        let stream = report.stream;
        let controller = &mut self.leaders[at].controller;
        let witness = Witness::of(controller, self.seed, self.now);
        let answer = controller.report(node, report, self.now);
        witness.check(controller, &mut self.counts);
        let is_answer_lost = self.faults == Faults::All && self.below(20) == 0;
        let Some(agent) = self.agents.get_mut(&node).filter(|agent| agent.stream == Some(stream)) else { return };
        match answer {
            crate::lead::Reported::Taken if !is_answer_lost => agent.unanswered = None,
            crate::lead::Reported::Taken => {}
            crate::lead::Reported::StreamUnknown => agent.stream = None,
        }
        self.wake(at, 1);
    }

    /// A caller changes something.
    fn act(&mut self) {
        match self.below(14) {
            0..3 if self.database.workloads.len() < 8 => self.create(),
            3 | 4 => self.change(|row, random| {
                row["replicas"] = json!(random % 8);
            }),
            5 | 9 | 10 => self.change_template(),
            6 => self.roll_back(),
            7 if self.database.workloads.len() > 3 => self.delete(),
            8 => self.cordon(),
            11 => self.taint(),
            12 => self.evict(),
            _ => {}
        }
    }

    fn create(&mut self) {
        self.names += 1;
        let is_job = self.below(4) == 0;
        let name = format!("w{}", self.names);
        let cpu = format!("{}m", 100 * (1 + self.below(12)));
        let mut document = json!({"name": name, "image": "hub.test/app:1", "resources": {"requests": {"cpu": cpu}}});
        let uuid = Uuid::from_u128(u128::from(self.names));
        let id = if is_job {
            document["completions"] = json!(1 + self.below(5));
            document["parallelism"] = json!(1 + self.below(3));
            document["gang"] = json!(self.below(2) == 0);
            document["backoffLimit"] = json!(20);
            WorkloadId { kind: WorkloadKind::Job, uuid }
        } else {
            document["replicas"] = json!(self.below(8));
            document["priority"] = json!(self.below(3));
            document["strategy"] = match self.below(5) {
                0 => json!({"type": "Recreate"}),
                1 => json!({"maxUnavailable": "34%", "maxSurge": "25%"}),
                2 => json!({"maxUnavailable": 1 + self.below(2), "maxSurge": 0}),
                _ => json!({"maxUnavailable": self.below(2), "maxSurge": 1 + self.below(2)}),
            };
            match self.below(5) {
                0 => {}
                1 => document["disruption"] = json!({"minAvailable": "60%"}),
                2 => document["disruption"] = json!({"minAvailable": 1 + self.below(3)}),
                _ => document["disruption"] = json!({"maxUnavailable": 1}),
            }
            document["minReadySeconds"] = json!(4 * self.below(2));
            document["revisionHistoryLimit"] = json!(1 + self.below(4));
            if self.below(4) == 0 {
                document["tolerations"] = json!([{"operator": "Exists"}]);
            }
            WorkloadId { kind: WorkloadKind::Deployment, uuid }
        };
        let (spec, template) = if is_job {
            let spec = JobSpec::read(document).unwrap();
            (serde_json::to_value(&spec.work).unwrap(), spec.template)
        } else {
            let spec = DeploymentSpec::read(document).unwrap();
            (serde_json::to_value(&spec.upkeep).unwrap(), spec.template)
        };
        let now = self.now * 1_000;
        let row = WorkloadRow {
            id,
            namespace: "default".parse().unwrap(),
            name: name.parse().unwrap(),
            revision: 1,
            template_revision: 1,
            spec,
            created: now,
            updated: now,
            deleted: None,
            status: WorkloadStatus::default(),
        };
        let revision = revision(id, 1, template, now);
        self.database.put_workload(row, Some(revision));
    }

    fn pick(&mut self, kind: Option<WorkloadKind>) -> Option<WorkloadRow> {
        let live = |row: &&WorkloadRow| row.deleted.is_none() && kind.is_none_or(|kind| row.id.kind == kind);
        let rows: Vec<WorkloadRow> = self.database.workloads.values().filter(live).cloned().collect();
        let at = usize::try_from(self.below(rows.len() as u64)).unwrap();
        rows.get(at).cloned()
    }

    fn change(&mut self, change: impl FnOnce(&mut Value, u64)) {
        let number = self.random.next();
        let Some(mut row) = self.pick(Some(WorkloadKind::Deployment)) else { return };
        change(&mut row.spec, number);
        row.revision += 1;
        self.database.put_workload(row, None);
    }

    fn change_template(&mut self) {
        let Some(mut row) = self.pick(Some(WorkloadKind::Deployment)) else { return };
        let mut template = self.database.revisions[&(row.id, row.template_revision)].template.clone();
        template.env.clear();
        if self.below(5) == 0 {
            // One of which no pod is ever ready.
            template.env.push(serde_json::from_value(json!({"name": FAULTY, "value": "yes"})).unwrap());
        }
        row.revision += 1;
        row.template_revision = row.revision;
        let revision = revision(row.id, row.revision, template, self.now * 1_000);
        self.goals.insert(row.id, (row.template_revision, false));
        self.database.put_workload(row, Some(revision));
    }

    fn roll_back(&mut self) {
        let Some(mut row) = self.pick(Some(WorkloadKind::Deployment)) else { return };
        let revisions = self.database.revisions_of(row.id).into_iter().map(|revision| revision.number);
        let others: Vec<u64> = revisions.filter(|number| *number != row.template_revision).collect();
        let Some(number) = others.get(usize::try_from(self.below(others.len() as u64)).unwrap()) else { return };
        row.template_revision = *number;
        row.revision += 1;
        self.goals.insert(row.id, (row.template_revision, true));
        self.database.put_workload(row, None);
    }

    /// A node gets a taint that pods have to leave it for, or is rid of it.
    fn taint(&mut self) {
        let at = usize::try_from(self.below(self.agents.len() as u64)).unwrap();
        if let Some(agent) = self.agents.values_mut().nth(at) {
            agent.taint();
        }
    }

    /// Somebody wants a pod away.
    fn evict(&mut self) {
        let pods: Vec<PodId> = self.database.pods.values().filter(|pod| pod.node.is_some()).map(|pod| pod.id).collect();
        let (Some(at), chosen) = (self.leader(), usize::try_from(self.below(pods.len() as u64)).unwrap()) else { return };
        let (Some(pod), controller) = (pods.get(chosen), &mut self.leaders[at].controller) else { return };
        let witness = Witness::of(controller, self.seed, self.now);
        controller.evict_for(*pod, None);
        witness.check(controller, &mut self.counts);
        self.wake(at, 1);
    }

    fn delete(&mut self) {
        let Some(mut row) = self.pick(None) else { return };
        row.revision += 1;
        row.deleted = Some(self.now * 1_000);
        self.database.put_workload(row, None);
    }

    fn cordon(&mut self) {
        let ids: Vec<NodeId> = self.database.nodes.keys().copied().collect();
        let id = ids[usize::try_from(self.below(ids.len() as u64)).unwrap()];
        let row = self.database.nodes[&id].clone();
        let is_draining = self.below(3) == 0;
        let is_cordoned = !row.is_cordoned;
        self.database.put_node(NodeRow {
            is_cordoned,
            is_draining: is_draining && is_cordoned,
            revision: row.revision + 1,
            ..row
        });
    }

    /// Something goes wrong.
    fn fail(&mut self) {
        let ids: Vec<NodeId> = self.database.nodes.keys().copied().collect();
        let node = ids[usize::try_from(self.below(ids.len() as u64)).unwrap()];
        let last = self.leaders.len() - 1;
        match self.below(7) {
            0 => {
                // The leader dies, and another takes over.
                self.leaders[last].is_alive = false;
                self.take_over();
            }
            1 => {
                // The leader is cut off for longer than its lease: it goes on deciding, and comes back to find itself overtaken.
                self.leaders[last].is_cut_off = true;
                self.take_over();
            }
            2 => {
                for leader in &mut self.leaders {
                    leader.is_cut_off = false;
                }
            }
            3 | 4 => {
                let until = self.now + self.delay(90_000);
                self.silent.insert(node, until);
            }
            5 => {
                if let Some(agent) = self.agents.get_mut(&node) {
                    agent.reboot();
                }
            }
            _ if ids.len() > 3 => {
                // A node is removed while it runs, and its machine is switched off.
                self.database.remove_node(node);
                self.agents.remove(&node);
            }
            _ => {}
        }
    }

    /// No node is promised to more than it has.
    fn assert_room(&self) {
        let mut promised: BTreeMap<NodeId, (u64, u32)> = BTreeMap::new();
        for pod in self.database.pods.values().filter(|pod| !pod.state.phase.has_ended()) {
            let Some(node) = pod.node else { continue };
            let Some(revision) = self.database.revisions.get(&(pod.workload, pod.revision)) else {
                panic!("seed {}: {} is of a revision that is gone", self.seed, pod.name)
            };
            let cpu = revision.template.resources.with_requests().requests.cpu.unwrap_or_default();
            let sum = promised.entry(node).or_default();
            sum.0 += cpu.millis;
            sum.1 += 1;
        }
        for (node, (cpu, pods)) in promised {
            let Some(agent) = self.agents.get(&node) else { continue };
            assert!(
                cpu <= agent.facts.cpu.millis && pods <= agent.facts.pods,
                "seed {}: {node} is promised {cpu}m, {pods} pods",
                self.seed
            );
        }
    }

    /// No node runs more than it has, and no pod runs on two.
    fn assert_node(&self, node: NodeId) {
        let agent = &self.agents[&node];
        let cpu: u64 = agent.running().map(|(_, _, cpu)| cpu).sum();
        assert!(cpu <= agent.facts.cpu.millis, "seed {}: {node} runs {cpu}m", self.seed);
        for (id, name, _) in agent.running() {
            let elsewhere = self
                .agents
                .iter()
                .filter(|(other, _)| **other != node)
                .any(|(_, agent)| agent.running().any(|(other, ..)| other == id));
            assert!(!elsewhere, "seed {}: {name} runs twice", self.seed);
        }
    }

    /// What is asked for and fits runs, and nothing else does.
    pub(super) fn assert_settled(&mut self) {
        let seed = self.seed;
        let at = self.leader().unwrap();
        for row in self.database.workloads.values().cloned().collect::<Vec<_>>() {
            assert!(row.deleted.is_none(), "seed {seed}: {} is still being deleted", row.name);
            assert_eq!(row.status.observed_revision, row.revision, "seed {seed}: {} was changed, and nobody looked", row.name);
            let pods: Vec<_> = self.database.pods.values().filter(|pod| pod.workload == row.id).collect();
            match Asked::read(row.id.kind, &row.spec).unwrap() {
                Asked::Deployment(upkeep) => {
                    let unplaced = pods.iter().filter(|pod| pod.node.is_none()).count();
                    let here = pods.iter().filter(|pod| pod.end_within_seconds.is_none()).count();
                    let fits = unplaced > 0 && self.leaders[at].controller.fits(row.id);
                    assert!(!fits, "seed {seed}: a pod of {} waits that fits", row.name);
                    let least = upkeep.replicas as usize;
                    assert!(
                        here >= least,
                        "seed {seed}: {} has {here} pods, and wants {least}: {:?}, {:#?}",
                        row.name,
                        row.status,
                        self.told
                    );
                    let is_faulty = self.is_faulty(row.id, row.template_revision);
                    if unplaced == 0 && !is_faulty {
                        assert_eq!(here, least, "seed {seed}: {} wants {least}", row.name);
                        let is_current = pods.iter().all(|pod| pod.revision == row.template_revision);
                        assert!(is_current, "seed {seed}: {} has pods of other revisions", row.name);
                    }
                }
                Asked::Job(work) => {
                    let succeeded = pods.iter().filter(|pod| pod.state.phase == Phase::Succeeded).count();
                    let is_over = matches!(row.status.state, WorkloadState::Succeeded | WorkloadState::Failed);
                    let is_waiting = pods.iter().any(|pod| pod.node.is_none());
                    assert!(is_over || is_waiting, "seed {seed}: {} is not over: {:?}", row.name, row.status);
                    if row.status.state == WorkloadState::Succeeded {
                        assert!(succeeded >= work.completions as usize, "seed {seed}: {}", row.name);
                    }
                }
            }
        }
        self.leaders[at].controller.assert_counts();
        self.assert_nodes_run_what_is_written();
    }

    /// Whether no pod of a revision is ever ready.
    fn is_faulty(&self, id: WorkloadId, revision: u64) -> bool {
        self.database.revisions[&(id, revision)].template.env.iter().any(|variable| variable.name == FAULTY)
    }

    fn assert_nodes_run_what_is_written(&self) {
        let seed = self.seed;
        for (node, agent) in &self.agents {
            let running: Vec<PodId> = agent.running().map(|(id, ..)| id).collect();
            let live = |pod: &&crate::state::PodRow| pod.node == Some(*node) && !pod.state.phase.has_ended();
            let written: Vec<PodId> = self.database.pods.values().filter(live).map(|pod| pod.id).collect();
            assert_eq!(running, written, "seed {seed}: {node} runs what is written");
        }
    }
}

/// Counts rollouts that have come to where they were to lead.
fn count_rollouts(batch: &Batch, goals: &mut BTreeMap<WorkloadId, (u64, bool)>, counts: &mut Counts) {
    for write in &batch.writes {
        let Write::PutRollout(row) = write else { continue };
        let Some((_, is_back)) = goals.get(&row.workload).copied().filter(|(revision, _)| *revision == row.template_revision)
        else {
            continue;
        };
        if row.state == "done" {
            goals.remove(&row.workload);
            *(if is_back { &mut counts.rolled_back } else { &mut counts.rolled_out }) += 1;
        }
    }
}

pub(super) fn revision(id: WorkloadId, number: u64, template: longshore_fleet::Template, created: i64) -> RevisionRow {
    let name = format!("hub.test/app{}-{number}", id.uuid.as_u128());
    let digest = Digest::of(Algorithm::Sha256, name.as_bytes());
    let image: longshore_fleet::Image = name.parse().unwrap();
    let image = image.at(digest);
    let layer = Digest::of(Algorithm::Sha256, image.to_string().as_bytes());
    let layers = vec![ImageLayers { os: "linux".to_owned(), architecture: "amd64".to_owned(), layers: vec![(layer, 1 << 20)] }];
    let template = longshore_fleet::Template { image: image.clone(), ..template };
    RevisionRow { workload: id, number, wanted: number, template, image, layers, created, author: None, refused: None }
}
