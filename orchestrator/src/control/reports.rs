//! What nodes say.

use jiff::Timestamp;
use longshore_fleet::{Instruction, NodeId, Phase, PodId, PodReport, PodState, Report, api::Change};

use super::{Controller, Timer};
use crate::{
    lead::Reported,
    schedule::{Hopes, Millis},
    state::Write,
};

/// Why a pod stands still where it is its node's fault, and not its own.
const FAULTS_OF_NODES: [&str; 4] = ["ErrImagePull", "ImagePullBackOff", "CreateSandboxError", "CreateContainerError"];

impl Controller {
    /// Takes in what a node says.
    pub fn report(&mut self, id: NodeId, report: Report, now: Millis) -> Reported {
        self.now = self.now.max(now);
        let now = self.now;
        let Some(node) = self.nodes.get_mut(&id) else { return Reported::StreamUnknown };
        if node.stream != Some(report.stream) {
            return Reported::StreamUnknown;
        }
        node.heard = now;
        node.is_known = true;
        if report.number <= node.reported {
            // It was sent again, its answer having been lost.
            return Reported::Taken;
        }
        node.reported = report.number;
        let was_lost = std::mem::replace(&mut node.is_lost, false);
        self.hear_of_node(id, &report, was_lost);
        self.hear_of_layers(id, &report);
        if report.is_whole {
            self.hear_of_absence(id, &report);
        }
        for pod in report.pods {
            self.hear_of_pod(id, pod);
        }
        for pod in report.gone {
            self.hear_of_end(id, pod);
        }
        for fetch in &report.fetches {
            self.hear_of_fetch(id, fetch);
        }
        Reported::Taken
    }

    /// What a node says of itself.
    fn hear_of_node(&mut self, id: NodeId, report: &Report, was_lost: bool) {
        let Some(node) = self.nodes.get_mut(&id) else { return };
        let was_ready = node.not_ready().is_none() && !was_lost;
        let mut is_other = was_lost;
        if let Some(load) = report.load
            && node.load != load
        {
            node.load = load;
            is_other = true;
        }
        let mut has_facts = false;
        if let Some(facts) = &report.facts
            && node.facts.as_ref() != Some(facts)
        {
            node.facts = Some(facts.clone());
            node.note_taints(self.now);
            (is_other, has_facts) = (true, true);
            if let Ok(facts) = serde_json::to_value(facts) {
                self.unwritten.writes.push(Write::PutFacts(id, facts));
            }
        }
        if !is_other {
            return;
        }
        let not_ready = self.nodes.get(&id).and_then(super::node::Node::not_ready);
        self.reschedule(id);
        if has_facts {
            self.expel(id);
        }
        match not_ready {
            None if !was_ready => self.tell_of_node(id, Change::Changed, "Ready", "it can start pods"),
            Some(why) if was_ready => self.tell_of_node(id, Change::Changed, "NotReady", why),
            _ if has_facts => self.tell_of_node(id, Change::Changed, "Changed", ""),
            _ => {}
        }
    }

    fn hear_of_layers(&mut self, id: NodeId, report: &Report) {
        let Some(index) = self.nodes.get(&id).and_then(|node| node.index) else { return };
        let mut is_other = false;
        if report.is_whole {
            // What it does not name is not there any more.
            for layer in self.layers_of(id).unwrap_or_default() {
                if !report.layers.contains_key(&layer.digest) {
                    self.cluster.set_layer(index, &layer.digest, layer.size_bytes, false);
                    is_other = true;
                }
            }
        }
        for (digest, size_bytes) in &report.layers {
            is_other |= !self.cluster.has_layer(index, digest);
            self.cluster.set_layer(index, digest, *size_bytes, true);
        }
        for digest in &report.layers_gone {
            is_other |= self.cluster.has_layer(index, digest);
            self.cluster.lose_layer(index, digest);
        }
        if is_other {
            self.unwritten.layers.insert(id);
            self.queue.happened(Hopes::PULLS);
        }
    }

    fn hear_of_pod(&mut self, id: NodeId, report: PodReport) {
        let PodReport { id: pod_id, state } = report;
        let now = self.now;
        let Some(pod) = self.pods.get_mut(&pod_id).filter(|pod| pod.row.node == Some(id)) else { return };
        if pod.row.state.phase.has_ended() {
            // What has ended stays so, whatever a node that has lost its memory says.
            return;
        }
        let did = pod.serves();
        let before = std::mem::replace(&mut pod.row.state, state);
        let is_ending = pod.is_ending();
        pod.row.state.ready &= !is_ending;
        if pod.row.state.ready_since.is_some_and(|since| since.as_millisecond() > now) {
            // The node's clock is ahead of this one: it counts from when it is heard of, and is not waited for until this one is there.
            let known = before.ready_since.filter(|_| before.ready);
            pod.row.state.ready_since = known.or_else(|| Timestamp::from_millisecond(now).ok());
        }
        if pod.row.state == before {
            return;
        }
        if !before.ready || pod.row.state.ready_since != before.ready_since {
            pod.ready_heard = self.now;
        }
        let (now, workload, does) = (pod.row.state.clone(), pod.row.workload, pod.serves());
        self.count_ready(workload, did, does);
        if before.started_at.is_none() && now.started_at.is_some() {
            self.cluster.started(pod_id);
            self.queue.happened(Hopes::PULLS);
        }
        if now.phase.has_ended() && !before.phase.has_ended() {
            self.cluster.unbind(pod_id);
            self.queue.happened(Hopes::ROOM | Hopes::COMPANY);
        }
        self.blame(id, &before, &now);
        self.save(pod_id);
        self.touch(workload);
        if is_told(&before, &now) {
            let reason = now.reason.clone().unwrap_or_else(|| if now.ready { "Ready".to_owned() } else { now.phase.to_string() });
            let message = now.message.clone().unwrap_or_default();
            self.tell_of_pod(pod_id, Change::Changed, &reason, message);
        }
    }

    /// A node has told all that it has. Of what it has not named, what was to end has ended; what is to run has yet to be started there.
    fn hear_of_absence(&mut self, id: NodeId, report: &Report) {
        let named: rustc_hash::FxHashSet<PodId> = report.pods.iter().map(|pod| pod.id).collect();
        let Some(node) = self.nodes.get(&id) else { return };
        let absent: Vec<PodId> = node.pods.iter().copied().filter(|pod| !named.contains(pod)).collect();
        for pod_id in absent {
            let Some(pod) = self.pods.get(&pod_id) else { continue };
            if pod.is_ending() {
                self.hear_of_end(id, pod_id);
            } else if pod.row.state.phase != Phase::Pending && !pod.row.state.phase.has_ended() {
                let restarts = pod.row.state.restarts;
                self.hear_of_pod(id, PodReport { id: pod_id, state: PodState { restarts, ..PodState::default() } });
            }
        }
    }

    /// A node says that nothing of a pod is left.
    fn hear_of_end(&mut self, id: NodeId, pod_id: PodId) {
        let Some(pod) = self.pods.get(&pod_id).filter(|pod| pod.row.node == Some(id)) else {
            self.tell(id, Instruction::Forget { pod: pod_id });
            return;
        };
        if self.counts_on(pod_id) {
            self.keep_ended(pod_id);
            self.tell(id, Instruction::Forget { pod: pod_id });
        } else if pod.is_ending() {
            self.tell_of_pod(pod_id, Change::Deleted, "Ended", "nothing of it is left");
            self.remove_pod(pod_id);
            self.tell(id, Instruction::Forget { pod: pod_id });
        } else if let Some(assignment) = self.assignment(pod_id) {
            // It is still wanted.
            self.tell(id, Instruction::Put { pod: Box::new(assignment) });
        }
    }

    /// What fails on a node for no fault of the pod's counts against the node for a while.
    fn blame(&mut self, id: NodeId, before: &PodState, now: &PodState) {
        let is_fault = |state: &PodState| {
            state.phase == Phase::Waiting && state.reason.as_deref().is_some_and(|reason| FAULTS_OF_NODES.contains(&reason))
        };
        if !is_fault(now) || is_fault(before) {
            return;
        }
        if let Some(node) = self.nodes.get_mut(&id) {
            node.failures += 1.0;
        }
        self.reschedule(id);
    }

    /// What has failed on nodes counts half after a while.
    pub(crate) fn forgive(&mut self) {
        let mut others = Vec::new();
        for (id, node) in &mut self.nodes {
            if node.failures > 0.0 {
                node.failures = if node.failures < 0.1 { 0.0 } else { node.failures / 2.0 };
                others.push(*id);
            }
        }
        for id in others {
            self.reschedule(id);
        }
        self.timers.set(Timer::Failures, self.now + self.settings.failure_half_life_ms);
    }
}

/// Whether a change is worth telling those who follow.
fn is_told(before: &PodState, now: &PodState) -> bool {
    before.phase != now.phase || before.ready != now.ready || before.reason != now.reason || before.restarts != now.restarts
}
