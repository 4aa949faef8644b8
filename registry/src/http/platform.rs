//! What an image runs on, which only its configuration says.

use longshore_oci::{Manifest, ManifestKind, Platform, RepositoryName, media_type};

use crate::registry::Registry;

/// The largest configuration that is looked into, in bytes.
const MAX_CONFIG_BYTES: u64 = 4 << 20;

/// The platform of an image, from its configuration, where it has one that can be read. Not knowing it is no reason to refuse a push.
pub async fn of(registry: &Registry, name: &RepositoryName, manifest: &Manifest) -> Option<String> {
    let ManifestKind::Image { config, .. } = &manifest.kind else { return None };
    let is_image =
        config.media_type == media_type::OCI_CONFIG || config.media_type == "application/vnd.docker.container.image.v1+json";
    if !is_image {
        return None;
    }
    let blob = registry.memory.blob((name.clone(), config.digest.clone())).await.ok()??;
    if blob.size_bytes > MAX_CONFIG_BYTES {
        return None;
    }
    let bytes = registry.delivery.read_whole(&config.digest, &blob).await.ok()??;
    let platform: Platform = serde_json::from_slice(&bytes).ok()?;
    (!platform.os.is_empty() || !platform.architecture.is_empty()).then(|| platform.to_string())
}
