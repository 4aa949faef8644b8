use http::StatusCode;
use serde::{Deserialize, Serialize};

/// The codes of a registry's refusals (distribution-spec, "Error Codes"), each with the status that usually bears it.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ErrorCode {
    /// The blob is not in this repository.
    BlobUnknown,
    /// The upload broke off, or can't be gone on with as asked.
    BlobUploadInvalid,
    /// There is no such upload.
    BlobUploadUnknown,
    /// The digest is malformed, unsupported, or not that of the content.
    DigestInvalid,
    /// A manifest names a blob or manifest that is not in this repository.
    ManifestBlobUnknown,
    /// The manifest can't be read as one.
    ManifestInvalid,
    /// The manifest is not in this repository.
    ManifestUnknown,
    /// The repository's name breaks the grammar.
    NameInvalid,
    /// There is no such repository.
    NameUnknown,
    /// A length, or a range, is not that of the content.
    SizeInvalid,
    /// The caller has not said who it is.
    Unauthorized,
    /// The caller may not.
    Denied,
    /// The operation is not one of this registry's.
    Unsupported,
    /// Too many requests.
    #[serde(rename = "TOOMANYREQUESTS")]
    TooManyRequests,
    /// The tag breaks the grammar.
    TagInvalid,
    /// A page's bounds can't be read.
    PaginationNumberInvalid,
    /// The chunk does not begin where the upload stands.
    RangeInvalid,
    /// There is no such account.
    AccountUnknown,
    /// An account can't be as it should be made.
    AccountInvalid,
    /// There is an account of this name.
    AccountExists,
    /// There is no such role.
    RoleUnknown,
    /// A role can't be as it should be made.
    RoleInvalid,
    /// There is no such issuer.
    IssuerUnknown,
    /// An issuer can't be as it should be made.
    IssuerInvalid,
    /// An issuer is not as its change expects it.
    IssuerChanged,
    /// A token is not one to log in with.
    TokenRefused,
    /// There is no such policy document.
    PolicyUnknown,
    /// A policy document makes no sense, or can't be where it should be.
    PolicyInvalid,
    /// The policy document is another than the caller has seen.
    PolicyChanged,
    /// There is no such operation.
    OperationUnknown,
    /// An operation can't be as it is asked for.
    OperationInvalid,
    /// A part of the registry is out of order or too busy; trying again later can help.
    Unavailable,
    /// The registry failed in a way that is its own fault.
    Unknown,
}

impl ErrorCode {
    /// The status that bears the code where an operation does not call for another.
    pub fn status(self) -> StatusCode {
        match self {
            Self::BlobUnknown
            | Self::BlobUploadUnknown
            | Self::ManifestUnknown
            | Self::NameUnknown
            | Self::ManifestBlobUnknown
            | Self::AccountUnknown
            | Self::RoleUnknown
            | Self::IssuerUnknown
            | Self::PolicyUnknown
            | Self::OperationUnknown => StatusCode::NOT_FOUND,
            Self::BlobUploadInvalid
            | Self::DigestInvalid
            | Self::ManifestInvalid
            | Self::NameInvalid
            | Self::SizeInvalid
            | Self::TagInvalid
            | Self::PaginationNumberInvalid
            | Self::AccountInvalid
            | Self::RoleInvalid
            | Self::IssuerInvalid
            | Self::PolicyInvalid
            | Self::OperationInvalid => StatusCode::BAD_REQUEST,
            Self::AccountExists => StatusCode::CONFLICT,
            Self::IssuerChanged | Self::PolicyChanged => StatusCode::PRECONDITION_FAILED,
            Self::TokenRefused => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::Denied => StatusCode::FORBIDDEN,
            Self::Unsupported => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooManyRequests => StatusCode::TOO_MANY_REQUESTS,
            Self::RangeInvalid => StatusCode::RANGE_NOT_SATISFIABLE,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Unknown => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

/// The JSON of a refusal: `{"errors": [...]}`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct ErrorBody {
    /// At least one.
    pub errors: Vec<ErrorEntry>,
}

/// One thing that was wrong.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct ErrorEntry {
    /// For programs.
    pub code: ErrorCode,
    /// For people.
    #[serde(default)]
    pub message: String,
    /// What it was about, in any shape.
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    pub detail: serde_json::Value,
}
