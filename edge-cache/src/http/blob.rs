//! `GET` and `HEAD /v2/<name>/blobs/<digest>`: a blob, or a range of it.

use std::sync::Arc;

use axum::body::Body;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use longshore_oci::{Digest, RangeRequest, RepositoryName, SentRange};

use super::{Call, Outcome, reply};
use crate::{
    Origin,
    blobs::{OpenError, Was},
    edge::Edge,
    error::Error,
    grants::{Denied, Granted, What},
    source::SourceError,
};

pub async fn blob(edge: &Arc<Edge>, call: &Call, name: RepositoryName, digest: Digest) -> Outcome {
    let what = What::Blob(digest.clone());
    let granted = edge.grants.allowed(&call.upstream, &name, &call.client, &what).await?;
    let mut response = if reply::is_known(&call.parts.headers, &digest) {
        reply::status(StatusCode::NOT_MODIFIED)
    } else if call.is_head() {
        head(edge, call, name, &digest, granted).await?
    } else {
        content(edge, call, name, &digest, granted).await?
    };
    reply::name(&mut response, &digest);
    Ok(response)
}

/// A HEAD fetches nothing of the blob.
async fn head(edge: &Edge, call: &Call, name: RepositoryName, digest: &Digest, granted: Granted) -> Outcome {
    let origin = Origin { upstream: call.upstream.clone(), repository: name, who: granted.identity };
    let kept = edge.blobs.peek(digest, &edge.source(origin.clone()));
    let was = if kept.as_ref().is_some_and(|entry| entry.is_complete()) { reply::HIT } else { reply::MISS };
    let size_bytes = match kept.map(|entry| entry.geometry().size_bytes()).or(granted.size_bytes) {
        Some(size_bytes) => size_bytes,
        None => origin.size_bytes(digest).await.map_err(|error| failed(error.into()))?,
    };
    let mut response = reply::status(StatusCode::OK);
    describe(response.headers_mut(), size_bytes);
    reply::tell(response.headers_mut(), was, granted.is_open);
    Ok(response)
}

async fn content(edge: &Edge, call: &Call, name: RepositoryName, digest: &Digest, granted: Granted) -> Outcome {
    edge.sources.shares(&call.upstream, &name, digest);
    let source = edge.source(Origin { upstream: call.upstream.clone(), repository: name, who: granted.identity });
    let wanted = wanted(&call.parts.method, &call.parts.headers, digest);
    let opened = edge.blobs.open(digest, source, wanted).await.map_err(failed)?;
    let (size_bytes, range) = (opened.size_bytes, opened.range.clone());
    let was = if matches!(opened.was, Was::Hit) { reply::HIT } else { reply::MISS };
    let mut response = Response::new(Body::new(opened.body));
    let headers = response.headers_mut();
    describe(headers, range.end - range.start);
    reply::tell(headers, was, granted.is_open);
    if let RangeRequest::Part(_) = wanted {
        let sent = SentRange::new(range, size_bytes).to_string();
        headers.insert(header::CONTENT_RANGE, HeaderValue::try_from(sent).expect("numbers are plain ASCII"));
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    }
    Ok(response)
}

fn describe(headers: &mut HeaderMap, length_bytes: u64) {
    headers.insert(header::CONTENT_LENGTH, length_bytes.into());
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
}

/// The range asked for; only a GET has one (RFC 9110, 14.2).
fn wanted(method: &Method, headers: &HeaderMap, digest: &Digest) -> RangeRequest {
    let header = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    if *method == Method::GET {
        RangeRequest::of_get(header(header::RANGE), header(header::IF_RANGE), digest)
    } else {
        RangeRequest::Whole
    }
}

fn failed(error: OpenError) -> Error {
    match error {
        OpenError::Source(SourceError::Upstream(error)) => Denied::Upstream(error).into(),
        OpenError::Source(error @ SourceError::Wrong { .. }) => Error::BlobWrong(error.to_string()),
        OpenError::RangeNotSatisfiable { size_bytes } => Error::RangeNotSatisfiable { size_bytes },
        OpenError::Store { source, .. } => Error::Store(source),
        OpenError::Source(SourceError::Rangeless { .. } | SourceError::Unkept)
        | OpenError::NoBudget(_)
        | OpenError::GaveUp(_) => Error::Overloaded,
    }
}

#[cfg(test)]
mod tests {
    use longshore_oci::{Algorithm, ByteRange};

    use super::*;

    #[test]
    fn a_range_is_one_of_the_same_content() {
        let digest = Digest::of(Algorithm::Sha256, b"1");
        let part = RangeRequest::Part(ByteRange::Between(0, 1));
        let of = |method: Method, if_range: Option<String>| {
            let mut headers = HeaderMap::new();
            headers.insert(header::RANGE, HeaderValue::from_static("bytes=0-1"));
            if let Some(tag) = if_range {
                headers.insert(header::IF_RANGE, HeaderValue::try_from(tag).unwrap());
            }
            wanted(&method, &headers, &digest)
        };
        assert_eq!(of(Method::GET, None), part);
        assert_eq!(of(Method::GET, Some(format!("\"{digest}\""))), part);
        assert_eq!(of(Method::GET, Some("\"another\"".into())), RangeRequest::Whole);
        assert_eq!(of(Method::HEAD, None), RangeRequest::Whole);
        assert_eq!(wanted(&Method::GET, &HeaderMap::new(), &digest), RangeRequest::Whole);
    }
}
