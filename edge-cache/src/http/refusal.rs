//! The one place where an error becomes an answer.

use std::{net::IpAddr, time::Duration};

use axum::body::Body;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use longshore_oci::{ErrorCode, InvalidReference, RouteError};
use serde_json::{Value, json};

use crate::{
    error::{About, Error},
    grants::Denied,
    upstream::{Pause, UpstreamError},
};

/// As much as is told of an upstream's own words.
const MOST_ENTRIES: usize = 10;
/// How long a client is asked to wait where nothing better is known.
const WAIT: Duration = Duration::from_secs(1);

/// Why a credential is not shown, and what can be done.
pub const DROPPED: &str = "the request named it in ns, in OCI-Namespace or in its path, and a credential is for the host that was asked; \
    takes_credentials = true of the upstream passes it on";

/// What a client is told.
#[derive(Debug)]
struct Refusal {
    status: StatusCode,
    entries: Vec<Value>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Refusal {
    fn new(code: ErrorCode, error: &Error) -> Self {
        let entry = json!({ "code": code, "message": error.to_string() });
        Self { status: code.status(), entries: vec![entry], headers: Vec::new() }
    }

    fn status(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }

    fn detail(mut self, detail: &Value) -> Self {
        for entry in &mut self.entries {
            entry["detail"] = detail.clone();
        }
        self
    }

    fn header(mut self, name: HeaderName, value: impl TryInto<HeaderValue>) -> Self {
        self.headers.extend(value.try_into().ok().map(|value| (name, value)));
        self
    }

    /// Something that passes: the client should come again.
    fn later(self, wait: impl Into<Option<Duration>>) -> Self {
        let wait = wait.into().unwrap_or(WAIT).max(WAIT);
        self.header(header::RETRY_AFTER, wait.as_secs() + u64::from(wait.subsec_nanos() > 0))
    }
}

/// What is told of a request in the log.
#[derive(Clone, Copy)]
pub struct Asking<'a> {
    /// Whose it was.
    pub client: IpAddr,
    /// What for.
    pub path: &'a str,
    /// Which upstream it was about; empty where that was not found out.
    pub upstream: &'a str,
    /// Whether the client shows a credential that this upstream does not see.
    pub is_dropped: bool,
}

/// The answer that tells a client what was wrong, as the specification's JSON. What is an upstream's fault or ours is logged here, once.
pub fn refuse(error: &Error, asking: Asking<'_>) -> Response<Body> {
    let mut refusal = judge(error);
    if refusal.status.is_server_error() || refusal.status == StatusCode::TOO_MANY_REQUESTS {
        let status = refusal.status.as_u16();
        let Asking { client, path, upstream, .. } = asking;
        tracing::warn!(%client, path, upstream, status, error = error as &dyn std::error::Error, "request failed");
    }
    if asking.is_dropped && is_for_want_of_rights(refusal.status) {
        let message = format!("the credential that came with this is not shown to {}: {DROPPED}", asking.upstream);
        refusal.entries.push(json!({ "code": ErrorCode::Unauthorized, "message": message }));
    }
    let body = json!({ "errors": refusal.entries }).to_string();
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = refusal.status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.headers_mut().extend(refusal.headers);
    response
}

/// Whether a refusal may be one for want of rights: some registries say of what they hide that it is not there.
pub fn is_for_want_of_rights(status: StatusCode) -> bool {
    matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND)
}

fn judge(error: &Error) -> Refusal {
    let of = |code| Refusal::new(code, error);
    match error {
        Error::Route(RouteError::Unknown)
        | Error::NotPassedOn
        | Error::NotLongshore(_)
        | Error::NotVouched(_)
        | Error::NoSwarm => of(ErrorCode::Unsupported).status(StatusCode::NOT_FOUND),
        Error::Route(RouteError::Name(_)) => of(ErrorCode::NameInvalid),
        Error::Route(RouteError::Digest(_) | RouteError::Reference(InvalidReference::Digest(_))) => of(ErrorCode::DigestInvalid),
        Error::Route(RouteError::Reference(InvalidReference::Tag(_))) => of(ErrorCode::TagInvalid),
        Error::Loop(_) => of(ErrorCode::Unsupported).status(StatusCode::LOOP_DETECTED),
        Error::Method(_) => of(ErrorCode::Unsupported).header(header::ALLOW, HeaderValue::from_static("GET, HEAD")),
        Error::NamespaceUnknown(_) | Error::NoDefault => of(ErrorCode::NameUnknown),
        Error::Credentials(_) => of(ErrorCode::Unauthorized).status(StatusCode::BAD_REQUEST),
        Error::Denied(denied) => judge_denied(error, denied, &About::Upstream),
        Error::Refused { denied, about } => judge_denied(error, denied, about),
        Error::ManifestDamaged { expected, actual, .. } => {
            of(ErrorCode::Unknown).status(StatusCode::BAD_GATEWAY).detail(&json!({ "expected": expected, "actual": actual }))
        }
        Error::BlobWrong(_) => of(ErrorCode::Unknown).status(StatusCode::BAD_GATEWAY),
        Error::NotAcceptable(kind) => {
            of(ErrorCode::ManifestUnknown).status(StatusCode::NOT_ACCEPTABLE).detail(&json!({ "mediaType": kind }))
        }
        Error::RangeNotSatisfiable { size_bytes } => {
            of(ErrorCode::RangeInvalid).header(header::CONTENT_RANGE, format!("bytes */{size_bytes}"))
        }
        Error::Overloaded => of(ErrorCode::Unavailable).later(WAIT),
        Error::Store(_) => of(ErrorCode::Unknown),
    }
}

fn judge_denied(error: &Error, denied: &Denied, about: &About) -> Refusal {
    let of = |code| Refusal::new(code, error);
    match denied {
        Denied::Overloaded => of(ErrorCode::Unavailable).later(WAIT),
        Denied::FailedLogins { retry_after } => of(ErrorCode::TooManyRequests).later(*retry_after),
        Denied::NotARegistry { .. } | Denied::Upstream(UpstreamError::Malformed { .. }) => {
            of(ErrorCode::Unknown).status(StatusCode::BAD_GATEWAY)
        }
        Denied::Upstream(UpstreamError::Refused { status, errors, retry_after, challenge, .. }) => {
            let mut refusal = judge_status(error, *status, about);
            // What an upstream says of its own failures is for its logs.
            if !errors.is_empty() && status.is_client_error() {
                let told = errors.iter().take(MOST_ENTRIES);
                let entry = |told: &longshore_client::Refusal| match &told.detail {
                    Value::Null => json!({ "code": told.code, "message": told.message }),
                    detail => json!({ "code": told.code, "message": told.message, "detail": detail }),
                };
                refusal.entries = told.map(entry).collect();
            }
            if let (StatusCode::UNAUTHORIZED, Some(challenge)) = (*status, challenge) {
                refusal = refusal.header(header::WWW_AUTHENTICATE, challenge.clone());
            }
            let passes = matches!(refusal.status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
            if passes { refusal.later(*retry_after) } else { refusal }
        }
        Denied::Upstream(UpstreamError::Paused { reason, retry_after, .. }) => {
            let code = if *reason == Pause::Limited { ErrorCode::TooManyRequests } else { ErrorCode::Unavailable };
            of(code).later(*retry_after)
        }
        Denied::Upstream(error) if error.is_down() => of(ErrorCode::Unavailable).later(error.retry_after()),
        Denied::Upstream(_) => of(ErrorCode::Unknown).status(StatusCode::BAD_GATEWAY),
    }
}

/// What an upstream's status comes to for its clients.
fn judge_status(error: &Error, status: StatusCode, about: &About) -> Refusal {
    let of = |code| Refusal::new(code, error);
    match status {
        StatusCode::UNAUTHORIZED => of(ErrorCode::Unauthorized),
        StatusCode::FORBIDDEN => of(ErrorCode::Denied),
        StatusCode::NOT_FOUND => missing(about),
        StatusCode::TOO_MANY_REQUESTS => of(ErrorCode::TooManyRequests),
        StatusCode::LOOP_DETECTED => circle(error),
        status if status.is_client_error() => of(ErrorCode::Unsupported).status(status),
        status if status.is_server_error() => of(ErrorCode::Unavailable),
        _ => of(ErrorCode::Unknown).status(StatusCode::BAD_GATEWAY),
    }
}

/// That upstreams lead from cache to cache and to no registry, which a HEAD is told without words.
fn circle(error: &Error) -> Refusal {
    let message = format!("{error}; the upstreams of caches lead in a circle, and to no registry");
    let entry = json!({ "code": ErrorCode::Unsupported, "message": message });
    Refusal { status: StatusCode::LOOP_DETECTED, entries: vec![entry], headers: Vec::new() }
}

/// That an upstream has no such thing. Whoever is told so has named it, if by a name that means this one.
fn missing(about: &About) -> Refusal {
    let (code, message, detail) = match about {
        About::Upstream => (ErrorCode::Unsupported, "the upstream has no such path".to_owned(), Value::Null),
        About::Repository(name) => {
            (ErrorCode::NameUnknown, format!("the upstream has no such thing in {name}"), json!({ "name": name.as_str() }))
        }
        About::Manifest(name, reference) => {
            let message = format!("the upstream's repository {name} has no manifest {reference}");
            (ErrorCode::ManifestUnknown, message, json!({ "reference": reference.as_str() }))
        }
        About::Blob(name, digest) => {
            let message = format!("the upstream's repository {name} has no blob {digest}");
            (ErrorCode::BlobUnknown, message, json!({ "digest": digest }))
        }
    };
    let entry = json!({ "code": code, "message": message, "detail": detail });
    Refusal { status: StatusCode::NOT_FOUND, entries: vec![entry], headers: Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::Pause::{Busy, Failing, Limited};

    #[test]
    fn a_circle_is_told_as_one_from_cache_to_cache() {
        let (errors, retry_after, challenge) = (Vec::new(), None, None);
        let status = StatusCode::LOOP_DETECTED;
        let refused = UpstreamError::Refused { upstream: "up".into(), status, errors, retry_after, challenge };
        assert!(refused.is_loop() && !refused.is_away());
        let refusal = judge(&Error::Denied(Denied::Upstream(refused)).about(About::Upstream));
        assert_eq!((refusal.status, refusal.headers.len()), (status, 0));
        assert!(refusal.entries[0]["message"].as_str().unwrap().contains("circle"), "{refusal:?}");
    }

    #[test]
    fn what_is_missing_is_named_with_its_repository() {
        let (errors, retry_after, challenge) = (Vec::new(), None, None);
        let refused =
            UpstreamError::Refused { upstream: "up".into(), status: StatusCode::NOT_FOUND, errors, retry_after, challenge };
        let reference = longshore_oci::Reference::Tag("v1".parse().unwrap());
        let about = About::Manifest("library/alpine".parse().unwrap(), reference);
        let refusal = judge(&Error::Denied(Denied::Upstream(refused)).about(about));
        assert_eq!(refusal.entries[0]["message"], "the upstream's repository library/alpine has no manifest v1");
    }

    #[test]
    fn who_asks_too_often_is_told_so_and_when_to_come_again() {
        let wait = Duration::from_secs(7);
        let paused = |reason| UpstreamError::Paused { upstream: "up".into(), reason, retry_after: wait };
        let limited = UpstreamError::Refused {
            upstream: "up".into(),
            status: StatusCode::TOO_MANY_REQUESTS,
            errors: Vec::new(),
            retry_after: Some(wait),
            challenge: None,
        };
        let upstreams = [(limited, 429), (paused(Limited), 429), (paused(Busy), 503), (paused(Failing), 503)];
        let denied = upstreams.map(|(error, status)| (Denied::Upstream(error), status));
        for (denied, status) in denied.into_iter().chain([(Denied::FailedLogins { retry_after: wait }, 429)]) {
            let asking = Asking { client: IpAddr::from([127, 0, 0, 1]), path: "/v2/", upstream: "up", is_dropped: false };
            let response = refuse(&Error::Denied(denied), asking);
            assert_eq!(response.status().as_u16(), status);
            assert_eq!(response.headers()[header::RETRY_AFTER], "7");
        }
    }
}
