//! What an image is made of, as its upstream says to the edge itself.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use longshore_client::ImageReference;
use longshore_oci::{Algorithm, Descriptor, Digest, Manifest, Platform, Reference, RepositoryName, Route, media_type};

use super::refusal::Refusal;
use crate::{
    edge::Edge,
    images,
    upstream::{Ask, Identity, Upstream},
};

/// The largest manifest that is read, in bytes.
const MOST_MANIFEST: usize = 4 << 20;
/// The most manifests that an image is followed through.
const MOST_MANIFESTS: usize = 200;
/// What manifests may be.
const MANIFESTS: [&str; 4] =
    [media_type::OCI_MANIFEST, media_type::OCI_INDEX, media_type::DOCKER_MANIFEST, media_type::DOCKER_MANIFEST_LIST];

/// The manifests and blobs of an image with their sizes in bytes, in whatever order. Of an index those of these platforms, or of all
/// where none is named.
pub async fn parts(edge: &Edge, text: &str, platforms: &[String]) -> Result<BTreeMap<Digest, u64>, Refusal> {
    let image = ImageReference::parse(text, true).map_err(|error| Refusal::request(format!("{text:?}: {error}")))?;
    let place = images::place(&edge.upstreams, &image);
    let (upstream, repository) = place.map_err(|error| Refusal::nothing(error.to_string()))?;
    let latest = || Reference::Tag("latest".parse().expect("it is a tag"));
    let mut waiting = VecDeque::from([image.reference().unwrap_or_else(latest)]);
    let (mut parts, mut count) = (BTreeMap::new(), 0);
    while let Some(reference) = waiting.pop_front() {
        count += 1;
        if count > MOST_MANIFESTS {
            return Err(Refusal::request(format!(
                "{text} has more than {MOST_MANIFESTS} manifests; name the platforms that you need"
            )));
        }
        let (digest, content, kind) = fetch(&upstream, &repository, reference).await?;
        let manifest = Manifest::parse(&content, kind.as_deref())
            .map_err(|error| Refusal::malformed(format!("{} sent what is no manifest: {error}", upstream.name())))?;
        parts.insert(digest, content.len() as u64);
        let is_kept = |blob: &&Descriptor| !media_type::is_nondistributable(&blob.media_type);
        parts.extend(manifest.blobs().filter(is_kept).map(|blob| (blob.digest.clone(), blob.size)));
        let wanted = manifest.children().iter().filter(|child| is_wanted(child.platform.as_ref(), platforms));
        let new = wanted.filter(|child| !parts.contains_key(&child.digest)).map(|child| Reference::Digest(child.digest.clone()));
        waiting.extend(new);
    }
    if !platforms.is_empty() && parts.len() < 2 {
        return Err(Refusal::nothing(format!("{text} is not there for {}", platforms.join(", "))));
    }
    Ok(parts)
}

/// Whether a part of an index is of one of these platforms: as it is told, or without its variant.
fn is_wanted(platform: Option<&Platform>, platforms: &[String]) -> bool {
    let Some(platform) = platform.filter(|_| !platforms.is_empty()) else { return platforms.is_empty() };
    let (told, plain) = (platform.to_string(), format!("{}/{}", platform.os, platform.architecture));
    platforms.iter().any(|wanted| *wanted == told || *wanted == plain)
}

/// A manifest whose bytes are those of its digest, and its `Content-Type`.
async fn fetch(
    upstream: &Upstream,
    repository: &RepositoryName,
    reference: Reference,
) -> Result<(Digest, Bytes, Option<String>), Refusal> {
    let mut headers = HeaderMap::new();
    for accepted in MANIFESTS {
        headers.append(header::ACCEPT, HeaderValue::from_static(accepted));
    }
    let expected = match &reference {
        Reference::Digest(digest) => Some(digest.clone()),
        Reference::Tag(_) => None,
    };
    let ask = Ask { method: Method::GET, route: Route::Manifest(repository.clone(), reference), query: None, headers };
    let answer = upstream.ask(&Identity::Edge, ask).await.map_err(|error| Refusal::upstream(&error))?;
    let malformed = |reason: &str| Refusal::malformed(format!("{} {reason}", upstream.name()));
    if answer.status != StatusCode::OK {
        return Err(malformed("did not send the manifest"));
    }
    let headers = answer.headers.clone();
    let content = answer.read(MOST_MANIFEST).await.map_err(|error| Refusal::upstream(&error))?;
    let text = |name: &str| headers.get(name)?.to_str().ok().map(str::to_owned);
    let told = expected.or_else(|| text("docker-content-digest")?.parse().ok());
    let actual = Digest::of(told.as_ref().map_or(Algorithm::Sha256, Digest::algorithm), &content);
    if told.is_some_and(|told| told != actual) {
        return Err(malformed("sent a manifest that is not the one of its digest"));
    }
    let kind = text(header::CONTENT_TYPE.as_str()).map(|kind| media_type::essence(&kind));
    Ok((actual, content, kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_platform_is_wanted_with_its_variant_or_without() {
        let platform =
            Platform { os: "linux".to_owned(), architecture: "arm".to_owned(), variant: Some("v7".to_owned()), os_version: None };
        let is_wanted = |wanted: &[&str]| {
            let wanted: Vec<String> = wanted.iter().map(|&wanted| wanted.to_owned()).collect();
            is_wanted(Some(&platform), &wanted)
        };
        assert!(is_wanted(&[]) && is_wanted(&["linux/arm/v7"]) && is_wanted(&["linux/amd64", "linux/arm"]));
        assert!(!is_wanted(&["linux/arm64"]) && !is_wanted(&["linux/arm/v6"]));
        assert!(!super::is_wanted(None, &["linux/arm".to_owned()]) && super::is_wanted(None, &[]));
    }
}
