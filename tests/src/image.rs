use bytes::Bytes;
use longshore_oci::{Algorithm, Digest};
use serde_json::{Value, json};

use crate::Random;

/// The media types that tests push.
pub mod media_type {
    /// An OCI image manifest.
    pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
    /// An OCI image index.
    pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
    /// The configuration of an OCI image.
    pub const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
    /// A layer.
    pub const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
    /// Content of two bytes, `{}`, where something is required and nothing is to be said.
    pub const EMPTY: &str = "application/vnd.oci.empty.v1+json";
    /// Docker's image manifest, version 2, schema 2.
    pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
    /// Docker's manifest list.
    pub const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
    /// The configuration of a Docker image.
    pub const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
    /// A layer of a Docker image.
    pub const DOCKER_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";
}

/// A manifest with the blobs that it names. The layers are not archives; no registry looks into them.
#[derive(Clone, Debug)]
pub struct Image {
    /// The manifest's bytes.
    pub manifest: Bytes,
    /// Its media type.
    pub media_type: String,
    /// Its SHA-256 digest.
    pub digest: Digest,
    /// Its configuration and layers.
    pub blobs: Vec<Bytes>,
}

impl Image {
    /// A new image with layers of these sizes in bytes, the same for the same seed.
    pub fn random(seed: u64, layer_sizes_bytes: &[usize]) -> Self {
        let mut random = Random::seeded(seed);
        let layers = layer_sizes_bytes.iter().map(|size_bytes| random.bytes(*size_bytes)).collect();
        let config = json!({"architecture": "amd64", "os": "linux", "config": {"Labels": {"seed": seed.to_string()}}, "rootfs": {"type": "layers", "diff_ids": []}});
        Self::of(config.to_string().into(), layers)
    }

    /// The image of a configuration and layers.
    pub fn of(config: Bytes, layers: Vec<Bytes>) -> Self {
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": media_type::MANIFEST,
            "config": descriptor(media_type::CONFIG, &config),
            "layers": layers.iter().map(|layer| descriptor(media_type::LAYER, layer)).collect::<Vec<_>>(),
        });
        Self::from_json(media_type::MANIFEST, &manifest, [vec![config], layers].concat())
    }

    /// A manifest of any kind.
    pub fn from_json(media_type: &str, manifest: &Value, blobs: Vec<Bytes>) -> Self {
        let manifest = Bytes::from(manifest.to_string());
        Self { digest: digest_of(&manifest), manifest, media_type: media_type.into(), blobs }
    }

    /// The descriptor that an index or a subject names it by.
    pub fn descriptor(&self) -> Value {
        descriptor(&self.media_type, &self.manifest)
    }
}

/// An artifact without layers, of a type, about a subject.
pub fn artifact(artifact_type: &str, subject: &Value, annotations: &Value) -> Image {
    let empty = Bytes::from_static(b"{}");
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": media_type::MANIFEST,
        "artifactType": artifact_type,
        "config": descriptor(media_type::EMPTY, &empty),
        "layers": [descriptor(media_type::EMPTY, &empty)],
        "subject": subject,
        "annotations": annotations,
    });
    Image::from_json(media_type::MANIFEST, &manifest, vec![empty])
}

/// An index of images, each for an architecture of Linux.
pub fn image_index(children: &[(&str, &Image)]) -> Image {
    let manifests: Vec<Value> = children
        .iter()
        .map(|(architecture, image)| {
            let mut descriptor = image.descriptor();
            descriptor["platform"] = json!({"os": "linux", "architecture": architecture});
            descriptor
        })
        .collect();
    let index = json!({"schemaVersion": 2, "mediaType": media_type::INDEX, "manifests": manifests});
    Image::from_json(media_type::INDEX, &index, Vec::new())
}

/// The descriptor of content: its media type, SHA-256 digest and size in bytes.
pub fn descriptor(media_type: &str, content: &[u8]) -> Value {
    json!({"mediaType": media_type, "digest": digest_of(content).as_str(), "size": content.len()})
}

/// The SHA-256 digest of content, as blobs and manifests are named.
pub fn digest_of(content: &[u8]) -> Digest {
    Digest::of(Algorithm::Sha256, content)
}
