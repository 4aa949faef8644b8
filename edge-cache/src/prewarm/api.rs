//! Prewarming over HTTP: `POST /v2/_longshore/prewarm`, and `/v2/_longshore/operations` with an operation below it.

use std::{error::Error, fmt};

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Limited};
use jiff::Timestamp;
use longshore_oci::{ErrorBody, ErrorCode, ErrorEntry, media_type};
use serde::Serialize;

use super::{Prewarm, events, operation::OperationView, wish::Wish};

/// Where a prewarming is asked for.
const PREWARM: &str = "/v2/_longshore/prewarm";
/// Where operations are.
const OPERATIONS: &str = "/v2/_longshore/operations";
/// The longest request, in bytes: far over what names of images need.
const MOST_BODY_BYTES: usize = 256 << 10;
/// After how many seconds one who was not served for want of room is to come again.
const RETRY_AFTER_SECONDS: u16 = 2;

/// What is asked for, by its path.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Place<'a> {
    Prewarm,
    Operations,
    Operation(&'a str),
}

impl<'a> Place<'a> {
    fn of(path: &'a str) -> Option<Self> {
        match path {
            PREWARM => Some(Self::Prewarm),
            OPERATIONS => Some(Self::Operations),
            _ => {
                let id = path.strip_prefix(OPERATIONS)?.strip_prefix('/')?;
                (!id.is_empty() && !id.contains('/')).then_some(Self::Operation(id))
            }
        }
    }

    fn allowed(self) -> &'static str {
        match self {
            Self::Prewarm => "POST",
            Self::Operations => "GET",
            Self::Operation(_) => "GET, DELETE",
        }
    }
}

#[derive(Serialize)]
struct Listed<'a> {
    operations: Vec<&'a OperationView>,
}

/// Whether a path is one of these; who calls must be let in before, as to all that changes the cache.
pub fn is_own(path: &str) -> bool {
    Place::of(path).is_some()
}

/// Answers a request for one of these paths; `None` for another.
pub async fn answer<B>(prewarm: &Prewarm, request: Request<B>) -> Option<Response<Body>>
where
    B: http_body::Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Send,
{
    let (parts, body) = request.into_parts();
    let place = Place::of(parts.uri.path())?;
    Some(match (place, parts.method) {
        (Place::Prewarm, Method::POST) => begin(prewarm, body).await,
        (Place::Operations, Method::GET) => {
            let views: Vec<_> = prewarm.list().iter().map(|operation| operation.view()).collect();
            json(StatusCode::OK, &Listed { operations: views.iter().map(AsRef::as_ref).collect() })
        }
        (Place::Operation(id), Method::GET) if wants_events(&parts.headers) => tell(prewarm, id),
        (Place::Operation(id), Method::GET) => {
            prewarm.get(id).map_or_else(|| unknown(id), |operation| json(StatusCode::OK, &*operation.view()))
        }
        (Place::Operation(id), Method::DELETE) => prewarm.get(id).map_or_else(
            || unknown(id),
            |operation| {
                operation.cancel();
                json(StatusCode::ACCEPTED, &*operation.view())
            },
        ),
        (place, method) => {
            let message = format!("{method} is not an operation of this path; {} are", place.allowed());
            let mut response = refuse(ErrorCode::Unsupported, message);
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(place.allowed()));
            response
        }
    })
}

async fn begin<B>(prewarm: &Prewarm, body: B) -> Response<Body>
where
    B: http_body::Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Send,
{
    let body = match Limited::new(body, MOST_BODY_BYTES).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) => {
            let reason = format!("the request can't be read, or is longer than {MOST_BODY_BYTES} bytes: {error}");
            return refuse(ErrorCode::OperationInvalid, reason);
        }
    };
    let wish = match Wish::parse(&body, prewarm.most_images(), Timestamp::now()) {
        Ok(wish) => wish,
        Err(error) => return refuse(ErrorCode::OperationInvalid, error),
    };
    match prewarm.begin(wish) {
        Ok(operation) => {
            let mut response = json(StatusCode::ACCEPTED, &*operation.view());
            let location = format!("{OPERATIONS}/{}", operation.id());
            let location = HeaderValue::from_str(&location).expect("ids are plain");
            response.headers_mut().insert(header::LOCATION, location);
            response
        }
        Err(busy) => later(refuse(ErrorCode::TooManyRequests, busy)),
    }
}

fn tell(prewarm: &Prewarm, id: &str) -> Response<Body> {
    let Some(operation) = prewarm.get(id) else { return unknown(id) };
    let Some(room) = prewarm.room_to_watch() else {
        return later(refuse(ErrorCode::Unavailable, "as many follow operations as may; ask for it as JSON"));
    };
    let mut response = Response::new(Body::from_stream(events::of(operation, events::Pace::default(), room)));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Whether a client names events in what it accepts; `*/*` is no wish for them.
fn wants_events(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    accepted.flat_map(|value| value.split(',')).any(|range| media_type::essence(range) == "text/event-stream")
}

fn unknown(id: &str) -> Response<Body> {
    let id: String = id.chars().take(64).collect();
    refuse(
        ErrorCode::OperationUnknown,
        format!("there is no operation {id:?}; those that are over are forgotten after a while, and when the process ends"),
    )
}

fn json(status: StatusCode, value: &impl Serialize) -> Response<Body> {
    let bytes = serde_json::to_vec(value).expect("what we answer is always JSON");
    let mut response = Response::new(Body::from(bytes));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn refuse(code: ErrorCode, message: impl fmt::Display) -> Response<Body> {
    let entry = ErrorEntry { code, message: message.to_string(), detail: serde_json::Value::Null };
    json(code.status(), &ErrorBody { errors: vec![entry] })
}

fn later(mut response: Response<Body>) -> Response<Body> {
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(RETRY_AFTER_SECONDS));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_its_own_paths() {
        assert_eq!(Place::of("/v2/_longshore/prewarm"), Some(Place::Prewarm));
        assert_eq!(Place::of("/v2/_longshore/operations"), Some(Place::Operations));
        assert_eq!(Place::of("/v2/_longshore/operations/op_1"), Some(Place::Operation("op_1")));
        for other in ["/v2/_longshore/prewarm/", "/v2/_longshore/operations/", "/v2/_longshore/operations/a/b", "/v2/"] {
            assert!(!is_own(other), "{other}");
        }
    }

    #[test]
    fn events_are_for_who_names_them() {
        let of = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(header::ACCEPT, HeaderValue::from_static(value));
            }
            wants_events(&headers)
        };
        assert!(of(&["text/event-stream"]) && of(&["application/json;q=0.1, Text/Event-Stream; charset=utf-8"]));
        assert!(of(&["application/json", "text/event-stream"]));
        assert!(!of(&[]) && !of(&["*/*"]) && !of(&["text/*"]) && !of(&["application/json"]));
    }
}
