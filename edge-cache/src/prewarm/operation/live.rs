//! How a prewarming is while it runs.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use longshore_oci::Digest;

use super::{BlobView, OperationView, State};
use crate::{blobs::Fetched, supply::Supplied};

/// Of how many blobs is told one by one: of more than an image or two has, and an event is some 64 KiB then.
pub(super) const MOST_SHOWN_BLOBS: usize = 256;

pub(super) enum Live {
    Running { images: Vec<LiveImage>, blobs: HashMap<Digest, LiveBlob> },
    Ended(Arc<OperationView>),
}

#[derive(Clone)]
pub(super) struct LiveImage {
    pub(super) state: State,
    pub(super) digest: Option<Digest>,
    pub(super) blobs: Vec<Digest>,
    pub(super) error: Option<String>,
    /// Why it last waited for its upstream.
    pub(super) last_wait: Option<String>,
}

#[derive(Clone, Copy)]
pub(super) struct LiveBlob {
    pub(super) fetched: Fetched,
    pub(super) here_bytes: u64,
    /// What had come when it was first heard of.
    pub(super) before: Option<Supplied>,
    pub(super) supplied: Supplied,
}

impl LiveBlob {
    pub(super) fn new(fetched: Fetched) -> Self {
        Self { fetched, here_bytes: fetched.bytes, before: None, supplied: Supplied::default() }
    }
}

impl LiveImage {
    pub(super) fn is_over(&self) -> bool {
        matches!(self.state, State::Done | State::Failed)
    }
}

/// The first blobs, each once, in the order of the images.
pub(super) fn shown_blobs(images: &[LiveImage], blobs: &HashMap<Digest, LiveBlob>) -> Vec<BlobView> {
    let mut seen = HashSet::new();
    let each = images.iter().flat_map(|image| &image.blobs).filter(|digest| seen.insert(*digest));
    let known = each.filter_map(|digest| Some((digest, blobs.get(digest)?))).take(MOST_SHOWN_BLOBS);
    let view = |(digest, blob): (&Digest, &LiveBlob)| BlobView {
        digest: digest.clone(),
        size_bytes: blob.fetched.bytes_in_all,
        bytes_done: blob.fetched.bytes,
        here_bytes: blob.here_bytes,
        supplied: blob.supplied,
    };
    known.map(view).collect()
}
