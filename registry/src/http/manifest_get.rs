//! `GET` and `HEAD /v2/<name>/manifests/<tag-or-digest>`: the bytes as they were pushed.

use std::sync::Arc;

use axum::body::Body;
use http::{HeaderValue, Method, Response, StatusCode, header};
use longshore_oci::{Reference, RepositoryName, media_type};

use super::{Call, Outcome, reply};
use crate::{error::Error, registry::Registry};

pub async fn manifest_get<B>(registry: &Arc<Registry>, name: RepositoryName, reference: Reference, call: &Call<B>) -> Outcome {
    let key = (name, reference);
    let Some(manifest) = registry.memory.manifest(key.clone()).await? else {
        return Err(Error::ManifestUnknown(key.1.to_string()));
    };
    let accept = call.parts.headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    if !media_type::is_accepted(accept, &manifest.media_type) {
        return Err(Error::NotAcceptable(manifest.media_type.clone()));
    }
    let is_known = reply::is_known(call.header(header::IF_NONE_MATCH), &manifest.digest);
    let mut response = if is_known {
        reply::status(StatusCode::NOT_MODIFIED)
    } else if call.parts.method == Method::HEAD {
        reply::status(StatusCode::OK)
    } else {
        registry.traffic.sent.inc_by(manifest.content.len() as u64);
        Response::new(Body::from(manifest.content.clone()))
    };
    let headers = response.headers_mut();
    if !is_known {
        headers.insert(header::CONTENT_LENGTH, manifest.content.len().into());
        let content_type = HeaderValue::from_str(&manifest.media_type);
        headers.insert(header::CONTENT_TYPE, content_type.unwrap_or(HeaderValue::from_static("application/json")));
    }
    headers.insert("docker-content-digest", reply::digest_value(&manifest.digest));
    headers.insert(header::ETAG, reply::entity_tag(&manifest.digest));
    Ok(response)
}
