//! Images that stay on nodes although nothing there runs from them: those of the last revisions, so that going back needs no bytes.
//!
//! Which nodes keep what follows from what is there: a node that has all of an image of one of the last revisions keeps it. So nothing
//! has to be written down, and a later leader comes to the same.

use std::collections::BTreeSet;

use longshore_fleet::{Image, Instruction, NodeId, WorkloadId};

use super::Controller;
use crate::schedule::DemandIndex;

/// What a node keeps: a revision's image.
pub(crate) type Kept = (WorkloadId, u64);

impl Controller {
    /// The last revisions of a workload but for the one that runs, and what nodes must have for each.
    fn revisions_to_keep(&mut self, id: WorkloadId) -> Vec<(u64, DemandIndex)> {
        let Some(workload) = self.workloads.get(&id).filter(|workload| workload.row.deleted.is_none()) else { return Vec::new() };
        let current = workload.row.template_revision;
        let others = workload.revisions.keys().rev().copied().filter(|number| *number != current);
        let kept: Vec<u64> = others.take(self.settings.revisions_kept.saturating_sub(1)).collect();
        kept.into_iter().filter_map(|number| Some((number, self.demand_of(id, number)?))).collect()
    }

    /// Pods of a workload are made from something else from now on: nodes that have what they were made from before keep it. Of a workload
    /// that is gone nothing is kept.
    pub(crate) fn keep_images(&mut self, id: WorkloadId) {
        if !self.with_history.contains(&id) {
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
        let workloads: Vec<WorkloadId> = self.with_history.iter().copied().collect();
        let mut kept = BTreeSet::new();
        for workload in workloads {
            let revisions = self.revisions_to_keep(workload);
            kept.extend(self.kept_of(id, workload, &revisions));
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
