use std::collections::BTreeMap;

use serde::Deserialize;

use crate::{Descriptor, media_type, member_names};

/// What a registry reads in a manifest; the bytes themselves are kept and served as they came.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Manifest {
    /// What it is served as: its `mediaType`, or where it has none the `Content-Type` it came with.
    pub media_type: String,
    /// How it is read.
    pub kind: ManifestKind,
    /// The artifact's type: its own `artifactType`, or for an image the configuration's media type.
    pub artifact_type: Option<String>,
    /// The manifest that this one is about.
    pub subject: Option<Descriptor>,
    /// Notes on it.
    pub annotations: BTreeMap<String, String>,
}

/// How a manifest is read, by its media type.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ManifestKind {
    /// One image or artifact: a configuration and layers.
    Image {
        /// The image's configuration.
        config: Box<Descriptor>,
        /// The image's layers, the lowest first; or an artifact's content.
        layers: Vec<Descriptor>,
    },
    /// Several manifests, by platform or otherwise.
    Index {
        /// The manifests.
        manifests: Vec<Descriptor>,
    },
}

/// Why bytes are no manifest that this system takes.
#[derive(Debug, thiserror::Error)]
pub enum InvalidManifest {
    /// The JSON can't be read, or a field has the wrong shape.
    #[error("the manifest can't be read: {0}")]
    Json(#[source] serde_json::Error),
    /// It declares a schema other than 2.
    #[error("the manifest's schemaVersion is {0}, and only 2 is taken")]
    SchemaVersion(u64),
    /// Its media type is none that a registry can read.
    #[error("the media type {0:?} is not a manifest's; OCI manifests and indexes, Docker schema 2 and its lists are taken")]
    MediaType(String),
    /// It calls itself something other than what it came as.
    #[error("the manifest's mediaType {declared:?} is not the Content-Type {content_type:?} that it came with")]
    MediaTypeMismatch {
        /// Its `mediaType`.
        declared: String,
        /// The request's `Content-Type`.
        content_type: String,
    },
    /// It has the fields of both an image and an index, so that two readers could see two things.
    #[error("the manifest has both layers and manifests")]
    Ambiguous,
    /// An image without a configuration.
    #[error("the manifest has no config")]
    NoConfig,
    /// An index whose `manifests` is missing.
    #[error("the index has no manifests")]
    NoManifests,
    /// It names content of a size that nothing can have.
    #[error("the manifest names content of {0} bytes, more than there can be")]
    Size(u64),
    /// It names more content than is taken.
    #[error("the manifest names {0} blobs and manifests, more than {MAX_DESCRIPTORS}")]
    TooMany(usize),
}

/// How many descriptors a manifest may have: what it costs to keep one is bounded by this.
pub const MAX_DESCRIPTORS: usize = 20_000;

/// The largest size that a descriptor may give, in bytes: sums of as many as there may be stay within 64 bits.
const MAX_SIZE_BYTES: u64 = 1 << 48;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Fields {
    schema_version: Option<u64>,
    media_type: Option<String>,
    artifact_type: Option<String>,
    config: Option<Descriptor>,
    layers: Option<Vec<Descriptor>>,
    manifests: Option<Vec<Descriptor>>,
    subject: Option<Descriptor>,
    annotations: Option<BTreeMap<String, String>>,
}

impl Manifest {
    /// Reads a manifest that came with this `Content-Type`, if with any.
    pub fn parse(bytes: &[u8], content_type: Option<&str>) -> Result<Self, InvalidManifest> {
        member_names::check(bytes).map_err(InvalidManifest::Json)?;
        let fields: Fields = serde_json::from_slice(bytes).map_err(InvalidManifest::Json)?;
        let Fields { schema_version, artifact_type, config, layers, manifests, subject, annotations, .. } = fields;
        if let Some(version) = schema_version.filter(|&version| version != 2) {
            return Err(InvalidManifest::SchemaVersion(version));
        }
        if layers.is_some() && manifests.is_some() {
            return Err(InvalidManifest::Ambiguous);
        }
        let media_type = settle_media_type(fields.media_type, content_type, manifests.is_some())?;
        let kind = match media_type.as_str() {
            media_type::OCI_MANIFEST | media_type::DOCKER_MANIFEST => ManifestKind::Image {
                config: Box::new(config.ok_or(InvalidManifest::NoConfig)?),
                layers: layers.unwrap_or_default(),
            },
            media_type::OCI_INDEX | media_type::DOCKER_MANIFEST_LIST => {
                ManifestKind::Index { manifests: manifests.ok_or(InvalidManifest::NoManifests)? }
            }
            _ => return Err(InvalidManifest::MediaType(media_type)),
        };
        let artifact_type = artifact_type.filter(|kind| !kind.is_empty()).or_else(|| match &kind {
            ManifestKind::Image { config, .. } => Some(config.media_type.clone()),
            ManifestKind::Index { .. } => None,
        });
        let manifest = Self { media_type, kind, artifact_type, subject, annotations: annotations.unwrap_or_default() };
        let count = manifest.blobs().count() + manifest.children().len();
        if count > MAX_DESCRIPTORS {
            return Err(InvalidManifest::TooMany(count));
        }
        let mut sizes = manifest.blobs().chain(manifest.children()).chain(&manifest.subject).map(|content| content.size);
        if let Some(size) = sizes.find(|&size| size > MAX_SIZE_BYTES) {
            return Err(InvalidManifest::Size(size));
        }
        drop(sizes);
        Ok(manifest)
    }

    /// The blobs that it is made of: an image's configuration, then its layers.
    pub fn blobs(&self) -> impl Iterator<Item = &Descriptor> {
        let (config, layers) = match &self.kind {
            ManifestKind::Image { config, layers } => (Some(config.as_ref()), layers.as_slice()),
            ManifestKind::Index { .. } => (None, [].as_slice()),
        };
        config.into_iter().chain(layers)
    }

    /// The manifests that an index lists.
    pub fn children(&self) -> &[Descriptor] {
        match &self.kind {
            ManifestKind::Image { .. } => &[],
            ManifestKind::Index { manifests } => manifests,
        }
    }
}

/// The media type that a manifest goes by: what it says of itself, which the `Content-Type` may not contradict; else the
/// `Content-Type`; else what its fields tell.
fn settle_media_type(
    declared: Option<String>,
    content_type: Option<&str>,
    has_manifests: bool,
) -> Result<String, InvalidManifest> {
    let content_type = content_type.map(media_type::essence).filter(|essence| !essence.is_empty());
    match (declared.filter(|declared| !declared.is_empty()), content_type) {
        (Some(declared), Some(content_type)) if declared != content_type => {
            Err(InvalidManifest::MediaTypeMismatch { declared, content_type })
        }
        (Some(declared), _) => Ok(declared),
        (None, Some(content_type)) => Ok(content_type),
        (None, None) => Ok(if has_manifests { media_type::OCI_INDEX } else { media_type::OCI_MANIFEST }.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const SHA: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn descriptor(kind: &str) -> serde_json::Value {
        json!({ "mediaType": kind, "digest": SHA, "size": 2 })
    }

    fn parse(manifest: &serde_json::Value, content_type: Option<&str>) -> Result<Manifest, InvalidManifest> {
        Manifest::parse(manifest.to_string().as_bytes(), content_type)
    }

    #[test]
    fn reads_an_image_and_its_artifact_type() {
        let mut image = json!({ "schemaVersion": 2, "config": descriptor("application/x"), "layers": [descriptor("l")] });
        let manifest = parse(&image, Some("application/vnd.oci.image.manifest.v1+json; charset=utf-8")).unwrap();
        assert_eq!(manifest.media_type, media_type::OCI_MANIFEST);
        assert_eq!(manifest.artifact_type.as_deref(), Some("application/x"));
        assert_eq!(manifest.blobs().count(), 2);
        image["artifactType"] = json!("application/sbom");
        assert_eq!(parse(&image, None).unwrap().artifact_type.as_deref(), Some("application/sbom"));
    }

    #[test]
    fn reads_an_index() {
        let index = json!({ "schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": [descriptor("m")] });
        let manifest = parse(&index, None).unwrap();
        assert_eq!((manifest.children().len(), manifest.blobs().count(), manifest.artifact_type), (1, 0, None));
    }

    #[test]
    fn says_what_is_wrong() {
        let refuse = |manifest: serde_json::Value, content_type| parse(&manifest, content_type).unwrap_err();
        let config = descriptor("c");
        assert!(matches!(refuse(json!([]), None), InvalidManifest::Json(_)));
        assert!(matches!(refuse(json!({ "schemaVersion": 1 }), None), InvalidManifest::SchemaVersion(1)));
        assert!(matches!(refuse(json!({ "layers": [], "manifests": [] }), None), InvalidManifest::Ambiguous));
        assert!(matches!(refuse(json!({ "layers": [] }), None), InvalidManifest::NoConfig));
        assert!(matches!(refuse(json!({}), Some(media_type::OCI_INDEX)), InvalidManifest::NoManifests));
        assert!(matches!(refuse(json!({ "config": config }), Some("text/plain")), InvalidManifest::MediaType(_)));
        let lying = json!({ "mediaType": media_type::OCI_INDEX, "manifests": [] });
        let mismatch = refuse(lying, Some(media_type::OCI_MANIFEST));
        assert!(matches!(mismatch, InvalidManifest::MediaTypeMismatch { .. }));
        let huge = json!({ "config": { "mediaType": "c", "digest": SHA, "size": u64::MAX } });
        assert!(matches!(refuse(huge, None), InvalidManifest::Size(u64::MAX)));
        let traversal = json!({ "config": { "mediaType": "c", "digest": "sha256:../../x", "size": 1 } });
        assert!(matches!(refuse(traversal, None), InvalidManifest::Json(_)));
    }
}
