//! What an image is made of, from the documents that say so. Pure.

use std::collections::BTreeSet;

use longshore_oci::{Descriptor, Manifest, Platform};
use serde::Deserialize;

use crate::schedule::ImageLayers;

/// Of an image's configuration, what it runs on (image-spec, "Image Configuration").
#[derive(Deserialize)]
struct Configuration {
    #[serde(default)]
    architecture: String,
    #[serde(default)]
    os: String,
}

/// What an image runs on by its configuration; none where it does not say, as an artifact's does not.
pub(super) fn platform(configuration: &[u8]) -> Option<Platform> {
    let Configuration { architecture, os } = serde_json::from_slice(configuration).ok()?;
    let says = !architecture.is_empty() && !os.is_empty();
    says.then(|| Platform { architecture, os, ..Platform::default() })
}

/// Whether an index's entry is an image that runs: what is attested of others has a platform that is none.
pub(super) fn is_runnable(entry: &Descriptor) -> bool {
    entry.platform.as_ref().is_none_or(|platform| platform.os != "unknown" && platform.architecture != "unknown")
}

/// What a node must have to start an image of a platform: its configuration and its layers, each once.
pub(super) fn layers(manifest: &Manifest, platform: Platform) -> ImageLayers {
    let mut seen = BTreeSet::new();
    let blobs = manifest.blobs().filter(|blob| seen.insert(blob.digest.clone()));
    let layers = blobs.map(|blob| (blob.digest.clone(), blob.size)).collect();
    ImageLayers { os: platform.os, architecture: platform.architecture, layers }
}

#[cfg(test)]
mod tests {
    use longshore_oci::{Algorithm, Digest};
    use serde_json::json;

    use super::*;

    fn digest(text: &str) -> Digest {
        Digest::of(Algorithm::Sha256, text.as_bytes())
    }

    #[test]
    fn a_node_needs_configuration_and_layers_each_once() {
        let manifest = json!({
            "schemaVersion": 2,
            "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest("config"), "size": 7},
            "layers": [
                {"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": digest("base"), "size": 100},
                {"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": digest("base"), "size": 100},
                {"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": digest("top"), "size": 10},
            ],
        });
        let manifest = Manifest::parse(manifest.to_string().as_bytes(), None).unwrap();
        let made_of = layers(&manifest, platform(br#"{"os": "linux", "architecture": "arm64"}"#).unwrap());
        assert_eq!((made_of.os.as_str(), made_of.architecture.as_str()), ("linux", "arm64"));
        assert_eq!(made_of.layers, [(digest("config"), 7), (digest("base"), 100), (digest("top"), 10)]);
    }

    #[test]
    fn artifacts_and_attestations_don_t_run() {
        assert_eq!(platform(b"{}"), None);
        assert_eq!(platform(b"no JSON"), None);
        let entry = |os: &str| Descriptor {
            media_type: String::new(),
            digest: digest("a"),
            size: 1,
            urls: Vec::new(),
            annotations: std::collections::BTreeMap::default(),
            artifact_type: None,
            platform: Some(Platform { os: os.into(), architecture: os.into(), ..Platform::default() }),
        };
        assert!(is_runnable(&entry("linux")) && !is_runnable(&entry("unknown")));
        assert!(is_runnable(&Descriptor { platform: None, ..entry("") }));
    }
}
