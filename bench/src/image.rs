//! Images to push and pull: an OCI manifest over blobs (OCI image-spec, `manifest.md`).

use sha2::{Digest as _, Sha256};

use crate::content::Blob;

/// The media type of the manifests here.
pub const MANIFEST_MEDIA_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";

/// A manifest under a tag, with the blobs it names.
#[derive(Debug, Clone)]
pub struct Image {
    /// The tag it goes by.
    pub tag: String,
    /// The layers, first the lowest.
    pub layers: Vec<Blob>,
    /// The configuration blob. Opaque noise: no registry looks inside.
    pub config: Blob,
    /// The manifest's bytes.
    pub manifest: Vec<u8>,
    /// The manifest's digest.
    pub digest: String,
}

impl Image {
    /// The image of these blobs.
    pub fn new(tag: impl Into<String>, config: Blob, layers: Vec<Blob>) -> Self {
        let descriptor = |blob: &Blob, media_type: &str| serde_json::json!({"mediaType": media_type, "digest": blob.digest, "size": blob.size_bytes()});
        let manifest = serde_json::json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST_MEDIA_TYPE,
            "config": descriptor(&config, "application/vnd.oci.image.config.v1+json"),
            "layers": layers.iter().map(|layer| descriptor(layer, "application/vnd.oci.image.layer.v1.tar+gzip")).collect::<Vec<_>>(),
        });
        let manifest = manifest.to_string().into_bytes();
        let digest = format!("sha256:{}", hex::encode(Sha256::digest(&manifest)));
        Self { tag: tag.into(), layers, config, manifest, digest }
    }

    /// The bytes of all of it.
    pub fn size_bytes(&self) -> u64 {
        self.layers.iter().map(Blob::size_bytes).sum::<u64>() + self.config.size_bytes() + self.manifest.len() as u64
    }
}
