//! The one place where an error becomes an answer: problem+json (RFC 9457).

use std::time::Duration;

use axum::body::Body;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use longshore_fleet::api::{Code, Problem};

use crate::{error::Error, image::ImageError, state::StateError};

/// What a client is told.
struct Refusal {
    problem: Problem,
    headers: Vec<(HeaderName, String)>,
}

impl Refusal {
    fn new(code: Code, error: &Error) -> Self {
        Self { problem: Problem::new(code, error.to_string()), headers: Vec::new() }
    }

    fn with(mut self, name: HeaderName, value: impl std::fmt::Display) -> Self {
        self.headers.push((name, value.to_string()));
        self
    }

    /// The client should come again.
    fn later(self, wait: Duration) -> Self {
        self.with(header::RETRY_AFTER, wait.as_secs().max(1))
    }
}

const SOON: Duration = Duration::from_secs(1);

/// What an error is, for programs.
pub fn code(error: &Error) -> Code {
    judge(error, "").problem.code
}

/// The answer that tells a client what was wrong. Errors of our own making are logged here, once.
pub fn refuse(error: &Error, request_id: &str) -> Response<Body> {
    let Refusal { problem, headers } = judge(error, request_id);
    let is_ours = matches!(problem.code, Code::Internal) || matches!(error, Error::State(_) if problem.status >= 500);
    if is_ours {
        tracing::error!(request_id, status = problem.status, error = error as &dyn std::error::Error, "request failed");
    }
    let bytes = serde_json::to_vec(&problem).unwrap_or_else(|_| unreachable!("a problem is always JSON"));
    let mut response = Response::new(Body::from(bytes));
    *response.status_mut() = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let map = response.headers_mut();
    map.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    for (name, value) in headers {
        if let Ok(value) = HeaderValue::try_from(value) {
            map.insert(name, value);
        }
    }
    response
}

fn judge(error: &Error, request_id: &str) -> Refusal {
    let of = |code| Refusal::new(code, error);
    match error {
        Error::PathUnknown | Error::NotFound { .. } => of(Code::NotFound),
        Error::Method { allowed, .. } => of(Code::MethodNotAllowed).with(header::ALLOW, allowed),
        Error::Request(_) | Error::Body(_) => of(Code::BadRequest),
        Error::Invalid(faults) => {
            let mut refusal = of(Code::Invalid);
            refusal.problem.faults = faults.iter().cloned().collect();
            refusal
        }
        Error::BodyTooLarge { .. } => of(Code::TooLarge),
        Error::Exists { .. } | Error::Taken(_) => of(Code::AlreadyExists),
        Error::Conflict(revision) => {
            let mut refusal = of(Code::WorkloadVersionConflict);
            refusal.problem.revision = *revision;
            refusal
        }
        Error::PreconditionRequired(_) => of(Code::PreconditionRequired),
        Error::RolloutInProgress(revision) => {
            let mut refusal = of(Code::RolloutInProgress);
            refusal.problem.revision = Some(*revision);
            refusal
        }
        Error::BeingDeleted(_) | Error::InUse(_) => of(Code::InUse),
        Error::NoRoom { unplaced, nearest } => {
            let mut refusal = of(Code::InsufficientCapacity);
            refusal.problem.shortfall_pods = Some(*unplaced);
            refusal.problem.nearest.clone_from(nearest);
            refusal
        }
        Error::Unauthorized { challenge, .. } => of(Code::Unauthorized).with(header::WWW_AUTHENTICATE, challenge),
        Error::Forbidden { .. } | Error::OfPage(_) => of(Code::Forbidden),
        Error::KeysUnavailable => of(Code::RegistryUnavailable).later(SOON),
        Error::Overloaded | Error::TimedOut(_) | Error::LeaderBrokeOff | Error::NoLeader | Error::NodeAway(_) => {
            of(Code::ControlPlaneDegraded).later(SOON)
        }
        Error::NotLeader(address) => {
            let refusal = of(Code::NotLeader).later(SOON);
            match address {
                Some(address) => refusal.with(header::LOCATION, address),
                None => refusal,
            }
        }
        Error::StreamUnknown => of(Code::StreamUnknown),
        Error::HistoryGone => of(Code::HistoryGone),
        Error::NotNow(_) => of(Code::TooManyRequests).later(SOON),
        Error::Image(image) => judge_image(image, error),
        Error::State(state) => judge_state(state, error, request_id),
    }
}

fn judge_image(image: &ImageError, error: &Error) -> Refusal {
    match image {
        ImageError::NotFound { .. } | ImageError::Unusable { .. } => Refusal::new(Code::ImageNotFound, error),
        ImageError::NotAllowed { .. } => Refusal::new(Code::ImageNotAllowed, error),
        ImageError::Throttled { wait, .. } => Refusal::new(Code::ImagePullThrottled, error).later(*wait),
        ImageError::Unavailable { .. } => Refusal::new(Code::RegistryUnavailable, error).later(SOON),
    }
}

fn judge_state(state: &StateError, error: &Error, request_id: &str) -> Refusal {
    let told = |code, detail: String| Refusal { problem: Problem::new(code, detail), headers: Vec::new() };
    match state {
        StateError::Unavailable(_) => {
            let detail = format!("the database does not answer; whether it was done, a GET tells (request {request_id})");
            told(Code::ControlPlaneDegraded, detail).later(SOON)
        }
        StateError::Exists => Refusal::new(Code::AlreadyExists, error),
        StateError::NotEmpty(_) => Refusal::new(Code::InUse, error),
        StateError::OverQuota { .. } => Refusal::new(Code::QuotaExceeded, error),
        StateError::OperationReused => Refusal::new(Code::OperationIdReused, error),
        StateError::NoSuchToken => Refusal::new(Code::Unauthorized, error),
        // Made into others before, as they come from the database.
        StateError::Changed(_) => Refusal::new(Code::WorkloadVersionConflict, error),
        StateError::TooOld => Refusal::new(Code::HistoryGone, error),
        StateError::NoNamespace(_) => Refusal::new(Code::NotFound, error),
        // What is inside is for the logs; the id leads there.
        _ => told(Code::Internal, format!("the orchestrator failed; its log says more about request {request_id}")),
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use longshore_fleet::{Faults, Place};

    use super::*;

    #[test]
    fn an_answer_has_the_status_that_its_code_begins_with() {
        let mut faults = Faults::default();
        faults.add(&Place::root().field("replicas"), "is too many");
        let errors = [
            Error::PathUnknown,
            Error::Invalid(faults),
            Error::Conflict(Some(7)),
            Error::NotLeader(Some("http://10.0.0.1:5300".into())),
            Error::State(StateError::Unavailable(sqlx::Error::PoolTimedOut)),
            Error::State(StateError::Fenced),
            Error::Forbidden { caller: IpAddr::from([1, 1, 1, 1]).to_string(), what: "look".into(), grant: "grant it".into() },
        ];
        for error in errors {
            let response = refuse(&error, "7");
            assert!(code(&error).as_str().starts_with(response.status().as_str()), "{error}");
            assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json");
        }
        let elsewhere = refuse(&Error::NotLeader(Some("http://10.0.0.1:5300".into())), "7");
        assert_eq!(elsewhere.headers()[header::LOCATION], "http://10.0.0.1:5300");
    }
}
