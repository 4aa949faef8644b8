use jiff::Timestamp;
use longshore_oci::RepositoryName;
use serde::Serialize;

/// Which tagged images to list.
#[derive(Clone, Debug)]
pub struct ImageFilter {
    /// Only this repository's.
    pub repository: Option<RepositoryName>,
    /// Only those after this repository and tag.
    pub after: (String, String),
    /// At most so many.
    pub limit: u32,
    /// Which images count as sharing content.
    pub sharing: Sharing,
}

/// Which images count as sharing an image's content.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Sharing {
    /// All there are.
    Anywhere,
    /// Those of its own repository: what others hold is not to be told.
    Repository,
}

/// A tagged image, as a list shows it.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ImageSummary {
    /// Its repository.
    pub repository: String,
    /// Its tag.
    pub tag: String,
    /// Its manifest's digest.
    pub digest: String,
    /// Its manifest's media type.
    pub media_type: String,
    /// Its artifact type, where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// What it runs on.
    pub platforms: Vec<String>,
    /// Its manifests and their blobs, each counted once.
    pub size_bytes: u64,
    /// How much of that other images use too.
    pub shared_bytes: u64,
    /// When the tag was last set.
    pub pushed_at: Timestamp,
}

/// One image, in full.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ImageDetail {
    /// Its repository.
    pub repository: String,
    /// Its manifest's digest.
    pub digest: String,
    /// Its manifest's media type.
    pub media_type: String,
    /// Its artifact type, where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// Its manifests and their blobs, each counted once.
    pub size_bytes: u64,
    /// How much of that other images use too.
    pub shared_bytes: u64,
    /// When the manifest was last pushed.
    pub pushed_at: Timestamp,
    /// The tags at it.
    pub tags: Vec<String>,
    /// Its manifests: itself, or an index's entries that are here.
    pub manifests: Vec<ManifestDetail>,
}

/// One manifest of an image.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ManifestDetail {
    /// Its digest.
    pub digest: String,
    /// Its media type.
    pub media_type: String,
    /// What it runs on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    /// Its length.
    pub size_bytes: u64,
    /// Its configuration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config: Option<LayerDetail>,
    /// Its layers, the lowest first.
    pub layers: Vec<LayerDetail>,
}

/// A blob of a manifest.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LayerDetail {
    /// Its digest.
    pub digest: String,
    /// Its media type.
    pub media_type: String,
    /// Its length.
    pub size_bytes: u64,
    /// How many other manifests use it; where more than a thousand do, a thousand.
    pub shared_with: u64,
}
