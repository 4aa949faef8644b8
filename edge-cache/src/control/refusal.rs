use http::{HeaderValue, Method, StatusCode, header};
use longshore_oci::{ErrorBody, ErrorCode, ErrorEntry, InvalidDigest};

use super::{Answer, json};
use crate::{store::StoreError, upstream::UpstreamError};

/// Why something is not done.
#[derive(Debug)]
pub struct Refusal {
    pub status: StatusCode,
    code: ErrorCode,
    message: String,
    header: Option<(header::HeaderName, &'static str)>,
}

impl Refusal {
    fn new(status: StatusCode, code: ErrorCode, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), header: None }
    }

    /// There is no such path.
    pub fn unknown() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            ErrorCode::Unsupported,
            "there is no such path; the cache has status, blobs, layers, transfers, pins and scrub",
        )
    }

    /// The path has other methods.
    pub fn method(method: &Method, allowed: &'static str) -> Self {
        let refusal = Self::new(StatusCode::METHOD_NOT_ALLOWED, ErrorCode::Unsupported, format!("{method} is not served here"));
        Self { header: Some((header::ALLOW, allowed)), ..refusal }
    }

    /// Whoever calls has not shown that it looks after the edge.
    pub fn unauthorized(message: &'static str) -> Self {
        let refusal = Self::new(StatusCode::UNAUTHORIZED, ErrorCode::Unauthorized, message);
        Self { header: Some((header::WWW_AUTHENTICATE, "Bearer")), ..refusal }
    }

    /// What is asked makes no sense.
    pub fn request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, ErrorCode::Unsupported, message)
    }

    /// A digest can't be read.
    pub fn digest(error: InvalidDigest) -> Self {
        Self::new(StatusCode::BAD_REQUEST, ErrorCode::DigestInvalid, error.to_string())
    }

    /// There is nothing of it here.
    pub fn nothing(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, ErrorCode::BlobUnknown, message)
    }

    /// What there is stands against it.
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, ErrorCode::Denied, message)
    }

    /// An upstream was asked for the edge's own sake, and did not say.
    pub fn upstream(error: &UpstreamError) -> Self {
        let told = without_codes(error);
        match error {
            UpstreamError::Refused { status, .. } if *status == StatusCode::NOT_FOUND => {
                Self::new(StatusCode::NOT_FOUND, ErrorCode::ManifestUnknown, told)
            }
            UpstreamError::Refused { status, .. } if matches!(status.as_u16(), 401 | 403) => {
                let message = format!("the cache's own account may not see it: {told}");
                Self::new(StatusCode::FORBIDDEN, ErrorCode::Denied, message)
            }
            _ => Self::new(StatusCode::BAD_GATEWAY, ErrorCode::Unavailable, told),
        }
    }

    /// More is at work than may be.
    pub fn busy(message: &'static str) -> Self {
        let refusal = Self::new(StatusCode::SERVICE_UNAVAILABLE, ErrorCode::Unavailable, message);
        Self { header: Some((header::RETRY_AFTER, "2")), ..refusal }
    }

    /// What an upstream sent can't be used.
    pub fn malformed(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_GATEWAY, ErrorCode::ManifestInvalid, message)
    }

    /// The store said no, or failed.
    pub fn store(error: &StoreError) -> Self {
        let message = told(error);
        if matches!(error, StoreError::PinsExceedQuota { .. } | StoreError::TooManyPins { .. } | StoreError::Pinned { .. }) {
            return Self::conflict(message);
        }
        tracing::error!(error = error as &dyn std::error::Error, "what was asked of the cache failed");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, ErrorCode::Unknown, message)
    }

    /// As an answer.
    pub fn into_answer(self) -> Answer {
        let entry = ErrorEntry { code: self.code, message: self.message, detail: serde_json::Value::Null };
        let mut answer = json(self.status, &ErrorBody { errors: vec![entry] });
        if let Some((name, value)) = self.header {
            answer.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        answer
    }
}

/// What an upstream's error comes to, without the upstream's own codes: what is answered has one.
fn without_codes(error: &UpstreamError) -> String {
    let UpstreamError::Refused { upstream, status, errors, .. } = error else { return told(error) };
    let said: Vec<&str> = errors.iter().map(|said| said.message.as_str()).filter(|message| !message.is_empty()).collect();
    let said = if said.is_empty() { String::new() } else { format!(": {}", said.join("; ")) };
    format!("{upstream} answered {status}{said}")
}

/// An error and the reasons under it, in one line.
fn told(error: &impl std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = std::error::Error::source(error);
    while let Some(source) = next {
        text = format!("{text}: {source}");
        next = source.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: StatusCode, code: &str, message: &str) -> UpstreamError {
        let said =
            longshore_client::Refusal { code: code.to_owned(), message: message.to_owned(), detail: serde_json::Value::Null };
        UpstreamError::Refused { upstream: "up".into(), status, errors: vec![said], retry_after: None, challenge: None }
    }

    #[test]
    fn one_code_is_told_and_that_is_ours() {
        let missing = Refusal::upstream(&refused(StatusCode::NOT_FOUND, "MANIFEST_UNKNOWN", "there is no v1"));
        assert_eq!(
            (missing.code, missing.message.as_str()),
            (ErrorCode::ManifestUnknown, "up answered 404 Not Found: there is no v1")
        );
        let closed = Refusal::upstream(&refused(StatusCode::UNAUTHORIZED, "UNAUTHORIZED", ""));
        let expected = "the cache's own account may not see it: up answered 401 Unauthorized";
        assert_eq!((closed.code, closed.message.as_str()), (ErrorCode::Denied, expected));
    }
}
