use jiff::Timestamp;
use longshore_oci::Digest;
use serde::{Deserialize, Serialize};

/// A tagged image in a list: an element of what `GET /v2/_longshore/images` answers.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ImageSummary {
    /// Its repository.
    pub repository: String,
    /// Its tag.
    pub tag: String,
    /// Its manifest's digest.
    pub digest: Digest,
    /// Its manifest's media type.
    pub media_type: String,
    /// What kind of artifact it is, where it is not an image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// What it runs on, as docker writes it: `linux/arm/v7`.
    pub platforms: Vec<String>,
    /// Its manifests and their blobs, each counted once, in bytes.
    pub size_bytes: u64,
    /// How many of these bytes other images use too.
    pub shared_bytes: u64,
    /// When the tag was last set.
    pub pushed_at: Timestamp,
}

/// One image in full: what `GET /v2/<name>/_longshore/images/<reference>` answers.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ImageDetail {
    /// Its repository.
    pub repository: String,
    /// Its manifest's digest.
    pub digest: Digest,
    /// Its manifest's media type.
    pub media_type: String,
    /// What kind of artifact it is, where it is not an image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// Its manifests and their blobs, each counted once, in bytes.
    pub size_bytes: u64,
    /// How many of these bytes other images use too.
    pub shared_bytes: u64,
    /// When the manifest was first pushed.
    pub pushed_at: Timestamp,
    /// The tags that are at it.
    pub tags: Vec<String>,
    /// Its manifest; or an index's entries, as far as the registry holds them.
    pub manifests: Vec<ManifestDetail>,
}

/// One manifest of an image.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ManifestDetail {
    /// Its digest.
    pub digest: Digest,
    /// Its media type.
    pub media_type: String,
    /// What it runs on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    /// The manifest's own length in bytes.
    pub size_bytes: u64,
    /// Its configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<BlobDetail>,
    /// Its layers, the lowest first.
    pub layers: Vec<BlobDetail>,
}

/// A configuration or layer of a manifest.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BlobDetail {
    /// Its digest.
    pub digest: Digest,
    /// Its media type.
    pub media_type: String,
    /// Its length in bytes.
    pub size_bytes: u64,
    /// How many other manifests use it; absent where the registry does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shared_with: Option<u64>,
}
