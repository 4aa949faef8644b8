use bytes::Bytes;
use longshore_oci::{Descriptor, Digest, Manifest, ManifestKind, Reference, RepositoryName};

use crate::{
    error::Error,
    registry::Registry,
    signature::{Evidence, Form, Keyless, NOTATION_ARTIFACT, Syntax},
};

/// The largest signature or attestation that is looked at, in bytes.
const MOST_EVIDENCE_BYTES: u64 = 4 << 20;
/// The most signatures and attestations of one image that are looked at.
pub const MOST_EVIDENCE: usize = 100;
/// The most bytes of them together.
const MOST_EVIDENCE_BYTES_TOGETHER: u64 = 32 << 20;
/// A payload of cosign's old form.
const SIMPLE_SIGNING: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
/// Where its signature is.
const SIMPLE_SIGNATURE: &str = "dev.cosignproject.cosign/signature";
/// A DSSE envelope.
const ENVELOPE: &str = "application/vnd.dsse.envelope.v1+json";
/// What the media types of Sigstore's bundles begin with.
const BUNDLE: &str = "application/vnd.dev.sigstore.bundle";

/// What is in the manifests about an image, and whether all of it could be read.
pub async fn gather(registry: &Registry, name: &RepositoryName, about: &[Digest]) -> Result<(Vec<Evidence>, bool), Error> {
    let (mut evidence, mut is_whole, mut bytes_left) = (Vec::new(), true, MOST_EVIDENCE_BYTES_TOGETHER);
    for digest in about {
        let Some(manifest) = parsed(registry, name, digest).await? else { continue };
        let ManifestKind::Image { layers, .. } = &manifest.kind else { continue };
        for layer in layers.iter().filter(|layer| is_evidence_layer(&manifest, layer)) {
            // What is kept of its annotations counts as well.
            let annotated: usize = layer.annotations.values().map(String::len).sum();
            let size_bytes = layer.size.saturating_add(annotated as u64);
            if size_bytes > bytes_left || evidence.len() >= MOST_EVIDENCE {
                continue;
            }
            let Some(content) = read(registry, name, layer).await? else {
                is_whole = false;
                continue;
            };
            bytes_left -= size_bytes;
            let form = match layer.media_type.as_str() {
                SIMPLE_SIGNING => {
                    let signature = layer.annotations.get(SIMPLE_SIGNATURE).cloned().unwrap_or_default();
                    Form::Simple { payload: content, signature, keyless: Keyless::of(&layer.annotations).map(Box::new) }
                }
                ENVELOPE => Form::Envelope { envelope: content, keyless: Keyless::of(&layer.annotations).map(Box::new) },
                other => match Syntax::of(other) {
                    Some(syntax) => Form::Notation { envelope: content, syntax },
                    None => Form::Bundle(content),
                },
            };
            evidence.push(Evidence { manifest: digest.clone(), form });
        }
    }
    Ok((evidence, is_whole))
}

/// Whether a layer of a manifest is a signature or an attestation, by its media type.
pub fn is_evidence_layer(manifest: &Manifest, layer: &Descriptor) -> bool {
    let media_type = layer.media_type.as_str();
    let is_notation = || manifest.artifact_type.as_deref() == Some(NOTATION_ARTIFACT) && Syntax::of(media_type).is_some();
    matches!(media_type, SIMPLE_SIGNING | ENVELOPE)
        || media_type.starts_with(BUNDLE) && media_type.ends_with("+json")
        || is_notation()
}

/// A manifest of a repository, read.
pub async fn parsed(registry: &Registry, name: &RepositoryName, digest: &Digest) -> Result<Option<Manifest>, Error> {
    let manifest = registry.memory.manifest((name.clone(), Reference::Digest(digest.clone()))).await?;
    Ok(manifest.and_then(|manifest| Manifest::parse(&manifest.content, Some(&manifest.media_type)).ok()))
}

/// The bytes of a short blob; `None` where it is not here, or not short.
pub async fn read(registry: &Registry, name: &RepositoryName, descriptor: &Descriptor) -> Result<Option<Bytes>, Error> {
    let Some(blob) = registry.memory.blob((name.clone(), descriptor.digest.clone())).await? else { return Ok(None) };
    if blob.size_bytes > MOST_EVIDENCE_BYTES || blob.size_bytes != descriptor.size {
        return Ok(None);
    }
    Ok(registry.delivery.read_whole(&descriptor.digest, &blob).await?)
}
