//! Manifests: what is read in one is bounded, and is read the same from the same bytes. The first byte chooses the `Content-Type`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use longshore_oci::{Descriptor, Manifest, ManifestKind, media_type};

/// As the registry bounds what it costs to keep a manifest.
const MAX_DESCRIPTORS: usize = 20_000;

const CONTENT_TYPES: [Option<&str>; 7] = [
    None,
    Some(media_type::OCI_MANIFEST),
    Some(media_type::OCI_INDEX),
    Some(media_type::DOCKER_MANIFEST),
    Some(media_type::DOCKER_MANIFEST_LIST),
    Some("application/vnd.oci.image.manifest.v1+json; charset=utf-8"),
    Some("application/json"),
];

fuzz_target!(|input: &[u8]| {
    let Some((&first, bytes)) = input.split_first() else { return };
    let content_type = CONTENT_TYPES[usize::from(first) % CONTENT_TYPES.len()];
    let Ok(manifest) = Manifest::parse(bytes, content_type) else { return };
    check_kind(&manifest);
    if let Some(content_type) = content_type {
        assert_eq!(manifest.media_type, media_type::essence(content_type));
    }
    let again = Manifest::parse(bytes, Some(&manifest.media_type)).expect("it is read as what it was read as");
    assert_eq!(again, manifest);
    assert!(manifest.blobs().count() + manifest.children().len() <= MAX_DESCRIPTORS);
    for descriptor in manifest.blobs().chain(manifest.children()).chain(&manifest.subject) {
        check_descriptor(descriptor);
    }
});

fn check_kind(manifest: &Manifest) {
    match (&manifest.kind, manifest.media_type.as_str()) {
        (ManifestKind::Image { layers, .. }, media_type::OCI_MANIFEST | media_type::DOCKER_MANIFEST) => {
            assert_eq!(manifest.blobs().count(), 1 + layers.len());
            assert!(manifest.children().is_empty());
            assert!(manifest.artifact_type.is_some());
        }
        (ManifestKind::Index { manifests }, media_type::OCI_INDEX | media_type::DOCKER_MANIFEST_LIST) => {
            assert_eq!(manifest.children().len(), manifests.len());
            assert_eq!(manifest.blobs().count(), 0);
        }
        (kind, media_type) => panic!("{media_type:?} was read as {kind:?}"),
    }
}

fn check_descriptor(descriptor: &Descriptor) {
    let json = serde_json::to_vec(descriptor).expect("a descriptor is always JSON");
    assert_eq!(serde_json::from_slice::<Descriptor>(&json).as_ref().ok(), Some(descriptor));
}
