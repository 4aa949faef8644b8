//! What a case is played on.

use std::collections::BTreeMap;

use longshore_fleet::{
    DeploymentSpec, FetchReport, FetchState, Image, Instruction, JobSpec, Load, NodeId, OperationId, Phase, PodId, PodReport,
    PodState, Report, StreamId, WorkloadId, WorkloadKind,
    api::{OperationState, OperationView, PrewarmRequest, WorkloadStatus},
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::super::{agent::Agent, database::Database, world::revision};
use crate::{
    control::{ControlSettings, Controller, Verdict},
    schedule::Millis,
    state::{Batch, NewEvent, NodeRow, OperationRow, PodRow, WorkloadRow},
};

const START: Millis = 1_700_000_000_000;

/// A leader, its database and its nodes.
pub(super) struct Scene {
    pub(super) controller: Controller,
    pub(super) database: Database,
    pub(super) now: Millis,
    /// What nodes were told since it was looked at last.
    pub(super) told: Vec<(NodeId, Instruction)>,
    pub(super) events: Vec<NewEvent>,
    /// What the registry says; it is asked nothing where it is to say nothing.
    pub(super) verdict: Option<Verdict>,
    pub(super) asked: Vec<(WorkloadId, u64)>,
    settings: ControlSettings,
    streams: BTreeMap<NodeId, (StreamId, u64)>,
    batches: u64,
}

impl Scene {
    pub(super) fn new(settings: ControlSettings) -> Self {
        let database = Database { term: 1, ..Database::default() };
        Self {
            controller: Controller::new(settings, 1, 1, START),
            database,
            now: START,
            told: Vec::new(),
            events: Vec::new(),
            verdict: Some(Verdict::Allowed(Millis::MAX)),
            asked: Vec::new(),
            settings,
            streams: BTreeMap::new(),
            batches: 0,
        }
    }

    /// A node that is there and listens.
    pub(super) fn node(&mut self, number: u128, zone: &str, cpu_millis: u64) -> NodeId {
        let id = NodeId(Uuid::from_u128(1_000 + number));
        let row = NodeRow {
            id,
            name: format!("n{number}").parse().unwrap(),
            public_key: String::new(),
            revision: 1,
            is_cordoned: false,
            is_draining: false,
            facts: Some(serde_json::to_value(Agent::new(zone, cpu_millis, 100).facts).unwrap()),
            joined: self.now * 1_000,
        };
        self.database.put_node(row.clone());
        self.controller.put_node(row);
        self.open(id);
        self.report(id, |_| {});
        id
    }

    pub(super) fn open(&mut self, id: NodeId) {
        let stream = self.controller.open(id, self.now).unwrap();
        self.streams.insert(id, (stream, 0));
    }

    /// A node says something, that it is there at least.
    pub(super) fn report(&mut self, id: NodeId, say: impl FnOnce(&mut Report)) {
        let (stream, number) = self.streams.get_mut(&id).unwrap();
        *number += 1;
        let mut report: Report = serde_json::from_value(json!({"stream": stream, "number": number})).unwrap();
        report.load = Some(Load { disk_free_bytes: 1 << 40, ..Load::default() });
        say(&mut report);
        self.controller.report(id, report, self.now);
    }

    /// A node says how a pod is.
    pub(super) fn say(&mut self, pod: PodId, say: impl FnOnce(&mut PodState)) {
        let mut state = self.pod(pod).state;
        say(&mut state);
        let node = self.pod(pod).node.unwrap();
        self.report(node, |report| report.pods.push(PodReport { id: pod, state }));
        self.decide();
    }

    /// A pod does its work.
    pub(super) fn run(&mut self, pod: PodId) {
        self.say(pod, |state| (state.phase, state.ready) = (Phase::Running, true));
    }

    /// A container has ended.
    pub(super) fn end(&mut self, pod: PodId, phase: Phase) {
        self.say(pod, |state| (state.phase, state.ready) = (phase, false));
    }

    /// Nothing of a pod is left.
    pub(super) fn gone(&mut self, pod: PodId) {
        let node = self.pod(pod).node.unwrap();
        self.report(node, |report| report.gone.push(pod));
        self.decide();
    }

    /// A node says how far an image is.
    pub(super) fn fetched(&mut self, node: NodeId, operation: OperationId, image: &Image, state: FetchState, bytes: u64) {
        let (image, message) = (image.clone(), None);
        let said = FetchReport { operation, image, state, bytes_done: bytes, bytes_total: bytes, message };
        self.report(node, |report| report.fetches.push(said));
    }

    /// Somebody wants a workload.
    pub(super) fn workload(&mut self, number: u128, kind: WorkloadKind, mut document: Value) -> WorkloadId {
        let id = WorkloadId { kind, uuid: Uuid::from_u128(number) };
        document["name"] = format!("w{number}").into();
        document["image"] = "hub.test/app:1".into();
        let (spec, template) = if kind == WorkloadKind::Job {
            let spec = JobSpec::read(document).unwrap();
            (serde_json::to_value(&spec.work).unwrap(), spec.template)
        } else {
            let spec = DeploymentSpec::read(document).unwrap();
            (serde_json::to_value(&spec.upkeep).unwrap(), spec.template)
        };
        let row = WorkloadRow {
            id,
            namespace: "default".parse().unwrap(),
            name: format!("w{number}").parse().unwrap(),
            revision: 1,
            template_revision: 1,
            spec,
            created: self.now * 1_000,
            updated: self.now * 1_000,
            deleted: None,
            status: WorkloadStatus::default(),
        };
        self.database.put_workload(row, Some(revision(id, 1, template, self.now * 1_000)));
        self.reload(id);
        id
    }

    pub(super) fn deployment(&mut self, number: u128, document: Value) -> WorkloadId {
        self.workload(number, WorkloadKind::Deployment, document)
    }

    pub(super) fn job(&mut self, number: u128, document: Value) -> WorkloadId {
        self.workload(number, WorkloadKind::Job, document)
    }

    /// Somebody wants a workload's pods made from something else.
    pub(super) fn change_template(&mut self, id: WorkloadId) {
        let mut row = self.database.workloads[&id].clone();
        let template = self.database.revisions[&(id, row.template_revision)].template.clone();
        row.revision += 1;
        row.template_revision = row.revision;
        let revision = revision(id, row.revision, template, self.now * 1_000);
        self.database.put_workload(row, Some(revision));
        self.reload(id);
    }

    pub(super) fn reload(&mut self, id: WorkloadId) {
        self.controller.put_workload(self.database.workloads[&id].clone(), self.database.revisions_of(id)).unwrap();
        self.decide();
    }

    /// Somebody wants a node so.
    pub(super) fn change_node(&mut self, id: NodeId, change: impl FnOnce(&mut NodeRow)) {
        let row = self.database.nodes.get_mut(&id).unwrap();
        change(row);
        self.controller.put_node(row.clone());
        self.decide();
    }

    /// Somebody wants images to be on all nodes.
    pub(super) fn prewarm(&mut self, number: u128, images: &[&Image]) -> OperationId {
        let id = OperationId(Uuid::from_u128(number));
        let images: Vec<&Image> = images.to_vec();
        let request: PrewarmRequest = serde_json::from_value(json!({"images": images, "namespace": "default"})).unwrap();
        let view = OperationView {
            operation_id: id,
            state: OperationState::Running,
            created_at: jiff::Timestamp::from_millisecond(self.now).unwrap(),
            ended_at: None,
            request,
            nodes: BTreeMap::new(),
            bytes_done: 0,
            bytes_total: 0,
        };
        let row = OperationRow { id, view, created: self.now * 1_000, ended: None };
        self.database.operations.insert(id, row.clone());
        self.controller.put_operation(row);
        self.decide();
        id
    }

    /// The leader decides, and all of it is written.
    pub(super) fn decide(&mut self) {
        for _ in 0..20 {
            self.controller.decide(self.now);
            self.controller.assert_counts();
            let output = self.controller.take();
            if output.is_empty() {
                return;
            }
            self.batches += 1;
            let batch =
                Batch { number: self.batches, writes: output.writes, events: output.events.clone(), now: self.now * 1_000 };
            assert!(self.database.commit(self.database.term, &batch));
            self.events.extend(output.events);
            self.told.extend(output.told.into_iter().map(|told| (told.node, told.instruction)));
            for (workload, number, _) in output.verdicts {
                self.asked.push((workload, number));
                if let Some(verdict) = self.verdict.clone() {
                    self.controller.judge(workload, number, verdict, self.now);
                }
            }
        }
    }

    /// Time passes, in steps of a tenth of a second, and these nodes say that they are there.
    pub(super) fn pass(&mut self, length: Millis, heard: &[NodeId]) {
        for step in 1..=length / 100 {
            self.now += 100;
            if step % 50 == 0 {
                for node in heard {
                    self.report(*node, |_| {});
                }
            }
            self.decide();
        }
    }

    /// Another leader begins, by what is written; no node listens to it yet.
    pub(super) fn take_over(&mut self) {
        self.database.term += 1;
        (self.batches, self.told) = (0, Vec::new());
        self.streams.clear();
        let mut controller = Controller::new(self.settings, self.database.term, 7, self.now);
        self.database.nodes.values().for_each(|row| controller.put_node(row.clone()));
        self.database.layers.iter().for_each(|(id, layers)| controller.put_layers(*id, layers));
        for row in self.database.workloads.values() {
            controller.put_workload(row.clone(), self.database.revisions_of(row.id)).unwrap();
        }
        self.database.rollouts.values().for_each(|row| controller.put_rollout(row.clone()));
        self.database.pods.values().for_each(|row| controller.put_pod(row.clone()));
        let running = self.database.operations.values().filter(|row| row.ended.is_none());
        running.for_each(|row| controller.put_operation(row.clone()));
        controller.begin(self.now);
        self.controller = controller;
        self.decide();
    }

    pub(super) fn pod(&self, id: PodId) -> PodRow {
        self.database.pods[&id].clone()
    }

    /// The pods of a workload that are to run.
    pub(super) fn pods(&self, id: WorkloadId) -> Vec<PodId> {
        let runs = |pod: &&PodRow| pod.workload == id && pod.end_within_seconds.is_none() && !pod.state.phase.has_ended();
        self.database.pods.values().filter(runs).map(|pod| pod.id).collect()
    }

    /// Those of them that are on a node.
    pub(super) fn placed(&self, id: WorkloadId) -> Vec<PodId> {
        self.pods(id).into_iter().filter(|pod| self.database.pods[pod].node.is_some()).collect()
    }

    pub(super) fn status(&mut self, id: WorkloadId) -> WorkloadStatus {
        self.pass(1_000, &[]);
        self.database.workloads[&id].status.clone()
    }

    /// Which nodes were told to fetch an image since this was asked last.
    pub(super) fn told_to_fetch(&mut self, wanted: &Image) -> Vec<NodeId> {
        let mut nodes = Vec::new();
        self.told.retain(|(node, told)| {
            let is_meant = matches!(told, Instruction::Fetch(fetch) if fetch.image == *wanted);
            nodes.extend(is_meant.then_some(*node));
            !is_meant
        });
        nodes
    }
}

/// An image by digest.
pub(super) fn image(name: &str) -> Image {
    let digest = longshore_oci::Digest::of(longshore_oci::Algorithm::Sha256, name.as_bytes());
    format!("hub.test/{name}@{digest}").parse().unwrap()
}
