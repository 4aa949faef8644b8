//! Answers, as far as several operations give the same.

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use serde::Serialize;
use serde_json::Value;

use crate::state::Answer;

/// JSON, with a status.
pub fn json(status: StatusCode, value: &impl Serialize) -> Response<Body> {
    let bytes = serde_json::to_vec(value).unwrap_or_else(|_| unreachable!("what we answer is always JSON"));
    let mut response = Response::new(Body::from(bytes));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// 200 with JSON.
pub fn ok(value: &impl Serialize) -> Response<Body> {
    json(StatusCode::OK, value)
}

/// 200 with JSON of what is at a revision, which is its entity tag.
pub fn ok_at(revision: u64, value: &impl Serialize) -> Response<Body> {
    let mut response = ok(value);
    set_revision(&mut response, revision);
    response
}

/// A status alone.
pub fn status(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

/// What was answered to a change, now or when it was asked for first: the revision and the place of what was changed follow from it.
pub fn answer(answer: &Answer) -> Response<Body> {
    let code = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
    if answer.body.is_null() {
        return status(code);
    }
    let mut response = json(code, &answer.body);
    if let Some(revision) = answer.body.get("revision").and_then(Value::as_u64) {
        set_revision(&mut response, revision);
    }
    let place = |member: &str, path: &str| Some(format!("{path}/{}", answer.body.get(member)?.as_str()?));
    let location = place("deploymentId", "/api/v1/workloads/deployments")
        .or_else(|| place("jobId", "/api/v1/workloads/jobs"))
        .or_else(|| place("operationId", "/api/v1/operations"));
    if matches!(code, StatusCode::CREATED | StatusCode::ACCEPTED)
        && let Some(location) = location.and_then(|location| HeaderValue::try_from(location).ok())
    {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}

/// A body that goes on; an error breaks it off.
pub fn stream<S, E>(content_type: &'static str, stream: S) -> Response<Body>
where
    S: futures_util::Stream<Item = Result<Bytes, E>> + Send + 'static,
    E: std::error::Error + Send + Sync + 'static,
{
    let mut response = Response::new(Body::from_stream(stream));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // A proxy that gathers what it passes on would hold up each line until there are many.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

fn set_revision(response: &mut Response<Body>, revision: u64) {
    let tag = HeaderValue::try_from(format!("\"{revision}\"")).unwrap_or_else(|_| unreachable!("a number is plain ASCII"));
    response.headers_mut().insert(header::ETAG, tag);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_answer_says_where_and_at_which_revision() {
        let created = answer(&Answer { status: 201, body: json!({"deploymentId": "dep_7", "revision": 1}) });
        assert_eq!(created.status(), StatusCode::CREATED);
        assert_eq!(created.headers()[header::LOCATION], "/api/v1/workloads/deployments/dep_7");
        assert_eq!(created.headers()[header::ETAG], "\"1\"");
        let changed = answer(&Answer { status: 200, body: json!({"jobId": "job_7", "revision": 2}) });
        assert!(!changed.headers().contains_key(header::LOCATION) && changed.headers()[header::ETAG] == "\"2\"");
        assert_eq!(answer(&Answer { status: 204, body: Value::Null }).status(), StatusCode::NO_CONTENT);
    }
}
