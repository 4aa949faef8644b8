use std::net::IpAddr;

use jiff::Timestamp;
use serde_json::Value;

use super::Author;

/// What can happen, as the outbox names it.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum EventKind {
    /// A blob came into a repository by a push.
    BlobPushed,
    /// A blob came into a repository from another.
    BlobMounted,
    /// A blob left a repository.
    BlobDeleted,
    /// A manifest came, or came again.
    ManifestPushed,
    /// A manifest went.
    ManifestDeleted,
    /// A tag was set.
    TagSet,
    /// A tag went.
    TagDeleted,
    /// An account was made.
    AccountCreated,
    /// An account is another in some way.
    AccountChanged,
    /// An account went.
    AccountDeleted,
    /// A role was given.
    RoleCreated,
    /// A role was taken away, or went with its account.
    RoleDeleted,
    /// An issuer was made, or took another's place.
    IssuerChanged,
    /// An issuer went.
    IssuerDeleted,
    /// A policy document was applied.
    PolicyApplied,
    /// A policy document was removed.
    PolicyRemoved,
    /// Somebody showed an account's secret.
    LoginSucceeded,
    /// Somebody showed something else.
    LoginFailed,
    /// Somebody was not let try, after too many that failed.
    LoginThrottled,
    /// A caller asked what no role allows it.
    AccessDenied,
    /// A caller took more than it may.
    AccessThrottled,
    /// A policy refused a push, a pull or a deletion.
    PolicyDenied,
    /// Some of these could not be noted.
    AuditLost,
}

impl EventKind {
    /// How the database writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BlobPushed => "blob.pushed",
            Self::BlobMounted => "blob.mounted",
            Self::BlobDeleted => "blob.deleted",
            Self::ManifestPushed => "manifest.pushed",
            Self::ManifestDeleted => "manifest.deleted",
            Self::TagSet => "tag.set",
            Self::TagDeleted => "tag.deleted",
            Self::AccountCreated => "account.created",
            Self::AccountChanged => "account.changed",
            Self::AccountDeleted => "account.deleted",
            Self::RoleCreated => "role.created",
            Self::RoleDeleted => "role.deleted",
            Self::IssuerChanged => "issuer.changed",
            Self::IssuerDeleted => "issuer.deleted",
            Self::PolicyApplied => "policy.applied",
            Self::PolicyRemoved => "policy.removed",
            Self::LoginSucceeded => "login.succeeded",
            Self::LoginFailed => "login.failed",
            Self::LoginThrottled => "login.throttled",
            Self::AccessDenied => "access.denied",
            Self::AccessThrottled => "access.throttled",
            Self::PolicyDenied => "policy.denied",
            Self::AuditLost => "audit.lost",
        }
    }

    /// What came of it, of a kind as the database writes it: `done`, `refused` or `failed`.
    pub fn result_of(kind: &str) -> &'static str {
        match kind.rsplit_once('.') {
            Some((_, "denied" | "throttled")) => "refused",
            Some((_, "failed" | "lost")) => "failed",
            _ => "done",
        }
    }
}

/// Something that happened, on its way to the outbox.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Event {
    /// What.
    pub kind: EventKind,
    /// The repository, where it is about one.
    pub repository: Option<String>,
    /// The content.
    pub digest: Option<String>,
    /// The tag.
    pub tag: Option<String>,
    /// When.
    pub happened_at: Timestamp,
    /// Who did it.
    pub actor: Option<String>,
    /// From where.
    pub address: Option<IpAddr>,
    /// In which request.
    pub request_id: Option<String>,
    /// What else there is to say: an object.
    pub detail: Option<Value>,
}

/// Things that happened and are no changes, as one process has gathered them.
#[derive(Clone, Debug)]
pub struct NotedBatch {
    /// Who has; no other process has the name.
    pub noter: String,
    /// Its place among what that one has gathered, from 1 on.
    pub number: u64,
    /// At least one.
    pub events: Vec<Event>,
}

impl Event {
    /// Something that the current author did just now.
    pub fn now(kind: EventKind) -> Self {
        let author = Author::current();
        Self {
            actor: author.as_ref().and_then(|author| author.account().map(str::to_owned)),
            address: author.as_ref().map(|author| author.address()),
            request_id: author.as_ref().map(|author| author.request_id().to_owned()),
            ..Self::of_nobody(kind)
        }
    }

    /// Something that the registry did by itself just now.
    pub fn of_nobody(kind: EventKind) -> Self {
        Self {
            kind,
            repository: None,
            digest: None,
            tag: None,
            happened_at: Timestamp::now(),
            actor: None,
            address: None,
            request_id: None,
            detail: None,
        }
    }
}
