use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use jiff::Timestamp;
use longshore_oci::{Digest, Manifest, RepositoryName, Tag, media_type};

/// What may show that an image is signed.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct EvidenceIndex {
    /// The manifests about it.
    pub about: Vec<Digest>,
    /// The indexes that list it.
    pub listing: Vec<Digest>,
}

/// A manifest as it came.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StoredManifest {
    /// Its digest.
    pub digest: Digest,
    /// What it is served as.
    pub media_type: String,
    /// Its bytes.
    pub content: Bytes,
}

/// A manifest to keep, which has already been written beside the blobs.
#[derive(Clone, Debug)]
pub struct PutManifest {
    /// Where.
    pub repository: RepositoryName,
    /// Its digest.
    pub digest: Digest,
    /// What is read in it.
    pub manifest: Manifest,
    /// What it runs on, as its configuration says.
    pub platform: Option<String>,
    /// Its bytes.
    pub content: Bytes,
    /// The tags to move to it.
    pub tags: Vec<Tag>,
    /// Those of them that stay where they are, where they are set.
    pub frozen_tags: Vec<Tag>,
    /// The number of this change.
    pub revision: u64,
    /// When it was pushed.
    pub pushed_at: Timestamp,
    /// Whether everything it names must be in the repository.
    pub must_be_whole: bool,
}

/// A manifest to delete, with what has already been written beside the blobs.
#[derive(Clone, Debug)]
pub struct DeleteManifest {
    /// Where.
    pub repository: RepositoryName,
    /// Its digest.
    pub digest: Digest,
    /// The tags at it, as the caller saw and wrote down.
    pub tags: Vec<Tag>,
    /// The number of this change.
    pub revision: u64,
}

/// What a manifest names.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Edge {
    /// As what.
    pub kind: EdgeKind,
    /// What.
    pub child: Digest,
    /// Its media type.
    pub media_type: String,
    /// Its length.
    pub size_bytes: u64,
    /// What it runs on, for an index's entries.
    pub platform: Option<String>,
}

/// As what a manifest names something.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum EdgeKind {
    /// An image's configuration.
    Config,
    /// A layer.
    Layer,
    /// An index's entry.
    Manifest,
}

impl EdgeKind {
    /// How the database writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::Layer => "layer",
            Self::Manifest => "manifest",
        }
    }
}

impl Edge {
    /// Everything that a manifest names, in its order.
    pub fn of(manifest: &Manifest) -> Vec<Self> {
        let blobs = manifest.blobs().enumerate().map(|(index, blob)| Self {
            kind: if index == 0 { EdgeKind::Config } else { EdgeKind::Layer },
            child: blob.digest.clone(),
            media_type: blob.media_type.clone(),
            size_bytes: blob.size,
            platform: None,
        });
        let children = manifest.children().iter().map(|child| Self {
            kind: EdgeKind::Manifest,
            child: child.digest.clone(),
            media_type: child.media_type.clone(),
            size_bytes: child.size,
            platform: child.platform.as_ref().map(ToString::to_string),
        });
        blobs.chain(children).collect()
    }
}

/// A manifest about another, as the referrers API lists it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Referrer {
    /// Its digest.
    pub digest: Digest,
    /// Its media type.
    pub media_type: String,
    /// Its length.
    pub size_bytes: u64,
    /// Its artifact type.
    pub artifact_type: Option<String>,
    /// Its annotations.
    pub annotations: BTreeMap<String, String>,
}

/// The blobs and the manifests that a manifest can't be pulled without. Layers that live elsewhere by their very type are not among
/// them, nor is the subject, which may come later.
pub fn references(manifest: &Manifest) -> (Vec<Digest>, Vec<Digest>) {
    let needed = manifest.blobs().filter(|blob| !media_type::is_nondistributable(&blob.media_type));
    let blobs: BTreeSet<Digest> = needed.map(|blob| blob.digest.clone()).collect();
    let children: BTreeSet<Digest> = manifest.children().iter().map(|child| child.digest.clone()).collect();
    (Vec::from_iter(blobs), Vec::from_iter(children))
}
