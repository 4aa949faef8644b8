//! Which refusals are lines of the audit log. That somebody is asked who they are is none.

use http::{Method, Uri};
use longshore_oci::{Reference, Route};
use serde_json::{Value, json};

use crate::{
    audit::{About, Audit},
    error::Error,
    policy::Violation,
    state::{Author, EventKind, StateError},
};

/// How many violations of policies are noted of one request.
const MOST_VIOLATIONS: usize = 10;
/// How much of a reason is noted, in characters.
const MOST_CHARACTERS: usize = 500;

/// Notes a refusal, where it is one of those.
pub fn note(audit: &Audit, method: &Method, uri: &Uri, error: &Error) {
    let (kind, what, told): (_, _, Value) = match error {
        Error::Forbidden { what, .. } => (EventKind::AccessDenied, "wanted", cut(what).into()),
        Error::OwnAccount(_) | Error::State(StateError::LastAdministrator) => {
            (EventKind::AccessDenied, "reason", cut(&error.to_string()).into())
        }
        Error::Throttled(throttled) => (EventKind::AccessThrottled, "reason", cut(&throttled.limit).into()),
        Error::Denied(violations) => {
            let told = |Violation { policy, reason }: &Violation| json!({ "policy": cut(policy), "reason": cut(reason) });
            (EventKind::PolicyDenied, "policies", violations.iter().take(MOST_VIOLATIONS).map(told).collect())
        }
        _ => return,
    };
    let mut about = Route::parse(uri.path()).map(about).unwrap_or_default();
    if about.digest.is_none() {
        about.digest = Author::current().and_then(|author| author.digest().map(ToString::to_string));
    }
    audit.refusal(kind, about, json!({ "method": method.as_str(), what: told }));
}

fn cut(text: &str) -> String {
    text.chars().take(MOST_CHARACTERS).collect()
}

/// What a request is about, as its path says.
fn about(route: Route) -> About {
    let (repository, digest, tag) = match route {
        Route::Manifest(name, reference) | Route::Image(name, reference) | Route::Verdict(name, reference) => match reference {
            Reference::Digest(digest) => (name, Some(digest), None),
            Reference::Tag(tag) => (name, None, Some(tag)),
        },
        Route::Blob(name, digest) | Route::Referrers(name, digest) | Route::Metainfo(name, digest) => (name, Some(digest), None),
        Route::Tags(name) | Route::Uploads(name) | Route::Upload(name, _) => (name, None, None),
        Route::Base
        | Route::Catalog
        | Route::Images
        | Route::Keys
        | Route::Swarm
        | Route::Token
        | Route::Accounts
        | Route::Account(_)
        | Route::Roles
        | Route::Role(_)
        | Route::Issuers
        | Route::Issuer(_)
        | Route::IssuerCheck(_)
        | Route::Policies
        | Route::Policy(_)
        | Route::PolicyTest
        | Route::Audit
        | Route::AuditHead
        | Route::Events => return About::default(),
    };
    About { repository: Some(repository), digest: digest.map(|digest| digest.to_string()), tag: tag.map(|tag| tag.to_string()) }
}
