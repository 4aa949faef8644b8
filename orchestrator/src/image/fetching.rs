//! Getting documents from a registry, bounded and checked.

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Method, header};
use jiff::{SignedDuration, Timestamp};
use longshore_client::{PullAnswer, PullClient, PullRequest, Shown};
use longshore_fleet::Image;
use longshore_oci::{Algorithm, Digest, Reference, Route, VerdictLifetime, media_type};

use super::ImageError;

/// The longest manifest, index or configuration that is read, in bytes.
const MOST_BYTES: usize = 8 << 20;
/// How long an image may be started before its registry is asked again, where that does not say.
const USUAL_VERDICT: SignedDuration = SignedDuration::from_secs(60);
/// The forms of manifests that are read.
const ACCEPTED: [&str; 4] =
    [media_type::OCI_INDEX, media_type::OCI_MANIFEST, media_type::DOCKER_MANIFEST_LIST, media_type::DOCKER_MANIFEST];

/// A manifest whose bytes are those that its digest names.
pub(super) struct Fetched {
    pub(super) digest: Digest,
    pub(super) media_type: Option<String>,
    pub(super) content: Bytes,
    /// Until when the registry's word that it may be pulled holds.
    pub(super) until: Timestamp,
}

/// Asks for a manifest of an image's repository.
pub(super) async fn manifest(client: &PullClient, image: &Image, reference: Reference) -> Result<Fetched, ImageError> {
    let asked_at = Timestamp::now();
    let asked = match &reference {
        Reference::Digest(digest) => Some(digest.clone()),
        Reference::Tag(_) => None,
    };
    let mut answer = ask(client, image, Route::Manifest(image.repository.clone(), reference)).await?;
    let text = |name: &str| answer.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let media_type = text(header::CONTENT_TYPE.as_str());
    let lifetime = text(VerdictLifetime::HEADER).and_then(|header| header.parse::<VerdictLifetime>().ok());
    let announced = text("docker-content-digest").and_then(|digest| digest.parse().ok());
    let content = read(&mut answer, image).await?;
    let expected = asked.or(announced);
    let digest = Digest::of(expected.as_ref().map_or(Algorithm::Sha256, Digest::algorithm), &content);
    check(image, expected.as_ref(), &digest)?;
    let lifetime = lifetime.and_then(|lifetime| SignedDuration::try_from(lifetime.max_age).ok()).unwrap_or(USUAL_VERDICT);
    Ok(Fetched { digest, media_type, content, until: asked_at.saturating_add(lifetime).unwrap_or(asked_at) })
}

/// Asks for a short blob of an image's repository.
pub(super) async fn blob(client: &PullClient, image: &Image, digest: &Digest) -> Result<Bytes, ImageError> {
    let mut answer = ask(client, image, Route::Blob(image.repository.clone(), digest.clone())).await?;
    let content = read(&mut answer, image).await?;
    check(image, Some(digest), &Digest::of(digest.algorithm(), &content))?;
    Ok(content)
}

fn check(image: &Image, expected: Option<&Digest>, actual: &Digest) -> Result<(), ImageError> {
    match expected {
        Some(expected) if expected != actual => {
            let reason = format!("the registry sent bytes whose digest is {actual}, not {expected}");
            Err(ImageError::Unavailable { image: image.clone(), reason })
        }
        _ => Ok(()),
    }
}

async fn ask(client: &PullClient, image: &Image, route: Route) -> Result<PullAnswer, ImageError> {
    let mut headers = HeaderMap::new();
    if matches!(route, Route::Manifest(..)) {
        for accepted in ACCEPTED {
            headers.append(header::ACCEPT, HeaderValue::from_static(accepted));
        }
    }
    let request = PullRequest { method: Method::GET, route, query: None, headers, shown: Shown::Own };
    client.ask(&request).await.map_err(|error| ImageError::of(image, &error))
}

async fn read(answer: &mut PullAnswer, image: &Image) -> Result<Bytes, ImageError> {
    let mut content = BytesMut::new();
    while let Some(chunk) = answer.chunk().await.map_err(|error| ImageError::of(image, &error))? {
        if content.len() + chunk.len() > MOST_BYTES {
            let reason = format!("its manifest or configuration is longer than {MOST_BYTES} bytes");
            return Err(ImageError::Unusable { image: image.clone(), reason });
        }
        content.extend_from_slice(&chunk);
    }
    Ok(content.freeze())
}
