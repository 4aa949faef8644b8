//! What can go wrong with a request; `http/refusal.rs` says it to the client.

use std::time::Duration;

use longshore_oci::{
    ContentRange, Digest, InvalidContentRange, InvalidDigest, InvalidManifest, InvalidTag, RepositoryName, RouteError,
};

use crate::{
    delivery::DeliveryError,
    policy::Violation,
    state::StateError,
    storage::StorageError,
    throttle::Throttled,
    upload::{NoBudget, UploadError},
};

/// Why a request was not granted.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The path is no route, or a part of it breaks its grammar.
    #[error(transparent)]
    Route(#[from] RouteError),
    /// The path has no such method.
    #[error("{method} is not an operation of this path; {allowed} are")]
    Method {
        /// The request's.
        method: http::Method,
        /// What the path has.
        allowed: &'static str,
    },
    /// No such blob here.
    #[error("the repository has no blob {0}")]
    BlobUnknown(Digest),
    /// The blob was here, and its bytes have gone bad.
    #[error("the stored bytes of blob {0} are damaged; push it again to replace them")]
    BlobDamaged(Digest),
    /// A manifest is made of the blob.
    #[error("blob {digest} is part of manifest {manifest}; delete that first")]
    BlobNeeded {
        /// The blob.
        digest: Digest,
        /// The manifest.
        manifest: Digest,
    },
    /// No such manifest here.
    #[error("the repository has no manifest {0}")]
    ManifestUnknown(String),
    /// No such repository.
    #[error("there is no repository {0}")]
    RepositoryUnknown(RepositoryName),
    /// No such upload.
    #[error("there is no upload {0} in this repository; it was finished, cancelled or has expired")]
    UploadUnknown(String),
    /// Somebody else writes to the upload.
    #[error("another request is writing to upload {0}; ask for its status and go on from there")]
    UploadBusy(String),
    /// A digest in the query is missing or can't be read.
    #[error("the parameter {parameter} is no digest: {reason}")]
    DigestParameter {
        /// Which.
        parameter: &'static str,
        /// Why.
        reason: InvalidDigest,
    },
    /// A finished upload needs its digest.
    #[error("the digest of the content must be given as the parameter digest")]
    DigestMissing,
    /// The manifest pushed by digest has another.
    #[error("the manifest's digest is {actual}, not {expected}")]
    ManifestDigest {
        /// The path's.
        expected: Digest,
        /// The content's.
        actual: Digest,
    },
    /// The manifest can't be read as one.
    #[error(transparent)]
    ManifestInvalid(#[from] InvalidManifest),
    /// The manifest names what is not here.
    #[error("the manifest names content that is not in the repository; push it first")]
    ReferencesMissing(Vec<Digest>),
    /// The manifest is too large.
    #[error("a manifest may have {limit_bytes} bytes at most")]
    ManifestTooLarge {
        /// The limit.
        limit_bytes: u64,
    },
    /// Policies of the repository are not satisfied.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Denied(Vec<Violation>),
    /// The client can't take what is there.
    #[error("the manifest's media type is {0}, which the request does not accept; it is never converted")]
    NotAcceptable(String),
    /// Too many tags in one request.
    #[error("{count} tags in one request are too many; {limit} are taken")]
    TooManyTags {
        /// How many came.
        count: usize,
        /// How many may.
        limit: usize,
    },
    /// A tag in the query breaks the grammar.
    #[error(transparent)]
    TagInvalid(#[from] InvalidTag),
    /// A chunk does not begin where the upload stands.
    #[error("the chunk begins at byte {first_byte}, and the upload has {offset_bytes} bytes")]
    ChunkOutOfOrder {
        /// Where it begins.
        first_byte: u64,
        /// Where it should.
        offset_bytes: u64,
        /// The upload's path.
        location: String,
    },
    /// A chunk's range can't be read.
    #[error(transparent)]
    ContentRange(#[from] InvalidContentRange),
    /// A chunk's range and the body's length differ.
    #[error("the Content-Range {range} has {} bytes, and the body {length_bytes}", range.length())]
    ChunkLength {
        /// What was announced.
        range: ContentRange,
        /// What comes.
        length_bytes: u64,
    },
    /// The range asked for has no byte of the blob.
    #[error("the blob has {size_bytes} bytes, none of them in the range")]
    RangeNotSatisfiable {
        /// The blob's length.
        size_bytes: u64,
    },
    /// The caller has not said who it is, or not so that it can be believed, or shows a token for something else.
    #[error("{reason}")]
    Unauthorized {
        /// What is wrong.
        reason: String,
        /// What to do about it, as `WWW-Authenticate` says it.
        challenge: String,
    },
    /// The caller may not.
    #[error("{caller:?} may not {what}")]
    Forbidden {
        /// Its account.
        caller: String,
        /// What it wanted.
        what: String,
    },
    /// Too many logins failed.
    #[error("{reason}")]
    LoginThrottled {
        /// Why.
        reason: String,
        /// How long to wait.
        wait: Duration,
    },
    /// See [`Throttled`].
    #[error(transparent)]
    Throttled(#[from] Throttled),
    /// What is asked of the token service makes no sense.
    #[error("{0}")]
    TokenRequest(String),
    /// There is nothing to sign a token with.
    #[error("there is no key to sign tokens with")]
    NoKey,
    /// Nobody is asked who they are, so there are no accounts.
    #[error("accounts are not in use here: auth.enabled is off")]
    AuthOff,
    /// There is no audit log.
    #[error("there is no audit log here: audit.enabled is off, or auto without auth.enabled")]
    AuditOff,
    /// What is asked of the audit log can't be read.
    #[error("{0}")]
    AuditQuery(String),
    /// What is asked of the changes can't be read.
    #[error("{0}")]
    EventsQuery(String),
    /// No such account.
    #[error("there is no account {0:?}")]
    AccountUnknown(String),
    /// There is one of its name.
    #[error("there is an account {0:?} already")]
    AccountExists(String),
    /// An account can't be as is asked.
    #[error("{0}")]
    AccountInvalid(String),
    /// An administrator would shut itself out.
    #[error("an administrator can't {0} itself; another one can")]
    OwnAccount(&'static str),
    /// No such role.
    #[error("there is no role {0:?}")]
    RoleUnknown(String),
    /// A role can't be as is asked.
    #[error("{0}")]
    RoleInvalid(String),
    /// The tokens of an issuer can't be checked for the time being.
    #[error("{0}")]
    IssuerUnavailable(String),
    /// No such issuer.
    #[error("there is no issuer {0:?}")]
    IssuerUnknown(String),
    /// An issuer can't be as is asked.
    #[error("{0}")]
    IssuerInvalid(String),
    /// An issuer is not as the caller has seen it.
    #[error("the issuer {0:?} was changed meanwhile, or is there already; look at it again")]
    IssuerChanged(String),
    /// A token is not one that an issuer's callers could log in with.
    #[error("{0}")]
    TokenRefused(String),
    /// A condition of a change can't be read.
    #[error("a condition can't be read: If-Match takes one ETag as it was answered, or *; If-None-Match takes *; not both")]
    Condition,
    /// No such policy document.
    #[error("there is no policy document {0:?}")]
    PolicyUnknown(String),
    /// A policy document makes no sense, or can't be where it should be.
    #[error("{}", .0.join("; "))]
    PolicyInvalid(Vec<String>),
    /// A policy document is another than the caller has seen.
    #[error("the policy document {name:?} {is} now; look at it again, and change that")]
    PolicyChanged {
        /// Which.
        name: String,
        /// What it is.
        is: String,
    },
    /// What is asked of policies makes no sense.
    #[error("{0}")]
    PolicyRequest(String),
    /// The body is larger than what is asked takes.
    #[error("the body may have {limit_bytes} bytes at most")]
    BodyTooLarge {
        /// The limit.
        limit_bytes: u64,
    },
    /// A page's bounds can't be read.
    #[error("{0}")]
    Page(String),
    /// The body could not be read.
    #[error("the body could not be read: {0}")]
    Body(String),
    /// More is under way than is taken on.
    #[error("too many requests at once; try again in a moment")]
    Overloaded,
    /// See [`NoBudget`].
    #[error(transparent)]
    NoBudget(#[from] NoBudget),
    /// See [`UploadError`].
    #[error(transparent)]
    Upload(#[from] UploadError),
    /// See [`DeliveryError`].
    #[error(transparent)]
    Delivery(#[from] DeliveryError),
    /// See [`StateError`].
    #[error(transparent)]
    State(#[from] StateError),
    /// See [`StorageError`].
    #[error(transparent)]
    Storage(#[from] StorageError),
}
