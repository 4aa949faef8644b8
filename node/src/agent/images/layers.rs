use std::collections::BTreeMap;

use longshore_edge_cache::store::Store;
use longshore_oci::Digest;

use crate::runtime::Runtime;

/// How many blobs are read from the cache's list at once.
const PAGE: usize = 1_000;
/// How many layers are told of.
const MOST_LAYERS: usize = 65_536;

/// The layers that are here.
#[derive(Debug, Default)]
pub struct Layers {
    cached: BTreeMap<Digest, u64>,
    /// How far the cache had changed when it was looked at.
    change: Option<u64>,
    last: Option<BTreeMap<Digest, u64>>,
}

impl Layers {
    /// All of them, where they are others than before.
    pub fn look(&mut self, store: &Store, runtime: Option<&Runtime>) -> Option<BTreeMap<Digest, u64>> {
        let change = store.changes().last();
        if self.change != Some(change) {
            self.cached = whole_blobs(store);
            self.change = Some(change);
        }
        let mut layers = self.cached.clone();
        layers.extend(runtime.map(Runtime::layers).unwrap_or_default());
        while layers.len() > MOST_LAYERS {
            layers.pop_last();
        }
        if self.last.as_ref() == Some(&layers) {
            return None;
        }
        self.last = Some(layers.clone());
        Some(layers)
    }
}

/// What the cache has as a whole.
fn whole_blobs(store: &Store) -> BTreeMap<Digest, u64> {
    let (mut blobs, mut after) = (BTreeMap::new(), String::new());
    loop {
        let (page, more) = store.page(&after, PAGE);
        let whole = page.into_iter().filter(|blob| blob.present_pieces == blob.pieces);
        blobs.extend(whole.map(|blob| (blob.digest, blob.size_bytes)));
        match more {
            Some(last) if blobs.len() < MOST_LAYERS => last.as_str().clone_into(&mut after),
            _ => return blobs,
        }
    }
}
