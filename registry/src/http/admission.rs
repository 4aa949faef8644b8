//! Whether a request's caller may have what it asks, before anything is looked up: what a caller may not see is refused the same
//! whether it is there or not.

use std::net::IpAddr;

use http::{Method, header, request::Parts};
use longshore_oci::Route;
use longshore_service::listener::ClientCertificate;

use crate::{
    access::{Action, AuthenticationError, Caller, Credentials, Judgement, Need},
    error::Error,
    registry::Registry,
    state::Author,
};

/// The certificate of a request's connection, where it vouches for the request. Of a connection that must have one it must be good.
///
/// A browser shows its user's certificate with what any page has it ask, so for what a page asks it vouches not.
pub fn vouching(
    registry: &Registry,
    parts: &Parts,
    certificate: Option<ClientCertificate>,
) -> Result<Option<ClientCertificate>, Error> {
    if let Some(certificate) = certificate.as_ref().filter(|certificate| certificate.is_required()) {
        certificate.check().map_err(|error| {
            let error = AuthenticationError::Certificate(error.to_string());
            registry.access.iter().for_each(|access| access.note_certificate(&error));
            refused_login(&error)
        })?;
    }
    let site = parts.headers.get("sec-fetch-site");
    let is_of_page = parts.headers.contains_key(header::ORIGIN) || site.is_some_and(|site| site != "none");
    Ok(certificate.filter(|_| !is_of_page))
}

/// Who sent a request, where it may have what it asks.
pub async fn admit(
    registry: &Registry,
    route: &Route,
    parts: &Parts,
    client: IpAddr,
    certificate: Option<&ClientCertificate>,
) -> Result<Caller, Error> {
    let Some(access) = &registry.access else { return Ok(Caller::unasked()) };
    let need = need(route, &parts.method);
    if need == Need::Nothing {
        return Ok(Caller::unasked());
    }
    let caller = match Credentials::of(&parts.headers) {
        Ok(shown) => access.identify(shown, certificate, client).await,
        Err(error) => Err(error),
    };
    let caller = caller.map_err(|error| refused(registry, parts, need, &error))?;
    if let Some(name) = caller.name() {
        Author::known_as(name);
    }
    require(registry, parts, &caller, need)?;
    Ok(caller)
}

/// That a caller has what it needs; or what it is told.
pub fn require(registry: &Registry, parts: &Parts, caller: &Caller, need: Need<'_>) -> Result<(), Error> {
    let unauthorized = |reason: String, error| Error::Unauthorized { reason, challenge: challenge(registry, parts, need, error) };
    match caller.judge(need) {
        Judgement::Granted => Ok(()),
        Judgement::Unknown => {
            let error = caller.has_token().then_some("insufficient_scope");
            let nobody = match caller.unknown_certificate() {
                Some(shown) => format!("the client certificate, {shown}, is no account's, and nobody in particular"),
                None => "say who you are: nobody in particular".to_owned(),
            };
            Err(unauthorized(format!("{nobody} may {}", need.told()), error))
        }
        Judgement::Narrow => Err(unauthorized(format!("the token is not one to {}", need.told()), Some("insufficient_scope"))),
        Judgement::Denied => Err(forbidden(caller, need)),
    }
}

/// That a caller may not have this.
pub fn forbidden(caller: &Caller, need: Need<'_>) -> Error {
    Error::Forbidden { caller: caller.name().unwrap_or("anonymous").to_owned(), what: need.told() }
}

/// What the caller of an operation must be granted.
fn need<'a>(route: &'a Route, method: &Method) -> Need<'a> {
    match route {
        Route::Token | Route::Keys | Route::Swarm => Need::Nothing,
        Route::Base => Need::Credentials,
        Route::Catalog | Route::Images | Route::Events => Need::Lists,
        Route::Account(name) if *method != Method::DELETE => Need::Account(name),
        Route::Accounts | Route::Account(_) | Route::Roles | Route::Role(_) | Route::Audit | Route::AuditHead => Need::Admin,
        Route::Issuers | Route::Issuer(_) | Route::IssuerCheck(_) | Route::Policies | Route::Policy(_) | Route::PolicyTest => {
            Need::Admin
        }
        Route::Manifest(name, _) | Route::Blob(name, _) if *method == Method::DELETE => Need::Repository(name, Action::Delete),
        Route::Manifest(name, _) if *method == Method::PUT => Need::Addition(name),
        Route::Uploads(name) | Route::Upload(name, _) => Need::Addition(name),
        Route::Manifest(name, _)
        | Route::Blob(name, _)
        | Route::Tags(name)
        | Route::Referrers(name, _)
        | Route::Image(name, _)
        | Route::Verdict(name, _)
        | Route::Metainfo(name, _) => Need::Repository(name, Action::Pull),
    }
}

/// What a client is told whose credentials were not taken.
fn refused(registry: &Registry, parts: &Parts, need: Need<'_>, error: &AuthenticationError) -> Error {
    let code = matches!(error, AuthenticationError::Token(_) | AuthenticationError::Barred(_) | AuthenticationError::Identity(_))
        .then_some("invalid_token");
    not_let_in(error, || challenge(registry, parts, need, code))
}

/// As [`refused`], at the token service, to which names and secrets are shown.
pub fn refused_login(error: &AuthenticationError) -> Error {
    not_let_in(error, || BASIC.to_owned())
}

fn not_let_in(error: &AuthenticationError, challenge: impl FnOnce() -> String) -> Error {
    match error {
        AuthenticationError::Throttled(wait) => Error::LoginThrottled { reason: error.to_string(), wait: *wait },
        AuthenticationError::Busy => Error::Overloaded,
        AuthenticationError::Unchecked(_) => Error::IssuerUnavailable(error.to_string()),
        _ => Error::Unauthorized { reason: error.to_string(), challenge: challenge() },
    }
}

const BASIC: &str = "Basic realm=\"longshore\", charset=\"UTF-8\"";

/// The value of `WWW-Authenticate`: where to get a token, and for what (Docker registry token specification; RFC 6750).
///
/// Tokens alone, where they are taken: of two schemes some clients choose the other.
fn challenge(registry: &Registry, parts: &Parts, need: Need<'_>, error: Option<&str>) -> String {
    let Some(access) = registry.access.as_ref().filter(|access| access.settings().takes_bearer) else { return BASIC.to_owned() };
    let host = host(parts);
    let scope = need.scope().map(|scope| format!(",scope=\"{scope}\"")).unwrap_or_default();
    let error = error.map(|error| format!(",error=\"{error}\"")).unwrap_or_default();
    format!("Bearer realm=\"{}/token\",service=\"{}\"{scope}{error}", url(registry, host), access.settings().service)
}

/// The registry's own URL, as it was reached: the public one, or the request's host.
pub fn url(registry: &Registry, host: &str) -> String {
    match registry.limits.public_url.as_str() {
        "" => format!("{}://{host}", registry.limits.scheme),
        url => url.to_owned(),
    }
}

/// What images of this registry are named with: the public URL's host, or the request's.
pub fn authority<'a>(registry: &'a Registry, parts: &'a Parts) -> &'a str {
    registry.limits.public_url.split('/').nth(2).unwrap_or_else(|| host(parts))
}

/// The host that a request is for, with its port where that was named; none where it is no host.
pub fn host(parts: &Parts) -> &str {
    let authority = parts.uri.authority().map(http::uri::Authority::as_str);
    let host = authority.or_else(|| parts.headers.get(header::HOST)?.to_str().ok()).unwrap_or_default();
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte);
    if host.bytes().all(is_plain) { host } else { "" }
}
