//! What came of deciding: what is to be written down, and who is then to be told what.

use std::collections::BTreeSet;

use longshore_fleet::{
    Image, Instruction, NodeId, PodId, StreamId, WorkloadId,
    api::{Change, EventKind},
};
use rustc_hash::FxHashSet as HashSet;

use super::{Controller, Tally};
use crate::{
    state::{NewEvent, Write},
    view::event_kind,
};

/// What came of deciding. The writes and events are one transaction; what is told is told once that is written, in this order.
#[derive(Debug, Default)]
pub struct Output {
    /// What is to be written.
    pub writes: Vec<Write>,
    /// What is told of it.
    pub events: Vec<NewEvent>,
    /// What nodes are to be told.
    pub told: Vec<Told>,
    /// Images whose verdict is wanted: workload, revision, image.
    pub verdicts: Vec<(WorkloadId, u64, Image)>,
    /// What was tried, for whoever counts; there may be that alone, and then there is nothing to be done.
    pub tally: Tally,
}

/// Something that a node is to be told.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    /// Which node.
    pub node: NodeId,
    /// On which of its streams; it is told to nobody where that has ended.
    pub stream: StreamId,
    /// What.
    pub instruction: Instruction,
}

impl Output {
    /// Whether there is nothing to be done.
    pub fn is_empty(&self) -> bool {
        self.writes.is_empty() && self.events.is_empty() && self.told.is_empty() && self.verdicts.is_empty()
    }
}

/// What was decided and not taken yet.
#[derive(Debug, Default)]
pub(crate) struct Unwritten {
    /// Writes that no other way leads to.
    pub(crate) writes: Vec<Write>,
    /// Pods that are other than they were written.
    pub(crate) pods: HashSet<PodId>,
    /// Pods that are gone.
    pub(crate) removed_pods: Vec<PodId>,
    /// Nodes whose layers are other than they were written.
    pub(crate) layers: BTreeSet<NodeId>,
    /// Workloads whose status may be other than it was written.
    pub(crate) statuses: BTreeSet<WorkloadId>,
    pub(crate) events: Vec<NewEvent>,
    pub(crate) told: Vec<Told>,
    pub(crate) verdicts: Vec<(WorkloadId, u64, Image)>,
    pub(crate) tally: Tally,
}

impl Controller {
    /// Takes what was decided since it was taken last.
    pub fn take(&mut self) -> Output {
        self.write_statuses();
        let unwritten = std::mem::take(&mut self.unwritten);
        self.unwritten.statuses.clone_from(&unwritten.statuses);
        let mut changed: Vec<PodId> = unwritten.pods.into_iter().collect();
        changed.sort_unstable();
        let rows = changed.iter().filter_map(|id| self.pods.get(id));
        let mut writes: Vec<Write> = rows.map(|pod| Write::PutPod(Box::new(pod.row.clone()))).collect();
        writes.extend(unwritten.removed_pods.into_iter().map(Write::RemovePod));
        // Workloads go after their pods.
        writes.extend(unwritten.writes);
        for node in unwritten.layers {
            if let Some(layers) = self.layers_of(node) {
                writes.push(Write::PutLayers(node, layers));
            }
        }
        let Unwritten { events, told, verdicts, tally, .. } = unwritten;
        Output { writes, events, told, verdicts, tally }
    }

    /// Has a pod written as it is.
    pub(crate) fn save(&mut self, id: PodId) {
        self.unwritten.pods.insert(id);
    }

    /// Tells a node something, if it listens.
    pub(crate) fn tell(&mut self, node: NodeId, instruction: Instruction) {
        if let Some(stream) = self.nodes.get(&node).and_then(|node| node.stream) {
            self.unwritten.told.push(Told { node, stream, instruction });
        }
    }

    /// Tells of a pod.
    pub(crate) fn tell_of_pod(&mut self, id: PodId, change: Change, reason: &str, message: impl Into<String>) {
        let Some(pod) = self.pods.get(&id) else { return };
        let object = self.pod_view(pod).and_then(|view| serde_json::to_value(view).ok());
        self.unwritten.events.push(NewEvent {
            kind: EventKind::Pod,
            change,
            id: id.to_string(),
            namespace: Some(pod.row.namespace.clone()),
            name: pod.row.name.clone(),
            reason: reason.to_owned(),
            message: message.into(),
            author: None,
            object,
        });
    }

    /// Tells of a workload.
    pub(crate) fn tell_of_workload(&mut self, id: WorkloadId, change: Change, reason: &str, message: impl Into<String>) {
        let Some(workload) = self.workloads.get(&id) else { return };
        let kind = event_kind(id.kind);
        self.unwritten.events.push(NewEvent {
            kind,
            change,
            id: id.to_string(),
            namespace: Some(workload.row.namespace.clone()),
            name: workload.row.name.to_string(),
            reason: reason.to_owned(),
            message: message.into(),
            author: None,
            object: workload.view().ok(),
        });
    }

    /// Tells of a node.
    pub(crate) fn tell_of_node(&mut self, id: NodeId, change: Change, reason: &str, message: impl Into<String>) {
        let Some(name) = self.nodes.get(&id).map(|node| node.row.name.to_string()) else { return };
        let object = self.node_view(id).and_then(|view| serde_json::to_value(view).ok());
        self.unwritten.events.push(NewEvent {
            kind: EventKind::Node,
            change,
            id: id.to_string(),
            namespace: None,
            name,
            reason: reason.to_owned(),
            message: message.into(),
            author: None,
            object,
        });
    }
}
