//! `GET /v2/_longshore/swarm`: who the tracker beside the registry is, and where it is reached.

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderValue, Response, header};
use longshore_oci::RouteError;

use super::{Outcome, reply};
use crate::registry::Registry;

pub fn swarm(registry: &Registry) -> Outcome {
    let record = registry.swarm_record.get().ok_or(RouteError::Unknown)?;
    let mut response: Response<Body> = reply::json_bytes(Bytes::from(record.to_string()));
    // It is elsewhere after the next start.
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    Ok(response)
}
