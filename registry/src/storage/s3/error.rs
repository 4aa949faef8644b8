use std::error::Error;

use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use longshore_service::error_text::with_sources;

use super::super::{ObjectKey, StorageError};

/// Codes of refusals that pass, whatever status they come with.
const TRANSIENT_CODES: [&str; 7] = [
    "InternalError",
    "OperationAborted",
    "RequestTimeout",
    "ServiceUnavailable",
    "SlowDown",
    "Throttling",
    "ThrottlingException",
];

/// Codes of an absent object; an answer to HEAD has no body, and its code is made from the status.
const ABSENT_CODES: [&str; 3] = ["NoSuchKey", "NoSuchUpload", "NotFound"];

/// A failed call, as the store's error.
pub(super) fn failed<E>(operation: &'static str, key: &ObjectKey, error: &SdkError<E>) -> StorageError
where
    E: ProvideErrorMetadata + Error + 'static,
{
    let key = key.to_string();
    if is_absent(error) { StorageError::NotFound { key } } else { refused(operation, key, error) }
}

/// A failed call that is about the whole bucket, so that an absent object is not what a 404 means.
pub(super) fn failed_bucket<E>(operation: &'static str, bucket: &str, error: &SdkError<E>) -> StorageError
where
    E: ProvideErrorMetadata + Error + 'static,
{
    refused(operation, format!("bucket {bucket}"), error)
}

/// An error that S3 answered for one key of several, or that its body showed.
pub(super) fn answered(operation: &'static str, key: String, code: &str, message: &str) -> StorageError {
    StorageError::S3 { operation, key, message: format!("{code}: {message}"), is_transient: TRANSIENT_CODES.contains(&code) }
}

/// Whether the answer says that there is no such object or upload.
fn is_absent<E: ProvideErrorMetadata>(error: &SdkError<E>) -> bool {
    match error {
        SdkError::ServiceError(refusal) => {
            let is_404 = refusal.raw().status().as_u16() == 404;
            refusal.err().code().map_or(is_404, |code| ABSENT_CODES.contains(&code))
        }
        _ => false,
    }
}

fn refused<E>(operation: &'static str, key: String, error: &SdkError<E>) -> StorageError
where
    E: ProvideErrorMetadata + Error + 'static,
{
    let (message, is_transient) = match error {
        SdkError::ServiceError(refusal) => {
            let status = refusal.raw().status().as_u16();
            let code = refusal.err().code().unwrap_or("no code");
            let words = refusal.err().message().unwrap_or("no message");
            (format!("{status} {code}: {words}"), status >= 500 || status == 429 || TRANSIENT_CODES.contains(&code))
        }
        SdkError::ConstructionFailure(_) => (with_sources(error), false),
        _ => (with_sources(error), true),
    };
    StorageError::S3 { operation, key, message, is_transient }
}
