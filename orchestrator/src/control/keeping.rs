//! Images that stay on nodes although nothing there runs from them: those of the last revisions, so that going back needs no bytes.
//!
//! Which nodes keep what follows from what is there: a node that has all of an image of one of the last revisions keeps it. So nothing
//! has to be written down, and a later leader comes to the same.

use std::collections::BTreeSet;

use longshore_fleet::{Image, Instruction, NodeId, WorkloadId};
use longshore_oci::Digest;
use rustc_hash::FxHashMap as HashMap;

use super::Controller;
use crate::schedule::DemandIndex;

/// What a node keeps: a revision's image.
pub(crate) type Kept = (WorkloadId, u64);

/// What is to be kept, to be found by what nodes have.
#[derive(Debug, Default)]
pub(crate) struct Keeping {
    /// By the last layer of each image: nobody has that but who has a good part of the image, and it is hardly ever two images'.
    by_layer: HashMap<Digest, BTreeSet<Kept>>,
    /// The last layers of a workload's images, on every platform.
    layers: HashMap<WorkloadId, BTreeSet<(Digest, Kept)>>,
}

impl Keeping {
    /// Of a workload this is to be kept, and nothing else; whether anything is, or was.
    fn put(&mut self, id: WorkloadId, layers: BTreeSet<(Digest, Kept)>) -> bool {
        let before = self.layers.remove(&id).unwrap_or_default();
        let is_any = !before.is_empty() || !layers.is_empty();
        for (layer, kept) in before.difference(&layers) {
            if let Some(others) = self.by_layer.get_mut(layer) {
                others.remove(kept);
                if others.is_empty() {
                    self.by_layer.remove(layer);
                }
            }
        }
        for (layer, kept) in layers.difference(&before) {
            self.by_layer.entry(layer.clone()).or_default().insert(*kept);
        }
        if !layers.is_empty() {
            self.layers.insert(id, layers);
        }
        is_any
    }
}

impl Controller {
    /// Notes what is to be kept of a workload, so that it is found by what a node has; whether anything is, or was.
    pub(crate) fn note_keeping(&mut self, id: WorkloadId) -> bool {
        let mut layers = BTreeSet::new();
        if let Some(workload) = self.workloads.get(&id) {
            for number in self.numbers_to_keep(id) {
                let images = workload.revisions.get(&number).into_iter().flat_map(|revision| &revision.row.layers);
                let last = images.filter_map(|image| image.layers.last());
                layers.extend(last.map(|(layer, _)| (layer.clone(), (id, number))));
            }
        }
        self.keeping.put(id, layers)
    }

    /// The last revisions of a workload but for the one that runs.
    fn numbers_to_keep(&self, id: WorkloadId) -> Vec<u64> {
        let Some(workload) = self.workloads.get(&id).filter(|workload| workload.row.deleted.is_none()) else { return Vec::new() };
        let mut kept = workload.revisions_before();
        kept.truncate(self.settings.revisions_kept.saturating_sub(1));
        kept
    }

    /// The last revisions of a workload but for the one that runs, and what nodes must have for each.
    fn revisions_to_keep(&mut self, id: WorkloadId) -> Vec<(u64, DemandIndex)> {
        let kept = self.numbers_to_keep(id);
        kept.into_iter().filter_map(|number| Some((number, self.demand_of(id, number)?))).collect()
    }

    /// Pods of a workload are made from something else from now on: nodes that have what they were made from before keep it. Of a workload
    /// that is gone nothing is kept.
    pub(crate) fn keep_images(&mut self, id: WorkloadId) {
        if !self.note_keeping(id) {
            return;
        }
        let revisions = self.revisions_to_keep(id);
        let nodes: Vec<NodeId> = self.nodes.keys().copied().collect();
        for node in nodes {
            let kept = self.kept_of(node, id, &revisions);
            let Some(known) = self.nodes.get_mut(&node) else { continue };
            let before: BTreeSet<Kept> = known.kept.range((id, 0)..=(id, u64::MAX)).copied().collect();
            if before != kept {
                known.kept.retain(|(workload, _)| *workload != id);
                known.kept.extend(kept);
                self.tell_what_to_keep(node);
            }
        }
    }

    /// Finds out what a node is to keep, where it opens a stream.
    pub(crate) fn keep_images_on(&mut self, id: NodeId) {
        let Some(index) = self.nodes.get(&id).and_then(|node| node.index) else { return };
        let found = self.cluster.layers_here(index).filter_map(|(layer, _)| self.keeping.by_layer.get(layer));
        let found: BTreeSet<Kept> = found.flatten().copied().collect();
        let mut kept = BTreeSet::new();
        for (workload, number) in found {
            let demand = self.demand_of(workload, number);
            if demand.is_some_and(|demand| self.cluster.has_all(demand, index)) {
                kept.insert((workload, number));
            }
        }
        if let Some(node) = self.nodes.get_mut(&id) {
            node.kept = kept;
        }
    }

    fn kept_of(&self, node: NodeId, id: WorkloadId, revisions: &[(u64, DemandIndex)]) -> BTreeSet<Kept> {
        let Some(index) = self.nodes.get(&node).and_then(|node| node.index) else { return BTreeSet::new() };
        let here = revisions.iter().filter(|(_, demand)| self.cluster.has_all(*demand, index));
        here.map(|(number, _)| (id, *number)).collect()
    }

    /// The images that a node is to keep.
    pub(crate) fn images_kept(&self, id: NodeId) -> Vec<Image> {
        let Some(node) = self.nodes.get(&id) else { return Vec::new() };
        let image = |(workload, number): &Kept| {
            let revision = self.workloads.get(workload)?.revisions.get(number)?;
            Some(revision.row.template.image.clone())
        };
        node.kept.iter().filter_map(image).collect()
    }

    fn tell_what_to_keep(&mut self, id: NodeId) {
        let images = self.images_kept(id);
        self.tell(id, Instruction::Keep { images });
    }
}

#[cfg(test)]
impl Controller {
    /// What is to be kept is found by what nodes have, and nothing else is.
    pub(crate) fn assert_keeping(&self) {
        let last = |id: WorkloadId, number: u64| {
            let revision = &self.workloads[&id].revisions[&number];
            let layers = revision.row.layers.iter().filter_map(|image| image.layers.last());
            layers.map(move |(layer, _)| (layer.clone(), (id, number))).collect::<Vec<_>>()
        };
        let wanted = self.workloads.keys().flat_map(|id| self.numbers_to_keep(*id).into_iter().map(|number| (*id, number)));
        let wanted: BTreeSet<(Digest, Kept)> = wanted.flat_map(|(id, number)| last(id, number)).collect();
        let known = self.keeping.by_layer.iter().flat_map(|(layer, kept)| kept.iter().map(|kept| (layer.clone(), *kept)));
        assert_eq!(known.collect::<BTreeSet<_>>(), wanted);
    }
}
