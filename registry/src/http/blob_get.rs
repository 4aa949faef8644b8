//! `GET` and `HEAD /v2/<name>/blobs/<digest>`: a blob, or a range of it; or the way to it.

use std::sync::Arc;

use axum::body::Body;
use http::{HeaderValue, Method, Response, StatusCode, header};
use longshore_oci::{Digest, RangeRequest, RepositoryName, SentRange};

use super::{Call, Outcome, reply};
use crate::{error::Error, registry::Registry, state::StoredBlob};

pub async fn blob_get<B>(registry: &Arc<Registry>, name: RepositoryName, digest: Digest, call: &Call<B>) -> Outcome {
    let Some(blob) = registry.memory.blob((name, digest.clone())).await? else {
        return Err(Error::BlobUnknown(digest));
    };
    if registry.delivery.damaged_object(&digest).is_some_and(|key| key == blob.key) {
        return Err(Error::BlobDamaged(digest));
    }
    let mut response = if reply::is_known(call.header(header::IF_NONE_MATCH), &digest) {
        reply::status(StatusCode::NOT_MODIFIED)
    } else if let Some(response) = redirect(registry, &blob, call).await? {
        response
    } else {
        content(registry, &digest, &blob, call).await?
    };
    let headers = response.headers_mut();
    headers.insert("docker-content-digest", reply::digest_value(&digest));
    headers.insert(header::ETAG, reply::entity_tag(&digest));
    Ok(response)
}

async fn redirect<B>(registry: &Registry, blob: &StoredBlob, call: &Call<B>) -> Result<Option<Response<Body>>, Error> {
    if call.parts.method == Method::HEAD || !registry.redirect.applies(call.client, blob.size_bytes) {
        return Ok(None);
    }
    let url = registry.store.presign(&blob.key, registry.redirect.valid_for).await?;
    let location = url.and_then(|url| HeaderValue::try_from(url).ok());
    if location.is_some() {
        registry.throttle.bytes(call.caller.name(), call.client, blob.size_bytes)?;
    }
    Ok(location.map(|location| {
        let mut response = reply::status(StatusCode::TEMPORARY_REDIRECT);
        response.headers_mut().insert(header::LOCATION, location);
        // The URL holds a signature that is not everybody's.
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
        response
    }))
}

async fn content<B>(registry: &Registry, digest: &Digest, blob: &StoredBlob, call: &Call<B>) -> Outcome {
    let size_bytes = blob.size_bytes;
    let (status, range) = match wanted(digest, call) {
        RangeRequest::Whole => (StatusCode::OK, 0..size_bytes),
        RangeRequest::Part(part) => {
            let range = part.of(size_bytes).ok_or(Error::RangeNotSatisfiable { size_bytes })?;
            (StatusCode::PARTIAL_CONTENT, range)
        }
    };
    let length_bytes = range.end - range.start;
    let content_range = SentRange::new(range.clone(), size_bytes).to_string();
    let mut response = if call.parts.method == Method::HEAD {
        reply::status(status)
    } else {
        let pull = registry.throttle.pull(call.caller.name(), call.client)?;
        let body = registry.delivery.open(digest, blob, range).await?;
        let mut response = Response::new(Body::new(body.counted_by(registry.traffic.sent.clone()).holding(pull)));
        *response.status_mut() = status;
        response
    };
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_LENGTH, length_bytes.into());
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    if status == StatusCode::PARTIAL_CONTENT {
        let content_range = HeaderValue::try_from(content_range).expect("numbers are plain ASCII");
        headers.insert(header::CONTENT_RANGE, content_range);
    }
    Ok(response)
}

/// The range asked for; only a GET has one (RFC 9110, 14.2).
fn wanted<B>(digest: &Digest, call: &Call<B>) -> RangeRequest {
    if call.parts.method == Method::GET {
        RangeRequest::of_get(call.header(header::RANGE), call.header(header::IF_RANGE), digest)
    } else {
        RangeRequest::Whole
    }
}
