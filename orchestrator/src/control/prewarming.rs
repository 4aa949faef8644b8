//! Images are fetched by nodes before they are needed: an operation, and how far each node is.
//!
//! Who fetches when is decided in `fetching.rs`.

use std::collections::BTreeMap;

use longshore_fleet::{
    Fetch, FetchState, Image, Instruction, NodeId, NodeName, OperationId,
    api::{Change, EventKind, FetchView, OperationState, PrewarmRequest},
};

use super::{Controller, Timer};
use crate::{
    schedule::Millis,
    state::{NewEvent, OperationRow, Write},
};

/// An operation that goes on.
#[derive(Debug)]
pub(crate) struct Prewarming {
    pub(crate) row: OperationRow,
    /// How far each node is with each image; empty until the nodes are chosen.
    pub(crate) nodes: BTreeMap<NodeId, Vec<FetchView>>,
    /// How far those had come that were removed since.
    removed: BTreeMap<NodeName, Vec<FetchView>>,
    is_chosen: bool,
}

impl Prewarming {
    pub(crate) const fn new(row: OperationRow) -> Self {
        Self { row, nodes: BTreeMap::new(), removed: BTreeMap::new(), is_chosen: false }
    }

    /// When what is not there has failed.
    pub(crate) fn deadline(&self) -> Option<Millis> {
        let seconds = i64::try_from(self.row.view.request.deadline_seconds?).unwrap_or(i64::MAX);
        Some((self.row.created / 1_000).saturating_add(seconds.saturating_mul(1_000)))
    }

    fn views(&self) -> impl Iterator<Item = &FetchView> {
        self.nodes.values().chain(self.removed.values()).flatten()
    }

    /// Whether nothing more comes of it.
    pub(crate) fn is_over(&self) -> bool {
        self.views().all(has_ended)
    }

    /// What is not there of a node that was removed does not come any more.
    pub(crate) fn remove_node(&mut self, id: NodeId, name: NodeName) {
        if let Some(mut views) = self.nodes.remove(&id) {
            give_up(&mut views, "its node was removed");
            self.removed.insert(name, views);
        }
    }

    pub(crate) fn fetch(&self, image: &Image) -> Fetch {
        let pinned = self.row.view.request.pin_seconds.and_then(|seconds| i64::try_from(seconds).ok());
        let until = pinned.map(|seconds| (self.row.created / 1_000_000).saturating_add(seconds));
        let pinned_until = until.and_then(|second| jiff::Timestamp::from_second(second).ok());
        Fetch { operation: self.row.id, image: image.clone(), pinned_until }
    }
}

/// Whether it is there, or does not come any more.
pub(crate) const fn has_ended(view: &FetchView) -> bool {
    matches!(view.state, FetchState::Done | FetchState::Failed)
}

fn give_up(views: &mut [FetchView], why: &str) {
    for view in views.iter_mut().filter(|view| !has_ended(view)) {
        view.state = FetchState::Failed;
        view.message = Some(why.to_owned());
    }
}

impl Controller {
    /// Long work goes on: nodes are chosen, told, and its deadline looked at.
    pub(crate) fn continue_prewarming(&mut self, id: OperationId) {
        let Some(prewarming) = self.prewarmings.get(&id) else { return };
        let deadline = prewarming.deadline();
        if !prewarming.is_chosen {
            self.choose_nodes(id);
        }
        if deadline.is_some_and(|deadline| self.now >= deadline) {
            self.fail_late(id);
        } else {
            if let Some(deadline) = deadline {
                self.timers.set(Timer::Operation(id), deadline);
            }
            self.tell_to_fetch(id);
        }
        self.write_prewarming(id);
    }

    /// Chooses the nodes that an operation is for, those that are done from before included.
    fn choose_nodes(&mut self, id: OperationId) {
        let Some(prewarming) = self.prewarmings.get(&id) else { return };
        let request = prewarming.row.view.request.clone();
        let known = prewarming.row.view.nodes.clone();
        let nodes = self.nodes_for(&request);
        let start = |image: &Image| FetchView {
            image: image.clone(),
            state: FetchState::Waiting,
            bytes_done: 0,
            bytes_total: 0,
            message: None,
        };
        let Some(prewarming) = self.prewarmings.get_mut(&id) else { return };
        prewarming.is_chosen = true;
        if known.is_empty() {
            prewarming.nodes = nodes.into_iter().map(|node| (node, request.images.iter().map(start).collect())).collect();
            return;
        }
        // A leader before has chosen them. What it had told to be fetched is told again: nodes know it already.
        for (name, mut views) in known {
            let Some(node) = self.nodes_by_name.get(&name) else {
                give_up(&mut views, "its node was removed");
                prewarming.removed.insert(name, views);
                continue;
            };
            for view in views.iter_mut().filter(|view| view.state == FetchState::Fetching) {
                view.state = FetchState::Waiting;
            }
            prewarming.nodes.insert(*node, views);
        }
    }

    fn nodes_for(&mut self, request: &PrewarmRequest) -> Vec<NodeId> {
        if let Some(name) = &request.workload {
            return self.nodes_of_workload(request, name);
        }
        let suits = |node: &&super::node::Node| {
            let Some(facts) = &node.facts else { return false };
            let is_selected = request.nodes.as_ref().is_none_or(|selector| selector.matches(&facts.labels));
            let is_there = request.zone.as_deref().is_none_or(|zone| node.zone().unwrap_or_default() == zone);
            is_selected && is_there && !node.is_lost
        };
        self.nodes.values().filter(suits).map(|node| node.row.id).collect()
    }

    /// The nodes that the scheduler would choose now for as many pods of a workload as it wants.
    fn nodes_of_workload(&mut self, request: &PrewarmRequest, name: &longshore_fleet::Name) -> Vec<NodeId> {
        let is_meant = |workload: &&super::workload::Workload| {
            workload.row.name == *name
                && workload.row.namespace.as_str() == request.namespace.as_ref().map_or("default", |namespace| namespace.as_str())
        };
        let Some(workload) = self.workloads.values().find(is_meant) else { return Vec::new() };
        let (id, wanted, revision) = (workload.row.id, workload.asked.wanted(), workload.row.template_revision);
        let Some(demand) = self.demand_of(id, revision) else { return Vec::new() };
        let mut nodes: Vec<NodeId> = self.tried(demand, wanted).iter().filter_map(|placed| self.node_at(placed.node)).collect();
        nodes.sort_unstable();
        nodes.dedup();
        nodes
    }

    /// The time is over: what is not there has failed.
    fn fail_late(&mut self, id: OperationId) {
        let Some(prewarming) = self.prewarmings.get_mut(&id) else { return };
        for views in prewarming.nodes.values_mut() {
            give_up(views, "it was not there in time");
        }
        self.tell_to_stop(id);
    }

    fn tell_to_stop(&mut self, id: OperationId) {
        let Some(prewarming) = self.prewarmings.get(&id) else { return };
        let nodes: Vec<NodeId> = prewarming.nodes.keys().copied().collect();
        for node in nodes {
            self.tell(node, Instruction::StopFetch { operation: id });
        }
    }

    /// Somebody has stopped long work, or it is over.
    pub(crate) fn stop_prewarming(&mut self, id: OperationId) {
        self.tell_to_stop(id);
        self.prewarmings.remove(&id);
    }

    /// Has an operation written as it is, where that is other than it was; it is forgotten once it is over.
    fn write_prewarming(&mut self, id: OperationId) {
        let Some(prewarming) = self.prewarmings.get_mut(&id) else { return };
        let mut view = prewarming.row.view.clone();
        let names = |node: &NodeId| self.nodes.get(node).map(|node| node.row.name.clone());
        view.nodes.clone_from(&prewarming.removed);
        view.nodes.extend(prewarming.nodes.iter().filter_map(|(node, views)| Some((names(node)?, views.clone()))));
        // What nodes say may be any number.
        view.bytes_done = prewarming.views().fold(0, |sum, view| sum.saturating_add(view.bytes_done));
        view.bytes_total = prewarming.views().fold(0, |sum, view| sum.saturating_add(view.bytes_total));
        let is_over = prewarming.is_over();
        if is_over {
            let has_failed = view.nodes.is_empty() || prewarming.views().any(|view| view.state == FetchState::Failed);
            view.state = if has_failed { OperationState::Failed } else { OperationState::Succeeded };
            view.ended_at = jiff::Timestamp::from_millisecond(self.now).ok();
            prewarming.row.ended = Some(self.now.saturating_mul(1_000));
        }
        if view == prewarming.row.view {
            return;
        }
        prewarming.row.view = view;
        let row = prewarming.row.clone();
        if is_over {
            self.prewarmings.remove(&id);
        }
        self.unwritten.events.push(NewEvent {
            kind: EventKind::Operation,
            change: Change::Changed,
            id: id.to_string(),
            namespace: row.view.request.namespace.clone(),
            name: "prewarm".to_owned(),
            reason: format!("{:?}", row.view.state),
            message: format!("{} of {} bytes", row.view.bytes_done, row.view.bytes_total),
            author: None,
            object: serde_json::to_value(&row.view).ok(),
        });
        self.unwritten.writes.push(Write::PutOperation(Box::new(row)));
    }
}
