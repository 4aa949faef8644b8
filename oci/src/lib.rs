//! The nouns of container images, as the OCI specifications name them: digests, references, manifests, media types, the
//! routes of the distribution API, scopes, rights on namespaces, tokens, byte ranges, error codes, the lines of the audit log, how long verdicts hold, and what registries sign of blobs and manifests.
//!
//! Everything here is pure: no I/O, no clock, no randomness. Text from outside becomes one of these types once, at the rim, and
//! what is in a type needs no second look.

mod access_token;
mod audit;
mod change;
mod content_range;
mod descriptor;
mod digest;
mod error_code;
mod hasher;
mod image_text;
mod manifest;
mod manifest_voucher;
pub mod media_type;
mod member_names;
mod metainfo;
mod namespace_right;
pub mod piece;
mod query;
mod range;
mod reference;
mod repository_name;
mod route;
mod scope;
mod sent_range;
mod tag;
mod verdict_lifetime;

pub use access_token::{AccessToken, Federated};
pub use audit::{AuditHead, AuditLine, AuditVoucher};
pub use change::{Change, ChangePage};
pub use content_range::{ContentRange, InvalidContentRange};
pub use descriptor::{Descriptor, Platform};
pub use digest::{Algorithm, Digest, InvalidDigest};
pub use error_code::{ErrorBody, ErrorCode, ErrorEntry};
pub use hasher::{HashState, Hasher, InvalidHashState};
pub use image_text::ImageText;
pub use manifest::{InvalidManifest, Manifest, ManifestKind};
pub use manifest_voucher::ManifestVoucher;
pub use metainfo::{Metainfo, Voucher};
pub use namespace_right::{InvalidNamespaceRight, NamespaceRight};
pub use query::Query;
pub use range::{ByteRange, RangeRequest};
pub use reference::{InvalidReference, Reference};
pub use repository_name::{InvalidRepositoryName, RepositoryName};
pub use route::{Route, RouteError};
pub use scope::{InvalidScope, Scope};
pub use sent_range::{InvalidSentRange, SentRange};
pub use tag::{InvalidTag, Tag};
pub use verdict_lifetime::{InvalidVerdictLifetime, VerdictLifetime};
