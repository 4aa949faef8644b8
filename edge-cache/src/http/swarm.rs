//! `GET /v2/_longshore/swarm`: who the cache is among its neighbours, or the tracker beside it, and where that is reached. It is of the cache
//! itself and no upstream's.

use axum::body::Body;
use http::{HeaderValue, Response, header};

use super::Outcome;
use crate::{edge::Edge, error::Error, neighbours::Neighbours};

pub fn swarm(edge: &Edge, is_head: bool) -> Outcome {
    let record = edge.sources.neighbours().and_then(Neighbours::record);
    let record = record.or_else(|| edge.swarm_record.get().cloned()).ok_or(Error::NoSwarm)?;
    let body = record.to_string();
    let length = body.len();
    let mut response = Response::new(if is_head { Body::empty() } else { Body::from(body) });
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.headers_mut().insert(header::CONTENT_LENGTH, length.into());
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    Ok(response)
}
