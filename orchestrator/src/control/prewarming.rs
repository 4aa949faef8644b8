//! Images are fetched by nodes before they are needed: an operation, and how far each node is.
//!
//! What many nodes fetch at once from outside their zone is bounded: an image that no node of a zone has is fetched by a few first; what
//! is in a zone goes on from neighbour to neighbour, for as many as may fetch at all.

use std::collections::BTreeMap;

use longshore_fleet::{
    Fetch, FetchReport, FetchState, Image, Instruction, NodeId, OperationId,
    api::{Change, EventKind, FetchView, OperationState, PrewarmRequest},
};

use super::{Controller, Timer};
use crate::state::{NewEvent, OperationRow, Write};

/// How often an operation that goes on is written, in milliseconds.
const WRITE_PERIOD_MS: i64 = 500;

/// An operation that goes on.
#[derive(Debug)]
pub(crate) struct Prewarming {
    row: OperationRow,
    /// How far each node is with each image; empty until the nodes are chosen.
    nodes: BTreeMap<NodeId, Vec<FetchView>>,
    is_chosen: bool,
}

impl Prewarming {
    pub(crate) const fn new(row: OperationRow) -> Self {
        Self { row, nodes: BTreeMap::new(), is_chosen: false }
    }

    fn fetch(&self, image: &Image) -> Fetch {
        let pinned = self.row.view.request.pin_seconds.and_then(|seconds| i64::try_from(seconds).ok());
        let until = pinned.map(|seconds| (self.row.created / 1_000_000).saturating_add(seconds));
        let pinned_until = until.and_then(|second| jiff::Timestamp::from_second(second).ok());
        Fetch { operation: self.row.id, image: image.clone(), pinned_until }
    }

    /// How many fetch an image now.
    fn fetching(&self, image: &Image) -> usize {
        let is_fetching = |view: &&FetchView| view.image == *image && view.state == FetchState::Fetching;
        self.nodes.values().flatten().filter(is_fetching).count()
    }
}

impl Controller {
    /// Long work goes on: nodes are chosen, told, and its deadline looked at.
    pub(crate) fn continue_prewarming(&mut self, id: OperationId) {
        let Some(prewarming) = self.prewarmings.get(&id) else { return };
        let deadline = prewarming.row.view.request.deadline_seconds.map(|seconds| {
            (prewarming.row.created / 1_000).saturating_add(i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(1_000))
        });
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
            let Some(node) = self.nodes_by_name.get(&name) else { continue };
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

    /// Tells nodes to fetch, as many as may at once.
    fn tell_to_fetch(&mut self, id: OperationId) {
        let Some(prewarming) = self.prewarmings.get(&id) else { return };
        let mut told = Vec::new();
        for image in &prewarming.row.view.request.images {
            let fetching = prewarming.fetching(image);
            let mut by_zone: BTreeMap<&str, bool> = BTreeMap::new();
            for (node, views) in &prewarming.nodes {
                let zone = self.nodes.get(node).and_then(super::node::Node::zone).unwrap_or_default();
                let is_done = views.iter().any(|view| view.image == *image && view.state == FetchState::Done);
                *by_zone.entry(zone).or_default() |= is_done;
            }
            let mut outside = prewarming
                .nodes
                .iter()
                .filter(|(node, views)| {
                    let zone = self.nodes.get(node).and_then(super::node::Node::zone).unwrap_or_default();
                    !by_zone.get(zone).copied().unwrap_or_default()
                        && views.iter().any(|view| view.image == *image && view.state == FetchState::Fetching)
                })
                .count();
            let mut room = self.settings.fetches_at_once.saturating_sub(fetching);
            for (node, views) in &prewarming.nodes {
                let is_waiting = views.iter().any(|view| view.image == *image && view.state == FetchState::Waiting);
                let known = self.nodes.get(node);
                let is_listening = known.is_some_and(|node| node.stream.is_some());
                if !is_waiting || !is_listening || room == 0 {
                    continue;
                }
                let zone = known.and_then(super::node::Node::zone).unwrap_or_default();
                if !by_zone.get(zone).copied().unwrap_or_default() {
                    if outside >= self.settings.fetches_from_outside {
                        continue;
                    }
                    outside += 1;
                }
                room -= 1;
                told.push((*node, prewarming.fetch(image)));
            }
        }
        for (node, fetch) in told {
            let views = self.prewarmings.get_mut(&id).and_then(|prewarming| prewarming.nodes.get_mut(&node));
            for view in views.into_iter().flatten().filter(|view| view.image == fetch.image) {
                view.state = FetchState::Fetching;
            }
            self.tell(node, Instruction::Fetch(fetch));
        }
    }

    /// What a node is to fetch: what it was told, and has not done.
    pub(crate) fn fetches_of(&self, id: NodeId) -> Vec<Fetch> {
        let mut fetches = Vec::new();
        for prewarming in self.prewarmings.values() {
            for view in prewarming.nodes.get(&id).into_iter().flatten() {
                if view.state == FetchState::Fetching {
                    fetches.push(prewarming.fetch(&view.image));
                }
            }
        }
        fetches
    }

    /// A node says how far an image is.
    pub(crate) fn hear_of_fetch(&mut self, node: NodeId, report: &FetchReport) {
        let id = report.operation;
        let Some(prewarming) = self.prewarmings.get_mut(&id) else {
            // What has come may be pinned still.
            if matches!(report.state, FetchState::Waiting | FetchState::Fetching) {
                self.tell(node, Instruction::StopFetch { operation: id });
            }
            return;
        };
        for view in prewarming.nodes.get_mut(&node).into_iter().flatten().filter(|view| view.image == report.image) {
            if matches!(view.state, FetchState::Done | FetchState::Failed) {
                continue;
            }
            // That it waits there is the node's own affair: it was told to fetch.
            view.state = if report.state == FetchState::Waiting { FetchState::Fetching } else { report.state };
            (view.bytes_done, view.bytes_total) = (report.bytes_done, report.bytes_total);
            view.message.clone_from(&report.message);
        }
        let is_over = prewarming.nodes.values().flatten().all(|view| matches!(view.state, FetchState::Done | FetchState::Failed));
        let at = if is_over { self.now } else { self.now + WRITE_PERIOD_MS };
        self.timers.set(Timer::Operation(id), at);
    }

    /// The time is over: what is not there has failed.
    fn fail_late(&mut self, id: OperationId) {
        let Some(prewarming) = self.prewarmings.get_mut(&id) else { return };
        for view in prewarming.nodes.values_mut().flatten() {
            if !matches!(view.state, FetchState::Done | FetchState::Failed) {
                view.state = FetchState::Failed;
                view.message = Some("it was not there in time".to_owned());
            }
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

    /// Has an operation written as it is; it is forgotten once it is over.
    fn write_prewarming(&mut self, id: OperationId) {
        let Some(prewarming) = self.prewarmings.get_mut(&id) else { return };
        let names = |node: &NodeId| self.nodes.get(node).map(|node| node.row.name.clone());
        let view = &mut prewarming.row.view;
        view.nodes = prewarming.nodes.iter().filter_map(|(node, views)| Some((names(node)?, views.clone()))).collect();
        let all = || prewarming.nodes.values().flatten();
        view.bytes_done = all().map(|view| view.bytes_done).sum();
        view.bytes_total = all().map(|view| view.bytes_total).sum();
        let is_over = all().all(|view| matches!(view.state, FetchState::Done | FetchState::Failed));
        let has_failed = all().any(|view| view.state == FetchState::Failed) || prewarming.nodes.is_empty();
        if is_over {
            view.state = if has_failed { OperationState::Failed } else { OperationState::Succeeded };
            view.ended_at = jiff::Timestamp::from_millisecond(self.now).ok();
            prewarming.row.ended = Some(self.now.saturating_mul(1_000));
        }
        let row = prewarming.row.clone();
        self.unwritten.events.push(NewEvent {
            kind: EventKind::Operation,
            change: Change::Changed,
            id: id.to_string(),
            namespace: None,
            name: id.to_string(),
            reason: format!("{:?}", row.view.state),
            message: format!("{} of {} bytes", row.view.bytes_done, row.view.bytes_total),
            author: None,
            object: serde_json::to_value(&row.view).ok(),
        });
        self.unwritten.writes.push(Write::PutOperation(Box::new(row)));
        if is_over {
            self.prewarmings.remove(&id);
        }
    }
}
