use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::{Digest, InvalidDigest, InvalidReference, InvalidRepositoryName, Reference, RepositoryName};

/// What of an upload's id a path keeps as it is; our own ids are made of nothing else.
const ID: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A path of the distribution API, or of our extension to it, parsed once.
///
/// A repository's name may hold any component, so a path is read from its end: the last words decide what it is, and all
/// before them is the name.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Route {
    /// `/v2/`
    Base,
    /// `/v2/_catalog`
    Catalog,
    /// `/v2/<name>/tags/list`
    Tags(RepositoryName),
    /// `/v2/<name>/manifests/<tag-or-digest>`
    Manifest(RepositoryName, Reference),
    /// `/v2/<name>/blobs/<digest>`
    Blob(RepositoryName, Digest),
    /// `/v2/<name>/blobs/uploads/`
    Uploads(RepositoryName),
    /// `/v2/<name>/blobs/uploads/<id>`; the id is whatever text stands there.
    Upload(RepositoryName, String),
    /// `/v2/<name>/referrers/<digest>`
    Referrers(RepositoryName, Digest),
    /// `/v2/_longshore/images`: every tagged image, with sizes.
    Images,
    /// `/v2/_longshore/keys`: the registry's public keys.
    Keys,
    /// `/v2/_longshore/swarm`: where a node's swarm is reached, and who the node is there.
    Swarm,
    /// `/token`: says who calls, and gets a token for it.
    Token,
    /// `/v2/_longshore/accounts`
    Accounts,
    /// `/v2/_longshore/accounts/<name>`; the name is whatever text stands there.
    Account(String),
    /// `/v2/_longshore/roles`
    Roles,
    /// `/v2/_longshore/roles/<id>`; the id is whatever text stands there.
    Role(String),
    /// `/v2/_longshore/issuers`
    Issuers,
    /// `/v2/_longshore/issuers/<name>`; the name is whatever text stands there.
    Issuer(String),
    /// `/v2/_longshore/issuers/<name>/check`: what a token of it would be.
    IssuerCheck(String),
    /// `/v2/_longshore/policies`: the policy documents in the database.
    Policies,
    /// `/v2/_longshore/policies/<name>`; the name is whatever text stands there.
    Policy(String),
    /// `/v2/_longshore/policy-test`: what a policy document would say to images.
    PolicyTest,
    /// `/v2/_longshore/audit`: who did what.
    Audit,
    /// `/v2/_longshore/audit/head`: where that log begins and ends.
    AuditHead,
    /// `/v2/_longshore/events`: what changes.
    Events,
    /// `/v2/<name>/_longshore/images/<tag-or-digest>`: one image, layer by layer.
    Image(RepositoryName, Reference),
    /// `/v2/<name>/_longshore/verdicts/<tag-or-digest>`: what policies say to a pull of an image.
    Verdict(RepositoryName, Reference),
    /// `/v2/<name>/_longshore/metainfo/<digest>`: a blob's piece hashes.
    Metainfo(RepositoryName, Digest),
}

/// Why a path is no route.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum RouteError {
    /// No operation has such a path.
    #[error("there is no such path")]
    Unknown,
    /// The operation is known; the repository's name breaks the grammar.
    #[error(transparent)]
    Name(#[from] InvalidRepositoryName),
    /// The operation is known; its digest can't be read.
    #[error(transparent)]
    Digest(#[from] InvalidDigest),
    /// The operation is known; its tag or digest can't be read.
    #[error(transparent)]
    Reference(#[from] InvalidReference),
}

impl Route {
    /// Reads a URL's path, percent-encoding included.
    pub fn parse(path: &str) -> Result<Self, RouteError> {
        if path.contains('%') {
            let decoded = percent_decode_str(path).decode_utf8().map_err(|_| RouteError::Unknown)?;
            return Self::parse_decoded(&decoded);
        }
        Self::parse_decoded(path)
    }

    /// The repository that it is about.
    pub fn repository(&self) -> Option<&RepositoryName> {
        match self {
            Self::Tags(name)
            | Self::Manifest(name, _)
            | Self::Blob(name, _)
            | Self::Uploads(name)
            | Self::Upload(name, _)
            | Self::Referrers(name, _)
            | Self::Image(name, _)
            | Self::Verdict(name, _)
            | Self::Metainfo(name, _) => Some(name),
            _ => None,
        }
    }

    fn parse_decoded(path: &str) -> Result<Self, RouteError> {
        if path == "/token" {
            return Ok(Self::Token);
        }
        let rest = path.strip_prefix("/v2").ok_or(RouteError::Unknown)?;
        match rest {
            "" | "/" => return Ok(Self::Base),
            "/_catalog" => return Ok(Self::Catalog),
            "/_longshore/images" => return Ok(Self::Images),
            "/_longshore/keys" => return Ok(Self::Keys),
            "/_longshore/swarm" => return Ok(Self::Swarm),
            "/_longshore/accounts" => return Ok(Self::Accounts),
            "/_longshore/roles" => return Ok(Self::Roles),
            "/_longshore/issuers" => return Ok(Self::Issuers),
            "/_longshore/policies" => return Ok(Self::Policies),
            "/_longshore/policy-test" => return Ok(Self::PolicyTest),
            "/_longshore/audit" => return Ok(Self::Audit),
            "/_longshore/audit/head" => return Ok(Self::AuditHead),
            "/_longshore/events" => return Ok(Self::Events),
            _ => {}
        }
        let rest = rest.strip_prefix('/').ok_or(RouteError::Unknown)?;
        for (front, route) in [
            ("_longshore/accounts/", Self::Account as fn(String) -> Self),
            ("_longshore/roles/", Self::Role),
            ("_longshore/policies/", Self::Policy),
        ] {
            if let Some(last) = rest.strip_prefix(front).filter(|last| !last.is_empty() && !last.contains('/')) {
                return Ok(route(last.to_owned()));
            }
        }
        if let Some(name) = rest.strip_prefix("_longshore/issuers/") {
            return match name.split_once('/') {
                None if !name.is_empty() => Ok(Self::Issuer(name.to_owned())),
                Some((name, "check")) if !name.is_empty() => Ok(Self::IssuerCheck(name.to_owned())),
                _ => Err(RouteError::Unknown),
            };
        }
        if let Some(name) = rest.strip_suffix("/tags/list") {
            return Ok(Self::Tags(name.parse()?));
        }
        if let Some(name) = rest.strip_suffix("/blobs/uploads/").or_else(|| rest.strip_suffix("/blobs/uploads")) {
            return Ok(Self::Uploads(name.parse()?));
        }
        let (front, last) = rest.rsplit_once('/').ok_or(RouteError::Unknown)?;
        if last.is_empty() {
            return Err(RouteError::Unknown);
        }
        if let Some(name) = front.strip_suffix("/blobs/uploads") {
            return Ok(Self::Upload(name.parse()?, last.to_owned()));
        }
        if let Some(name) = front.strip_suffix("/_longshore/images") {
            return Ok(Self::Image(name.parse()?, last.parse()?));
        }
        if let Some(name) = front.strip_suffix("/_longshore/verdicts") {
            return Ok(Self::Verdict(name.parse()?, last.parse()?));
        }
        if let Some(name) = front.strip_suffix("/_longshore/metainfo") {
            return Ok(Self::Metainfo(name.parse()?, last.parse()?));
        }
        if let Some(name) = front.strip_suffix("/manifests") {
            return Ok(Self::Manifest(name.parse()?, last.parse()?));
        }
        if let Some(name) = front.strip_suffix("/blobs") {
            return Ok(Self::Blob(name.parse()?, last.parse()?));
        }
        if let Some(name) = front.strip_suffix("/referrers") {
            return Ok(Self::Referrers(name.parse()?, last.parse()?));
        }
        Err(RouteError::Unknown)
    }

    /// A short fixed name for logs and metrics.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Base => "base",
            Self::Catalog => "catalog",
            Self::Tags(_) => "tags",
            Self::Manifest(..) => "manifest",
            Self::Blob(..) => "blob",
            Self::Uploads(_) => "uploads",
            Self::Upload(..) => "upload",
            Self::Referrers(..) => "referrers",
            Self::Images => "images",
            Self::Keys => "keys",
            Self::Swarm => "swarm",
            Self::Token => "token",
            Self::Accounts => "accounts",
            Self::Account(_) => "account",
            Self::Roles => "roles",
            Self::Role(_) => "role",
            Self::Issuers => "issuers",
            Self::Issuer(_) => "issuer",
            Self::IssuerCheck(_) => "check",
            Self::Policies => "policies",
            Self::Policy(_) => "policy",
            Self::PolicyTest => "policytest",
            Self::Audit => "audit",
            Self::AuditHead => "audithead",
            Self::Events => "events",
            Self::Image(..) => "image",
            Self::Metainfo(..) => "metainfo",
            Self::Verdict(..) => "verdict",
        }
    }
}

impl std::fmt::Display for Route {
    /// The path that parses to this route.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Base => formatter.write_str("/v2/"),
            Self::Catalog => formatter.write_str("/v2/_catalog"),
            Self::Tags(name) => write!(formatter, "/v2/{name}/tags/list"),
            Self::Manifest(name, reference) => write!(formatter, "/v2/{name}/manifests/{reference}"),
            Self::Blob(name, digest) => write!(formatter, "/v2/{name}/blobs/{digest}"),
            Self::Uploads(name) => write!(formatter, "/v2/{name}/blobs/uploads/"),
            Self::Upload(name, id) => write!(formatter, "/v2/{name}/blobs/uploads/{}", utf8_percent_encode(id, ID)),
            Self::Referrers(name, digest) => write!(formatter, "/v2/{name}/referrers/{digest}"),
            Self::Images => formatter.write_str("/v2/_longshore/images"),
            Self::Keys => formatter.write_str("/v2/_longshore/keys"),
            Self::Swarm => formatter.write_str("/v2/_longshore/swarm"),
            Self::Token => formatter.write_str("/token"),
            Self::Accounts => formatter.write_str("/v2/_longshore/accounts"),
            Self::Account(name) => write!(formatter, "/v2/_longshore/accounts/{}", utf8_percent_encode(name, ID)),
            Self::Roles => formatter.write_str("/v2/_longshore/roles"),
            Self::Audit => formatter.write_str("/v2/_longshore/audit"),
            Self::AuditHead => formatter.write_str("/v2/_longshore/audit/head"),
            Self::Events => formatter.write_str("/v2/_longshore/events"),
            Self::Role(id) => write!(formatter, "/v2/_longshore/roles/{}", utf8_percent_encode(id, ID)),
            Self::Issuers => formatter.write_str("/v2/_longshore/issuers"),
            Self::Issuer(name) => write!(formatter, "/v2/_longshore/issuers/{}", utf8_percent_encode(name, ID)),
            Self::IssuerCheck(name) => write!(formatter, "/v2/_longshore/issuers/{}/check", utf8_percent_encode(name, ID)),
            Self::Policies => formatter.write_str("/v2/_longshore/policies"),
            Self::Policy(name) => write!(formatter, "/v2/_longshore/policies/{}", utf8_percent_encode(name, ID)),
            Self::PolicyTest => formatter.write_str("/v2/_longshore/policy-test"),
            Self::Image(name, reference) => write!(formatter, "/v2/{name}/_longshore/images/{reference}"),
            Self::Verdict(name, reference) => write!(formatter, "/v2/{name}/_longshore/verdicts/{reference}"),
            Self::Metainfo(name, digest) => write!(formatter, "/v2/{name}/_longshore/metainfo/{digest}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SHA: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn reads_every_operation() {
        let digest = SHA.parse::<Digest>().unwrap();
        let name = "library/alpine".parse::<RepositoryName>().unwrap();
        let tag = "latest".parse::<Reference>().unwrap();
        for (path, route) in [
            ("/v2/".to_owned(), Route::Base),
            ("/v2".to_owned(), Route::Base),
            ("/v2/_catalog".to_owned(), Route::Catalog),
            ("/v2/library/alpine/tags/list".to_owned(), Route::Tags(name.clone())),
            ("/v2/library/alpine/manifests/latest".to_owned(), Route::Manifest(name.clone(), tag.clone())),
            (format!("/v2/library/alpine/blobs/{SHA}"), Route::Blob(name.clone(), digest.clone())),
            (format!("/v2/library%2Falpine/blobs/{}", SHA.replace(':', "%3A")), Route::Blob(name.clone(), digest.clone())),
            ("/v2/library/alpine/blobs/uploads/".to_owned(), Route::Uploads(name.clone())),
            ("/v2/library/alpine/blobs/uploads".to_owned(), Route::Uploads(name.clone())),
            ("/v2/library/alpine/blobs/uploads/x-1".to_owned(), Route::Upload(name.clone(), "x-1".to_owned())),
            (format!("/v2/library/alpine/referrers/{SHA}"), Route::Referrers(name.clone(), digest.clone())),
            ("/v2/_longshore/images".to_owned(), Route::Images),
            ("/v2/_longshore/keys".to_owned(), Route::Keys),
            ("/v2/_longshore/swarm".to_owned(), Route::Swarm),
            ("/token".to_owned(), Route::Token),
            ("/v2/_longshore/accounts".to_owned(), Route::Accounts),
            ("/v2/_longshore/accounts/a%40b".to_owned(), Route::Account("a@b".to_owned())),
            ("/v2/_longshore/roles".to_owned(), Route::Roles),
            ("/v2/_longshore/roles/role_1".to_owned(), Route::Role("role_1".to_owned())),
            ("/v2/_longshore/issuers".to_owned(), Route::Issuers),
            ("/v2/_longshore/issuers/check".to_owned(), Route::Issuer("check".to_owned())),
            ("/v2/_longshore/issuers/check/check".to_owned(), Route::IssuerCheck("check".to_owned())),
            ("/v2/_longshore/policies".to_owned(), Route::Policies),
            ("/v2/_longshore/policies/prod".to_owned(), Route::Policy("prod".to_owned())),
            ("/v2/_longshore/policy-test".to_owned(), Route::PolicyTest),
            ("/v2/_longshore/audit".to_owned(), Route::Audit),
            ("/v2/_longshore/audit/head".to_owned(), Route::AuditHead),
            ("/v2/_longshore/events".to_owned(), Route::Events),
            ("/v2/library/alpine/_longshore/images/latest".to_owned(), Route::Image(name.clone(), tag.clone())),
            ("/v2/library/alpine/_longshore/verdicts/latest".to_owned(), Route::Verdict(name.clone(), tag)),
            (format!("/v2/library/alpine/_longshore/metainfo/{SHA}"), Route::Metainfo(name, digest)),
        ] {
            assert_eq!(Route::parse(&path), Ok(route), "{path}");
        }
    }

    #[test]
    fn lets_a_name_hold_the_api_s_own_words() {
        let name = "blobs/uploads/manifests".parse::<RepositoryName>().unwrap();
        assert_eq!(
            Route::parse("/v2/blobs/uploads/manifests/manifests/tags"),
            Ok(Route::Manifest(name, "tags".parse().unwrap()))
        );
    }

    #[test]
    fn writes_an_id_so_that_it_reads_back() {
        let route = Route::parse("/v2/a/blobs/uploads/%2541%C3%A9%20b").unwrap();
        assert_eq!(route, Route::Upload("a".parse().unwrap(), "%41é b".to_owned()));
        assert_eq!(route.to_string(), "/v2/a/blobs/uploads/%2541%C3%A9%20b");
    }

    #[test]
    fn says_what_is_wrong() {
        assert_eq!(Route::parse("/"), Err(RouteError::Unknown));
        assert_eq!(Route::parse("/v1/x"), Err(RouteError::Unknown));
        assert_eq!(Route::parse("/v2x"), Err(RouteError::Unknown));
        assert_eq!(Route::parse("/v2/a/manifests/"), Err(RouteError::Unknown));
        assert!(matches!(Route::parse("/v2/A/tags/list"), Err(RouteError::Name(_))));
        assert!(matches!(Route::parse("/v2/a/blobs/x"), Err(RouteError::Digest(_))));
        assert!(matches!(Route::parse("/v2/a/manifests/.x"), Err(RouteError::Reference(_))));
        assert!(matches!(Route::parse("/v2/../../etc/tags/list"), Err(RouteError::Name(_))));
    }

    proptest! {
        #[test]
        fn round_trips(name in "[a-z0-9]{1,8}(/[a-z0-9]{1,8}){0,3}", tag in "[a-zA-Z0-9_][a-zA-Z0-9._-]{0,20}") {
            let route = Route::Manifest(name.parse().unwrap(), tag.parse().unwrap());
            prop_assert_eq!(Route::parse(&route.to_string()), Ok(route));
        }

        #[test]
        fn never_panics(path: String) {
            let _ = Route::parse(&path);
            let _ = Route::parse(&format!("/v2/{path}"));
        }
    }
}
