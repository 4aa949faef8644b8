//! The one place where an error becomes an answer.

use axum::body::Body;
use http::{HeaderValue, Response, StatusCode, header};
use longshore_oci::{ErrorBody, ErrorCode, ErrorEntry, RouteError};
use serde_json::{Value, json};

use crate::{
    delivery::DeliveryError, error::Error, policy::Violation, state::StateError, storage::StorageError, upload::UploadError,
};

/// What a client is told.
struct Refusal {
    status: StatusCode,
    code: ErrorCode,
    detail: Value,
    headers: Vec<(header::HeaderName, String)>,
}

impl Refusal {
    fn new(code: ErrorCode) -> Self {
        Self { status: code.status(), code, detail: Value::Null, headers: Vec::new() }
    }

    fn status(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }

    fn detail(self, detail: Value) -> Self {
        Self { detail, ..self }
    }

    fn header(mut self, name: header::HeaderName, value: impl std::fmt::Display) -> Self {
        self.headers.push((name, format!("{value}")));
        self
    }

    /// Something that passes: the client should come again.
    fn later(code: ErrorCode) -> Self {
        Self::new(code).header(header::RETRY_AFTER, 1)
    }
}

/// The answer that tells a client what was wrong, as the specification's JSON. Errors of our own making are logged here, once.
pub fn refuse(error: &Error, request_id: &str) -> Response<Body> {
    let refusal = judge(error);
    // That an issuer does not answer is logged once by who asks it; anybody can have it asked.
    if refusal.status.is_server_error() && !matches!(error, Error::IssuerUnavailable(_)) {
        tracing::error!(request_id, status = refusal.status.as_u16(), error = error as &dyn std::error::Error, "request failed");
    } else if matches!(error, Error::Upload(UploadError::Interrupted { .. })) {
        tracing::info!(request_id, "{error}");
    }
    let message = match (refusal.status, error) {
        // What is inside is for the logs; the id leads there.
        (StatusCode::INTERNAL_SERVER_ERROR, _) => format!("the registry failed; its log says more about request {request_id}"),
        (_, Error::State(StateError::LastAdministrator)) => "it is the last administrator; make another one first".to_owned(),
        (_, Error::State(StateError::CertificateTaken { identity, account })) => {
            format!("{identity} is the certificate of the account {account:?}; take it from there first")
        }
        (_, Error::State(_) | Error::Storage(_) | Error::Delivery(_)) => {
            format!("a part of the registry does not answer; try again in a moment (request {request_id})")
        }
        _ => error.to_string(),
    };
    let entry = ErrorEntry { code: refusal.code, message, detail: refusal.detail };
    let body = serde_json::to_vec(&ErrorBody { errors: vec![entry] }).expect("an error is always JSON");
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = refusal.status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    for (name, value) in refusal.headers {
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(name, value);
        }
    }
    response
}

fn judge(error: &Error) -> Refusal {
    match error {
        Error::Route(route) => judge_route(*route),
        Error::Method { allowed, .. } => Refusal::new(ErrorCode::Unsupported).header(header::ALLOW, allowed),
        Error::BlobUnknown(digest) | Error::BlobDamaged(digest) => {
            Refusal::new(ErrorCode::BlobUnknown).detail(json!({ "digest": digest }))
        }
        Error::BlobNeeded { digest, manifest } => Refusal::new(ErrorCode::Denied)
            .status(StatusCode::METHOD_NOT_ALLOWED)
            .detail(json!({ "digest": digest, "manifest": manifest }))
            .header(header::ALLOW, "GET, HEAD"),
        Error::ManifestUnknown(reference) => Refusal::new(ErrorCode::ManifestUnknown).detail(json!({ "reference": reference })),
        Error::RepositoryUnknown(name) => Refusal::new(ErrorCode::NameUnknown).detail(json!({ "name": name.as_str() })),
        Error::UploadUnknown(_) => Refusal::new(ErrorCode::BlobUploadUnknown),
        Error::UploadBusy(_) => Refusal::later(ErrorCode::BlobUploadInvalid).status(StatusCode::CONFLICT),
        Error::DigestParameter { .. } | Error::DigestMissing => Refusal::new(ErrorCode::DigestInvalid),
        Error::ManifestDigest { expected, actual } => {
            Refusal::new(ErrorCode::DigestInvalid).detail(json!({ "expected": expected, "actual": actual }))
        }
        Error::Denied(violations) => {
            let policies = violations.iter().map(|Violation { policy, reason }| json!({ "policy": policy, "reason": reason }));
            Refusal::new(ErrorCode::Denied).detail(json!({ "policies": policies.collect::<Value>() }))
        }
        Error::ManifestInvalid(_) => Refusal::new(ErrorCode::ManifestInvalid),
        Error::ReferencesMissing(digests) => Refusal::new(ErrorCode::ManifestBlobUnknown).detail(json!({ "digests": digests })),
        Error::ManifestTooLarge { .. } | Error::BodyTooLarge { .. } => {
            Refusal::new(ErrorCode::SizeInvalid).status(StatusCode::PAYLOAD_TOO_LARGE)
        }
        Error::NotAcceptable(media_type) => {
            Refusal::new(ErrorCode::ManifestUnknown).status(StatusCode::NOT_ACCEPTABLE).detail(json!({ "mediaType": media_type }))
        }
        Error::TooManyTags { .. } => Refusal::new(ErrorCode::TagInvalid).status(StatusCode::URI_TOO_LONG),
        Error::TagInvalid(_) => Refusal::new(ErrorCode::TagInvalid),
        Error::ChunkOutOfOrder { offset_bytes, location, .. } => Refusal::new(ErrorCode::RangeInvalid)
            .header(header::LOCATION, location)
            .header(header::RANGE, super::upload_range(*offset_bytes)),
        Error::ContentRange(_) => Refusal::new(ErrorCode::RangeInvalid).status(StatusCode::BAD_REQUEST),
        Error::ChunkLength { .. } | Error::Body(_) => Refusal::new(ErrorCode::SizeInvalid),
        Error::RangeNotSatisfiable { size_bytes } => {
            Refusal::new(ErrorCode::RangeInvalid).header(header::CONTENT_RANGE, format!("bytes */{size_bytes}"))
        }
        Error::Unauthorized { challenge, .. } => {
            Refusal::new(ErrorCode::Unauthorized).header(header::WWW_AUTHENTICATE, challenge)
        }
        Error::Forbidden { .. } => Refusal::new(ErrorCode::Denied),
        Error::LoginThrottled { wait, .. } => {
            Refusal::new(ErrorCode::TooManyRequests).header(header::RETRY_AFTER, wait.as_secs().max(1))
        }
        // The reason is one that clients know (distribution-spec extensions of the field).
        Error::Throttled(throttled) => Refusal::new(ErrorCode::TooManyRequests)
            .header(header::RETRY_AFTER, throttled.wait.as_secs().max(1))
            .detail(json!({ "reason": "429_IMAGE_PULL_THROTTLED" })),
        Error::TokenRequest(_) | Error::PolicyRequest(_) | Error::AuditQuery(_) | Error::EventsQuery(_) | Error::Condition => {
            Refusal::new(ErrorCode::Unsupported).status(StatusCode::BAD_REQUEST)
        }
        Error::AuthOff | Error::AuditOff => Refusal::new(ErrorCode::Unsupported).status(StatusCode::NOT_FOUND),
        Error::AccountUnknown(name) => Refusal::new(ErrorCode::AccountUnknown).detail(json!({ "name": name })),
        Error::AccountExists(name) => Refusal::new(ErrorCode::AccountExists).detail(json!({ "name": name })),
        Error::State(StateError::CertificateTaken { account, .. }) => {
            Refusal::new(ErrorCode::AccountExists).detail(json!({ "name": account }))
        }
        Error::AccountInvalid(_) => Refusal::new(ErrorCode::AccountInvalid),
        Error::OwnAccount(_) | Error::State(StateError::LastAdministrator) => {
            Refusal::new(ErrorCode::Denied).status(StatusCode::CONFLICT)
        }
        Error::RoleUnknown(id) => Refusal::new(ErrorCode::RoleUnknown).detail(json!({ "id": id })),
        Error::RoleInvalid(_) => Refusal::new(ErrorCode::RoleInvalid),
        Error::IssuerUnavailable(_) => Refusal::later(ErrorCode::Unavailable),
        Error::IssuerUnknown(name) => Refusal::new(ErrorCode::IssuerUnknown).detail(json!({ "name": name })),
        Error::IssuerInvalid(_) => Refusal::new(ErrorCode::IssuerInvalid),
        Error::IssuerChanged(name) => Refusal::new(ErrorCode::IssuerChanged).detail(json!({ "name": name })),
        Error::TokenRefused(_) => Refusal::new(ErrorCode::TokenRefused),
        Error::PolicyUnknown(name) => Refusal::new(ErrorCode::PolicyUnknown).detail(json!({ "name": name })),
        Error::PolicyInvalid(problems) => Refusal::new(ErrorCode::PolicyInvalid).detail(json!({ "problems": problems })),
        Error::PolicyChanged { .. } => Refusal::new(ErrorCode::PolicyChanged),
        Error::Page(_) => Refusal::new(ErrorCode::PaginationNumberInvalid),
        Error::Overloaded | Error::NoKey | Error::NoBudget(_) | Error::Delivery(DeliveryError::NoBudget(_)) => {
            Refusal::later(ErrorCode::Unavailable)
        }
        Error::Upload(error) => judge_upload(error),
        Error::Delivery(DeliveryError::Damaged { .. }) => Refusal::new(ErrorCode::BlobUnknown),
        Error::Delivery(DeliveryError::Storage { source, .. }) | Error::Storage(source) => judge_storage(source),
        Error::State(error) => judge_state(error),
    }
}

fn judge_route(error: RouteError) -> Refusal {
    use longshore_oci::InvalidReference;
    match error {
        RouteError::Unknown => Refusal::new(ErrorCode::Unsupported).status(StatusCode::NOT_FOUND),
        RouteError::Name(_) => Refusal::new(ErrorCode::NameInvalid),
        RouteError::Digest(_) | RouteError::Reference(InvalidReference::Digest(_)) => Refusal::new(ErrorCode::DigestInvalid),
        RouteError::Reference(InvalidReference::Tag(_)) => Refusal::new(ErrorCode::TagInvalid),
    }
}

fn judge_upload(error: &UploadError) -> Refusal {
    match error {
        UploadError::Interrupted { .. } => Refusal::new(ErrorCode::BlobUploadInvalid),
        UploadError::TooLarge { .. } => Refusal::new(ErrorCode::SizeInvalid).status(StatusCode::PAYLOAD_TOO_LARGE),
        UploadError::DigestMismatch { expected, actual } => {
            Refusal::new(ErrorCode::DigestInvalid).detail(json!({ "expected": expected, "actual": actual }))
        }
        UploadError::ClaimLost => Refusal::later(ErrorCode::BlobUploadInvalid).status(StatusCode::CONFLICT),
        UploadError::NoBudget(_) => Refusal::later(ErrorCode::Unavailable),
        UploadError::Storage(error) => judge_storage(error),
        UploadError::State(error) => judge_state(error),
        UploadError::HashState(_) | UploadError::Damaged { .. } | UploadError::Task(_) => Refusal::new(ErrorCode::Unknown),
    }
}

fn judge_storage(error: &StorageError) -> Refusal {
    if error.is_transient() { Refusal::later(ErrorCode::Unavailable) } else { Refusal::new(ErrorCode::Unknown) }
}

fn judge_state(error: &StateError) -> Refusal {
    match error {
        StateError::Unavailable(_) | StateError::Closed | StateError::Changed | StateError::Rebuilding => {
            Refusal::later(ErrorCode::Unavailable)
        }
        _ if error.is_conflict() => Refusal::later(ErrorCode::Unavailable),
        _ => Refusal::new(ErrorCode::Unknown),
    }
}
