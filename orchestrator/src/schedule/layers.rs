//! Which layers are where, and which bytes of an image each node still lacks: kept current as layers come, go, and are asked for.
//!
//! A layer is on a node when the node says so, or when a pod runs there that is made of it. It is on its way when the node says so, or
//! when a pod was placed there that needs it. In both cases no further bytes cross the network for the next pod that needs it.

use longshore_oci::Digest;
use rustc_hash::{FxHashMap as HashMap, FxHashSet as HashSet};

use super::{
    index::{DomainIndex, ImageIndex, LayerIndex, NodeIndex},
    interner::Interner,
    nodes::KIB,
};

/// A layer that is longer counts as 8 GiB, so that sums of [`MOST_LAYERS`] are whole.
const MOST_KIB: u32 = 1 << 23;
/// Of an image with more layers, as many count.
const MOST_LAYERS: usize = 256;

/// A zone by position: none is the first.
pub(crate) const fn zone_position(zone: Option<DomainIndex>) -> usize {
    match zone {
        None => 0,
        Some(zone) => zone.position() + 1,
    }
}

/// What a node has of a layer.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Held {
    /// The node says that it has it.
    pub(crate) is_here: bool,
    /// The node says that it is fetching it.
    pub(crate) is_coming: bool,
    /// Pods that were placed there, need it, and have not started.
    pub(crate) waiting: u32,
    /// Pods that run there and are made of it.
    pub(crate) running: u32,
}

impl Held {
    /// Whether another pod would cause no more bytes to be fetched.
    const fn is_known(self) -> bool {
        self.is_here || self.is_coming || self.waiting > 0 || self.running > 0
    }

    /// Whether its bytes are on their way.
    const fn is_arriving(self) -> bool {
        !self.is_here && self.running == 0 && (self.is_coming || self.waiting > 0)
    }
}

/// Layers, images made of them, and who has which.
#[derive(Debug, Default)]
pub(crate) struct Layers {
    digests: Interner<Digest>,
    known: Vec<Layer>,
    images: Interner<Vec<LayerIndex>>,
    rows: Vec<Row>,
    /// By node: what it has anything of.
    of_node: Vec<HashSet<LayerIndex>>,
}

#[derive(Debug)]
struct Layer {
    size_bytes: u64,
    size_kib: u32,
    holders: HashMap<NodeIndex, Held>,
    /// By zone: on how many nodes it is or will be.
    in_zones: Vec<u32>,
    images: Vec<ImageIndex>,
}

#[derive(Debug)]
struct Row {
    size_kib: u32,
    /// By node: KiB that it lacks, and that are not on their way to it.
    missing_kib: Vec<u32>,
    /// By zone: KiB that no node of it has, or will have.
    absent_kib: Vec<u32>,
    /// How often that has changed.
    absences: u64,
}

impl Layers {
    /// Makes room for a node.
    pub(crate) fn grow(&mut self, nodes: usize) {
        if self.of_node.len() < nodes {
            self.of_node.resize_with(nodes, HashSet::default);
            for row in &mut self.rows {
                row.missing_kib.resize(nodes, row.size_kib);
            }
        }
    }

    /// A layer of this length; the length that is heard first stays, for it follows from the digest.
    pub(crate) fn layer(&mut self, digest: &Digest, size_bytes: u64) -> LayerIndex {
        let (at, is_new) = self.digests.intern(digest);
        if is_new {
            let size_kib = u32::try_from(size_bytes.div_ceil(KIB)).map_or(MOST_KIB, |size| size.min(MOST_KIB));
            self.known.push(Layer {
                size_bytes,
                size_kib,
                holders: HashMap::default(),
                in_zones: Vec::new(),
                images: Vec::new(),
            });
        }
        LayerIndex::at(at)
    }

    /// The layer of this digest, if it is known.
    pub(crate) fn find(&self, digest: &Digest) -> Option<LayerIndex> {
        self.digests.find(digest).map(LayerIndex::at)
    }

    /// What a node has of a layer.
    pub(crate) fn held(&self, layer: LayerIndex, node: NodeIndex) -> Held {
        self.known[layer.position()].holders.get(&node).copied().unwrap_or_default()
    }

    /// An image of these layers.
    pub(crate) fn image(&mut self, layers: &[(Digest, u64)]) -> ImageIndex {
        let mut indexes: Vec<LayerIndex> = layers.iter().map(|(digest, size)| self.layer(digest, *size)).collect();
        indexes.sort_unstable();
        indexes.dedup();
        indexes.truncate(MOST_LAYERS);
        let (at, is_new) = self.images.intern(&indexes);
        let image = ImageIndex::at(at);
        if is_new {
            self.add_row(image, &indexes);
        }
        image
    }

    fn add_row(&mut self, image: ImageIndex, layers: &[LayerIndex]) {
        let size_kib: u32 = layers.iter().map(|layer| self.known[layer.position()].size_kib).sum();
        let zones = layers.iter().map(|layer| self.known[layer.position()].in_zones.len()).max().unwrap_or(0);
        let mut row =
            Row { size_kib, missing_kib: vec![size_kib; self.of_node.len()], absent_kib: vec![size_kib; zones], absences: 0 };
        for index in layers {
            let layer = &mut self.known[index.position()];
            for (node, held) in &layer.holders {
                if held.is_known() {
                    row.missing_kib[node.position()] -= layer.size_kib;
                }
            }
            for (zone, &nodes) in layer.in_zones.iter().enumerate() {
                if nodes > 0 {
                    row.absent_kib[zone] -= layer.size_kib;
                }
            }
            layer.images.push(image);
        }
        self.rows.push(row);
    }

    /// Changes what a node of this zone has of a layer. By how many KiB what is on its way to it has grown; `None` where nothing has
    /// changed.
    pub(crate) fn change(
        &mut self,
        node: NodeIndex,
        zone: Option<DomainIndex>,
        layer: LayerIndex,
        change: impl FnOnce(&mut Held),
    ) -> Option<i64> {
        let entry = &mut self.known[layer.position()];
        let before = entry.holders.get(&node).copied().unwrap_or_default();
        let mut after = before;
        change(&mut after);
        if after == before {
            return None;
        }
        if after == Held::default() {
            entry.holders.remove(&node);
            self.of_node[node.position()].remove(&layer);
        } else {
            entry.holders.insert(node, after);
            self.of_node[node.position()].insert(layer);
        }
        let size = i64::from(entry.size_kib);
        if before.is_known() != after.is_known() {
            self.turn(node, zone, layer, after.is_known());
        }
        Some(size * (i64::from(after.is_arriving()) - i64::from(before.is_arriving())))
    }

    /// A layer is or will be on a node, or no more.
    fn turn(&mut self, node: NodeIndex, zone: Option<DomainIndex>, layer: LayerIndex, is_known: bool) {
        let Layer { size_kib, images, .. } = &self.known[layer.position()];
        for image in images {
            let missing = &mut self.rows[image.position()].missing_kib[node.position()];
            *missing = if is_known { *missing - size_kib } else { *missing + size_kib };
        }
        self.turn_zone(zone_position(zone), layer, is_known);
    }

    /// One node more of a zone has a layer, or one less.
    fn turn_zone(&mut self, zone: usize, layer: LayerIndex, is_more: bool) {
        let Layer { size_kib, images, in_zones, .. } = &mut self.known[layer.position()];
        if in_zones.len() <= zone {
            in_zones.resize(zone + 1, 0);
        }
        let nodes = &mut in_zones[zone];
        let was = *nodes;
        *nodes = if is_more { was + 1 } else { was - 1 };
        if (was == 0) == (*nodes == 0) {
            return;
        }
        for image in images {
            let row = &mut self.rows[image.position()];
            if row.absent_kib.len() <= zone {
                row.absent_kib.resize(zone + 1, row.size_kib);
            }
            row.absences += 1;
            let absent = &mut row.absent_kib[zone];
            *absent = if is_more { *absent - *size_kib } else { *absent + *size_kib };
        }
    }

    /// A node is in another zone than before.
    pub(crate) fn move_node(&mut self, node: NodeIndex, from: Option<DomainIndex>, to: Option<DomainIndex>) {
        let known: Vec<LayerIndex> = self.layers_of(node).filter(|(_, held)| held.is_known()).map(|(layer, _)| layer).collect();
        for layer in known {
            self.turn_zone(zone_position(from), layer, false);
            self.turn_zone(zone_position(to), layer, true);
        }
    }

    /// What a node has anything of.
    pub(crate) fn layers_of(&self, node: NodeIndex) -> impl Iterator<Item = (LayerIndex, Held)> {
        let layers = self.of_node.get(node.position()).into_iter().flatten();
        layers.map(move |layer| (*layer, self.known[layer.position()].holders[&node]))
    }

    /// What a layer is.
    pub(crate) fn described(&self, layer: LayerIndex) -> (&Digest, u64) {
        (self.digests.get(layer.position()), self.known[layer.position()].size_bytes)
    }

    /// What an image is made of.
    pub(crate) fn layers_in(&self, image: ImageIndex) -> &[LayerIndex] {
        self.images.get(image.position())
    }

    /// By node: KiB of an image that it lacks.
    pub(crate) fn missing_kib(&self, image: ImageIndex) -> &[u32] {
        &self.rows[image.position()].missing_kib
    }

    /// The same; by zone, KiB that no node of it has; and those of zones that are not in there.
    pub(crate) fn row(&self, image: ImageIndex) -> (&[u32], &[u32], u32) {
        let row = &self.rows[image.position()];
        (&row.missing_kib, &row.absent_kib, row.size_kib)
    }

    /// How often what zones lack of an image has changed.
    pub(crate) fn absences(&self, image: ImageIndex) -> u64 {
        self.rows[image.position()].absences
    }

    /// Bytes of an image that a node lacks, exactly.
    pub(crate) fn missing_bytes(&self, image: ImageIndex, node: NodeIndex) -> u64 {
        let lacks = |layer: &&LayerIndex| !self.held(**layer, node).is_known();
        self.layers_in(image)
            .iter()
            .filter(lacks)
            .fold(0, |sum, layer| sum.saturating_add(self.known[layer.position()].size_bytes))
    }
}
