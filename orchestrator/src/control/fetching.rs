//! Which nodes fetch what is to be there before it is needed, and when.
//!
//! What many nodes fetch at once from outside their zone is bounded, for all operations together: an image that no node of a zone has is
//! fetched by a few first; what is in a zone goes on from neighbour to neighbour, for as many as may fetch an image at all.

use std::collections::BTreeSet;

use longshore_fleet::{Fetch, FetchReport, FetchState, Image, Instruction, NodeId, NodeName, OperationId, api::FetchView};

use super::{Controller, Timer, prewarming::has_ended};

/// How often an operation that goes on is written, in milliseconds.
const WRITE_PERIOD_MS: i64 = 500;

impl Controller {
    /// Tells nodes to fetch, as many as may at once.
    pub(crate) fn tell_to_fetch(&mut self, id: OperationId) {
        let Some(prewarming) = self.prewarmings.get(&id) else { return };
        let there: Vec<(&Image, BTreeSet<&str>)> =
            prewarming.row.view.request.images.iter().map(|image| (image, self.zones_with(image))).collect();
        let mut outside = self.fetched_from_outside();
        let mut told = Vec::new();
        for (image, zones) in there {
            let mut room = self.settings.fetches_at_once.saturating_sub(self.fetched(image));
            for (node, views) in &prewarming.nodes {
                let is_waiting = views.iter().any(|view| view.image == *image && view.state == FetchState::Waiting);
                let is_listening = self.nodes.get(node).is_some_and(|node| node.stream.is_some());
                if !is_waiting || !is_listening || room == 0 {
                    continue;
                }
                if !zones.contains(self.zone_of(*node)) {
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
            self.change_views(id, node, |view| {
                if view.image == fetch.image {
                    view.state = FetchState::Fetching;
                }
            });
            self.tell(node, Instruction::Fetch(fetch));
        }
    }

    fn zone_of(&self, id: NodeId) -> &str {
        self.nodes.get(&id).and_then(super::node::Node::zone).unwrap_or_default()
    }

    /// Zones where a node has fetched an image.
    fn zones_with(&self, image: &Image) -> BTreeSet<&str> {
        let is_done = |view: &FetchView| view.image == *image && view.state == FetchState::Done;
        let nodes = self.prewarmings.values().flat_map(|prewarming| &prewarming.nodes);
        nodes.filter(|(_, views)| views.iter().any(is_done)).map(|(node, _)| self.zone_of(*node)).collect()
    }

    /// What is being fetched now, by all nodes for all operations.
    fn fetches(&self) -> impl Iterator<Item = (NodeId, &FetchView)> {
        let nodes = self.prewarmings.values().flat_map(|prewarming| &prewarming.nodes);
        let views = nodes.flat_map(|(node, views)| views.iter().map(|view| (*node, view)));
        views.filter(|(_, view)| view.state == FetchState::Fetching)
    }

    /// How many nodes fetch an image now.
    fn fetched(&self, image: &Image) -> usize {
        self.fetches().filter(|(_, view)| view.image == *image).count()
    }

    /// How many fetches go outside of their zone now, whatever of.
    fn fetched_from_outside(&self) -> usize {
        let mut zones: Vec<(&Image, BTreeSet<&str>)> = Vec::new();
        let mut count = 0;
        for (node, view) in self.fetches() {
            let known = zones.iter().position(|(image, _)| **image == view.image);
            let at = known.unwrap_or_else(|| {
                zones.push((&view.image, self.zones_with(&view.image)));
                zones.len() - 1
            });
            count += usize::from(!zones[at].1.contains(self.zone_of(node)));
        }
        count
    }

    fn change_views(&mut self, id: OperationId, node: NodeId, change: impl FnMut(&mut FetchView)) {
        let views = self.prewarmings.get_mut(&id).and_then(|prewarming| prewarming.nodes.get_mut(&node));
        views.into_iter().flatten().for_each(change);
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
        if !self.prewarmings.contains_key(&id) {
            // What has come may be pinned still.
            if matches!(report.state, FetchState::Waiting | FetchState::Fetching) {
                self.tell(node, Instruction::StopFetch { operation: id });
            }
            return;
        }
        let mut has_made_room = false;
        self.change_views(id, node, |view| {
            if view.image != report.image || has_ended(view) {
                return;
            }
            // That it waits there is the node's own affair: it was told to fetch.
            view.state = if report.state == FetchState::Waiting { FetchState::Fetching } else { report.state };
            (view.bytes_done, view.bytes_total) = (report.bytes_done, report.bytes_total);
            view.message.clone_from(&report.message);
            has_made_room |= has_ended(view);
        });
        let is_over = self.prewarmings.get(&id).is_some_and(super::prewarming::Prewarming::is_over);
        let at = if is_over { self.now } else { self.now + WRITE_PERIOD_MS };
        self.timers.set(Timer::Operation(id), at);
        if has_made_room {
            self.continue_prewarmings(self.now + WRITE_PERIOD_MS);
        }
    }

    /// Nodes may fetch that could not before: each operation is looked at.
    pub(crate) fn continue_prewarmings(&mut self, at: crate::schedule::Millis) {
        for id in self.prewarmings.keys() {
            self.timers.set(Timer::Operation(*id), at);
        }
    }

    /// A node listens now: it is told what it is to fetch.
    pub(crate) fn offer_fetches(&mut self, id: NodeId) {
        let waits = |views: &Vec<FetchView>| views.iter().any(|view| !has_ended(view));
        for (operation, prewarming) in &self.prewarmings {
            if prewarming.nodes.get(&id).is_some_and(waits) {
                self.timers.set(Timer::Operation(*operation), self.now);
            }
        }
    }

    /// A node is lost: others have its turn, and it has another when it is back.
    pub(crate) fn withdraw_fetches(&mut self, id: NodeId) {
        let mut is_any = false;
        for prewarming in self.prewarmings.values_mut() {
            for view in prewarming.nodes.get_mut(&id).into_iter().flatten() {
                if view.state == FetchState::Fetching {
                    view.state = FetchState::Waiting;
                    is_any = true;
                }
            }
        }
        if is_any {
            self.continue_prewarmings(self.now);
        }
    }

    /// A node is gone, and fetches nothing any more.
    pub(crate) fn give_up_fetches(&mut self, id: NodeId, name: &NodeName) {
        let mut is_any = false;
        for prewarming in self.prewarmings.values_mut() {
            is_any |= prewarming.nodes.contains_key(&id);
            prewarming.remove_node(id, name.clone());
        }
        if is_any {
            self.continue_prewarmings(self.now);
        }
    }
}
