//! `GET /v2/_longshore/keys`: the public keys by which others can check what this registry has signed (RFC 7517).

use http::{HeaderValue, Response, header};

use axum::body::Body;

use super::reply;
use crate::registry::Registry;

pub fn keys(registry: &Registry) -> Response<Body> {
    let mut response = reply::json(registry.keys.published().as_ref());
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/jwk-set+json"));
    // A set that is kept for too long would lack the next key.
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}
