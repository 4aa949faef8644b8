//! Which nodes have what of an image.

use longshore_fleet::{NodeName, api::Holder};
use longshore_oci::Digest;

use super::{Controller, node::Node};
use crate::state::Slice;

/// Layers that make up an image, each with its length in bytes.
type Layers = Vec<(Digest, u64)>;

impl Controller {
    /// Which nodes have something of an image that a workload is made from, or a layer, and how much of it: by name, a part of them.
    pub fn holders(&self, digest: &Digest, slice: &Slice<NodeName>) -> Vec<Holder> {
        let images = self.images_of(digest).unwrap_or_else(|| vec![vec![(digest.clone(), 0)]]);
        let is_after = |node: &&Node| slice.after.as_ref().is_none_or(|after| node.row.name > *after);
        let nodes = self.nodes.values().filter(is_after);
        let mut holders: Vec<Holder> = nodes.filter_map(|node| self.holder(node, &images)).collect();
        holders.sort_unstable_by(|one, other| one.node.cmp(&other.node));
        holders.truncate(slice.most as usize);
        holders
    }

    /// What an image is made of, on each platform; `None` where no workload is made from it.
    fn images_of(&self, digest: &Digest) -> Option<Vec<Layers>> {
        let mut revisions = self.workloads.values().flat_map(|workload| workload.revisions.values());
        let meant = revisions.find(|revision| revision.row.template.image.digest.as_ref() == Some(digest))?;
        Some(meant.row.layers.iter().map(|image| image.layers.clone()).collect())
    }

    /// What a node has of an image, where it has any. A node has one platform: of several, it is the one that it has most of.
    fn holder(&self, node: &Node, images: &[Layers]) -> Option<Holder> {
        let index = node.index?;
        let held = |layers: &Layers| {
            let here: Vec<u64> =
                layers.iter().filter(|(digest, _)| self.cluster.has_layer(index, digest)).map(|(_, bytes)| *bytes).collect();
            let total: u64 = layers.iter().map(|(_, bytes)| *bytes).sum();
            (!here.is_empty()).then(|| (here.iter().sum::<u64>(), total))
        };
        let part = |(held, total): &(u64, u64)| u128::from(*held) * 1_000_000 / u128::from((*total).max(1));
        let (bytes_held, bytes_total) = images.iter().filter_map(held).max_by_key(part)?;
        let zone = node.zone().map(ToOwned::to_owned);
        Some(Holder { node: node.row.name.clone(), zone, bytes_held, bytes_total })
    }
}
